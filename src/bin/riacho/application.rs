//! The applications that come with riacho, as the verbs see them.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use riacho::config::{Config, ConfigErrors, KeySpec};
use riacho::observe::http::Pages;
use riacho::observe::metrics::OwnMetrics;
use riacho::query::Queries;
use riacho::{Topology, TopologyError};

use crate::beside::Beside;
use crate::enrolments::config::EnrolmentsConfig;
use crate::extraction::config::ExtractionConfig;
use crate::extraction::ledger::{FollowedLedger, ToldOn};
use crate::sales::config::{KeptIn, SalesConfig};
use crate::signals::Signals;
use crate::transactions::business::BusinessMetrics;
use crate::transactions::config::TransactionsConfig;
use crate::web::Board;
use crate::{Failure, WrongUse, enrolments, extract, extraction, sales, transactions, web};

/// Which application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum App {
    /// Windowed aggregates and anomalies per vendor of financial_transactions
    Transactions,
    /// Rows of an HTTP API as raw and as normalised Parquet files
    Extraction,
    /// Distinct enrolments of registration_topic by course, payment and shift
    Enrolments,
    /// Sales as rows in PostgreSQL, each exactly once, or added up in state stores
    Sales,
}

impl App {
    /// Its name on the command line, which is its default `application.id` too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            App::Transactions => "transactions",
            App::Extraction => "extraction",
            App::Enrolments => "enrolments",
            App::Sales => "sales",
        }
    }

    /// Its settings.
    pub(crate) fn keys(self) -> &'static [KeySpec] {
        match self {
            App::Transactions => transactions::config::KEYS,
            App::Extraction => extraction::config::KEYS,
            App::Enrolments => enrolments::config::KEYS,
            App::Sales => sales::config::KEYS,
        }
    }

    /// What it sets lower than any user.
    pub(crate) fn presets(self) -> &'static [(&'static str, &'static str)] {
        match self {
            App::Transactions | App::Enrolments | App::Sales => &[],
            App::Extraction => extraction::config::PRESETS,
        }
    }

    /// The application as it is configured.
    ///
    /// # Errors
    /// When its settings do not fit together.
    pub(crate) fn of(self, config: &Config) -> Result<Box<dyn Application>, ConfigErrors> {
        Ok(match self {
            App::Transactions => Box::new(TransactionsConfig::of(config)?),
            App::Extraction => Box::new(ExtractionConfig::of(config)?),
            App::Enrolments => Box::new(EnrolmentsConfig::of(config)?),
            App::Sales => Box::new(SalesConfig::of(config)?),
        })
    }
}

/// What `riacho run` runs: an application with a topology, or one that is plain clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runnable {
    Streams(App),
    Workshop,
}

impl ValueEnum for Runnable {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Runnable::Streams(App::Transactions),
            Runnable::Streams(App::Extraction),
            Runnable::Streams(App::Enrolments),
            Runnable::Streams(App::Sales),
            Runnable::Workshop,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Runnable::Streams(app) => app.to_possible_value(),
            Runnable::Workshop => Some(PossibleValue::new("workshop").help(
                "Producer or consumer of simulated transactions, by ACTION, TOPIC, CONSUMER_GROUP and \
                 BOOTSTRAP_SERVERS in the environment",
            )),
        }
    }
}

/// An application with its settings, checked.
pub(crate) trait Application {
    /// What it computes.
    ///
    /// # Errors
    /// When topics are given names that Kafka refuses or that collide.
    fn topology(&self) -> Result<Topology, TopologyError>;

    /// What it computes, for a run: with metrics of its own, to be served beside those of the library.
    ///
    /// # Errors
    /// As [`topology`](Self::topology).
    fn measured(&self) -> Result<(Topology, OwnMetrics), TopologyError> {
        Ok((self.topology()?, OwnMetrics::default()))
    }

    /// The topics that it reads and somebody else fills.
    fn inputs(&self) -> Vec<&str>;

    /// The topics that it writes for others, each with its role in a word.
    fn outputs(&self) -> Vec<(&'static str, &str)>;

    /// Settings that are not given and follow from others.
    fn derived(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// When it writes results, in a word for reports.
    fn emits(&self) -> String {
        "update".to_owned()
    }

    /// Gets ready to run, and starts what works beside the topology until the result is dropped. `options` are those of
    /// `riacho run`.
    ///
    /// # Errors
    /// When something is missing, or the application knows no such option.
    fn prepare(&mut self, _config: &Config, options: RunOptions<'_>) -> Result<Option<Beside>, Failure> {
        match options.embedded {
            true => {
                Err(WrongUse("this application has no embedded source: leave out --embedded".to_owned())
                    .into())
            }
            false => Ok(None),
        }
    }

    /// What its page asks, below `/api/` and its name, answered with `queries` of its stores.
    ///
    /// # Errors
    /// When what the page stands on cannot be started.
    fn pages(&self, _config: &Config, _queries: &Queries, _board: &Board) -> Result<Pages, Failure> {
        Ok(Pages::new())
    }
}

/// Options of `riacho run` that an application may know.
#[derive(Clone, Copy)]
pub(crate) struct RunOptions<'a> {
    /// With made-up input.
    pub(crate) embedded: bool,
    /// Everything that there is at the start is to be there before the topology starts.
    pub(crate) until_caught_up: bool,
    pub(crate) signals: &'a Signals,
}

impl Application for TransactionsConfig {
    fn topology(&self) -> Result<Topology, TopologyError> {
        transactions::topology::topology(self)
    }

