//! A stream thread: poll, process, commit; and the answers to what the group decides.
//!
//! `step` is one turn of the loop. Nothing in it knows which thread it runs on or what stands behind the ports.

mod group;
mod recovery;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::{TaskId, Timestamp, TopicPartition, Topology};

use self::group::Pending;
use self::routes::Routes;
use crate::commit::{commit_at_least_once, commit_exactly_once};
use crate::commit_pace::CommitPace;
use crate::lifecycle::ThreadState;
use crate::ports::{
    ClientError, ClientErrorKind, Clock, CloseReason, CommitOutcome, GroupEvent, Position, ReaderRegistry,
    StateProvider, StreamClient, TaskReport, ThreadObserver, ThreadTimes,
};
use crate::rebalance::TaskLayout;
use crate::restore::{Outcome, RestoreService};
use crate::start_line::StartLine;
use crate::task::{Task, TaskFailure, TaskSettings};

/// How long a thread waits for the others before it joins the group without them.
const START_PATIENCE: Duration = Duration::from_secs(1);

/// What the configuration says of every stream thread.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) application_id: String,
    pub(crate) exactly_once: bool,
    pub(crate) commit_interval: Duration,
    /// The same for a thread that has little to commit and nothing more to do.
    pub(crate) commit_interval_idle: Duration,
    pub(crate) poll_wait_max: Duration,
    pub(crate) poll_records_max: usize,
    /// This thread's share of the record cache.
    pub(crate) cache_bytes: usize,
    /// This thread's share of the changed state that may wait for a commit.
    pub(crate) dirty_bytes: usize,
    pub(crate) task: TaskSettings,
}

/// Makes a new client when the old one was fenced.
pub(crate) type MakeClient<C> = Box<dyn FnMut() -> Result<C, ClientError> + Send>;

/// What a stream thread works with.
pub(crate) struct Surroundings<C> {
    pub(crate) make_client: MakeClient<C>,
    pub(crate) restore: Box<dyn RestoreService>,
    pub(crate) provider: Arc<dyn StateProvider>,
    pub(crate) observer: Box<dyn ThreadObserver>,
    pub(crate) readers: Arc<dyn ReaderRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) start_line: Arc<StartLine>,
}

/// One stream thread.
pub(crate) struct StreamThread<C> {
    client: C,
    topology: Arc<Topology>,
    layout: Arc<TaskLayout>,
    settings: WorkerSettings,
    around: Surroundings<C>,
    tasks: Vec<Task>,
    pending: BTreeMap<TaskId, Pending>,
    /// What the restore has told and is not dealt with yet. It outlives a turn that fails: nobody tells it twice.
    outcomes: VecDeque<Outcome>,
    /// An assignment that waits for the group's committed offsets. An empty one has to be answered too: the group
    /// waits for it.
    unanswered: Option<Vec<TopicPartition>>,
    routes: Routes,
    /// News of the group that is not answered yet. It outlives a turn that fails: the group waits for the answer.
    news: VecDeque<GroupEvent>,
    in_transaction: bool,
    pace: CommitPace,
    statistics_at: Duration,
    times: ThreadTimes,
    next_slot: usize,
    last_attempt: u64,
    /// When it had to join again lately.
    rejoins: Vec<Duration>,
    /// How often it has tried, while it is no member.
    reconnects: Option<u32>,
}

impl<C: StreamClient> StreamThread<C> {
    /// Makes the client and joins the group.
    ///
    /// # Errors
    /// When the client cannot be made, or the transactional id cannot be taken over. The surroundings come back, so
    /// that it can be tried again.
    pub(crate) fn join(
        topology: Arc<Topology>,
        layout: Arc<TaskLayout>,
        settings: WorkerSettings,
        mut around: Surroundings<C>,
    ) -> Result<Self, Box<(ClientError, Surroundings<C>)>> {
        around.observer.state(ThreadState::Starting);
        let client = match Self::connect(&mut around, &layout, settings.exactly_once) {
            Ok(client) => client,
            Err(error) => return Err(Box::new((error, around))),
        };
        let now = around.clock.monotonic();
        let pace = CommitPace::new(settings.commit_interval, settings.commit_interval_idle, now);
        Ok(StreamThread {
            client,
            topology,
            layout,
            settings,
            around,
            tasks: Vec::new(),
            pending: BTreeMap::new(),
            outcomes: VecDeque::new(),
            unanswered: None,
            routes: Routes::default(),
            news: VecDeque::new(),
            in_transaction: false,
            pace,
            statistics_at: now,
            times: ThreadTimes::default(),
            next_slot: 1,
            last_attempt: 0,
            rejoins: Vec::new(),
            reconnects: None,
        })
    }

