//! What the demo is set up with: names, topics, configuration and state directory, all of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use riacho::config::{Config, RawConfig};
use riacho::kafka::{ClientSettings, KafkaAdmin};
use riacho::ports::NewTopic;
use riacho::{OwnTopics, Topology, TopologyError};

use super::super::broker::Broker;
use super::Options;
use crate::transactions::config::{KEYS, TransactionsConfig};
use crate::transactions::oracle::OracleRules;
use crate::transactions::topology::topology;

/// Windows so small that some close while one watches.
const WINDOW_MS: i64 = 5_000;
const GRACE_MS: i64 = 2_000;
/// A late vendor may come a little before its neighbours, but never so far ahead.
const AHEAD_MS_MAX: i64 = 3_600_000;
/// Enough for every thread that may be asked for.
const PARTITIONS: i32 = 8;

pub(super) struct Scene {
    pub(super) config: Config,
    pub(super) application: TransactionsConfig,
    pub(super) clients: ClientSettings,
    pub(super) partitions: i32,
    title: String,
    topics: Vec<NewTopic>,
    state_dir: PathBuf,
    threads: u8,
}

impl Scene {
    /// Creates the topics, and the directory when it is first used.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub(super) fn set(options: &Options, broker: &Broker) -> Result<Scene, Box<dyn Error>> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let id = id.get(..8).unwrap_or(&id);
        // On a cluster of somebody's nothing of theirs may have these names.
        let prefix = if broker.is_shared() { format!("demo-{id}-") } else { String::new() };
        let state_dir = std::env::temp_dir().join(format!("riacho-demo-{id}"));
        let config = configuration(options, broker, &prefix, &state_dir)?;
        let application = TransactionsConfig::of(&config)?;
        let scene = Scene {
            clients: riacho::client_settings(&config),
            topics: topics(&application, &config)?,
            partitions: PARTITIONS,
            title: broker.name(),
            threads: options.threads(),
            config,
            application,
            state_dir,
        };
        broker.create(&scene.topics, &scene.clients)?;
        Ok(scene)
    }

    /// The computation that runs.
    ///
    /// # Errors
    /// When the demo's own names are no good.
    pub(super) fn topology(&self) -> Result<Topology, TopologyError> {
        topology(&self.application)
    }

    /// What has to come out.
    pub(super) fn rules(&self) -> OracleRules {
        OracleRules {
            partitions: usize::try_from(self.partitions).unwrap_or(0),
            size_ms: WINDOW_MS,
            advance_ms: WINDOW_MS,
            grace_ms: GRACE_MS,
            ahead_ms_max: AHEAD_MS_MAX,
            keyed_by_vendor: true,
            emit: self.application.emit,
            exactly_once: true,
        }
    }

    /// How much later than a record another one has to be to close all its windows.
    pub(super) fn closing_ms(&self) -> i64 {
        2 * (WINDOW_MS + GRACE_MS)
    }

    /// How far out of order a record may come without being late, in milliseconds.
    pub(super) fn out_of_order_ms_max(&self) -> i64 {
        GRACE_MS / 2
    }

    /// From where on a record is late, in milliseconds.
    pub(super) fn late_ms_min(&self) -> i64 {
        WINDOW_MS + GRACE_MS
    }

    pub(super) fn title(&self) -> String {
        let threads =
            if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        format!("{}  exactly_once_v2  {threads}", self.title)
    }

    pub(super) fn introduction(&self) -> String {
        let Scene { application, config, .. } = self;
        format!(
            "{} -> {} s windows per vendor, {} s grace -> {}\napplication {}, state in {}",
            application.input_topic,
            WINDOW_MS / 1000,
            GRACE_MS / 1000,
            application.output_topic,
            config.application_id(),
            self.state_dir.display(),
        )
    }

    /// Removes what only the demo needed.
    pub(super) fn clear(&self, broker: &Broker) {
        if let Err(error) = fs::remove_dir_all(&self.state_dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "{} could not be removed", self.state_dir.display());
        }
        if broker.is_shared() {
            let names: Vec<_> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
            let deleted = KafkaAdmin::new(&self.clients).and_then(|admin| admin.delete_topics(&names));
            if let Err(error) = deleted {
                tracing::warn!(%error, "the demo's topics stay");
            }
        }
    }
}

fn configuration(
    options: &Options,
    broker: &Broker,
    prefix: &str,
    state_dir: &std::path::Path,
) -> Result<Config, Box<dyn Error>> {
    let mut settings = vec![
        ("application.id", format!("{prefix}transactions")),
        ("bootstrap.servers", broker.bootstrap()),
        ("state.dir", state_dir.display().to_string()),
        ("num.stream.threads", options.threads().to_string()),
        ("transactions.input.topic", format!("{prefix}financial_transactions")),
        ("transactions.output.topic", format!("{prefix}aggregated_transactions")),
        ("transactions.anomalies.topic", format!("{prefix}anomalies_transactions")),
        ("transactions.window.size.ms", WINDOW_MS.to_string()),
        ("transactions.window.grace.ms", GRACE_MS.to_string()),
        ("transactions.emit.strategy", "update_and_close".to_owned()),
        ("riacho.timestamp.ahead.max.ms", AHEAD_MS_MAX.to_string()),
        ("riacho.http.address", "127.0.0.1:0".to_owned()),
        ("riacho.log.level", "warn".to_owned()),
        // The state directory is gone after the demo, so that no restart could take a static member's place.
        ("riacho.static.membership", "off".to_owned()),
    ];
    settings.extend(broker.peculiarities());
    let raw = settings.iter().fold(RawConfig::new(&[KEYS]), |raw, (key, value)| raw.preset(key, value));
    Ok(Config::try_from(raw)?)
}

/// All topics, those that the application would make itself included: the embedded broker answers no request for any.
fn topics(application: &TransactionsConfig, config: &Config) -> Result<Vec<NewTopic>, Box<dyn Error>> {
    let external = [
        Some(&application.input_topic),
        Some(&application.output_topic),
        application.anomalies_topic.as_ref(),
    ];
    let topic = |name: &String| NewTopic {
        name: name.clone(),
        partitions: PARTITIONS,
        replication_factor: -1,
        config: Vec::new(),
    };
    let inputs = BTreeMap::from([(application.input_topic.clone(), PARTITIONS)]);
    let own = OwnTopics::of(&topology(application)?, config, &inputs);
    Ok(external.into_iter().flatten().map(topic).chain(own.internal).chain(own.side).collect())
}