    fn measured(&self) -> Result<(Topology, OwnMetrics), TopologyError> {
        let (business, own) = BusinessMetrics::new();
        Ok((transactions::topology::topology_with(self, &business)?, own))
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input_topic]
    }

    fn outputs(&self) -> Vec<(&'static str, &str)> {
        let anomalies = self.anomalies_topic.as_deref().map(|topic| ("anomalies", topic));
        std::iter::once(("output", self.output_topic.as_str())).chain(anomalies).collect()
    }

    fn derived(&self) -> Vec<(&'static str, String)> {
        TransactionsConfig::derived(self).to_vec()
    }

    fn emits(&self) -> String {
        format!("{:?}", self.emit)
    }

    fn pages(&self, _config: &Config, queries: &Queries, board: &Board) -> Result<Pages, Failure> {
        Ok(web::transactions::pages(queries, board))
    }
}

impl Application for ExtractionConfig {
    fn topology(&self) -> Result<Topology, TopologyError> {
        ExtractionConfig::topology(self)
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.files_topic]
    }

    fn outputs(&self) -> Vec<(&'static str, &str)> {
        vec![("output", &self.normalised_topic)]
    }

    fn prepare(&mut self, config: &Config, options: RunOptions<'_>) -> Result<Option<Beside>, Failure> {
        extract::prepare(self, config, options)
    }

    fn pages(&self, config: &Config, _queries: &Queries, board: &Board) -> Result<Pages, Failure> {
        let ledger = FollowedLedger::start(ToldOn {
            settings: riacho::client_settings(config),
            files: self.files_topic.clone(),
            normalised: self.normalised_topic.clone(),
        })?;
        Ok(web::extraction::pages(ledger, self.folders(), self.shown_url(), board))
    }
}

impl Application for EnrolmentsConfig {
    fn topology(&self) -> Result<Topology, TopologyError> {
        enrolments::topology::topology(self)
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input_topic]
    }

    fn outputs(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    fn pages(&self, _config: &Config, queries: &Queries, board: &Board) -> Result<Pages, Failure> {
        Ok(web::enrolments::pages(self.table_rows_max, queries, board))
    }
}

impl Application for SalesConfig {
    fn topology(&self) -> Result<Topology, TopologyError> {
        SalesConfig::topology(self)
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input_topic]
    }

    fn outputs(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    fn prepare(&mut self, config: &Config, options: RunOptions<'_>) -> Result<Option<Beside>, Failure> {
        if options.embedded {
            return Err(WrongUse("sales has no embedded source: leave out --embedded".to_owned()).into());
        }
        match self.kept_in {
            KeptIn::Stores => Ok(None),
            KeptIn::Postgres if options.until_caught_up => {
                let reason =
                    "sales does not know --until-caught-up while it writes into PostgreSQL: leave it out";
                Err(WrongUse(reason.to_owned()).into())
            }
            KeptIn::Postgres => Ok(Some(sales::sink::start(self, config)?)),
        }
    }

    fn pages(&self, _config: &Config, queries: &Queries, board: &Board) -> Result<Pages, Failure> {
        Ok(match self.kept_in {
            KeptIn::Postgres => web::sales::pages(web::sales::Database::of(self.reader(), board), board),
            KeptIn::Stores => web::sales::pages(web::sales::Stores::of(queries, board), board),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use riacho::config::RawConfig;

    use super::*;

    /// Stores, changelogs and repartition topics are found again by their names: who changes one of these texts leaves the
    /// state of running applications behind.
    #[test]
    fn every_application_keeps_its_state_under_the_names_it_always_had() {
        for app in App::value_variants() {
            let raw = RawConfig::new(&[app.keys()]).preset("application.id", app.name());
            let raw = raw.preset("bootstrap.servers", "localhost:9092");
            let raw = app.presets().iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
            let application = app.of(&Config::try_from(raw).unwrap()).unwrap();
            let file = format!("tests/golden/describe/{}.txt", app.name());
            let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            let golden = std::fs::read_to_string(golden).unwrap_or_default();
            let described = application.topology().unwrap().describe();
            assert_eq!(described.trim_end(), golden.trim_end(), "{file} is another text");
        }
    }
}
