//! What happens to a bad record: the policy of its kind, and the dead letter that keeps its bytes and the reason.

use std::collections::BTreeMap;

use riacho_topology::{BadOutput, BadRecord, BadRecordPolicy, CollectError, Headers, Outgoing, ProcessError};
use riacho_topology::{RawRecord, TaskId, Timestamp};

use crate::ports::{ClientError, ClientErrorKind, RecordSender};
use crate::state::StateError;

/// Why a task cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskFailure {
    /// A bad record, and the policy of its kind is to stop.
    #[error(
        "task {task} stopped at a bad record in {topic}-{partition} at offset {offset}: {kind}: {message}. Set \
         {kind}.exception.handler to dlq or continue to go on past such records"
    )]
    BadRecord {
        /// The task.
        task: TaskId,
        /// The kind of error.
        kind: BadRecord,
        /// What is wrong with it.
        message: String,
        /// Where the record lies.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
    },
    /// A result that cannot be written, and the policy is to stop.
    #[error(
        "task {task} has a result that cannot be written: {message}. Set production.exception.handler to dlq or continue to go on"
    )]
    BadOutput {
        /// The task.
        task: TaskId,
        /// What is wrong with it.
        message: String,
    },
    /// The Kafka client failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state failed.
    #[error("task {task}: {message}")]
    Store {
        /// The task.
        task: TaskId,
        /// What happened, with its causes.
        message: String,
    },
    /// The state could not be written or opened.
    #[error(transparent)]
    State(#[from] StateError),
}

impl TaskFailure {
    /// An error that no record is to blame for.
    pub(crate) fn from_process(task: TaskId, error: ProcessError) -> Self {
        match error {
            ProcessError::BadRecord { message, .. } => TaskFailure::BadOutput { task, message },
            other => TaskFailure::Store { task, message: with_causes(&other) },
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// A record's error, without what ends the transaction.
pub(crate) struct Bad {
    kind: BadRecord,
    message: String,
    policy: Option<BadRecordPolicy>,
}

/// Tells a bad record from a failure of the task.
pub(crate) fn classify(task: TaskId, error: ProcessError) -> Result<Bad, TaskFailure> {
    match error {
        ProcessError::BadRecord { kind, message, policy } => Ok(Bad { kind, message, policy }),
        ProcessError::Collect(refused @ CollectError::Refused { .. }) => {
            Ok(Bad { kind: BadRecord::Production, message: refused.to_string(), policy: None })
        }
        other => Err(TaskFailure::from_process(task, other)),
    }
}

/// How many bad records there were, by kind and by what was done with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BadRecords {
    pub(crate) skipped: BTreeMap<BadRecord, u64>,
    pub(crate) dead_lettered: BTreeMap<BadRecord, u64>,
}

/// What is done with bad records, by kind.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    pub(crate) by_kind: BTreeMap<BadRecord, BadRecordPolicy>,
    pub(crate) dead_letter_topic: String,
}

/// Header names of dead letters: Kafka Streams' (KIP-1034), and one of ours.
mod header {
    pub(super) const EXCEPTION: &str = "__streams.errors.exception";
    pub(super) const MESSAGE: &str = "__streams.errors.message";
    pub(super) const TOPIC: &str = "__streams.errors.topic";
    pub(super) const PARTITION: &str = "__streams.errors.partition";
    pub(super) const OFFSET: &str = "__streams.errors.offset";
    pub(super) const TRUNCATED: &str = "riacho.dead-letter.truncated";
}

/// What of a value too large for any topic is kept in its dead letter.
const TRUNCATED_BYTES: usize = 512 * 1024;

impl Policies {
    fn of(&self, kind: BadRecord) -> BadRecordPolicy {
        self.by_kind.get(&kind).copied().unwrap_or(BadRecordPolicy::DeadLetter)
    }

    /// Deals with a bad record.
    pub(crate) fn apply(
        &self,
        task: TaskId,
        bad: &Bad,
        raw: &RawRecord<'_>,
        sender: &mut dyn RecordSender,
        seen: &mut BadRecords,
    ) -> Result<(), TaskFailure> {
        let policy = bad.policy.unwrap_or_else(|| self.of(bad.kind));
        match policy {
            BadRecordPolicy::Fail => {
                return Err(TaskFailure::BadRecord {
                    task,
                    kind: bad.kind,
                    message: bad.message.clone(),
                    topic: raw.topic.to_owned(),
                    partition: raw.partition,
                    offset: raw.offset,
                });
            }
            BadRecordPolicy::Continue => *seen.skipped.entry(bad.kind).or_default() += 1,
            BadRecordPolicy::DeadLetter => {
                self.dead_letter(bad, raw, sender)?;
                *seen.dead_lettered.entry(bad.kind).or_default() += 1;
            }
        }
        tracing::debug!(%task, topic = raw.topic, partition = raw.partition, offset = raw.offset, kind = %bad.kind,
            reason = bad.message, ?policy, "bad record");
        Ok(())
    }

    fn dead_letter(
        &self,
        bad: &Bad,
        raw: &RawRecord<'_>,
        sender: &mut dyn RecordSender,
    ) -> Result<(), ClientError> {
        let mut headers = raw.headers.clone();
        headers.push(header::EXCEPTION, Some(bad.kind.as_str().into()));
        headers.push(header::MESSAGE, Some(bad.message.clone().into_bytes()));
        headers.push(header::TOPIC, Some(raw.topic.into()));
        headers.push(header::PARTITION, Some(raw.partition.to_string().into_bytes()));
        headers.push(header::OFFSET, Some(raw.offset.to_string().into_bytes()));
        let letter = Outgoing {
            topic: &self.dead_letter_topic,
            partition: None,
            key: raw.key,
            value: raw.value,
            timestamp: raw.timestamp,
            headers: &headers,
        };
        match sender.send(letter, None) {
            Err(error) if error.kind == ClientErrorKind::Refused => {
                let mut headers = headers.clone();
                headers
                    .push(header::TRUNCATED, Some(raw.value.map_or(0, <[u8]>::len).to_string().into_bytes()));
                let value = raw.value.map(|value| value.get(..TRUNCATED_BYTES).unwrap_or(value));
                let key = raw.key.map(|key| key.get(..TRUNCATED_BYTES / 2).unwrap_or(key));
                sender.send(Outgoing { key, value, headers: &headers, ..letter }, None)
            }
            result => result,
        }
    }

    /// Deals with a result that could not be written while state was flushed.
    pub(crate) fn apply_output(
        &self,
        task: TaskId,
        output: &BadOutput,
        (sender, now): (&mut dyn RecordSender, Timestamp),
        seen: &mut BadRecords,
    ) -> Result<(), TaskFailure> {
        match self.of(output.kind) {
            BadRecordPolicy::Fail => {
                return Err(TaskFailure::BadOutput { task, message: output.message.clone() });
            }
            BadRecordPolicy::Continue => *seen.skipped.entry(output.kind).or_default() += 1,
            BadRecordPolicy::DeadLetter => {
                let mut headers = Headers::EMPTY;
                headers.push(header::EXCEPTION, Some(output.kind.as_str().into()));
                headers.push(header::MESSAGE, Some(output.message.clone().into_bytes()));
                let letter = Outgoing {
                    topic: &self.dead_letter_topic,
                    partition: None,
                    key: None,
                    value: None,
                    timestamp: now,
                    headers: &headers,
                };
                sender.send(letter, None)?;
                *seen.dead_lettered.entry(output.kind).or_default() += 1;
            }
        }
        tracing::warn!(%task, kind = %output.kind, reason = output.message, "a result could not be written");
        Ok(())
    }
}
