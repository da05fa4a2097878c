//! The states of an application and of its threads, in Kafka Streams' words, and the signs of life behind `/health`
//! and `/ready`.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use crate::config::Config;

/// The state of an application.
///
/// ```text
///                +--------------+
///        +<------| CREATED      |
///        |       +------+-------+
///        |              v
///        |       +------+-------+
///        +<------| REBALANCING  |------->+
///        |       +---+------+---+        |
///        |           |      ^            |
///        |           v      |            |
///        |       +---+------+---+        v
///        +<------| RUNNING      |------->+
///        |       +--------------+        |
///        v                               v
/// +------+-----------+         +---------+-----+
/// | PENDING_SHUTDOWN |         | PENDING_ERROR |
/// +------+-----------+         +---------+-----+
///        v                               v
/// +------+-----------+         +---------+-----+
/// | NOT_RUNNING      |         | ERROR         |
/// +------------------+         +---------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// Built, not started.
    Created,
    /// Some thread waits for its tasks or restores their state.
    Rebalancing,
    /// Every thread processes.
    Running,
    /// Asked to stop; threads commit and leave.
    PendingShutdown,
    /// Stopped as asked.
    NotRunning,
    /// A thread failed; the others commit and leave.
    PendingError,
    /// Stopped because a thread failed.
    Error,
}

impl ClientState {
    /// All states.
    pub const ALL: [ClientState; 7] = [
        ClientState::Created,
        ClientState::Rebalancing,
        ClientState::Running,
        ClientState::PendingShutdown,
        ClientState::NotRunning,
        ClientState::PendingError,
        ClientState::Error,
    ];

    /// Kafka Streams' name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientState::Created => "CREATED",
            ClientState::Rebalancing => "REBALANCING",
            ClientState::Running => "RUNNING",
            ClientState::PendingShutdown => "PENDING_SHUTDOWN",
            ClientState::NotRunning => "NOT_RUNNING",
            ClientState::PendingError => "PENDING_ERROR",
            ClientState::Error => "ERROR",
        }
    }

    /// Whether an arrow of the diagram leads from this state to `next`.
    pub fn may_become(self, next: ClientState) -> bool {
        use ClientState::{Created, Error, NotRunning, PendingError, PendingShutdown, Rebalancing, Running};
        match self {
            Created => matches!(next, Rebalancing | PendingShutdown),
            Rebalancing => matches!(next, Running | PendingShutdown | PendingError),
            Running => matches!(next, Rebalancing | PendingShutdown | PendingError),
            PendingShutdown => next == NotRunning,
            PendingError => next == Error,
            NotRunning | Error => false,
        }
    }

    /// Whether the application has stopped for good.
    pub fn has_ended(self) -> bool {
        matches!(self, ClientState::NotRunning | ClientState::Error)
    }

    /// Whether the application has started and nobody has asked it to stop.
    fn is_up(self) -> bool {
        matches!(self, ClientState::Rebalancing | ClientState::Running)
    }
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a stream thread.
///
/// ```text
///           +---------------------+
///   +<------| CREATED             |
///   |       +----------+----------+
///   |                  v
///   |       +----------+----------+
///   +<------| STARTING            |------->+
///   |       +----------+----------+        |
///   |                  v                   |
///   |       +----------+----------+        |
///   +<------| PARTITIONS_REVOKED  |<---+   |
///   |       +----+-----------+----+    |   |
///   |            v           ^         |   |
///   |       +----+-----------+----+    |   |
///   +<------| PARTITIONS_ASSIGNED |<---+---+
///   |       +----------+----------+    |
///   |                  v               |
///   |       +----------+----------+    |
///   +<------| RUNNING             |----+
///   |       +---------------------+
///   v
/// +-+----------------+       +------+
/// | PENDING_SHUTDOWN |------>| DEAD |
/// +------------------+       +------+
/// ```
/// `PARTITIONS_REVOKED` and `PARTITIONS_ASSIGNED` may follow themselves, and so may `RUNNING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadState {
    /// Not started.
    Created,
    /// Joins the group.
    Starting,
    /// Has given partitions up and waits for others.
    PartitionsRevoked,
    /// Has new partitions; their tasks are created and restored.
    PartitionsAssigned,
    /// Processes all its tasks.
    Running,
    /// Commits and leaves.
    PendingShutdown,
    /// Has ended.
    Dead,
}

impl ThreadState {
    /// All states.
    pub const ALL: [ThreadState; 7] = [
        ThreadState::Created,
        ThreadState::Starting,
        ThreadState::PartitionsRevoked,
        ThreadState::PartitionsAssigned,
        ThreadState::Running,
        ThreadState::PendingShutdown,
        ThreadState::Dead,
    ];

