//! The settings of the application `sales`, and what follows from them.

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec, Problem};
use riacho::connect::postgres::{PostgresReader, PostgresSettings};
use riacho::{Bytes, Consumed, Nullable, StreamsBuilder, Topology, TopologyError};

use super::topology;

use Allowed::{OneOf, Secret, Text, TopicName};
use DefaultValue::{Unset, Value};

const INPUT_TOPIC: &str = "sales.input.topic";
const KEPT_IN: &str = "sales.kept.in";
const URL: &str = "sales.postgres.url";
const PASSWORD: &str = "sales.postgres.password";
const CA: &str = "sales.postgres.ssl.ca.location";
const SINK: &str = "sales.postgres.sink";

/// All settings, in the order in which they are shown.
pub(crate) static KEYS: &[KeySpec] = &[
    key(INPUT_TOPIC, Value("sales"), TopicName, "The topic to read sales from."),
    key(
        KEPT_IN,
        Value("postgres"),
        OneOf(&["postgres", "stores"]),
        "Where sales are kept and the page reads them: postgres, each as a row, or stores, added up in state stores, with \
         the newest of them and without any database. The other settings of PostgreSQL then mean nothing.",
    ),
    key(
        URL,
        Value("postgres://postgres@localhost:5432/sales_db"),
        Text,
        "The database that takes the sales; the tables are made in it. Without the password. With ?sslmode=require the \
         connection is encrypted and the server's certificate checked.",
    ),
    key(PASSWORD, Unset, Secret, "The password there. Better as RIACHO_SALES_POSTGRES_PASSWORD_FILE."),
    key(
        CA,
        Unset,
        Text,
        "A file with certificates (PEM) to trust there, beside those that the system trusts.",
    ),
    key(
        SINK,
        Value("sales"),
        Text,
        "Under which name the database remembers how far the topic is written. Another name begins anew.",
    ),
];

const fn key(name: &'static str, default: DefaultValue, allowed: Allowed, doc: &'static str) -> KeySpec {
    KeySpec { name, default, allowed, doc }
}

/// Where sales are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptIn {
    Postgres,
    Stores,
}

/// The settings of the application `sales`, all of them valid.
#[derive(Clone, Debug)]
pub(crate) struct SalesConfig {
    pub(crate) input_topic: String,
    pub(crate) kept_in: KeptIn,
    pub(crate) sink: String,
    pub(crate) database: PostgresSettings,
}

impl SalesConfig {
    /// The settings of a configuration that knows [`KEYS`].
    ///
    /// # Errors
    /// When the address of the database is none, or the certificates cannot be used.
    pub(crate) fn of(config: &Config) -> Result<SalesConfig, ConfigErrors> {
        let url: String = config.get(URL)?;
        let password: Option<String> = config.get(PASSWORD)?;
        let database = PostgresSettings::of(&url, password.as_deref(), config.application_id());
        // What was given may hold a password: it is not repeated.
        let mut database = database.map_err(|error| Problem::new(URL, "[hidden]", error.to_string()))?;
        if let Some(file) = config.get::<Option<String>>(CA)? {
            let wrong = |reason: String| Problem::new(CA, &file, reason);
            let pem = std::fs::read(&file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            database = database.trusting(&pem).map_err(|error| wrong(error.to_string()))?;
        }
        let kept_in = match config.get::<String>(KEPT_IN)?.as_str() {
            "stores" => KeptIn::Stores,
            _ => KeptIn::Postgres,
        };
        Ok(SalesConfig { input_topic: config.get(INPUT_TOPIC)?, kept_in, sink: config.get(SINK)?, database })
    }

    /// With PostgreSQL it counts what comes in, for the start page: rows are the sink's business, which knows from the
    /// database where to read.
    pub(crate) fn topology(&self) -> Result<Topology, TopologyError> {
        if self.kept_in == KeptIn::Stores {
            return topology::topology(&self.input_topic);
        }
        let builder = StreamsBuilder::new();
        builder
            .stream(&self.input_topic, Consumed::with(Nullable(Bytes), Nullable(Bytes)))
            .for_each_named("sales-seen", |_| {});
        builder.build()
    }

    /// What the page asks.
    pub(crate) fn reader(&self) -> PostgresReader {
        PostgresReader::of(self.database.clone())
    }
}

#[cfg(test)]
mod tests {
    use riacho::config::RawConfig;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<SalesConfig, ConfigErrors> {
        let required =
            RawConfig::new(&[KEYS]).preset("application.id", "a").preset("bootstrap.servers", "a:1");
        let raw = pairs.iter().fold(required, |raw, (key, value)| raw.preset(key, value));
        SalesConfig::of(&Config::try_from(raw)?)
    }

    #[test]
    fn sales_are_kept_in_postgres_unless_stores_are_asked_for() {
        let kept_in = |pairs| parse(pairs).map(|config| config.kept_in);
        assert_eq!(kept_in(&[]).unwrap(), KeptIn::Postgres);
        assert_eq!(kept_in(&[(KEPT_IN, "stores")]).unwrap(), KeptIn::Stores);
        let refused = kept_in(&[(KEPT_IN, "memory")]).unwrap_err().to_string();
        assert!(refused.contains(KEPT_IN), "{refused}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = parse(&[("sales.postgres.password", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        for url in ["postgres://u:hunter2@[", "postgres://u:hunter2@localhost/sales_db"] {
            let refused = parse(&[("sales.postgres.url", url)]).unwrap_err().to_string();
            assert!(refused.contains("sales.postgres.url") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
