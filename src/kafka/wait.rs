//! How long to wait for a client, and how to wait for a producer without burning a core.

use std::time::{Duration, Instant};

/// What the clock says. The simulator has clients of its own: these here always wait in real time.
#[expect(clippy::disallowed_methods, reason = "waiting for a real broker is the edge")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A moment after which a call gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Deadline(now() + wait)
    }

    pub(super) fn is_over(self) -> bool {
        now() >= self.0
    }

    /// What is left, but at most `slice`, and never zero: librdkafka takes zero for "do not even try".
    pub(super) fn slice(self, slice: Duration) -> Duration {
        self.0.saturating_duration_since(now()).min(slice).max(Duration::from_millis(1))
    }
}