    /// Kafka Streams' name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            ThreadState::Created => "CREATED",
            ThreadState::Starting => "STARTING",
            ThreadState::PartitionsRevoked => "PARTITIONS_REVOKED",
            ThreadState::PartitionsAssigned => "PARTITIONS_ASSIGNED",
            ThreadState::Running => "RUNNING",
            ThreadState::PendingShutdown => "PENDING_SHUTDOWN",
            ThreadState::Dead => "DEAD",
        }
    }

    /// Whether an arrow of the diagram leads from this state to `next`.
    pub fn may_become(self, next: ThreadState) -> bool {
        use ThreadState::{
            Created, Dead, PartitionsAssigned, PartitionsRevoked, PendingShutdown, Running, Starting,
        };
        match self {
            Created => matches!(next, Starting | PendingShutdown),
            Starting | PartitionsRevoked => {
                matches!(next, PartitionsRevoked | PartitionsAssigned | PendingShutdown)
            }
            PartitionsAssigned | Running => {
                matches!(next, PartitionsRevoked | PartitionsAssigned | Running | PendingShutdown)
            }
            PendingShutdown => next == Dead,
            Dead => false,
        }
    }

    /// Whether a thread in this state must poll to be alive.
    fn polls(self) -> bool {
        !matches!(self, ThreadState::Created | ThreadState::PendingShutdown | ThreadState::Dead)
    }

    /// Whether a thread in this state holds nothing that a shutdown has to wait for.
    fn holds_nothing(self) -> bool {
        matches!(self, ThreadState::Created | ThreadState::Dead)
    }
}

impl fmt::Display for ThreadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A transition that the diagrams do not have: a bug of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} cannot go from {from} to {to}: this is a bug in riacho")]
pub struct IllegalTransition {
    who: &'static str,
    from: &'static str,
    to: &'static str,
}

/// What became of a transition that a thread asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused transition means that the thread is to stop"]
pub enum Entered {
    /// The thread is in the new state.
    Yes,
    /// The thread is shutting down and stays so.
    Refused,
}

/// From when on silence is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A thread that has not polled for longer is not healthy.
    pub poll_age_max: Duration,
    /// A thread that has not committed, although it had to, for longer is not ready.
    pub commit_age_max: Duration,
}

impl Limits {
    /// The limits that follow from a configuration: `max.poll.interval.ms`; three commit intervals, at least a minute.
    pub fn of(config: &Config) -> Limits {
        let commit_age_max = config.commit_interval().saturating_mul(3).max(Duration::from_secs(60));
        Limits { poll_age_max: config.poll_interval_max(), commit_age_max }
    }
}

/// An answer of `/health` or `/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What speaks against it; nothing when all is well.
    pub objections: Vec<String>,
}

impl Verdict {
    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.objections.is_empty()
    }
}

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

