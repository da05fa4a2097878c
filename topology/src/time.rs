//! Event time: timestamps, and where a record's time is taken from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::BadRecordPolicy;
use crate::record::Record;

/// Milliseconds since 1970-01-01T00:00:00Z, as Kafka counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every record: the stream time of a task that has seen none.
    pub const MIN: Timestamp = Timestamp(i64::MIN);

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This time plus `millis`, held at the ends of the range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`, held at the ends of the range; negative when `earlier` is later.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// This long after 1970-01-01T00:00:00Z, held at the end of the range.
impl From<Duration> for Timestamp {
    fn from(since_epoch: Duration) -> Self {
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

type Field<K, V> = dyn Fn(&Record<'_, K, V>) -> Option<Timestamp> + Send + Sync;

enum Source<K, V> {
    RecordTime,
    WallClock,
    Field(Arc<Field<K, V>>),
}

/// Where a source takes the event time of its records from.
///
/// ```
/// use riacho_topology::{BadRecordPolicy, EventTime, Timestamp};
/// struct View { at: i64 }
/// let by_field = EventTime::<String, View>::field(|view| Some(Timestamp(view.value.at)));
/// let strict = by_field.on_invalid(BadRecordPolicy::Fail);
/// # let _ = strict;
/// ```
pub struct EventTime<K, V> {
    source: Source<K, V>,
    on_invalid: Option<BadRecordPolicy>,
}

impl<K, V> Clone for EventTime<K, V> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::RecordTime => Source::RecordTime,
            Source::WallClock => Source::WallClock,
            Source::Field(field) => Source::Field(Arc::clone(field)),
        };
        EventTime { source, on_invalid: self.on_invalid }
    }
}

impl<K, V> EventTime<K, V> {
    /// The timestamp that the Kafka record carries. The default.
    pub fn record_time() -> Self {
        EventTime { source: Source::RecordTime, on_invalid: None }
    }

    /// The time at which the record is processed. A replay gives other windows: prefer the others.
    pub fn wall_clock() -> Self {
        EventTime { source: Source::WallClock, on_invalid: None }
    }

    /// The time that the record itself tells; `None` when it tells none.
    pub fn field(field: impl Fn(&Record<'_, K, V>) -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        EventTime { source: Source::Field(Arc::new(field)), on_invalid: None }
    }

    /// What to do with a record whose time is missing, negative or too far ahead of the wall clock; otherwise the
    /// configuration says it.
    #[must_use]
    pub fn on_invalid(mut self, policy: BadRecordPolicy) -> Self {
        self.on_invalid = Some(policy);
        self
    }

    pub(crate) fn invalid_policy(&self) -> Option<BadRecordPolicy> {
        self.on_invalid
    }

    pub(crate) fn of(&self, record: &Record<'_, K, V>, now: Timestamp) -> Option<Timestamp> {
        match &self.source {
            Source::RecordTime => Some(record.timestamp),
            Source::WallClock => Some(now),
            Source::Field(field) => field(record),
        }
    }
}
