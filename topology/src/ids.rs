//! Names of the parts of a running topology: tasks, topic partitions, stores.

use std::fmt;
use std::str::FromStr;

/// One sub-topology on one partition: the unit of assignment, of state and of order. Written `0_3` like Kafka
/// Streams' task ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The sub-topology, as numbered by `describe`.
    pub subtopology: usize,
    /// The partition of the sub-topology's source topics.
    pub partition: i32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (subtopology, partition) = text.split_once('_')?;
            Some(TaskId { subtopology: subtopology.parse().ok()?, partition: partition.parse().ok()? })
        };
        parse().ok_or_else(|| NotATaskId(text.to_owned()))
    }
}

/// The text is not of the form `<sub-topology>_<partition>`.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a task id: expected <sub-topology>_<partition>, for example 0_3")]
pub struct NotATaskId(String);

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A store of a sub-topology, by its place in [`Subtopology::stores`](crate::graph::Subtopology::stores).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreIndex(pub u16);
