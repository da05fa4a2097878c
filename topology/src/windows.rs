//! Windows over event time: tumbling and hopping, aligned to the epoch, start inclusive, end exclusive.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::time::Timestamp;

/// A window `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

/// A key in a window. `closed` is part of the news, not of the identity.
#[derive(Clone, Debug)]
pub struct Windowed<K> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
    /// Whether the window was closed when this value was emitted: no later value will come.
    pub closed: bool,
}

impl<K: PartialEq> PartialEq for Windowed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.window == other.window
    }
}

impl<K: Eq> Eq for Windowed<K> {}

impl<K: Hash> Hash for Windowed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        self.window.hash(state);
    }
}

/// Tumbling or hopping windows with a grace period.
///
/// ```
/// use std::time::Duration;
/// use riacho_topology::TimeWindows;
/// let per_minute = TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(10))?;
/// let every_ten_seconds = per_minute.advance_by(Duration::from_secs(10))?;
/// assert_eq!(every_ten_seconds.starts_of(riacho_topology::Timestamp(65_000)).count(), 6);
/// # Ok::<(), riacho_topology::BadWindow>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
}

/// The window's numbers do not fit together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} is {value_ms} ms: it must be {must}")]
pub struct BadWindow {
    what: &'static str,
    value_ms: i64,
    must: String,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl TimeWindows {
    /// Tumbling windows of `size`; a record is late as soon as its window has ended.
    ///
    /// # Errors
    /// When `size` is below one millisecond or above 100 years.
    pub fn of_size_with_no_grace(size: Duration) -> Result<Self, BadWindow> {
        Self::of_size_and_grace(size, Duration::ZERO)
    }

    /// Tumbling windows of `size` that accept records until stream time reaches the window's end plus `grace`.
    ///
    /// # Errors
    /// When `size` is below one millisecond, or one of them above 100 years.
    pub fn of_size_and_grace(size: Duration, grace: Duration) -> Result<Self, BadWindow> {
        const CENTURY_MS: i64 = 100 * 366 * 86_400_000;
        let (size_ms, grace_ms) = (millis(size), millis(grace));
        if !(1..=CENTURY_MS).contains(&size_ms) {
            return Err(BadWindow {
                what: "the window size",
                value_ms: size_ms,
                must: format!("1..={CENTURY_MS} ms"),
            });
        }
        if grace_ms > CENTURY_MS {
            return Err(BadWindow {
                what: "the grace",
                value_ms: grace_ms,
                must: format!("0..={CENTURY_MS} ms"),
            });
        }
        Ok(TimeWindows { size_ms, advance_ms: size_ms, grace_ms })
    }

    /// Hopping windows: a new one starts every `advance`.
    ///
    /// # Errors
    /// When `advance` is below one millisecond or above the window's size.
    pub fn advance_by(self, advance: Duration) -> Result<Self, BadWindow> {
        let advance_ms = millis(advance);
        if !(1..=self.size_ms).contains(&advance_ms) {
            let must = format!("1..={} ms, the window's size", self.size_ms);
            return Err(BadWindow { what: "the advance", value_ms: advance_ms, must });
        }
        Ok(TimeWindows { advance_ms, ..self })
    }

    /// The windows' length in milliseconds.
    pub fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// Milliseconds from one window's start to the next one's.
    pub fn advance_ms(&self) -> i64 {
        self.advance_ms
    }

    /// How long after its end a window still takes records, in milliseconds of stream time.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// The window that starts at `start`.
    pub fn window(&self, start: Timestamp) -> Window {
        Window { start, end: start.plus_millis(self.size_ms) }
    }

    /// Whether the window that starts at `start` takes no more records at `stream_time`.
    pub fn is_closed(&self, start: Timestamp, stream_time: Timestamp) -> bool {
        start.0.saturating_add(self.size_ms).saturating_add(self.grace_ms) <= stream_time.0
    }

    /// The starts of the windows that hold `time`, earliest first. Windows do not start before the epoch, as in
    /// Kafka Streams.
    pub fn starts_of(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let last = time.0 - time.0.rem_euclid(self.advance_ms);
        let advance = self.advance_ms;
        let before = (self.size_ms - (time.0 - last) - 1).max(0) / advance;
        let first = (last - before * advance).max(0);
        (first..=last).step_by(usize::try_from(advance).unwrap_or(usize::MAX)).map(Timestamp)
    }
}