/// Signs of life of a thread: written on every turn of its loop, so without a lock. Times are milliseconds of the
/// monotonic clock.
#[derive(Default)]
struct Vitals {
    last_poll_ms: AtomicU64,
    last_commit_ms: AtomicU64,
    tasks: AtomicUsize,
    restoring_tasks: AtomicUsize,
    restore_remaining_records: AtomicU64,
    has_failed: AtomicBool,
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
        let mut objections = Vec::new();
        let (state, failure) = {
            let states = self.lock();
            (states.client, states.failure.clone())
        };
        if state == ClientState::Error {
            objections
                .push(format!("the state is {state}: {}", failure.as_deref().unwrap_or("unknown reason")));
        }
        for thread in self.threads(now) {
            if thread.state.polls() && thread.poll_age > self.limits.poll_age_max {
                objections.push(format!(
                    "thread {} has not polled for {} s (max.poll.interval.ms allows {} s)",
                    thread.number,
                    thread.poll_age.as_secs(),
                    self.limits.poll_age_max.as_secs()
                ));
            }
        }
        Verdict { objections }
    }

    /// Whether the application does its work: `RUNNING`, nothing restoring, commits fresh.
    pub fn readiness(&self, now: Duration) -> Verdict {
        let mut objections = Vec::new();
        let state = self.state();
        if state != ClientState::Running {
            objections.push(format!("the state is {state}"));
        }
        let threads = self.threads(now);
        let restoring: usize = threads.iter().map(|thread| thread.restoring_tasks).sum();
        if restoring > 0 {
            let remaining: u64 = threads.iter().map(|thread| thread.restore_remaining_records).sum();
            objections.push(format!("{restoring} tasks are being restored, {remaining} records to go"));
        }
        for thread in threads {
            if thread.state == ThreadState::Running && thread.commit_age > self.limits.commit_age_max {
                objections.push(format!(
                    "thread {} has not committed for {} s (allowed are {} s)",
                    thread.number,
                    thread.commit_age.as_secs(),
                    self.limits.commit_age_max.as_secs()
                ));
            }
        }
        Verdict { objections }
    }

    /// What is known of each thread.
    pub fn threads(&self, now: Duration) -> Vec<ThreadFacts> {
        let states = self.lock().threads.clone();
        let age =
            |at_ms: &AtomicU64| now.saturating_sub(Duration::from_millis(at_ms.load(Ordering::Relaxed)));
        let facts = |((number, vitals), state): ((usize, &Vitals), &ThreadState)| ThreadFacts {
            number,
            state: *state,
            poll_age: age(&vitals.last_poll_ms),
            commit_age: age(&vitals.last_commit_ms),
            tasks: vitals.tasks.load(Ordering::Relaxed),
            restoring_tasks: vitals.restoring_tasks.load(Ordering::Relaxed),
            restore_remaining_records: vitals.restore_remaining_records.load(Ordering::Relaxed),
        };
        (1..).zip(&self.vitals).zip(&states).map(facts).collect()
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

/// A stream thread's hand on the lifecycle.
pub struct ThreadLifecycle {
    shared: Arc<Lifecycle>,
    index: usize,
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

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { poll_age_max: secs(300), commit_age_max: secs(60) };

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn started(threads: usize) -> (Arc<Lifecycle>, Vec<ThreadLifecycle>) {
        let lifecycle = Lifecycle::new("app-1", NonZeroUsize::new(threads).unwrap(), LIMITS);
        lifecycle.start().unwrap();
        let threads: Vec<_> = (1..=threads).map(|number| lifecycle.thread(number)).collect();
        threads.iter().for_each(|thread| enter(thread, &[ThreadState::Starting]));
        (lifecycle, threads)
    }

    fn enter(thread: &ThreadLifecycle, states: &[ThreadState]) {
        for state in states {
            assert_eq!(thread.enter(*state, secs(0)), Ok(Entered::Yes), "{state}");
        }
    }

    const TO_RUNNING: [ThreadState; 2] = [ThreadState::PartitionsAssigned, ThreadState::Running];
    const TO_DEAD: [ThreadState; 2] = [ThreadState::PendingShutdown, ThreadState::Dead];

    #[test]
    fn clients_move_along_the_arrows_of_kafka_streams_only() {
        // As in KafkaStreams.State: the ordinals of the states that may follow.
        let arrows: [&[usize]; 7] = [&[1, 3], &[2, 3, 5], &[1, 3, 5], &[4], &[], &[6], &[]];
        for (from, allowed) in ClientState::ALL.into_iter().zip(arrows) {
            for (ordinal, to) in ClientState::ALL.into_iter().enumerate() {
                assert_eq!(from.may_become(to), allowed.contains(&ordinal), "{from} to {to}");
            }
        }
    }

    #[test]
    fn threads_move_along_the_arrows_of_kafka_streams_only() {
        // As in StreamThread.State.
        let arrows: [&[usize]; 7] =
            [&[1, 5], &[2, 3, 5], &[2, 3, 5], &[2, 3, 4, 5], &[2, 3, 4, 5], &[6], &[]];
        for (from, allowed) in ThreadState::ALL.into_iter().zip(arrows) {
            for (ordinal, to) in ThreadState::ALL.into_iter().enumerate() {
                assert_eq!(from.may_become(to), allowed.contains(&ordinal), "{from} to {to}");
            }
        }
    }

    #[test]
    fn the_application_runs_when_every_thread_does() {
        let (lifecycle, threads) = started(2);
        let mut seen = Vec::new();
        for thread in &threads {
            enter(thread, &TO_RUNNING);
            seen.push(lifecycle.state());
        }
        enter(&threads[0], &[ThreadState::PartitionsRevoked]);
        seen.push(lifecycle.state());
        enter(&threads[0], &TO_RUNNING);
        seen.push(lifecycle.state());
        use ClientState::{Rebalancing, Running};
        assert_eq!(seen, [Rebalancing, Running, Rebalancing, Running]);
    }

    #[test]
    fn a_shutdown_ends_when_the_last_thread_has_left() {
        let (lifecycle, threads) = started(2);
        let changes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&changes);
        lifecycle.on_change(Box::new(move |from, to| noted.lock().unwrap().push((from, to))));
        threads.iter().for_each(|thread| enter(thread, &TO_RUNNING));
        assert!(!lifecycle.stop_requested());
        lifecycle.shut_down();
        lifecycle.shut_down();
        assert!(threads[0].stop_requested());
        // A rebalance that arrives now changes nothing.
        let late = threads[0].enter(ThreadState::PartitionsAssigned, secs(0));
        assert_eq!((late, lifecycle.state()), (Ok(Entered::Yes), ClientState::PendingShutdown));
        threads.iter().for_each(|thread| enter(thread, &TO_DEAD));
        use ClientState::{NotRunning, PendingShutdown, Rebalancing, Running};
        let expected = [(Rebalancing, Running), (Running, PendingShutdown), (PendingShutdown, NotRunning)];
        assert_eq!(*changes.lock().unwrap(), expected);
        assert_eq!(lifecycle.failure(), None);
    }

    #[test]
    fn an_application_that_never_started_stops_at_once() {
        let lifecycle = Lifecycle::new("app-1", NonZeroUsize::MIN, LIMITS);
        let thread = lifecycle.thread(1);
        lifecycle.shut_down();
        assert_eq!(lifecycle.state(), ClientState::NotRunning);
        assert_eq!(thread.enter(ThreadState::Starting, secs(0)), Ok(Entered::Refused));
        assert!(lifecycle.start().is_err());
    }

    #[test]
    fn the_failure_of_one_thread_stops_all_and_the_first_reason_stays() {
        let (lifecycle, threads) = started(2);
        threads.iter().for_each(|thread| enter(thread, &TO_RUNNING));
        threads[1].fail("disk full");
        threads[0].fail("disk full too");
        lifecycle.shut_down();
        assert_eq!(lifecycle.state(), ClientState::PendingError);
        assert!(lifecycle.stop_requested());
        threads.iter().for_each(|thread| enter(thread, &TO_DEAD));
        assert_eq!(lifecycle.state(), ClientState::Error);
        assert_eq!(lifecycle.failure().as_deref(), Some("thread 2: disk full"));
        assert_eq!(lifecycle.failed_threads(), 2);
        assert_eq!(lifecycle.health(secs(0)).objections, ["the state is ERROR: thread 2: disk full"]);
    }

    #[test]
    fn a_thread_that_panics_stops_the_application() {
        let (lifecycle, mut threads) = started(1);
        let thread = threads.pop().unwrap();
        let panicked = std::thread::spawn(move || {
            enter(&thread, &TO_RUNNING);
            panic!("a bug");
        });
        assert!(panicked.join().is_err());
        assert_eq!(lifecycle.state(), ClientState::Error);
        assert_eq!(lifecycle.failure().unwrap(), "thread 1: it ended although nobody had asked it to");
        assert_eq!(lifecycle.failed_threads(), 1);
    }

    #[test]
    fn a_thread_that_is_shutting_down_stays_so() {
        let (_lifecycle, threads) = started(1);
        enter(&threads[0], &[ThreadState::PendingShutdown]);
        assert_eq!(threads[0].enter(ThreadState::PartitionsAssigned, secs(0)), Ok(Entered::Refused));
        assert_eq!(threads[0].state(), ThreadState::PendingShutdown);
    }

    #[test]
    fn a_transition_that_no_diagram_has_is_an_error() {
        let (_lifecycle, threads) = started(1);
        let error = threads[0].enter(ThreadState::Running, secs(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a stream thread cannot go from STARTING to RUNNING: this is a bug in riacho"
        );
    }

    #[test]
    fn waiting_ends_with_the_state_or_with_the_time() {
        let (lifecycle, mut threads) = started(1);
        let is_running = |state| state == ClientState::Running;
        assert_eq!(lifecycle.wait_until(Duration::from_millis(1), is_running), ClientState::Rebalancing);
        let thread = threads.pop().unwrap();
        let worker = std::thread::spawn(move || {
            enter(&thread, &TO_RUNNING);
            thread
        });
        assert_eq!(lifecycle.wait_until(secs(30), is_running), ClientState::Running);
        drop(worker.join());
    }

    #[test]
    fn a_thread_that_does_not_poll_is_not_healthy() {
        let (lifecycle, threads) = started(2);
        threads[0].polled(secs(10));
        threads[1].polled(secs(500));
        assert!(lifecycle.health(secs(310)).is_well());
        assert_eq!(
            lifecycle.health(secs(311)).objections,
            ["thread 1 has not polled for 301 s (max.poll.interval.ms allows 300 s)"]
        );
        enter(&threads[0], &[ThreadState::PendingShutdown]);
        assert!(lifecycle.health(secs(800)).is_well());
    }

    #[test]
    fn an_application_is_ready_when_it_runs_and_commits_and_restores_nothing() {
        let (lifecycle, threads) = started(1);
        assert_eq!(lifecycle.readiness(secs(0)).objections, ["the state is REBALANCING"]);
        enter(&threads[0], &TO_RUNNING);
        assert!(lifecycle.readiness(secs(60)).is_well());
        threads[0].tasks(3, 2, 1000);
        assert_eq!(
            lifecycle.readiness(secs(0)).objections,
            ["2 tasks are being restored, 1000 records to go"]
        );
        threads[0].tasks(3, 0, 0);
        assert_eq!(
            lifecycle.readiness(secs(61)).objections,
            ["thread 1 has not committed for 61 s (allowed are 60 s)"]
        );
        threads[0].committed(secs(61));
        assert!(lifecycle.readiness(secs(61)).is_well());
    }
}
