//! How long to wait for a client, and how to wait for a producer without burning a core.

use std::time::{Duration, Instant};

/// A moment after which a call gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Deadline(Instant::now() + wait)
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// What is left, but at most `slice`, and never zero: librdkafka takes zero for "do not even try".
    pub(super) fn slice(self, slice: Duration) -> Duration {
        self.0.saturating_duration_since(Instant::now()).min(slice).max(Duration::from_millis(1))
    }
}
