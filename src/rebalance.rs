//! Decides which tasks an assignment of partitions means. Pure: facts in, decisions out.
//!
//! The group assigns the partitions of one topic per sub-topology, its *lead*: librdkafka's assignors would not keep
//! partition n of two topics together. The task adds the same partition of its other topics by itself.

use std::collections::BTreeSet;

use riacho_topology::{TaskId, TopicPartition, Topology};

/// The source topics of one sub-topology, as they are in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Name and partition count of each source, in the order of the sub-topology's sources.
    pub(crate) topics: Vec<(String, i32)>,
    /// Which of them leads: the first with the most partitions.
    lead: usize,
}

/// Where the partitions of all sub-topologies lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskLayout {
    inputs: Vec<Inputs>,
}

impl TaskLayout {
    /// The layout of `topology` where `partitions_of` tells the partition counts of its source topics.
    pub(crate) fn new<E>(
        topology: &Topology,
        application_id: &str,
        mut partitions_of: impl FnMut(&str) -> Result<i32, E>,
    ) -> Result<Self, E> {
        let mut inputs = Vec::new();
        for subtopology in topology.subtopologies() {
            let mut topics = Vec::new();
            for source in &subtopology.sources {
                let topic = source.resolve(application_id);
                let partitions = partitions_of(&topic)?;
                topics.push((topic, partitions));
            }
            let most = topics.iter().map(|(_, partitions)| *partitions).max().unwrap_or(0);
            let lead = topics.iter().position(|(_, partitions)| *partitions == most).unwrap_or(0);
            inputs.push(Inputs { topics, lead });
        }
        Ok(TaskLayout { inputs })
    }

    /// The topics to subscribe to.
    pub(crate) fn subscription(&self) -> Vec<String> {
        self.inputs
            .iter()
            .filter_map(|inputs| inputs.topics.get(inputs.lead))
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// The topic whose partitions stand for the tasks of a sub-topology, and how many there are.
    pub(crate) fn lead(&self, subtopology: usize) -> Option<(&str, i32)> {
        let inputs = self.inputs.get(subtopology)?;
        inputs.topics.get(inputs.lead).map(|(topic, partitions)| (topic.as_str(), *partitions))
    }

    /// All tasks.
    pub(crate) fn all(&self) -> Vec<TaskId> {
        let tasks = |subtopology| {
            let partitions = self.lead(subtopology).map_or(0, |(_, partitions)| partitions);
            (0..partitions).map(move |partition| TaskId { subtopology, partition })
        };
        (0..self.inputs.len()).flat_map(tasks).collect()
    }

    /// The tasks that an assignment of lead partitions stands for.
    pub(crate) fn tasks(&self, partitions: &[TopicPartition]) -> BTreeSet<TaskId> {
        partitions.iter().filter_map(|partition| self.task(partition)).collect()
    }

    fn task(&self, partition: &TopicPartition) -> Option<TaskId> {
        let leads = |inputs: &Inputs| {
            inputs.topics.get(inputs.lead).is_some_and(|(topic, _)| *topic == partition.topic)
        };
        let subtopology = self.inputs.iter().position(leads)?;
        Some(TaskId { subtopology, partition: partition.partition })
    }

    /// The partitions a task reads, by source; `None` where a topic has fewer partitions.
    pub(crate) fn partitions(&self, task: TaskId) -> Vec<Option<TopicPartition>> {
        let Some(inputs) = self.inputs.get(task.subtopology) else { return Vec::new() };
        let partition = |(topic, partitions): &(String, i32)| {
            (task.partition < *partitions).then(|| TopicPartition::new(topic.clone(), task.partition))
        };
        inputs.topics.iter().map(partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, StreamsBuilder, Utf8};

    fn layout() -> TaskLayout {
        let builder = StreamsBuilder::new();
        let views = builder.stream("views", Consumed::<String, String>::with(Utf8, Utf8));
        let clicks = builder.stream("clicks", Consumed::<String, String>::with(Utf8, Utf8));
        let _ = views
            .merge(&clicks)
            .group_by(|record| record.value.clone(), Grouped::with(Utf8, Utf8))
            .count(Materialized::named("counts", BigEndian));
        let topology = builder.build().expect("two sources, one store");
        let partitions = |topic: &str| Ok::<_, ()>(if topic == "views" { 2 } else { 4 });
        TaskLayout::new(&topology, "app", partitions).expect("every topic has partitions")
    }

    #[test]
    fn the_topic_with_the_most_partitions_leads() {
        assert_eq!(layout().subscription(), ["clicks", "app-counts-repartition"]);
    }

    #[test]
    fn a_task_reads_its_partition_of_every_topic_that_has_it() {
        let second = TaskId { subtopology: 0, partition: 1 };
        let both = [Some(TopicPartition::new("views", 1)), Some(TopicPartition::new("clicks", 1))];
        assert_eq!(layout().partitions(second), both);
        let fourth = TaskId { subtopology: 0, partition: 3 };
        assert_eq!(layout().partitions(fourth), [None, Some(TopicPartition::new("clicks", 3))]);
    }

    #[test]
    fn partitions_that_do_not_lead_stand_for_no_task() {
        let assigned = [TopicPartition::new("views", 0), TopicPartition::new("clicks", 2)];
        assert_eq!(layout().tasks(&assigned), BTreeSet::from([TaskId { subtopology: 0, partition: 2 }]));
    }
}
