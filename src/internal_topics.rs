//! Which topics an application needs beside its inputs, with Kafka Streams' names and settings. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use riacho_topology::store::StoreKind;
use riacho_topology::{TopicName, Topology};

use crate::ports::NewTopic;

/// The topics an application makes for itself, and how many partitions every source topic has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicPlan {
    /// The topics to make, or to find as they should be.
    pub(crate) internal: Vec<NewTopic>,
    /// The partition count of each source topic, repartition topics included.
    pub(crate) sources: BTreeMap<String, i32>,
}

/// What the configuration says of internal topics.
#[derive(Clone, Debug)]
pub(crate) struct TopicSettings<'a> {
    pub(crate) application_id: &'a str,
    /// -1 is the broker's default.
    pub(crate) replication_factor: i32,
    pub(crate) window_extra_retention: Duration,
}

fn topic(name: String, partitions: i32, settings: &TopicSettings<'_>, config: &[(&str, String)]) -> NewTopic {
    NewTopic {
        name,
        partitions,
        replication_factor: settings.replication_factor,
        config: config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
    }
}

/// Plans the internal topics where `inputs` are the partition counts of the external sources.
///
/// A repartition topic has as many partitions as the largest source upstream of it; a changelog as many as its
/// sub-topology has tasks.
pub(crate) fn plan(
    topology: &Topology,
    inputs: &BTreeMap<String, i32>,
    settings: &TopicSettings<'_>,
) -> TopicPlan {
    let mut sources = inputs.clone();
    let resolve = |name: &TopicName| name.resolve(settings.application_id);
    // Repartition topics can feed one another: each round resolves at least one more, or all are resolved.
    for _ in topology.subtopologies() {
        for subtopology in topology.subtopologies() {
            let partitions =
                subtopology.sources.iter().filter_map(|source| sources.get(&resolve(source))).max().copied();
            let Some(partitions) = partitions else { continue };
            for sink in subtopology.sinks.iter().filter(|sink| matches!(sink, TopicName::Repartition(_))) {
                let known = sources.entry(resolve(sink)).or_insert(partitions);
                *known = (*known).max(partitions);
            }
        }
    }
    let mut internal = Vec::new();
    for subtopology in topology.subtopologies() {
        let counts = subtopology.sources.iter().filter_map(|source| sources.get(&resolve(source)));
        let tasks = counts.max().copied().unwrap_or(1);
        for source in subtopology.sources.iter().filter(|source| matches!(source, TopicName::Repartition(_)))
        {
            internal.push(topic(resolve(source), tasks, settings, &repartition_config()));
        }
        for store in &subtopology.stores {
            let name = changelog_name(settings.application_id, &store.name);
            internal.push(topic(name, tasks, settings, &changelog_config(store.kind, settings)));
        }
    }
    TopicPlan { internal, sources }
}

/// The changelog of a store.
pub(crate) fn changelog_name(application_id: &str, store: &str) -> String {
    format!("{application_id}-{store}-changelog")
}

fn repartition_config() -> [(&'static str, String); 4] {
    [
        ("cleanup.policy", "delete".to_owned()),
        ("segment.bytes", (50 * 1024 * 1024).to_string()),
        ("retention.ms", "-1".to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
    ]
}

fn changelog_config(kind: StoreKind, settings: &TopicSettings<'_>) -> Vec<(&'static str, String)> {
    let mut config = vec![("message.timestamp.type", "CreateTime".to_owned())];
    match kind {
        StoreKind::KeyValue => config.push(("cleanup.policy", "compact".to_owned())),
        StoreKind::Window(windows) => {
            let extra = i64::try_from(settings.window_extra_retention.as_millis()).unwrap_or(i64::MAX);
            let retention = windows.size_ms().saturating_add(windows.grace_ms()).saturating_add(extra);
            config.push(("cleanup.policy", "compact,delete".to_owned()));
            config.push(("retention.ms", retention.to_string()));
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, StreamsBuilder, TimeWindows, Utf8};

    const MINUTE: Duration = Duration::from_secs(60);

    fn planned() -> TopicPlan {
        let builder = StreamsBuilder::new();
        let windows =
            TimeWindows::of_size_and_grace(MINUTE, Duration::from_secs(10)).expect("a minute is a window");
        let _ = builder
            .stream("sales", Consumed::<String, String>::with(Utf8, Utf8))
            .group_by(|sale| sale.value.clone(), Grouped::with(Utf8, Utf8))
            .windowed_by(windows)
            .count(Materialized::named("per-minute", BigEndian));
        let topology = builder.build().expect("one source, one store");
        let settings = TopicSettings {
            application_id: "app",
            replication_factor: 3,
            window_extra_retention: Duration::from_secs(86_400),
        };
        plan(&topology, &BTreeMap::from([("sales".to_owned(), 12)]), &settings)
    }

    #[test]
    fn internal_topics_have_kafka_streams_names_and_the_partitions_of_their_input() {
        let names: Vec<_> =
            planned().internal.into_iter().map(|topic| (topic.name, topic.partitions)).collect();
        let expected = [("app-per-minute-repartition", 12), ("app-per-minute-changelog", 12)];
        assert_eq!(names, expected.map(|(name, partitions)| (name.to_owned(), partitions)));
    }

    #[test]
    fn a_windowed_changelog_is_kept_for_window_grace_and_the_extra_retention() {
        let changelog = planned().internal.pop().expect("the changelog comes last");
        assert!(changelog.config.contains(&("cleanup.policy".to_owned(), "compact,delete".to_owned())));
        assert!(
            changelog
                .config
                .contains(&("retention.ms".to_owned(), (60_000 + 10_000 + 86_400_000).to_string()))
        );
    }
}
