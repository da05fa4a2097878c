//! The settings of the application `transactions`: their names, defaults and bounds, and the type that cannot be wrong.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use riacho::{EmitStrategy, TimeWindows};

use super::anomaly::AnomalyRules;

/// A setting, as a person has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name in a `.properties` file.
    pub(crate) name: &'static str,
    /// The value it has when nothing is said.
    pub(crate) default: &'static str,
    /// Which values it may have.
    pub(crate) allowed: &'static str,
    /// What it does.
    pub(crate) doc: &'static str,
}

/// All settings, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    INPUT_TOPIC,
    OUTPUT_TOPIC,
    KEYED_BY_VENDOR,
    WINDOW_KIND,
    WINDOW_SIZE,
    WINDOW_ADVANCE,
    WINDOW_GRACE,
    EMIT_STRATEGY,
    ANOMALIES_ENABLED,
    ANOMALIES_TOPIC,
    DEVIATIONS_MAX,
    SAMPLES_MIN,
    BURST_COUNT,
    BURST_WINDOW,
    BURST_FACTOR,
];

const TOPIC_NAME: &str = "1 to 249 of the characters a-z A-Z 0-9 . _ -";
const YES_OR_NO: &str = "true or false";
const WEEK_MS: i64 = 7 * 86_400_000;

const INPUT_TOPIC: Setting = Setting {
    name: "transactions.input.topic",
    default: "financial_transactions",
    allowed: TOPIC_NAME,
    doc: "The topic to read transactions from.",
};
const OUTPUT_TOPIC: Setting = Setting {
    name: "transactions.output.topic",
    default: "aggregated_transactions",
    allowed: TOPIC_NAME,
    doc: "The topic to write the aggregates of each vendor and window to.",
};
const KEYED_BY_VENDOR: Setting = Setting {
    name: "transactions.input.keyed.by.vendor",
    default: "true",
    allowed: YES_OR_NO,
    doc: "Whether the key of every input record is its id_vendedor. If so, no repartition topic is needed, and a record \
          with another key is refused.",
};
const WINDOW_KIND: Setting = Setting {
    name: "transactions.window.kind",
    default: "tumbling",
    allowed: "tumbling or hopping",
    doc: "Whether windows follow one another or overlap.",
};
const WINDOW_SIZE: Setting = Setting {
    name: "transactions.window.size.ms",
    default: "60000",
    allowed: "1000 to 604800000 (a week)",
    doc: "How long a window is, in milliseconds of event time.",
};
const WINDOW_ADVANCE: Setting = Setting {
    name: "transactions.window.advance.ms",
    default: "10000 if hopping, else the size",
    allowed: "1000 to the window's size, of which it is at least a hundredth; only for hopping windows",
    doc: "How long after one window the next one begins, in milliseconds.",
};
const WINDOW_GRACE: Setting = Setting {
    name: "transactions.window.grace.ms",
    default: "10000",
    allowed: "0 to 604800000 (a week)",
    doc: "How long after its end a window still takes transactions, in milliseconds of event time. Later ones are late.",
};
const EMIT_STRATEGY: Setting = Setting {
    name: "transactions.emit.strategy",
    default: "update_and_close",
    allowed: "update, close or update_and_close",
    doc: "When a window is written: with every commit that changed it, once when it is closed, or both.",
};
const ANOMALIES_ENABLED: Setting = Setting {
    name: "transactions.anomalies.enabled",
    default: "true",
    allowed: YES_OR_NO,
    doc: "Whether unusual transactions are looked for.",
};
const ANOMALIES_TOPIC: Setting = Setting {
    name: "transactions.anomalies.topic",
    default: "anomalies_transactions",
    allowed: TOPIC_NAME,
    doc: "The topic to write unusual transactions to.",
};
const DEVIATIONS_MAX: Setting = Setting {
    name: "transactions.anomalies.deviations.max",
    default: "6",
    allowed: "1 to 1000",
    doc: "How many standard deviations from its vendor's mean a value may lie (valor_atipico).",
};
const SAMPLES_MIN: Setting = Setting {
    name: "transactions.anomalies.samples.min",
    default: "30",
    allowed: "2 to 1000",
    doc: "How many transactions of a vendor must be known before a value is judged.",
};
const BURST_COUNT: Setting = Setting {
    name: "transactions.anomalies.burst.count.max",
    default: "200",
    allowed: "2 to 1000000",
    doc: "How many transactions a vendor may have within the burst window, whatever is usual for it (rajada).",
};
const BURST_WINDOW: Setting = Setting {
    name: "transactions.anomalies.burst.window.ms",
    default: "10000",
    allowed: "1000 to 3600000 (an hour)",
    doc: "How long the burst window is, in milliseconds of event time.",
};
const BURST_FACTOR: Setting = Setting {
    name: "transactions.anomalies.burst.factor.max",
    default: "5",
    allowed: "1 to 1000",
    doc: "How many times its usual number of transactions a vendor may have within the burst window.",
};

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

