//! The applications that come with riacho, as the verbs see them.

use clap::ValueEnum;
use riacho::config::{Config, ConfigErrors, KeySpec};
use riacho::observe::http::Pages;
use riacho::observe::metrics::OwnMetrics;
use riacho::query::Queries;
use riacho::{Topology, TopologyError};

use crate::transactions::business::BusinessMetrics;
use crate::transactions::config::TransactionsConfig;
use crate::web::Board;
use crate::{transactions, web};

/// Which application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum App {
    /// Windowed aggregates and anomalies per vendor of financial_transactions
    Transactions,
}

impl App {
    /// Its name on the command line, which is its default `application.id` too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            App::Transactions => "transactions",
        }
    }

    /// Its settings.
    pub(crate) fn keys(self) -> &'static [KeySpec] {
        match self {
            App::Transactions => transactions::config::KEYS,
        }
    }

    /// The application as it is configured.
    ///
    /// # Errors
    /// When its settings do not fit together.
    pub(crate) fn of(self, config: &Config) -> Result<Box<dyn Application>, ConfigErrors> {
        Ok(match self {
            App::Transactions => Box::new(TransactionsConfig::of(config)?),
        })
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

    /// What its page asks, below `/api/` and its name, answered with `queries` of its stores.
    fn pages(&self, _queries: &Queries, _board: &Board) -> Pages {
        Pages::new()
    }
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

    fn pages(&self, queries: &Queries, board: &Board) -> Pages {
        web::transactions::pages(queries, board)
    }
}
