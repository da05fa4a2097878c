//! `riacho generate`: made-up input for an application.

mod enrolments;
mod sales;
mod transactions;

use std::io::Write as _;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use clap::Subcommand;
use indicatif::{HumanBytes, HumanCount};
use riacho::kafka::{KafkaAdmin, NewRecord, TopicWriter};
use riacho::ports::{ClientError, Clock as _};
use riacho::{SystemClock, Timestamp, client_settings};

use crate::Failure;
use crate::gauge::Gauge;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;
use crate::topics;

/// For which application.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Transactions of vendors
    Transactions(transactions::Args),
    /// Enrolments of students
    Enrolments(enrolments::Args),
    /// Sales of three products
    Sales(sales::Args),
}

pub(crate) fn run(verb: &Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Transactions(args) => transactions::run(args),
        Verb::Enrolments(args) => enrolments::run(args),
        Verb::Sales(args) => sales::run(args),
    }
}

/// What does not depend on the records.
#[derive(clap::Args)]
struct Common {
    /// Where to [default: the application's input topic]. Created if it is missing
    #[arg(short, long)]
    topic: Option<String>,
    /// How many partitions the topic has if it is created
    #[arg(long, default_value_t = topics::PARTITIONS)]
    partitions: i32,
    /// Records per second [default: as fast as it goes]
    #[arg(short, long)]
    rate: Option<NonZeroU32>,
    /// How many records [default: until it is told to stop]
    #[arg(short = 'n', long)]
    count: Option<u64>,
    #[command(flatten)]
    settings: Settings,
}

/// Where records go.
struct Place<'a> {
    topic: &'a str,
    partitions: i32,
    now: Timestamp,
}

impl Place<'_> {
    /// Writes a record of now.
    fn write(&self, writer: &mut TopicWriter, key: &[u8], value: &[u8]) -> Result<(), ClientError> {
        writer.write(NewRecord {
            topic: self.topic,
            partition: None,
            key: Some(key),
            value: Some(value),
            timestamp: Some(self.now),
            headers: None,
        })
    }
}

/// Draws records.
trait Source {
    /// How many were drawn.
    fn drawn(&self) -> u64;

    /// Draws the next one and writes it.
    fn write(&mut self, place: &Place<'_>, writer: &mut TopicWriter) -> Result<(), ClientError>;
}

impl Common {
    /// Writes until there are enough records, or until it is told to stop.
    fn write<A>(
        &self,
        source: &mut impl Source,
        loaded: &Loaded<A>,
        usual_topic: &str,
    ) -> Result<ExitCode, Failure> {
        /// How many records are written between two looks at the clock.
        const BATCH: u64 = 256;
        const STEP: Duration = Duration::from_millis(2);

        let signals = Signals::listen()?;
        let clock = SystemClock::new();
        let topic = self.topic.as_deref().unwrap_or(usual_topic);
        let admin = KafkaAdmin::new(&loaded.for_questions())?;
        let partitions = topics::ensure(&admin, topic, self.partitions, &loaded.config)?;
        let mut writer = TopicWriter::new(&client_settings(&loaded.config))?;

        let mut gauge = Gauge::new("generating", self.count);
        let started = clock.monotonic();
        while !signals.requested() {
            let elapsed = clock.monotonic().saturating_sub(started);
            let allowed = self.rate.map_or(u64::MAX, |rate| due(rate, elapsed));
            let until = allowed.min(self.count.unwrap_or(u64::MAX)).min(source.drawn() + BATCH);
            if self.count.is_some_and(|count| source.drawn() >= count) {
                break;
            }
            if source.drawn() >= until {
                signals.wait(STEP);
                continue;
            }
            let place = Place { topic, partitions, now: clock.now() };
            while source.drawn() < until {
                source.write(&place, &mut writer)?;
            }
            gauge.at(source.drawn());
        }
        writer.flush()?;
        drop(gauge);
        let seconds = clock.monotonic().saturating_sub(started).as_secs_f64();
        let counts = writer.counts();
        writeln!(
            std::io::stdout(),
            "{} records to {topic} in {seconds:.1} s: {} records/s, {}/s",
            HumanCount(counts.delivered),
            HumanCount((counts.delivered as f64 / seconds.max(1e-3)) as u64),
            HumanBytes((counts.bytes as f64 / seconds.max(1e-3)) as u64)
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The day of `now` in UTC.
fn day_of(now: Timestamp) -> NaiveDate {
    DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default().date_naive()
}

/// How many records are due after `elapsed`.
fn due(rate: NonZeroU32, elapsed: Duration) -> u64 {
    let records = elapsed.as_micros().saturating_mul(u128::from(rate.get())) / 1_000_000;
    u64::try_from(records).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_over_time() {
        let rate = NonZeroU32::new(1500).unwrap();
        assert_eq!(due(rate, Duration::from_millis(0)), 0);
        assert_eq!(due(rate, Duration::from_millis(10)), 15);
        assert_eq!(due(rate, Duration::from_secs(3600)), 5_400_000);
    }
}