/// A setting has a value it may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSetting {
    /// The value is not allowed.
    #[error("{name} is '{value}', but allowed is: {allowed}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// Which values it may have.
        allowed: String,
    },
    /// There is no such setting.
    #[error("there is no setting '{name}'{}", .similar.map(|name| format!("; is {name} meant?")).unwrap_or_default())]
    Unknown {
        /// What was set.
        name: String,
        /// What may have been meant.
        similar: Option<&'static str>,
    },
}

/// Values by name, as they were typed.
struct Values<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Values<'a> {
    /// The value that was typed last.
    fn typed(&self, setting: &Setting) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| *name == setting.name).map(|(_, value)| value.trim())
    }

    fn get(&self, setting: &Setting) -> &'a str {
        self.typed(setting).unwrap_or(setting.default)
    }

    fn refuse<T>(&self, setting: &Setting) -> Result<T, BadSetting> {
        Err(BadSetting::Value {
            name: setting.name,
            value: self.get(setting).to_owned(),
            allowed: setting.allowed.to_owned(),
        })
    }

    fn number<T: FromStr + PartialOrd + Copy>(
        &self,
        setting: &Setting,
        min: T,
        max: T,
    ) -> Result<T, BadSetting> {
        match self.get(setting).parse::<T>() {
            Ok(number) if min <= number && number <= max => Ok(number),
            _ => self.refuse(setting),
        }
    }

    fn one_of<T: Copy>(&self, setting: &Setting, names: &[(&str, T)]) -> Result<T, BadSetting> {
        let value = self.get(setting);
        names
            .iter()
            .find(|(name, _)| *name == value)
            .map_or_else(|| self.refuse(setting), |(_, meaning)| Ok(*meaning))
    }

    fn yes(&self, setting: &Setting) -> Result<bool, BadSetting> {
        self.one_of(setting, &[("true", true), ("false", false)])
    }

    fn topic(&self, setting: &Setting) -> Result<String, BadSetting> {
        let name = self.get(setting);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=249).contains(&name.len()) && name.bytes().all(legal) && !matches!(name, "." | "..") {
            Ok(name.to_owned())
        } else {
            self.refuse(setting)
        }
    }
}

impl TransactionsConfig {
    /// The prefix of the names of all settings.
    pub(crate) const PREFIX: &str = "transactions.";

    /// Reads the settings whose names begin with [`PREFIX`](Self::PREFIX); of two values of a setting the later one
    /// holds. Other settings are not concerned.
    ///
    /// # Errors
    /// When a value is not allowed, or there is no such setting: a slip must not silently leave the default.
    pub(crate) fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadSetting> {
        let values = Values(pairs.into_iter().filter(|(name, _)| name.starts_with(Self::PREFIX)).collect());
        for (name, _) in &values.0 {
            if !SETTINGS.iter().any(|setting| setting.name == *name) {
                return Err(BadSetting::Unknown { name: (*name).to_owned(), similar: similar(name) });
            }
        }
        let anomalies = AnomalyRules {
            deviations_max: values.number(&DEVIATIONS_MAX, 1.0, 1000.0)?,
            samples_min: values.number(&SAMPLES_MIN, 2, 1000)?,
            burst_count_max: values.number(&BURST_COUNT, 2, 1_000_000)?,
            burst_window_ms: values.number(&BURST_WINDOW, 1000, 3_600_000)?,
            burst_factor_max: values.number(&BURST_FACTOR, 1.0, 1000.0)?,
        };
        let anomalies_topic = values.topic(&ANOMALIES_TOPIC)?;
        let config = TransactionsConfig {
            input_topic: values.topic(&INPUT_TOPIC)?,
            output_topic: values.topic(&OUTPUT_TOPIC)?,
            anomalies_topic: values.yes(&ANOMALIES_ENABLED)?.then_some(anomalies_topic),
            keyed_by_vendor: values.yes(&KEYED_BY_VENDOR)?,
            windows: windows(&values)?,
            emit: values.one_of(
                &EMIT_STRATEGY,
                &[
                    ("update", EmitStrategy::OnWindowUpdate),
                    ("close", EmitStrategy::OnWindowClose),
                    ("update_and_close", EmitStrategy::OnWindowUpdateAndClose),
                ],
            )?,
            anomalies,
        };
        // An application that reads what it writes never ends, and two outputs in one topic can be told apart by nobody.
        let differs = |setting: &Setting, topic: &str, other: &Setting, other_topic: &str| {
            let allowed = || format!("another topic than that of {}", other.name);
            let refused =
                || BadSetting::Value { name: setting.name, value: topic.to_owned(), allowed: allowed() };
            if topic == other_topic { Err(refused()) } else { Ok(()) }
        };
        differs(&OUTPUT_TOPIC, &config.output_topic, &INPUT_TOPIC, &config.input_topic)?;
        if let Some(topic) = &config.anomalies_topic {
            differs(&ANOMALIES_TOPIC, topic, &INPUT_TOPIC, &config.input_topic)?;
            differs(&ANOMALIES_TOPIC, topic, &OUTPUT_TOPIC, &config.output_topic)?;
        }
        Ok(config)
    }
}

