//! The states of an application and of its threads, in Kafka Streams' words, and the signs of life behind `/health`
//! and `/ready`.

mod client_state;
#[cfg(test)]
mod tests;
mod thread;
mod thread_state;
mod transition;
mod verdict;
mod vitals;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info};

pub use client_state::ClientState;
pub use thread::ThreadLifecycle;
pub use thread_state::ThreadState;
pub use transition::{Entered, IllegalTransition};
pub use verdict::{Limits, Verdict};
pub use vitals::ThreadFacts;

use vitals::Vitals;

/// Called with the old and the new state, in order, while the state is held still: it must not block, and must not
/// call back.
pub type OnChange = Box<dyn Fn(ClientState, ClientState) + Send + Sync>;

/// The state of an application, shared by its threads, its handle and its HTTP server.
pub struct Lifecycle {
    client: String,
    limits: Limits,
    states: Mutex<States>,
    changed: Condvar,
    stop_requested: AtomicBool,
    vitals: Box<[Vitals]>,
}

struct States {
    client: ClientState,
    threads: Box<[ThreadState]>,
    failure: Option<String>,
    listeners: Vec<OnChange>,
}

impl Lifecycle {
    /// An application that is `CREATED`, with so many threads. `client` names it in the log.
    pub fn new(client: impl Into<String>, threads: NonZeroUsize, limits: Limits) -> Arc<Lifecycle> {
        let states = States {
            client: ClientState::Created,
            threads: vec![ThreadState::Created; threads.get()].into_boxed_slice(),
            failure: None,
            listeners: Vec::new(),
        };
        Arc::new(Lifecycle {
            client: client.into(),
            limits,
            states: Mutex::new(states),
            changed: Condvar::new(),
            stop_requested: AtomicBool::new(false),
            vitals: (0..threads.get()).map(|_| Vitals::default()).collect(),
        })
    }

    /// Has `listener` told of every change of the application's state from now on.
    pub fn on_change(&self, listener: OnChange) {
        self.lock().listeners.push(listener);
    }

    /// The application's state.
    pub fn state(&self) -> ClientState {
        self.lock().client
    }

    /// Why the application failed, if it did: what the first thread to fail said.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// How many threads ended with a failure.
    pub fn failed_threads(&self) -> usize {
        self.vitals.iter().filter(|vitals| vitals.has_failed.load(Ordering::Relaxed)).count()
    }

    /// Whether threads are to stop. Cheap enough for every turn of a loop.
    pub fn stop_requested(&self) -> bool {
        self.stop_requested.load(Ordering::Acquire)
    }

    /// `CREATED` to `REBALANCING`: the threads are about to be started.
    ///
    /// # Errors
    /// When the application was started or stopped before.
    pub fn start(&self) -> Result<(), IllegalTransition> {
        let mut states = self.lock();
        if states.client != ClientState::Created {
            let from = states.client.as_str();
            return Err(IllegalTransition {
                who: "the application",
                from,
                to: ClientState::Rebalancing.as_str(),
            });
        }
        self.client_becomes(&mut states, ClientState::Rebalancing);
        Ok(())
    }

    /// Asks every thread to commit and leave. Asking twice, or after a failure, changes nothing.
    pub fn shut_down(&self) {
        let mut states = self.lock();
        self.client_becomes(&mut states, ClientState::PendingShutdown);
        self.end_if_all_threads_have(&mut states);
    }

    /// Stops the application because of something outside its threads.
    pub fn fail(&self, reason: impl fmt::Display) {
        let mut states = self.lock();
        self.note_failure(&mut states, reason.to_string());
        self.end_if_all_threads_have(&mut states);
    }

    /// The handle of thread `number`, from 1. When it is dropped, the thread is `DEAD`.
    ///
    /// # Panics
    /// When there is no such thread.
    pub fn thread(self: &Arc<Self>, number: usize) -> ThreadLifecycle {
        let known = number.checked_sub(1).filter(|index| *index < self.vitals.len());
        let index =
            known.unwrap_or_else(|| panic!("thread {number} of {}: threads count from 1", self.vitals.len()));
        ThreadLifecycle { shared: Arc::clone(self), index }
    }

    /// Waits until `wanted` holds for the state, at most `timeout`; returns the state it then has.
    pub fn wait_until(&self, timeout: Duration, wanted: impl Fn(ClientState) -> bool) -> ClientState {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |states| !wanted(states.client));
        waited.unwrap_or_else(PoisonError::into_inner).0.client
    }

    /// Whether the process is alive: it is unless the application is in `ERROR` or a thread does not poll.
    pub fn health(&self, now: Duration) -> Verdict {
        let (state, failure) = {
            let states = self.lock();
            (states.client, states.failure.clone())
        };
        Verdict::of_health(state, failure.as_deref(), &self.threads(now), self.limits)
    }

    /// Whether the application does its work: `RUNNING`, nothing restoring, commits fresh.
    pub fn readiness(&self, now: Duration) -> Verdict {
        Verdict::of_readiness(self.state(), &self.threads(now), self.limits)
    }

    /// What is known of each thread.
    pub fn threads(&self, now: Duration) -> Vec<ThreadFacts> {
        let states = self.lock().threads.clone();
        let threads = (1..).zip(&self.vitals).zip(&states);
        threads.map(|((number, vitals), state)| vitals.facts(number, *state, now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        // A listener that panicked leaves the states whole: they are written before it is called.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the transition if the diagram has it. The only place that writes the client's state.
    fn client_becomes(&self, states: &mut States, next: ClientState) {
        let from = states.client;
        if !from.may_become(next) {
            return;
        }
        states.client = next;
        if !matches!(next, ClientState::Rebalancing | ClientState::Running) {
            self.stop_requested.store(true, Ordering::Release);
        }
        match next {
            ClientState::Error => error!(client = %self.client, "State transition from {from} to {next}"),
            _ => info!(client = %self.client, "State transition from {from} to {next}"),
        }
        self.changed.notify_all();
        for listener in &states.listeners {
            listener(from, next);
        }
    }

    fn note_failure(&self, states: &mut States, reason: String) {
        error!(client = %self.client, reason, "the application stops because of a failure");
        states.failure.get_or_insert(reason);
        self.client_becomes(states, ClientState::PendingError);
    }

    fn note_thread_failure(&self, states: &mut States, thread: usize, reason: impl fmt::Display) {
        if let Some(vitals) = self.vitals.get(thread) {
            vitals.has_failed.store(true, Ordering::Relaxed);
        }
        self.note_failure(states, format!("thread {}: {reason}", thread + 1));
    }

    fn end_if_all_threads_have(&self, states: &mut States) {
        if states.threads.iter().all(|thread| thread.holds_nothing()) {
            // Only one of the two has an arrow from the present state.
            self.client_becomes(states, ClientState::NotRunning);
            self.client_becomes(states, ClientState::Error);
        }
    }

    /// Follows a thread that has changed its state.
    fn combine(&self, states: &mut States, thread: usize, changed_to: ThreadState) {
        match changed_to {
            ThreadState::PartitionsRevoked | ThreadState::PartitionsAssigned => {
                self.client_becomes(states, ClientState::Rebalancing);
            }
            ThreadState::Running if states.threads.iter().all(|thread| *thread == ThreadState::Running) => {
                self.client_becomes(states, ClientState::Running);
            }
            ThreadState::Dead => {
                if states.client.is_up() {
                    self.note_thread_failure(states, thread, "it ended although nobody had asked it to");
                }
                self.end_if_all_threads_have(states);
            }
            _ => {}
        }
    }
}
