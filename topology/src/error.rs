//! What can go wrong while a record is processed, and who can do something about it.

use crate::serde::SerdeError;

/// A store could not be read or written: the task cannot go on with the state it has.
#[derive(Debug, thiserror::Error)]
#[error("state store: {message}")]
pub struct StoreError {
    /// What happened.
    pub message: String,
    /// Why, as the storage engine says it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// A store error with no deeper cause.
    pub fn new(message: impl Into<String>) -> Self {
        StoreError { message: message.into(), source: None }
    }

    /// A store error caused by `source`.
    pub fn caused_by(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        StoreError { message: message.into(), source: Some(Box::new(source)) }
    }
}

impl From<SerdeError> for StoreError {
    fn from(error: SerdeError) -> Self {
        StoreError::caused_by("a stored entry cannot be read", error)
    }
}

/// A record could not be handed to the producer.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// This record can never be sent (too large, say); others can.
    #[error("the record for topic {topic} was refused: {reason}")]
    Refused {
        /// The topic it was meant for.
        topic: String,
        /// Why it was refused.
        reason: String,
    },
    /// The producer cannot go on: the transaction has to be aborted.
    #[error("the producer failed: {0}")]
    Failed(String),
}

/// Why a record was not processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The record itself is bad; the next one is not concerned. Handled by the policy of its kind.
    #[error("{kind}: {message}")]
    BadRecord {
        /// Which policy applies.
        kind: BadRecord,
        /// What is wrong with the record, for the person who will look at it.
        message: String,
        /// What the topology wants done with it; `None` leaves it to the configuration.
        policy: Option<BadRecordPolicy>,
    },
    /// The state cannot be trusted or reached: the task stops.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output cannot be written.
    #[error(transparent)]
    Collect(#[from] CollectError),
}

impl ProcessError {
    pub(crate) fn bad(kind: BadRecord, message: impl Into<String>) -> Self {
        ProcessError::BadRecord { kind, message: message.into(), policy: None }
    }

    /// The record was read but the computation refuses it, for example because a sum would overflow.
    pub fn refused(message: impl Into<String>) -> Self {
        ProcessError::bad(BadRecord::Processing, message)
    }
}

/// What is done with a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRecordPolicy {
    /// Stop the application: the input breaks a promise that somebody should look at.
    Fail,
    /// Drop the record and count it.
    Continue,
    /// Send the record to the dead-letter topic, in the same transaction, and count it.
    DeadLetter,
}

/// The kinds of bad records; each has its own policy and its own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BadRecord {
    /// Key or value is not what the serde expects.
    Deserialization,
    /// The event time is missing, negative or too far ahead.
    Timestamp,
    /// An operator refused the record.
    Processing,
    /// The result cannot be produced: too large, or not serialisable.
    Production,
}

impl BadRecord {
    /// All kinds.
    pub const ALL: [BadRecord; 4] =
        [BadRecord::Deserialization, BadRecord::Timestamp, BadRecord::Processing, BadRecord::Production];

    /// The kind's name in metrics, headers and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            BadRecord::Deserialization => "deserialization",
            BadRecord::Timestamp => "timestamp",
            BadRecord::Processing => "processing",
            BadRecord::Production => "production",
        }
    }
}

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<SerdeError> for ProcessError {
    fn from(error: SerdeError) -> Self {
        ProcessError::bad(BadRecord::Deserialization, error.to_string())
    }
}

/// The topology cannot be built as described.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// Nothing is read.
    #[error("the topology reads no topic: call StreamsBuilder::stream at least once")]
    NoSource,
    /// Two parts have the same name.
    #[error("two {what}s are called '{name}': give one of them another name")]
    DuplicateName {
        /// What kind of part.
        what: &'static str,
        /// The name they share.
        name: String,
    },
    /// A topic is read by two sources.
    #[error("the topic '{0}' is read by two sources: read it once and use the stream twice")]
    TopicReadTwice(String),
    /// Two streams were merged that do not belong together.
    #[error("'{0}' merges streams of two builders: begin all streams with the same StreamsBuilder")]
    TwoBuilders(String),
    /// A name that Kafka would refuse.
    #[error("'{0}' cannot be a topic's name: use 1 to 249 of the characters a-z A-Z 0-9 . _ -")]
    BadTopicName(String),
}