fn windows(values: &Values<'_>) -> Result<TimeWindows, BadSetting> {
    let size_ms: u64 = values.number(&WINDOW_SIZE, 1000, WEEK_MS.unsigned_abs())?;
    let grace_ms: u64 = values.number(&WINDOW_GRACE, 0, WEEK_MS.unsigned_abs())?;
    let hopping = values.one_of(&WINDOW_KIND, &[("tumbling", false), ("hopping", true)])?;
    let advance_ms = match values.typed(&WINDOW_ADVANCE) {
        None if hopping => 10_000,
        None => size_ms,
        Some(typed) => typed.parse().ok().filter(|&typed| hopping || typed == size_ms).unwrap_or(0),
    };
    // A transaction is counted in size / advance windows: without a bound a slip makes each cost a thousandfold.
    if !(1000..=size_ms).contains(&advance_ms) || size_ms / advance_ms > 100 {
        return Err(BadSetting::Value {
            name: WINDOW_ADVANCE.name,
            value: values.typed(&WINDOW_ADVANCE).map_or_else(|| advance_ms.to_string(), str::to_owned),
            allowed: format!(
                "{} (kind {}, size {size_ms})",
                WINDOW_ADVANCE.allowed,
                values.get(&WINDOW_KIND)
            ),
        });
    }
    TimeWindows::of_size_and_grace(Duration::from_millis(size_ms), Duration::from_millis(grace_ms))
        .and_then(|windows| windows.advance_by(Duration::from_millis(advance_ms)))
        .or_else(|_| values.refuse(&WINDOW_SIZE))
}

/// The setting whose name differs least from `name`, if it does not differ much.
fn similar(name: &str) -> Option<&'static str> {
    const CHANGES_MAX: usize = 4;
    let distances = SETTINGS.iter().map(|setting| (changes(name, setting.name), setting.name));
    distances.min().filter(|(changes, _)| *changes <= CHANGES_MAX).map(|(_, name)| name)
}

