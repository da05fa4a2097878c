//! The settings of the application `transactions`: their names, defaults and bounds, and the type that cannot be wrong.

use std::time::Duration;

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec, Problem};
use riacho::{EmitStrategy, TimeWindows};

use super::anomaly::AnomalyRules;

use Allowed::{Boolean, Decimal, Integer, OneOf, TopicName};
use DefaultValue::{Derived, Value};

const INPUT_TOPIC: &str = "transactions.input.topic";
const OUTPUT_TOPIC: &str = "transactions.output.topic";
const KEYED_BY_VENDOR: &str = "transactions.input.keyed.by.vendor";
const WINDOW_KIND: &str = "transactions.window.kind";
const WINDOW_SIZE: &str = "transactions.window.size.ms";
const WINDOW_ADVANCE: &str = "transactions.window.advance.ms";
const WINDOW_GRACE: &str = "transactions.window.grace.ms";
const EMIT_STRATEGY: &str = "transactions.emit.strategy";
const ANOMALIES_ENABLED: &str = "transactions.anomalies.enabled";
const ANOMALIES_TOPIC: &str = "transactions.anomalies.topic";
const DEVIATIONS_MAX: &str = "transactions.anomalies.deviations.max";
const SAMPLES_MIN: &str = "transactions.anomalies.samples.min";
const BURST_COUNT: &str = "transactions.anomalies.burst.count.max";
const BURST_WINDOW: &str = "transactions.anomalies.burst.window.ms";
const BURST_FACTOR: &str = "transactions.anomalies.burst.factor.max";

const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;
const HOPPING_ADVANCE_MS: i64 = 10_000;

/// All settings, in the order in which they are shown.
pub(crate) static KEYS: &[KeySpec] = &[
    key(INPUT_TOPIC, Value("financial_transactions"), TopicName, "The topic to read transactions from."),
    key(
        OUTPUT_TOPIC,
        Value("aggregated_transactions"),
        TopicName,
        "The topic to write the aggregates of each vendor and window to.",
    ),
    key(
        KEYED_BY_VENDOR,
        Value("true"),
        Boolean,
        "Whether the key of every input record is its id_vendedor. If so, no repartition topic is needed, and a \
         record with another key is refused.",
    ),
    key(
        WINDOW_KIND,
        Value("tumbling"),
        OneOf(&["tumbling", "hopping"]),
        "Whether windows follow one another or overlap.",
    ),
    key(
        WINDOW_SIZE,
        Value("60000"),
        Integer { min: 1000, max: WEEK_MS },
        "How long a window is, in milliseconds of event time.",
    ),
    key(
        WINDOW_ADVANCE,
        Derived("10000 if hopping, else the size"),
        Integer { min: 1000, max: WEEK_MS },
        "How long after one window the next one begins, in milliseconds.",
    ),
    key(
        WINDOW_GRACE,
        Value("10000"),
        Integer { min: 0, max: WEEK_MS },
        "How long after its end a window still takes transactions, in milliseconds of event time. Later ones are late.",
    ),
    key(
        EMIT_STRATEGY,
        Value("update_and_close"),
        OneOf(&["update", "close", "update_and_close"]),
        "When a window is written: with every commit that changed it, once when it is closed, or both.",
    ),
    key(ANOMALIES_ENABLED, Value("true"), Boolean, "Whether unusual transactions are looked for."),
    key(
        ANOMALIES_TOPIC,
        Value("anomalies_transactions"),
        TopicName,
        "The topic to write unusual transactions to.",
    ),
    key(
        DEVIATIONS_MAX,
        Value("6"),
        Decimal { min: 1.0, max: 1000.0 },
        "How many standard deviations from its vendor's mean a value may lie (valor_atipico).",
    ),
    key(
        SAMPLES_MIN,
        Value("30"),
        Integer { min: 2, max: 1000 },
        "How many transactions of a vendor must be known before a value is judged.",
    ),
    key(
        BURST_COUNT,
        Value("200"),
        Integer { min: 2, max: 1_000_000 },
        "How many transactions a vendor may have within the burst window, whatever is usual for it (rajada).",
    ),
    key(
        BURST_WINDOW,
        Value("10000"),
        Integer { min: 1000, max: HOUR_MS },
        "How long the burst window is, in milliseconds of event time.",
    ),
    key(
        BURST_FACTOR,
        Value("5"),
        Decimal { min: 1.0, max: 1000.0 },
        "How many times its usual number of transactions a vendor may have within the burst window.",
    ),
];

