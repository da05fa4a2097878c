//! Turns raw records of a topic into typed ones with an event time.

use crate::error::{BadRecord, ProcessError};
use crate::processor::{Children, Context};
use crate::record::{RawRecord, Record};
use crate::serde::SharedSerde;
use crate::time::{EventTime, Timestamp};

/// A source as a task sees it: types erased.
pub(crate) trait SourceOperator {
    /// Processes one record and moves stream time up to it.
    fn process(&mut self, raw: &RawRecord<'_>, ctx: &mut Context<'_>) -> Result<(), ProcessError>;

    /// The event time of a record that waits among others.
    fn event_time(
        &self,
        raw: &RawRecord<'_>,
        now: Timestamp,
        ahead_max_ms: i64,
    ) -> Result<Timestamp, ProcessError>;
}

/// `stream`, and the reading half of a repartition.
pub(crate) struct Source<K, V> {
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    pub(crate) event_time: EventTime<K, V>,
    pub(crate) children: Children<K, V>,
}

impl<K, V> Source<K, V> {
    fn read(&self, raw: &RawRecord<'_>) -> Result<(K, V), ProcessError> {
        let unreadable = |part: &str, error: crate::serde::SerdeError| {
            ProcessError::bad(BadRecord::Deserialization, format!("{part}: {error}"))
        };
        let key = self.key_serde.deserialize(raw.key).map_err(|error| unreadable("key", error))?;
        let value = self.value_serde.deserialize(raw.value).map_err(|error| unreadable("value", error))?;
        Ok((key, value))
    }

    fn time_of(
        &self,
        record: &Record<'_, K, V>,
        now: Timestamp,
        ahead_max: i64,
    ) -> Result<Timestamp, ProcessError> {
        let invalid = |message: String| ProcessError::BadRecord {
            kind: BadRecord::Timestamp,
            message,
            policy: self.event_time.invalid_policy(),
        };
        let time = self
            .event_time
            .of(record, now)
            .ok_or_else(|| invalid("the record tells no event time".to_owned()))?;
        if time.0 < 0 {
            return Err(invalid(format!("event time {time} is before 1970")));
        }
        if time.millis_since(now) > ahead_max {
            return Err(invalid(format!(
                "event time {time} is {} ms ahead of the wall clock; at most {ahead_max} are allowed, since it would \
                 close every window before it",
                time.millis_since(now)
            )));
        }
        Ok(time)
    }
}

impl<K, V> SourceOperator for Source<K, V> {
    fn process(&mut self, raw: &RawRecord<'_>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let (key, value) = self.read(raw)?;
        let record = Record { key: &key, value: &value, timestamp: raw.timestamp, headers: raw.headers };
        let timestamp = self.time_of(&record, ctx.now, ctx.frame.timestamp_ahead_max_ms)?;
        ctx.frame.stream_time = ctx.frame.stream_time.max(timestamp);
        self.children.forward(Record { timestamp, ..record }, ctx)
    }

    fn event_time(
        &self,
        raw: &RawRecord<'_>,
        now: Timestamp,
        ahead_max_ms: i64,
    ) -> Result<Timestamp, ProcessError> {
        let (key, value) = self.read(raw)?;
        let record = Record { key: &key, value: &value, timestamp: raw.timestamp, headers: raw.headers };
        self.time_of(&record, now, ahead_max_ms)
    }
}