/// How many letters must be inserted, removed or replaced to make one text of the other (Levenshtein).
fn changes(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.bytes().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (above, other) in row.iter_mut().zip(std::iter::once(None).chain(to.bytes().map(Some))) {
            let Some(other) = other else {
                *above = left;
                continue;
            };
            let best = (diagonal + usize::from(letter != other)).min(*above + 1).min(left + 1);
            diagonal = *above;
            *above = best;
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

impl TransactionsConfig {
    /// The value of each setting, in the order of [`SETTINGS`], as `config show` prints it.
    pub(crate) fn effective(&self) -> Vec<(&'static Setting, String)> {
        let text = |value: &dyn Display| value.to_string();
        let kind = if self.windows.advance_ms() == self.windows.size_ms() { "tumbling" } else { "hopping" };
        let emit = match self.emit {
            EmitStrategy::OnWindowUpdate => "update",
            EmitStrategy::OnWindowClose => "close",
            EmitStrategy::OnWindowUpdateAndClose => "update_and_close",
        };
        let values = [
            text(&self.input_topic),
            text(&self.output_topic),
            text(&self.keyed_by_vendor),
            text(&kind),
            text(&self.windows.size_ms()),
            text(&self.windows.advance_ms()),
            text(&self.windows.grace_ms()),
            text(&emit),
            text(&self.anomalies_topic.is_some()),
            self.anomalies_topic.clone().unwrap_or_else(|| ANOMALIES_TOPIC.default.to_owned()),
            text(&self.anomalies.deviations_max),
            text(&self.anomalies.samples_min),
            text(&self.anomalies.burst_count_max),
            text(&self.anomalies.burst_window_ms),
            text(&self.anomalies.burst_factor_max),
        ];
        SETTINGS.iter().zip(values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pairs: &[(&str, &str)]) -> String {
        TransactionsConfig::parse(pairs.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn with_nothing_said_it_is_what_the_table_says() {
        let config = TransactionsConfig::parse([("application.id", "transactions")]).unwrap();
        assert_eq!(config.anomalies, AnomalyRules::default());
        assert_eq!(
            (config.windows.size_ms(), config.windows.advance_ms(), config.windows.grace_ms()),
            (60_000, 60_000, 10_000)
        );
        assert_eq!(config.emit, EmitStrategy::OnWindowUpdateAndClose);
        assert!(config.keyed_by_vendor);
        for (setting, value) in config.effective() {
            assert!(
                value == setting.default || setting.name == WINDOW_ADVANCE.name,
                "{} {value}",
                setting.name
            );
        }
    }

    #[test]
    fn what_is_shown_is_read_again_as_the_same() {
        let config = TransactionsConfig::parse([
            ("transactions.window.kind", "hopping"),
            ("transactions.window.advance.ms", " 20000 "),
            ("transactions.emit.strategy", "update"),
            ("transactions.emit.strategy", "close"),
            ("transactions.input.keyed.by.vendor", "false"),
            ("transactions.anomalies.deviations.max", "4.5"),
            ("transactions.output.topic", "out-1"),
        ])
        .unwrap();
        assert_eq!(config.windows.advance_ms(), 20_000);
        assert_eq!((config.emit, config.keyed_by_vendor), (EmitStrategy::OnWindowClose, false));
        let shown = config.effective();
        let again = shown.iter().map(|(setting, value)| (setting.name, value.as_str()));
        assert_eq!(TransactionsConfig::parse(again).unwrap(), config);
        let quiet = TransactionsConfig::parse([("transactions.anomalies.enabled", "false")]).unwrap();
        assert_eq!(quiet.anomalies_topic, None);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name_and_what_is_allowed() {
        for (name, value, part) in [
            ("transactions.window.size.ms", "999", "1000 to 604800000"),
            (
                "transactions.window.size.ms",
                "1 minute",
                "transactions.window.size.ms is '1 minute', but allowed is:",
            ),
            ("transactions.window.size.ms", "", "is ''"),
            ("transactions.window.grace.ms", "-1", "0 to 604800000"),
            ("transactions.window.kind", "Tumbling", "tumbling or hopping"),
            (
                "transactions.window.advance.ms",
                "5000",
                "only for hopping windows (kind tumbling, size 60000)",
            ),
            ("transactions.emit.strategy", "never", "update, close or update_and_close"),
            ("transactions.input.keyed.by.vendor", "yes", "true or false"),
            ("transactions.input.topic", "a b", "a-z A-Z 0-9"),
            ("transactions.input.topic", "..", "a-z A-Z 0-9"),
            ("transactions.input.topic", "", "a-z A-Z 0-9"),
            (
                "transactions.output.topic",
                "financial_transactions",
                "another topic than that of transactions.input.topic",
            ),
            (
                "transactions.anomalies.topic",
                "aggregated_transactions",
                "another topic than that of transactions.output.topic",
            ),
            ("transactions.anomalies.deviations.max", "NaN", "1 to 1000"),
            ("transactions.anomalies.deviations.max", "inf", "1 to 1000"),
            ("transactions.anomalies.samples.min", "1.5", "2 to 1000"),
            ("transactions.anomalies.burst.window.ms", "3600001", "1000 to 3600000"),
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
        assert!(hopping("60000", "60001").contains("transactions.window.advance.ms is '60001'"));
        assert!(hopping("60000", "0").contains("is '0'"));
        assert!(hopping("600000", "1000").contains("at least a hundredth"));
        let too_small_for_the_default =
            [("transactions.window.kind", "hopping"), ("transactions.window.size.ms", "5000")];
        assert!(refused(&too_small_for_the_default).contains("transactions.window.advance.ms is '10000'"));
    }

    #[test]
    fn a_slip_in_a_name_is_found() {
        let slip = [("transactions.window.sise.ms", "1000")];
        let text = "there is no setting 'transactions.window.sise.ms'; is transactions.window.size.ms meant?";
        assert_eq!(refused(&slip), text);
        assert_eq!(refused(&[("transactions.colour", "red")]), "there is no setting 'transactions.colour'");
    }

    #[test]
    fn changes_are_counted_as_levenshtein_does() {
        for (from, to, count) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
        {
            assert_eq!(changes(from, to), count, "{from} {to}");
        }
    }
}
