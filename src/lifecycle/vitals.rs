//! The signs of life of a stream thread.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::thread_state::ThreadState;

/// What is known of a thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadFacts {
    /// Its number, from 1.
    pub number: usize,
    /// Its state.
    pub state: ThreadState,
    /// Time since it last polled.
    pub poll_age: Duration,
    /// Time since it last committed or found nothing to commit.
    pub commit_age: Duration,
    /// Tasks that are assigned to it.
    pub tasks: usize,
    /// How many of them are being restored.
    pub restoring_tasks: usize,
    /// Records that are left to restore.
    pub restore_remaining_records: u64,
}

/// Signs of life of a thread: written on every turn of its loop, so without a lock. Times are milliseconds of the
/// monotonic clock.
#[derive(Default)]
pub(super) struct Vitals {
    pub(super) last_poll_ms: AtomicU64,
    pub(super) last_commit_ms: AtomicU64,
    pub(super) tasks: AtomicUsize,
    pub(super) restoring_tasks: AtomicUsize,
    pub(super) restore_remaining_records: AtomicU64,
    pub(super) has_failed: AtomicBool,
}

impl Vitals {
    /// What they tell of thread `number` at `now`.
    pub(super) fn facts(&self, number: usize, state: ThreadState, now: Duration) -> ThreadFacts {
        let age =
            |at_ms: &AtomicU64| now.saturating_sub(Duration::from_millis(at_ms.load(Ordering::Relaxed)));
        ThreadFacts {
            number,
            state,
            poll_age: age(&self.last_poll_ms),
            commit_age: age(&self.last_commit_ms),
            tasks: self.tasks.load(Ordering::Relaxed),
            restoring_tasks: self.restoring_tasks.load(Ordering::Relaxed),
            restore_remaining_records: self.restore_remaining_records.load(Ordering::Relaxed),
        }
    }
}

pub(super) fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
