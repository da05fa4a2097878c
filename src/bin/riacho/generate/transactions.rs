//! `riacho generate transactions`: transactions of made-up vendors.

use std::num::NonZeroU32;
use std::process::ExitCode;

use chrono::DateTime;
use clap::ValueEnum;
use riacho::kafka::{NewRecord, TopicWriter};
use riacho::ports::{ClientError, Clock as _};
use riacho::{SystemClock, Timestamp};

use super::{Common, Place, Source};
use crate::Failure;
use crate::application::App;
use crate::transactions::config::TransactionsConfig;
use crate::transactions::generator::{EventClock, Generator, GeneratorOptions};
use crate::transactions::money::Currency;

const EXAMPLES: &str = "\
Examples:
  riacho generate transactions -b localhost:9092 --rate 10000
  riacho generate transactions -b localhost:9092 --count 5000000 --vendors 100000 --skew 1.1
  riacho generate transactions -b localhost:9092 --count 1000000 --seed 7 --simulated 1000 --start 2026-01-01T00:00:00Z

With --simulated, --start and --seed the records are the same every time.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How many vendors there are
    #[arg(long, default_value_t = GeneratorOptions::default().vendors)]
    vendors: NonZeroU32,
    /// Exponent of Zipf's law: vendor n is drawn in proportion to n^-skew; 0 makes all equal
    #[arg(long, default_value_t = 0.0)]
    skew: f64,
    /// Share of records so late that their window may be closed
    #[arg(long, default_value_t = GeneratorOptions::default().share_late)]
    late: f64,
    /// Share of records that are out of order, but not late
    #[arg(long, default_value_t = GeneratorOptions::default().share_out_of_order)]
    out_of_order: f64,
    /// Share of records whose value is far above what their vendor usually asks
    #[arg(long, default_value_t = GeneratorOptions::default().share_atypical)]
    atypical: f64,
    /// Share of records that begin a burst of their vendor
    #[arg(long, default_value_t = 0.0)]
    bursts: f64,
    /// The same seed gives the same records, but for times that come from the clock
    #[arg(long, default_value_t = GeneratorOptions::default().seed)]
    seed: u64,
    /// Currencies; the first is drawn in seven of ten cases
    #[arg(long, value_delimiter = ',', value_parser = currency, default_values_t = GeneratorOptions::default().currencies)]
    currencies: Vec<Currency>,
    /// Let event time run by itself: so many records are a second of it
    #[arg(long, value_name = "PER_SECOND")]
    simulated: Option<NonZeroU32>,
    /// Where simulated event time begins: RFC 3339 or milliseconds since 1970 [default: so that it ends now, or now]
    #[arg(long, value_parser = moment, requires = "simulated")]
    start: Option<Timestamp>,
    /// What the key of a record is
    #[arg(long, value_enum, default_value_t = Key::Vendor)]
    key: Key,
    /// Which partition a record goes to
    #[arg(long, value_enum, default_value_t = Partitioner::Murmur2)]
    partitioner: Partitioner,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    /// id_vendedor
    Vendor,
    /// id_transacao: with transactions.input.keyed.by.vendor=false
    Transaction,
    /// None: with transactions.input.keyed.by.vendor=false
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Partitioner {
    /// By the key, where Java's clients put it; without a key by chance
    Murmur2,
    /// One after the other, whatever the key
    RoundRobin,
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::parse(code).map_err(|error| error.to_string())
}

/// A point in time as a person writes it.
fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed =
        text.parse().or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()));
    match parsed {
        Ok(millis) if millis >= 0 => Ok(Timestamp(millis)),
        _ => Err("write it like 2026-01-01T00:00:00Z, or as milliseconds since 1970".to_owned()),
    }
}

impl Args {
    fn generator(&self, now: Timestamp) -> Result<Generator, Failure> {
        let clock = match self.simulated {
            None => EventClock::Real,
            Some(per_second) => {
                // By default the last record is of now: event time in the future would be refused.
                let length =
                    self.common.count.unwrap_or(0).saturating_mul(1000) / u64::from(per_second.get());
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                let usual = now.plus_millis(length.saturating_neg()).max(Timestamp(0));
                EventClock::Simulated { start: self.start.unwrap_or(usual), per_second }
            }
        };
        Ok(Generator::new(GeneratorOptions {
            seed: self.seed,
            vendors: self.vendors,
            skew: self.skew,
            share_out_of_order: self.out_of_order,
            share_late: self.late,
            share_atypical: self.atypical,
            share_bursts: self.bursts,
            currencies: self.currencies.clone(),
            clock,
            ..GeneratorOptions::default()
        })?)
    }
}

/// Transactions with the key and the partition that they are given.
struct Transactions<'a> {
    generator: Generator,
    args: &'a Args,
    value: Vec<u8>,
}

impl Source for Transactions<'_> {
    fn drawn(&self) -> u64 {
        self.generator.drawn()
    }

    fn write(&mut self, place: &Place<'_>, writer: &mut TopicWriter) -> Result<(), ClientError> {
        let Transactions { generator, args, value } = self;
        let partition = (args.partitioner == Partitioner::RoundRobin).then(|| {
            i32::try_from(generator.drawn() % u64::from(place.partitions.unsigned_abs())).unwrap_or(0)
        });
        let transaction = generator.next(place.now);
        value.clear();
        transaction.write_json(value);
        writer.write(NewRecord {
            topic: place.topic,
            partition,
            key: match args.key {
                Key::Vendor => Some(transaction.key()),
                Key::Transaction => Some(transaction.id().as_bytes()),
                Key::None => None,
            },
            value: Some(value),
            // Simulated times may be so long ago that the broker would delete the records for their age.
            timestamp: args.simulated.is_none().then_some(transaction.time),
            headers: None,
        })
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = &args.common.settings;
    let loaded = settings.load_for_tool(App::Transactions, |_, config| TransactionsConfig::of(config))?;
    let generator = args.generator(SystemClock::new().now())?;
    let mut source = Transactions { generator, args, value: Vec::with_capacity(512) };
    args.common.write(&mut source, &loaded, &loaded.app.input_topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_both_ways() {
        assert_eq!(moment("2026-01-01T00:00:00Z"), Ok(Timestamp(1_767_225_600_000)));
        assert_eq!(moment("2026-01-01T01:00:00.5+01:00"), Ok(Timestamp(1_767_225_600_500)));
        assert_eq!(moment("1767225600000"), Ok(Timestamp(1_767_225_600_000)));
        assert!(moment("yesterday").is_err() && moment("-1").is_err());
    }
}
