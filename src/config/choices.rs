//! The choices that a configuration makes, as types.

use std::fmt;
use std::time::Duration;

/// `processing.guarantee`: what a crash may do to results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guarantee {
    /// Results, state and positions are committed in one transaction: every record counts once.
    ExactlyOnce,
    /// After a crash some records count twice.
    AtLeastOnce,
}

impl Guarantee {
    /// Kafka Streams' name of the guarantee.
    pub fn as_str(self) -> &'static str {
        match self {
            Guarantee::ExactlyOnce => "exactly_once_v2",
            Guarantee::AtLeastOnce => "at_least_once",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `*.exception.handler`: what to do with a record of one kind of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnBadRecord {
    /// Stop the application.
    Fail,
    /// Count the record, log it and go on.
    Continue,
    /// Count the record, send it to the dead-letter topic and go on.
    DeadLetter,
}

/// `auto.offset.reset`: where to begin in an input partition without a committed position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetReset {
    /// At the first record that is still there.
    Earliest,
    /// With the records that are yet to come.
    Latest,
    /// Nowhere: stop and say so.
    None,
}

/// `max.task.idle.ms`: how long a task waits for an input that is behind the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskIdle {
    /// Not at all: records may be processed out of order between inputs.
    Never,
    /// Until what the broker already has is fetched.
    UntilFetched,
    /// Beyond that for so long, in case a producer is behind.
    AtMost(Duration),
}

/// `metrics.recording.level`: how much is measured. Each level includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordingLevel {
    /// What dashboards and alerts need.
    Info,
    /// What the search for a slow part needs.
    Debug,
    /// Everything.
    Trace,
}

/// `riacho.log.format`: how log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// One of the Kafka clients of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientRole {
    /// The group member of a stream thread.
    MainConsumer,
    /// Reads changelogs; never a member of the group.
    RestoreConsumer,
    /// Writes results and changelogs.
    Producer,
    /// Creates topics and deletes records.
    Admin,
}
