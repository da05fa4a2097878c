//! The topics that an application needs: its inputs and outputs are waited for, its own are made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use riacho_topology::{TopicName, Topology};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::Error;
use crate::internal_topics::{TopicSettings, plan};
use crate::kafka::KafkaAdmin;
use crate::ports::{ClientError, ClientErrorKind, Clock as _, NewTopic};
use crate::rebalance::TaskLayout;

/// The names of the repartition topics, which nobody else reads.
pub(super) fn repartition_topics(topology: &Topology, config: &Config) -> BTreeSet<String> {
    let sources = topology.subtopologies().iter().flat_map(|subtopology| &subtopology.sources);
    let own = sources.filter(|source| matches!(source, TopicName::Repartition(_)));
    own.map(|source| source.resolve(config.application_id())).collect()
}

/// The topics that an application makes for itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTopics {
    /// Repartition topics and changelogs: part of the application's state, and of no use to anybody else.
    pub internal: Vec<NewTopic>,
    /// Dead letters and late records, kept until somebody has looked at them.
    pub side: Vec<NewTopic>,
}

impl OwnTopics {
    /// The topics of `topology` where `inputs` are the partition counts of its external sources. Asks no broker.
    pub fn of(topology: &Topology, config: &Config, inputs: &BTreeMap<String, i32>) -> OwnTopics {
        let settings = topic_settings(config);
        OwnTopics {
            internal: plan(topology, inputs, &settings).internal,
            side: side_topics(config, &settings),
        }
    }
}

fn topic_settings(config: &Config) -> TopicSettings<'_> {
    TopicSettings {
        application_id: config.application_id(),
        replication_factor: config
            .replication_factor()
            .map_or(-1, |factor| i32::try_from(factor.get()).unwrap_or(-1)),
        window_extra_retention: config.window_changelog_extra_retention(),
    }
}

/// Waits for the cluster and the inputs, then makes what the application needs for itself.
pub(super) fn prepare_topics(
    topology: &Topology,
    config: &Config,
    admin: &KafkaAdmin,
    stop: &dyn Fn() -> bool,
) -> Result<TaskLayout, Error> {
    let inputs = input_partitions(topology, config, admin, stop)?;
    let settings = topic_settings(config);
    let topics = plan(topology, &inputs, &settings);
    patiently(config, stop, || admin.create_topics(&topics.internal))?;
    for topic in side_topics(config, &settings) {
        // Somebody may have made it with more partitions: any number will do.
        patiently(config, stop, || match admin.partitions_of(&topic.name)? {
            Some(_) => Ok(()),
            None => admin.create_topics(std::slice::from_ref(&topic)),
        })?;
    }
    let sinks: BTreeSet<&str> = topology.external_sinks();
    for sink in sinks {
        if patiently(config, stop, || admin.partitions_of(sink))?.is_none() {
            return Err(Error::NoTopic { topic: sink.to_owned(), role: "output" });
        }
    }
    TaskLayout::new(topology, config.application_id(), |topic| {
        let known = topics.sources.get(topic).copied();
        known.ok_or_else(|| Error::NoTopic { topic: topic.to_owned(), role: "input" })
    })
}

fn input_partitions(
    topology: &Topology,
    config: &Config,
    admin: &KafkaAdmin,
    stop: &dyn Fn() -> bool,
) -> Result<BTreeMap<String, i32>, Error> {
    let mut inputs = BTreeMap::new();
    for topic in topology.external_sources() {
        let partitions = patiently(config, stop, || admin.partitions_of(topic))?;
        let partitions =
            partitions.ok_or_else(|| Error::NoTopic { topic: topic.to_owned(), role: "input" })?;
        inputs.insert(topic.to_owned(), partitions);
    }
    Ok(inputs)
}

/// Asks again for `task.timeout.ms` while the cluster cannot do what it is asked.
fn patiently<T>(
    config: &Config,
    stop: &dyn Fn() -> bool,
    mut ask: impl FnMut() -> Result<T, ClientError>,
) -> Result<T, Error> {
    /// Some refusals come at once.
    const PAUSE: Duration = Duration::from_millis(200);
    let clock = SystemClock::new();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(_) if stop() => return Err(Error::Stopped),
            Err(error)
                if error.kind == ClientErrorKind::Retry && clock.monotonic() < config.task_timeout() =>
            {
                tracing::warn!(%error, "waiting for Kafka at {}", config.bootstrap_servers());
                std::thread::park_timeout(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Topics for what does not fit: dead letters and late records. They are kept until somebody has looked at them.
fn side_topics(config: &Config, settings: &TopicSettings<'_>) -> Vec<NewTopic> {
    let dead_letters = config.uses_dead_letter_topic().then(|| config.dead_letter_topic());
    let names = dead_letters.into_iter().chain(config.late_topic());
    let topic = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions: 1,
        replication_factor: settings.replication_factor,
        config: vec![("retention.ms".to_owned(), "-1".to_owned())],
    };
    names.map(topic).collect()
}
