//! Waits for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// Returns as soon as `holds` is true.
///
/// # Panics
/// When it is not true within `limit`; the message says `what` was awaited.
#[track_caller]
pub(crate) fn await_until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    await_some(limit, what, || holds().then_some(()));
}

/// Returns what `look` finds as soon as it finds something.
///
/// # Panics
/// When it finds nothing within `limit`; the message says `what` was awaited.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place where tests look at the clock and pause")]
pub(crate) fn await_some<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        thread::sleep(POLL);
    }
}