    fn connect(
        around: &mut Surroundings<C>,
        layout: &TaskLayout,
        exactly_once: bool,
    ) -> Result<C, ClientError> {
        let mut client = (around.make_client)()?;
        if exactly_once {
            // Before anything is read: an open transaction of a predecessor hides offsets and changelog entries.
            client.init_transactions()?;
        }
        client.find_coordinator();
        around.start_line.wait(START_PATIENCE);
        client.subscribe(&layout.subscription())?;
        Ok(client)
    }

    /// One turn: takes what was restored, polls once, processes what came, commits when it is due.
    ///
    /// # Errors
    /// When the thread cannot go on. Nothing uncommitted has been kept.
    pub(crate) fn step(&mut self) -> Result<(), TaskFailure> {
        if let Some(tries) = self.reconnects {
            return self.reconnect(tries);
        }
        self.turn().or_else(|failure| self.recover(failure))
    }

    fn turn(&mut self) -> Result<(), TaskFailure> {
        self.take_outcomes()?;
        self.answer_assignment()?;
        if self.settings.exactly_once && !self.in_transaction {
            self.client.begin()?;
            self.in_transaction = true;
        }
        self.poll()?;
        self.drain()?;
        if self.commit_is_due() {
            self.commit()?;
        } else if self.is_idle() {
            self.around.observer.idle();
        }
        while let Some(event) = self.news.front().cloned() {
            self.group_event(event)?;
            self.news.pop_front();
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.around.clock.now()
    }

    fn poll(&mut self) -> Result<(), TaskFailure> {
        let before = self.around.clock.monotonic();
        let wait = self.poll_wait(before);
        let now = self.now();
        let StreamThread { client, tasks, routes, settings, around, .. } = self;
        let mut failure = None;
        let mut records = 0;
        let mut first_came = None;
        let polled = client.poll(wait, settings.poll_records_max, &mut |record, sender| {
            first_came.get_or_insert_with(|| around.clock.monotonic());
            records += 1;
            if failure.is_some() {
                return;
            }
            let Some((task, input)) = routes.find(record.topic, record.partition) else { return };
            if let Some(Err(error)) = tasks.get_mut(task).map(|task| task.take(input, record, sender, now)) {
                failure = Some(error);
            }
        });
        client.serve();
        self.pace.polled(records, records < settings.poll_records_max);
        self.around.observer.polled();
        let after = self.around.clock.monotonic();
        let first_came = first_came.unwrap_or(after);
        self.times.poll += first_came.saturating_sub(before);
        self.times.process += after.saturating_sub(first_came);
        let refusal = match polled {
            Ok(event) => {
                self.news.extend(event);
                None
            }
            Err(error) if error.kind == ClientErrorKind::Retry => {
                tracing::warn!(%error, "Kafka is not well; trying on");
                None
            }
            Err(error) => Some(TaskFailure::Client(error)),
        };
        failure.or(refusal).map_or(Ok(()), Err)
    }

    /// How long a poll may wait: until the next commit where something is to be committed.
    fn poll_wait(&self, now: Duration) -> Duration {
        const RESTORING: Duration = Duration::from_millis(5);
        // Whether there was more than the last poll could take decides when the commit is due: that comes first.
        if !self.pace.is_caught_up() {
            return Duration::ZERO;
        }
        let mut wait = self.settings.poll_wait_max;
        if !self.pending.is_empty() || self.tasks.iter().any(Task::has_waiting) {
            wait = wait.min(RESTORING);
        }
        if self.tasks.iter().any(Task::has_progressed) {
            wait = wait.min(self.pace.due().saturating_sub(now));
        }
        wait
    }

    /// Lets tasks with several inputs process what waits.
    fn drain(&mut self) -> Result<(), TaskFailure> {
        let (before, now) = (self.around.clock.monotonic(), self.now());
        let mut processed = false;
        for task in &mut self.tasks {
            processed |= task.drain(&mut self.client, now)?;
            let (pause, resume) = task.backpressure();
            if !pause.is_empty() {
                self.client.pause(&pause)?;
            }
            if !resume.is_empty() {
                self.client.resume(&resume)?;
            }
        }
        if processed {
            self.times.process += self.around.clock.monotonic().saturating_sub(before);
        }
        Ok(())
    }

    fn commit_is_due(&self) -> bool {
        (self.around.clock.monotonic() >= self.pace.due() && self.tasks.iter().any(Task::has_progressed))
            || self.tasks.iter().any(Task::wants_commit)
    }

    fn is_idle(&self) -> bool {
        !self.tasks.iter().any(Task::has_progressed)
    }

    fn commit(&mut self) -> Result<(), TaskFailure> {
        let before = self.around.clock.monotonic();
        if !self.tasks.iter().any(Task::has_progressed) {
            self.pace.had_nothing_to_commit(before);
            return Ok(());
        }
        let now = self.now();
        if self.settings.exactly_once {
            commit_exactly_once(&mut self.tasks, &mut self.client, now)?;
            self.in_transaction = false;
        } else {
            commit_at_least_once(&mut self.tasks, &mut self.client, now)?;
        }
        let took = self.around.clock.monotonic().saturating_sub(before);
        self.pace.committed(before, took);
        self.times.commit += took;
        self.report(CommitOutcome::Committed, took);
        Ok(())
    }

    fn report(&mut self, outcome: CommitOutcome, took: Duration) {
        let now = self.now();
        const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);
        let clock = self.around.clock.monotonic();
        // Asking RocksDB takes its locks: once in a while is enough for a graph.
        let ask = clock.saturating_sub(self.statistics_at) >= STATISTICS_INTERVAL;
        if ask {
            self.statistics_at = clock;
        }
        let reports: Vec<_> = self.tasks.iter_mut().map(|task| task_report(task, now, ask)).collect();
        let times = std::mem::take(&mut self.times);
        self.around.observer.committed(outcome, took, &reports, times);
    }

