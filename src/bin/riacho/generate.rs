//! `riacho generate`: made-up input for an application.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use chrono::DateTime;
use clap::ValueEnum;
use indicatif::{HumanBytes, HumanCount};
use riacho::kafka::{KafkaAdmin, NewRecord, TopicWriter};
use riacho::ports::Clock as _;
use riacho::{SystemClock, Timestamp, client_settings};

use crate::Failure;
use crate::application::App;
use crate::gauge::Gauge;
use crate::sales::config::SalesConfig;
use crate::sales::generator::SaleGenerator;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;
use crate::topics;
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
    /// The application
    app: App,
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
    #[command(flatten)]
    settings: Settings,
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
                let length = self.count.unwrap_or(0).saturating_mul(1000) / u64::from(per_second.get());
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

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    /// How many records are written between two looks at the clock.
    const BATCH: u64 = 256;
    const STEP: Duration = Duration::from_millis(2);

    if args.app == App::Extraction {
        return Err(
            "extraction takes its rows from an API: `riacho extract` does, with --embedded from made-up ones"
                .into(),
        );
    }
    if args.app == App::Sales {
        return sales(args);
    }
    let signals = Signals::listen()?;
    let loaded = args.settings.load_for_tool(args.app, |_, config| TransactionsConfig::of(config))?;
    let Loaded { config, app } = &loaded;
    let clock = SystemClock::new();
    let mut generator = args.generator(clock.now())?;
    let topic = args.topic.as_ref().unwrap_or(&app.input_topic);
    let partitions =
        topics::ensure(&KafkaAdmin::new(&loaded.for_questions())?, topic, args.partitions, config)?;
    let mut writer = TopicWriter::new(&client_settings(config))?;

    let mut gauge = Gauge::new("generating", args.count);
    let mut value = Vec::with_capacity(512);
    let started = clock.monotonic();
    while !signals.requested() {
        let elapsed = clock.monotonic().saturating_sub(started);
        let allowed = args.rate.map_or(u64::MAX, |rate| due(rate, elapsed));
        let until = allowed.min(args.count.unwrap_or(u64::MAX)).min(generator.drawn() + BATCH);
        if args.count.is_some_and(|count| generator.drawn() >= count) {
            break;
        }
        if generator.drawn() >= until {
            signals.wait(STEP);
            continue;
        }
        let now = clock.now();
        while generator.drawn() < until {
            let partition = (args.partitioner == Partitioner::RoundRobin).then(|| {
                i32::try_from(generator.drawn() % u64::from(partitions.unsigned_abs())).unwrap_or(0)
            });
            let transaction = generator.next(now);
            value.clear();
            transaction.write_json(&mut value);
            writer.write(NewRecord {
                topic,
                partition,
                key: match args.key {
                    Key::Vendor => Some(transaction.key()),
                    Key::Transaction => Some(transaction.id().as_bytes()),
                    Key::None => None,
                },
                value: Some(&value),
                // Simulated times may be so long ago that the broker would delete the records for their age.
                timestamp: args.simulated.is_none().then_some(transaction.time),
                headers: None,
            })?;
        }
        gauge.at(generator.drawn());
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

/// Sales have positions and dates; of the options only topic, partitions, rate, count and seed mean something to them.
fn sales(args: &Args) -> Result<ExitCode, Failure> {
    const STEP: Duration = Duration::from_millis(2);
    let signals = Signals::listen()?;
    let loaded = args.settings.load_for_tool(args.app, |_, config| SalesConfig::of(config))?;
    let topic = args.topic.as_ref().unwrap_or(&loaded.app.input_topic);
    topics::ensure(&KafkaAdmin::new(&loaded.for_questions())?, topic, args.partitions, &loaded.config)?;
    let mut writer = TopicWriter::new(&client_settings(&loaded.config))?;
    let mut generator = SaleGenerator::new(args.seed, 1);
    let clock = SystemClock::new();
    let started = clock.monotonic();
    let mut drawn = 0;
    while !signals.requested() && args.count.is_none_or(|count| drawn < count) {
        let elapsed = clock.monotonic().saturating_sub(started);
        if args.rate.is_some_and(|rate| drawn >= due(rate, elapsed)) {
            signals.wait(STEP);
            continue;
        }
        let now = clock.now();
        let today = DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default().date_naive();
        let sale = generator.next(today);
        let (key, value) = (sale.sale_id.to_string(), serde_json::to_vec(&sale)?);
        writer.write(NewRecord {
            topic,
            key: Some(key.as_bytes()),
            value: Some(&value),
            timestamp: Some(now),
            ..NewRecord::default()
        })?;
        drawn += 1;
    }
    writer.flush()?;
    writeln!(std::io::stdout(), "{} records to {topic}", HumanCount(writer.counts().delivered))?;
    Ok(ExitCode::SUCCESS)
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
    fn a_moment_is_read_in_both_ways() {
        assert_eq!(moment("2026-01-01T00:00:00Z"), Ok(Timestamp(1_767_225_600_000)));
        assert_eq!(moment("2026-01-01T01:00:00.5+01:00"), Ok(Timestamp(1_767_225_600_500)));
        assert_eq!(moment("1767225600000"), Ok(Timestamp(1_767_225_600_000)));
        assert!(moment("yesterday").is_err() && moment("-1").is_err());
    }

    #[test]
    fn a_rate_is_kept_over_time() {
        let rate = NonZeroU32::new(1500).unwrap();
        assert_eq!(due(rate, Duration::from_millis(0)), 0);
        assert_eq!(due(rate, Duration::from_millis(10)), 15);
        assert_eq!(due(rate, Duration::from_secs(3600)), 5_400_000);
    }
}