const fn key(name: &'static str, default: DefaultValue, allowed: Allowed, doc: &'static str) -> KeySpec {
    KeySpec { name, default, allowed, doc }
}

/// The settings of the application `transactions`, all of them valid and fitting together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TransactionsConfig {
    pub(crate) input_topic: String,
    pub(crate) output_topic: String,
    /// Where unusual transactions go; `None` if they are not looked for.
    pub(crate) anomalies_topic: Option<String>,
    pub(crate) keyed_by_vendor: bool,
    pub(crate) windows: TimeWindows,
    pub(crate) emit: EmitStrategy,
    pub(crate) anomalies: AnomalyRules,
}

impl TransactionsConfig {
    /// The settings of a configuration that knows [`KEYS`].
    ///
    /// # Errors
    /// When settings do not fit together.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        let topics: [String; 3] =
            [config.get(INPUT_TOPIC)?, config.get(OUTPUT_TOPIC)?, config.get(ANOMALIES_TOPIC)?];
        let with_anomalies: bool = config.get(ANOMALIES_ENABLED)?;
        // An application that reads what it writes never ends, and two outputs in one topic can be told apart by nobody.
        let [input, output, anomalies] = &topics;
        differs(OUTPUT_TOPIC, output, INPUT_TOPIC, input)?;
        if with_anomalies {
            differs(ANOMALIES_TOPIC, anomalies, INPUT_TOPIC, input)?;
            differs(ANOMALIES_TOPIC, anomalies, OUTPUT_TOPIC, output)?;
        }
        let [input_topic, output_topic, anomalies_topic] = topics;
        Ok(TransactionsConfig {
            input_topic,
            output_topic,
            anomalies_topic: with_anomalies.then_some(anomalies_topic),
            keyed_by_vendor: config.get(KEYED_BY_VENDOR)?,
            windows: windows(config)?,
            emit: match config.get::<String>(EMIT_STRATEGY)?.as_str() {
                "update" => EmitStrategy::OnWindowUpdate,
                "close" => EmitStrategy::OnWindowClose,
                _ => EmitStrategy::OnWindowUpdateAndClose,
            },
            anomalies: AnomalyRules {
                deviations_max: config.get(DEVIATIONS_MAX)?,
                samples_min: config.get(SAMPLES_MIN)?,
                burst_count_max: config.get(BURST_COUNT)?,
                burst_window_ms: config.get(BURST_WINDOW)?,
                burst_factor_max: config.get(BURST_FACTOR)?,
            },
        })
    }

    /// The settings that follow from others, with their values: `config show` prints them too.
    pub(crate) fn derived(&self) -> [(&'static str, String); 1] {
        [(WINDOW_ADVANCE, self.windows.advance_ms().to_string())]
    }
}

fn differs(key: &str, topic: &str, other: &str, other_topic: &str) -> Result<(), ConfigErrors> {
    if topic == other_topic {
        return Err(Problem::new(key, topic, format!("must be another topic than that of {other}")).into());
    }
    Ok(())
}