    /// Takes back what is not committed: the transaction, the tasks' caches, and the place in the inputs.
    fn abort_and_rewind(&mut self) -> Result<(), TaskFailure> {
        if self.in_transaction {
            self.client.abort()?;
            self.in_transaction = false;
        }
        let now = self.now();
        let progressed = self.tasks.iter_mut().filter(|task| task.has_progressed());
        let mut positions: Vec<Position> = Vec::new();
        for task in progressed {
            task.aborted(&mut self.client, now)?;
            positions.extend(task.positions());
        }
        if !positions.is_empty() {
            self.client.seek(&positions)?;
        }
        self.pace.had_nothing_to_commit(self.around.clock.monotonic());
        self.report(CommitOutcome::Aborted, Duration::ZERO);
        Ok(())
    }

    /// Stops for good: commits what is done where `clean`, gives the tasks up and leaves the group.
    pub(crate) fn shut_down(mut self, clean: bool) {
        self.around.observer.state(ThreadState::PendingShutdown);
        if clean && let Err(failure) = self.commit() {
            tracing::warn!(%failure, "the last commit failed: its input will be read again");
        }
        if self.in_transaction
            && let Err(error) = self.client.abort()
        {
            tracing::debug!(%error, "the open transaction ends by its timeout");
        }
        self.close_all(CloseReason::Shutdown);
        self.client.close();
        self.around.observer.state(ThreadState::Dead);
    }
}

fn task_report(task: &mut Task, now: Timestamp, statistics: bool) -> TaskReport {
    let work = task.take_work();
    let (open_windows, cached_bytes) = task.state_size();
    let latency = work
        .first_timestamp
        .map(|first| Duration::from_millis(u64::try_from(now.millis_since(first)).unwrap_or(0)));
    TaskReport {
        task: task.id,
        counts: work.counts,
        records: work.records,
        bytes: work.bytes,
        sent: work.sent,
        skipped: work.bad.skipped,
        dead_lettered: work.bad.dead_lettered,
        stream_time: task.stream_time(),
        open_windows,
        cached_bytes,
        dirty_bytes: work.dirty_bytes,
        store: if statistics { task.store_statistics() } else { None },
        latency,
        positions: task.positions().collect(),
    }
}
