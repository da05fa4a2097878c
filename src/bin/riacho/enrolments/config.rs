//! The settings of the application `enrolments`.

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec};

const INPUT_TOPIC: &str = "enrolments.input.topic";
const TABLE_ROWS_MAX: &str = "enrolments.table.rows.max";

/// All settings, in the order in which they are shown.
pub(crate) static KEYS: &[KeySpec] = &[
    KeySpec {
        name: INPUT_TOPIC,
        default: DefaultValue::Value("registration_topic"),
        allowed: Allowed::TopicName,
        doc: "The topic to read enrolments from, keyed by id_matricula.",
    },
    KeySpec {
        name: TABLE_ROWS_MAX,
        default: DefaultValue::Value("10000"),
        allowed: Allowed::Integer { min: 100, max: 100_000 },
        doc: "How many enrolments the page's table goes back to, from the newest on. The figures are of all of them.",
    },
];

/// The settings of the application `enrolments`, all of them valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnrolmentsConfig {
    pub(crate) input_topic: String,
    pub(crate) table_rows_max: usize,
}

impl EnrolmentsConfig {
    /// The settings of a configuration that knows [`KEYS`].
    ///
    /// # Errors
    /// When one of them is wrong.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        Ok(EnrolmentsConfig {
            input_topic: config.get(INPUT_TOPIC)?,
            table_rows_max: config.get(TABLE_ROWS_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use riacho::config::RawConfig;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<EnrolmentsConfig, ConfigErrors> {
        let required =
            RawConfig::new(&[KEYS]).preset("application.id", "a").preset("bootstrap.servers", "a:1");
        let raw = pairs.iter().fold(required, |raw, (key, value)| raw.preset(key, value));
        EnrolmentsConfig::of(&Config::try_from(raw)?)
    }

    #[test]
    fn with_nothing_said_the_originals_topic_is_read() {
        let expected =
            EnrolmentsConfig { input_topic: "registration_topic".to_owned(), table_rows_max: 10_000 };
        assert_eq!(parse(&[]).unwrap(), expected);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name() {
        for (name, value) in [(INPUT_TOPIC, "a b"), (TABLE_ROWS_MAX, "99"), (TABLE_ROWS_MAX, "100001")] {
            let error = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