fn windows(config: &Config) -> Result<TimeWindows, ConfigErrors> {
    let size_ms: i64 = config.get(WINDOW_SIZE)?;
    let hopping = config.get::<String>(WINDOW_KIND)? == "hopping";
    let usual_ms = if hopping { HOPPING_ADVANCE_MS } else { size_ms };
    let advance_ms = config.get::<Option<i64>>(WINDOW_ADVANCE)?.unwrap_or(usual_ms);
    let refused = |message: String| ConfigErrors::from(Problem::new(WINDOW_ADVANCE, advance_ms, message));
    if !hopping && advance_ms != size_ms {
        return Err(refused(format!(
            "is for hopping windows only: set {WINDOW_KIND}=hopping, or leave it out"
        )));
    }
    // A transaction is counted in size / advance windows: without a bound a slip makes each cost a thousandfold.
    if advance_ms > size_ms || size_ms / advance_ms > 100 {
        return Err(refused(format!(
            "must be at most {WINDOW_SIZE}, which is {size_ms}, and a hundredth of it at least"
        )));
    }
    let grace: Duration = config.get(WINDOW_GRACE)?;
    TimeWindows::of_size_and_grace(Duration::from_millis(size_ms.unsigned_abs()), grace)
        .and_then(|windows| windows.advance_by(Duration::from_millis(advance_ms.unsigned_abs())))
        .map_err(|error| Problem::new(WINDOW_SIZE, size_ms, error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use riacho::config::RawConfig;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<TransactionsConfig, ConfigErrors> {
        let required =
            RawConfig::new(&[KEYS]).preset("application.id", "a").preset("bootstrap.servers", "a:1");
        let raw = pairs.iter().fold(required, |raw, (key, value)| raw.preset(key, value));
        TransactionsConfig::of(&Config::try_from(raw)?)
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        parse(pairs).unwrap_err().to_string()
    }

    #[test]
    fn with_nothing_said_it_is_what_the_table_says() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.anomalies, AnomalyRules::default());
        assert_eq!(
            (config.windows.size_ms(), config.windows.advance_ms(), config.windows.grace_ms()),
            (60_000, 60_000, 10_000)
        );
        assert_eq!(config.emit, EmitStrategy::OnWindowUpdateAndClose);
        assert!(config.keyed_by_vendor);
        assert_eq!(config.anomalies_topic.as_deref(), Some("anomalies_transactions"));
    }

    #[test]
    fn what_is_set_is_read_and_what_follows_is_derived() {
        let config = parse(&[
            ("transactions.window.kind", "HOPPING"),
            ("transactions.window.advance.ms", " 20000 "),
            ("transactions.emit.strategy", "close"),
            ("transactions.input.keyed.by.vendor", "false"),
            ("transactions.anomalies.deviations.max", "4.5"),
            ("transactions.anomalies.enabled", "false"),
            ("transactions.output.topic", "out-1"),
        ])
        .unwrap();
        assert_eq!(config.windows.advance_ms(), 20_000);
        assert_eq!((config.emit, config.keyed_by_vendor), (EmitStrategy::OnWindowClose, false));
        assert_eq!((config.anomalies.deviations_max, config.anomalies_topic), (4.5, None));
        let hopping = parse(&[("transactions.window.kind", "hopping")]).unwrap();
        assert_eq!(hopping.derived(), [("transactions.window.advance.ms", "10000".to_owned())]);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name_and_what_is_allowed() {
        for (name, value, part) in [
            ("transactions.window.size.ms", "999", "1000 to 604800000"),
            ("transactions.window.size.ms", "1 minute", "1 minute"),
            ("transactions.window.grace.ms", "-1", "0 to 604800000"),
            ("transactions.window.kind", "sliding", "tumbling"),
            ("transactions.window.advance.ms", "5000", "set transactions.window.kind=hopping"),
            ("transactions.emit.strategy", "never", "update_and_close"),
            ("transactions.input.keyed.by.vendor", "perhaps", "true"),
            ("transactions.input.topic", "a b", "topic"),
            ("transactions.output.topic", "financial_transactions", "than that of transactions.input.topic"),
            (
                "transactions.anomalies.topic",
                "aggregated_transactions",
                "than that of transactions.output.topic",
            ),
            ("transactions.anomalies.deviations.max", "NaN", "1 to 1000"),
            ("transactions.anomalies.samples.min", "1.5", "2 to 1000"),
            ("transactions.anomalies.burst.window.ms", "3600001", "1000 to 3600000"),
            ("transactions.window.sise.ms", "1000", "transactions.window.size.ms"),
        ] {
            let error = refused(&[(name, value)]);
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_advance_of_hopping_windows_is_bounded_by_their_size() {
        let hopping = |size, advance| {
            refused(&[
                ("transactions.window.kind", "hopping"),
                ("transactions.window.size.ms", size),
                ("transactions.window.advance.ms", advance),
            ])
        };
        assert!(hopping("60000", "60001").contains("transactions.window.advance.ms = 60001"));
        assert!(hopping("600000", "1000").contains("a hundredth of it at least"));
        let too_small_for_the_default =
            [("transactions.window.kind", "hopping"), ("transactions.window.size.ms", "5000")];
        assert!(refused(&too_small_for_the_default).contains("transactions.window.advance.ms = 10000"));
    }
}
