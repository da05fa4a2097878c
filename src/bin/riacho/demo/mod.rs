//! The demos: Kafka, made-up input, an application with its page, and the proof of what it says.
//!
//! `transactions` runs in this process, with a live view. The others are processes of this program, as a user would start
//! them, and each is a [`Play`]: another one is added in [`plays`].

mod broker;
mod child;
mod enrolments;
mod extraction;
mod jvm;
mod leash;
mod play;
mod recounted;
mod sales;
mod site;
mod stage;
mod transactions;
mod verdict;
mod workshop;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::signals::Signals;
use crate::{Failure, WrongUse};

use broker::{Broker, Place};
use enrolments::Enrolments;
use extraction::Extraction;
use play::Play;
use recounted::Recounted;
use sales::Sales;
use stage::Stage;
use workshop::Workshop;

/// How long the demo runs where nobody can press a key.
const SECONDS_UNATTENDED: u64 = 30;

const EXAMPLES: &str = "\
Examples:
  riacho demo
  riacho demo --kafka jvm --seconds 60
  riacho demo enrolments
  riacho demo extraction --kafka localhost:9092

It needs nothing but this program. Topics, state and files are its own, and are gone afterwards.";

/// Runs an application before your eyes, then proves what it says.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application
    #[arg(value_enum, value_name = "APP", default_value_t = Shown::Transactions)]
    app: Shown,
    /// Where Kafka is: embedded (inside this process), jvm (a real Apache Kafka, started for the demo) or HOST:PORT
    #[arg(long, value_name = "WHERE", default_value = "embedded")]
    kafka: Place,
    /// End after so many seconds [default: 30; on a terminal when Ctrl-C is pressed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    #[command(flatten)]
    transactions: transactions::Options,
}

/// An application that has a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Windows by vendor, with a live view; every closed window is compared with the source
    Transactions,
    /// Distinct enrolments; the page's figures are compared with a recount of the topic
    Enrolments,
    /// An API as Parquet files; their rows and references are counted again
    Extraction,
    /// Sales without PostgreSQL; the page's figures are compared with a recount of the topic
    Sales,
    /// A producer and a consumer; every message that was sent is looked for
    Workshop,
}

/// Starts an application's demo on a stage. The main job is not a play: it is shown in this process.
fn plays(app: Shown, stage: &mut Stage<'_>) -> Result<Option<Box<dyn Play>>, Failure> {
    Ok(match app {
        Shown::Transactions => None,
        Shown::Enrolments => Some(Box::new(Recounted::<Enrolments>::begin(stage)?)),
        Shown::Extraction => Some(Box::new(Extraction::begin(stage)?)),
        Shown::Sales => Some(Box::new(Recounted::<Sales>::begin(stage)?)),
        Shown::Workshop => Some(Box::new(Workshop::begin(stage)?)),
    })
}

/// What every demo has.
#[derive(Clone, Copy)]
struct Show<'s> {
    broker: &'s Broker,
    signals: &'s Signals,
    /// How long it runs, if it is not ended earlier.
    duration: Option<Duration>,
}

impl Args {
    /// # Errors
    /// When an option means nothing to the application that is shown.
    fn check(&self) -> Result<(), WrongUse> {
        match self.transactions.given() {
            Some(option) if self.app != Shown::Transactions => {
                let app = self.app.to_possible_value();
                let app = app.as_ref().map_or("this application", PossibleValue::get_name);
                Err(WrongUse(format!(
                    "{option} is for `riacho demo transactions`: the demo of {app} does not know it, leave it out"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Writes lines for whoever started the demo.
///
/// # Errors
/// When nobody reads them any more.
fn say(lines: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{lines}")
}

/// Runs the demo to its verdict: success is a proof that compared something and found nothing wrong.
///
/// # Errors
/// When an option is wrong, there is no Kafka to run on, or something fails before there is a verdict.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.check()?;
    let signals = Signals::listen()?;
    let on_terminal = io::stdout().is_terminal();
    let seconds = args.seconds.or((!on_terminal).then_some(SECONDS_UNATTENDED));

    let broker = Broker::start(&args.kafka)?;
    say(&broker.introduction())?;
    let show = Show { broker: &broker, signals: &signals, duration: seconds.map(Duration::from_secs) };
    let mut stage = Stage::set(&broker);
    let passed = match plays(args.app, &mut stage)? {
        Some(play) => play::show(play, &show)?,
        None => transactions::show(&args.transactions, &show)?,
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Option<Args> {
        let words = std::iter::once("demo").chain(line.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.args)
    }

    #[test]
    fn without_an_application_the_main_job_is_shown() {
        let args = parse("--rate 5 --vendors 6 --seed 7 --threads 3 --seconds 8").unwrap();
        assert_eq!((args.app, args.seconds), (Shown::Transactions, Some(8)));
        assert!(args.kafka == Place::Embedded && args.check().is_ok());
        assert_eq!(parse("").unwrap().app, parse("transactions").unwrap().app);
    }

    #[test]
    fn every_application_takes_kafka_and_seconds() {
        for app in Shown::value_variants() {
            let name = app.to_possible_value().unwrap().get_name().to_owned();
            let args = parse(&format!("{name} --kafka localhost:29092 --seconds 5")).unwrap();
            assert!(args.app == *app && args.check().is_ok());
            assert_eq!(args.kafka, Place::Cluster("localhost:29092".to_owned()));
        }
    }

    #[test]
    fn options_of_the_main_job_are_refused_by_the_others() {
        for app in Shown::value_variants().iter().filter(|app| **app != Shown::Transactions) {
            let name = app.to_possible_value().unwrap().get_name().to_owned();
            for option in ["--rate", "--vendors", "--seed", "--threads"] {
                let refused = parse(&format!("{name} {option} 2")).unwrap().check().unwrap_err().to_string();
                assert!(refused.starts_with(option) && refused.contains(&name), "{refused}");
            }
        }
        assert!(parse("nothing").is_none() && parse("--threads 17").is_none());
        assert!(parse("--seconds 0").is_none() && parse("--rate 0").is_none());
    }
}
