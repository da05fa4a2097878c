//! A stream thread's hand on the lifecycle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::info;

use super::Lifecycle;
use super::thread_state::ThreadState;
use super::transition::{Entered, IllegalTransition};
use super::vitals::{Vitals, millis};

/// A stream thread's hand on the lifecycle.
pub struct ThreadLifecycle {
    pub(super) shared: Arc<Lifecycle>,
    pub(super) index: usize,
}

impl ThreadLifecycle {
    /// The thread's number, from 1.
    pub fn number(&self) -> usize {
        self.index + 1
    }

    /// Whether the thread is to commit and leave.
    pub fn stop_requested(&self) -> bool {
        self.shared.stop_requested()
    }

    /// The thread's state.
    pub fn state(&self) -> ThreadState {
        self.shared.lock().threads.get(self.index).copied().unwrap_or(ThreadState::Dead)
    }

    /// Goes to `next`, and the application with it. Silence is counted from this moment on.
    ///
    /// A thread that is shutting down refuses every state but `DEAD`: news of the group may still arrive then.
    ///
    /// # Errors
    /// When the diagram does not have the transition.
    pub fn enter(&self, next: ThreadState, now: Duration) -> Result<Entered, IllegalTransition> {
        let shared = &*self.shared;
        let mut states = shared.lock();
        let Some(state) = states.threads.get_mut(self.index) else { return Ok(Entered::Refused) };
        let from = *state;
        let is_leaving = matches!(from, ThreadState::PendingShutdown | ThreadState::Dead);
        let is_too_late = from == ThreadState::Created && shared.stop_requested();
        let ends = matches!(next, ThreadState::PendingShutdown | ThreadState::Dead);
        if (is_leaving || is_too_late) && (!ends || from == next) {
            return Ok(Entered::Refused);
        }
        if !from.may_become(next) {
            return Err(IllegalTransition { who: "a stream thread", from: from.as_str(), to: next.as_str() });
        }
        *state = next;
        if from != next {
            info!(client = %shared.client, thread = self.number(), "State transition from {from} to {next}");
        }
        if let Some(vitals) = self.vitals() {
            vitals.last_poll_ms.store(millis(now), Ordering::Relaxed);
            if from != next {
                vitals.last_commit_ms.store(millis(now), Ordering::Relaxed);
            }
        }
        shared.combine(&mut states, self.index, next);
        Ok(Entered::Yes)
    }

    /// The thread has polled.
    pub fn polled(&self, now: Duration) {
        self.note(|vitals| vitals.last_poll_ms.store(millis(now), Ordering::Relaxed));
    }

    /// The thread has committed, or a commit was due and there was nothing to commit.
    pub fn committed(&self, now: Duration) {
        self.note(|vitals| vitals.last_commit_ms.store(millis(now), Ordering::Relaxed));
    }

    /// How many tasks the thread has, how many of them are being restored, and how many records that is.
    pub fn tasks(&self, tasks: usize, restoring: usize, remaining_records: u64) {
        self.note(|vitals| {
            vitals.tasks.store(tasks, Ordering::Relaxed);
            vitals.restoring_tasks.store(restoring, Ordering::Relaxed);
            vitals.restore_remaining_records.store(remaining_records, Ordering::Relaxed);
        });
    }

    /// The thread cannot go on: the application stops. The thread itself still has to enter `PENDING_SHUTDOWN` and
    /// `DEAD`, or be dropped.
    pub fn fail(&self, reason: impl fmt::Display) {
        let mut states = self.shared.lock();
        self.shared.note_thread_failure(&mut states, self.index, reason);
    }

    fn vitals(&self) -> Option<&Vitals> {
        self.shared.vitals.get(self.index)
    }

    fn note(&self, write: impl FnOnce(&Vitals)) {
        if let Some(vitals) = self.vitals() {
            write(vitals);
        }
    }
}

impl Drop for ThreadLifecycle {
    /// Also when the thread panics: the application must not wait for it for ever.
    fn drop(&mut self) {
        self.tasks(0, 0, 0);
        let mut states = self.shared.lock();
        let Some(state) = states.threads.get_mut(self.index) else { return };
        let from = std::mem::replace(state, ThreadState::Dead);
        if from != ThreadState::Dead {
            info!(client = %self.shared.client, thread = self.index + 1, "State transition from {from} to DEAD");
            self.shared.combine(&mut states, self.index, ThreadState::Dead);
        }
    }
}
