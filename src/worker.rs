//! A stream thread: poll, process, commit; and the answers to what the group decides.
//!
//! `step` is one turn of the loop. Nothing in it knows which thread it runs on or what stands behind the ports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::{TaskId, Timestamp, TopicPartition, Topology};

use crate::commit::{commit_at_least_once, commit_exactly_once};
use crate::commit_pace::CommitPace;
use crate::lifecycle::ThreadState;
use crate::ports::{
    ChangelogSlot, ClientError, ClientErrorKind, Clock, CloseReason, CommitOutcome, GroupEvent, Position,
    ReaderRegistry, StateProvider, StreamClient, TaskReport, ThreadObserver, ThreadTimes,
};
use crate::rebalance::TaskLayout;
use crate::restore::{Outcome, Request, RestoreService, Restored};
use crate::start_line::StartLine;
use crate::state::WipeReason;
use crate::task::{Changelog, Task, TaskFailure, TaskSettings};

/// How often a thread that was fenced tries to join again before it gives up.
const RECONNECTS_MAX: u32 = 20;

/// Two that take each other's place do so several times a second; a cluster in trouble does it a few times a minute.
const REJOINS_MAX: usize = 20;
const REJOINS_PERIOD: Duration = Duration::from_secs(60);

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

/// A task that is ours and waits for its state.
struct Pending {
    attempt: u64,
    starts: Vec<Start>,
    slots: Vec<ChangelogSlot>,
}

/// A task and one of its inputs, by their places.
type Place = (usize, usize);

/// An input of a task: its source operator, its partition, and the offset to begin at.
type Start = (usize, TopicPartition, i64);

/// Which task takes the records of a partition.
#[derive(Default)]
struct Routes {
    topics: Vec<(String, Vec<Option<Place>>)>,
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
    /// Tasks whose state is there and whose committed offsets are not to be had yet.
    restored: Vec<Restored>,
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
}

impl Routes {
    fn of(tasks: &[Task]) -> Self {
        let mut routes = Routes::default();
        for (task, place) in tasks.iter().enumerate().flat_map(|(at, task)| {
            task.partitions().enumerate().map(move |(input, partition)| (partition, (at, input)))
        }) {
            let known = routes.topics.iter().position(|(topic, _)| *topic == task.topic);
            let known = known.unwrap_or_else(|| {
                routes.topics.push((task.topic.clone(), Vec::new()));
                routes.topics.len() - 1
            });
            let (Some((_, slots)), Ok(partition)) =
                (routes.topics.get_mut(known), usize::try_from(task.partition))
            else {
                continue;
            };
            if slots.len() <= partition {
                slots.resize(partition + 1, None);
            }
            if let Some(slot) = slots.get_mut(partition) {
                *slot = Some(place);
            }
        }
        routes
    }

    fn find(&self, topic: &str, partition: i32) -> Option<(usize, usize)> {
        let (_, slots) = self.topics.iter().find(|(name, _)| name == topic)?;
        *slots.get(usize::try_from(partition).ok()?)?
    }
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
            restored: Vec::new(),
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
        around.start_line.wait(START_PATIENCE);
        client.subscribe(&layout.subscription())?;
        Ok(client)
    }

    /// One turn: takes what was restored, polls once, processes what came, commits when it is due.
    ///
    /// # Errors
    /// When the thread cannot go on. Nothing uncommitted has been kept.
    pub(crate) fn step(&mut self) -> Result<(), TaskFailure> {
        let turn = self.turn();
        match turn {
            Ok(()) => Ok(()),
            Err(failure) => self.recover(failure),
        }
    }

    fn turn(&mut self) -> Result<(), TaskFailure> {
        for restored in std::mem::take(&mut self.restored) {
            self.take_outcome(Ok(restored))?;
        }
        for outcome in self.around.restore.outcomes() {
            self.take_outcome(outcome)?;
        }
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
        while let Some(event) = self.news.pop_front() {
            self.group_event(event)?;
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
        let StreamThread { client, tasks, routes, settings, .. } = self;
        let mut failure = None;
        let mut records = 0;
        let polled = client.poll(wait, settings.poll_records_max, &mut |record, sender| {
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
        let took = self.around.clock.monotonic().saturating_sub(before);
        let processed = self.tasks.iter().any(Task::has_progressed);
        if processed {
            self.times.process += took
        } else {
            self.times.poll += took
        }
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
        let now = self.now();
        for task in &mut self.tasks {
            task.drain(&mut self.client, now)?;
            let (pause, resume) = task.backpressure();
            if !pause.is_empty() {
                self.client.pause(&pause)?;
            }
            if !resume.is_empty() {
                self.client.resume(&resume)?;
            }
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
            self.pace.committed(before, Duration::ZERO);
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
        self.pace.committed(self.around.clock.monotonic(), Duration::ZERO);
        self.report(CommitOutcome::Aborted, Duration::ZERO);
        Ok(())
    }

    /// What a failure calls for. Comes back with the failure where the thread has to end.
    fn recover(&mut self, failure: TaskFailure) -> Result<(), TaskFailure> {
        match failure {
            TaskFailure::Client(error) => match error.kind {
                ClientErrorKind::Retry | ClientErrorKind::Abort => {
                    tracing::warn!(%error, "aborting the transaction and reading its input again");
                    match self.abort_and_rewind() {
                        Err(TaskFailure::Client(error)) if error.kind != ClientErrorKind::Fatal => {
                            self.rejoin(&error)
                        }
                        other => other,
                    }
                }
                ClientErrorKind::Fenced => self.rejoin(&error),
                ClientErrorKind::Refused | ClientErrorKind::Fatal => Err(TaskFailure::Client(error)),
            },
            TaskFailure::Store { task, message } if self.tasks.iter().any(|running| running.id == task) => {
                self.rebuild(task, &message)
            }
            other => Err(other),
        }
    }

    /// Gives up everything without committing and joins the group again with a new client.
    fn rejoin(&mut self, error: &ClientError) -> Result<(), TaskFailure> {
        let now = self.around.clock.monotonic();
        self.rejoins.retain(|at| now.saturating_sub(*at) < REJOINS_PERIOD);
        if self.rejoins.len() >= REJOINS_MAX {
            let message = format!(
                "{}; this has happened {REJOINS_MAX} times in {} s, so something takes the place of this instance again and \
                 again: see that no copy of its state.dir is in use",
                error.message,
                REJOINS_PERIOD.as_secs()
            );
            return Err(
                ClientError { kind: ClientErrorKind::Fatal, operation: error.operation, message }.into()
            );
        }
        self.rejoins.push(now);
        tracing::warn!(%error, "another owner has taken over, or the producer is of no use: joining again");
        self.report(CommitOutcome::Fenced, Duration::ZERO);
        self.close_all(CloseReason::Lost);
        self.in_transaction = false;
        self.client.close();
        let mut tries = 0;
        self.client = loop {
            tries += 1;
            match Self::connect(&mut self.around, &self.layout, self.settings.exactly_once) {
                // Each try waits for an answer by itself, so this is minutes, not a busy loop.
                Err(error) if error.kind == ClientErrorKind::Retry && tries < RECONNECTS_MAX => {
                    tracing::warn!(%error, tries, "cannot join again yet");
                }
                connected => break connected?,
            }
        };
        Ok(())
    }

    /// Throws the state of a task away and restores it from its changelog.
    fn rebuild(&mut self, id: TaskId, message: &str) -> Result<(), TaskFailure> {
        tracing::error!(task = %id, message, "the state failed: wiping it and restoring from the changelog");
        self.abort_and_rewind()?;
        let Some(place) = self.tasks.iter().position(|task| task.id == id) else { return Ok(()) };
        let task = self.tasks.remove(place);
        self.routes = Routes::of(&self.tasks);
        let partitions: Vec<_> = task.partitions().cloned().collect();
        let starts = task
            .positions()
            .zip(task.sources())
            .map(|(position, source)| (source, position.partition, position.next_offset));
        let attempt = self.new_attempt();
        let pending = Pending { attempt, starts: starts.collect(), slots: task.slots().collect() };
        drop(task);
        self.around.observer.closed(id, CloseReason::Corrupted);
        self.around.provider.wipe(id, WipeReason::Corrupt)?;
        self.client.pause(&partitions)?;
        self.pending.insert(id, pending);
        self.around.observer.restoring(id);
        self.around.restore.request(self.request(id, attempt).into_iter().collect());
        Ok(())
    }

    fn group_event(&mut self, event: GroupEvent) -> Result<(), TaskFailure> {
        match event {
            GroupEvent::Assigned(partitions) => {
                self.around.observer.state(ThreadState::PartitionsAssigned);
                self.around.observer.rebalanced(true);
                self.unanswered.get_or_insert_default().extend(partitions);
                self.answer_assignment()
            }
            GroupEvent::Revoked(partitions) => {
                self.around.observer.state(ThreadState::PartitionsRevoked);
                self.around.observer.rebalanced(false);
                let tasks = self.layout.tasks(&partitions);
                let touched = self.tasks.iter().any(|task| tasks.contains(&task.id) && task.has_progressed());
                let committed = if touched { self.commit() } else { Ok(()) };
                if let Err(failure) = committed {
                    tracing::warn!(%failure, "the last commit of revoked tasks failed: their next owner repeats it");
                    self.recover_transaction(failure)?;
                }
                self.give_up(&tasks, &partitions, CloseReason::Revoked)
            }
            GroupEvent::Lost(partitions) => {
                self.around.observer.state(ThreadState::PartitionsRevoked);
                self.around.observer.rebalanced(false);
                let tasks = self.layout.tasks(&partitions);
                self.abort_and_rewind()?;
                self.give_up(&tasks, &partitions, CloseReason::Lost)
            }
            GroupEvent::EndOfPartition(_) => Ok(()),
        }
    }

    fn recover_transaction(&mut self, failure: TaskFailure) -> Result<(), TaskFailure> {
        match failure {
            TaskFailure::Client(error)
                if matches!(error.kind, ClientErrorKind::Retry | ClientErrorKind::Abort) =>
            {
                self.abort_and_rewind()
            }
            other => Err(other),
        }
    }

    /// Answers an assignment as soon as it is known where to begin. Until then the group waits for us, and the
    /// tasks that stay go on.
    fn answer_assignment(&mut self) -> Result<(), TaskFailure> {
        let Some(assigned) = &self.unanswered else { return Ok(()) };
        let tasks: Vec<TaskId> = self.layout.tasks(assigned).into_iter().collect();
        let inputs: Vec<(TaskId, usize, TopicPartition)> = tasks
            .iter()
            .flat_map(|&task| {
                let partitions = self.layout.partitions(task).into_iter().enumerate();
                partitions.filter_map(move |(source, partition)| Some((task, source, partition?)))
            })
            .collect();
        let partitions: Vec<_> = inputs.iter().map(|(_, _, partition)| partition.clone()).collect();
        let starts = match self.starts(&partitions) {
            Err(error) if error.kind == ClientErrorKind::Retry => {
                tracing::info!(%error, "the group's offsets are not to be had yet");
                return Ok(());
            }
            starts => starts?,
        };
        let accepted: Vec<_> = partitions.into_iter().zip(starts.iter().map(|start| Some(*start))).collect();
        self.client.accept(&accepted)?;
        self.unanswered = None;
        let mut requests = Vec::new();
        for &task in &tasks {
            let starts = inputs.iter().zip(&starts).filter(|((of, _, _), _)| *of == task);
            let starts: Vec<_> =
                starts.map(|((_, source, partition), start)| (*source, partition.clone(), *start)).collect();
            let attempt = self.new_attempt();
            let request = self.request(task, attempt);
            let slots =
                request.iter().flat_map(|request| &request.changelogs).map(|_| self.new_slot()).collect();
            self.pending.insert(task, Pending { attempt, starts, slots });
            self.around.observer.restoring(task);
            requests.extend(request);
        }
        self.around.restore.request(requests);
        self.running_if_nothing_waits();
        Ok(())
    }

    fn running_if_nothing_waits(&mut self) {
        if self.pending.is_empty() && self.unanswered.is_none() {
            self.around.observer.state(ThreadState::Running);
        }
    }

    fn new_slot(&mut self) -> ChangelogSlot {
        self.next_slot += 1;
        ChangelogSlot(self.next_slot - 1)
    }

    fn starts(&mut self, partitions: &[TopicPartition]) -> Result<Vec<i64>, ClientError> {
        let committed = self.client.committed(partitions)?;
        let mut starts = Vec::with_capacity(partitions.len());
        for (partition, committed) in partitions.iter().zip(committed) {
            starts.push(match committed {
                Some(offset) => offset,
                None => self.client.reset_offset(partition)?,
            });
        }
        Ok(starts)
    }

    fn awaits(&self, task: TaskId, attempt: u64) -> bool {
        self.pending.get(&task).is_some_and(|pending| pending.attempt == attempt)
    }

    fn new_attempt(&mut self) -> u64 {
        self.last_attempt += 1;
        self.last_attempt
    }

    fn request(&self, task: TaskId, attempt: u64) -> Option<Request> {
        let subtopology = self.topology.subtopologies().get(task.subtopology)?;
        let application_id = &self.settings.application_id;
        let changelog =
            |store: &riacho_topology::store::StoreSpec| format!("{application_id}-{}-changelog", store.name);
        let changelogs = subtopology.stores.iter().map(changelog).collect();
        Some(Request { task, attempt, stores: subtopology.stores.clone(), changelogs })
    }

    fn take_outcome(&mut self, outcome: Outcome) -> Result<(), TaskFailure> {
        let restored = match outcome {
            Ok(restored) => restored,
            Err(failed) if !self.awaits(failed.task, failed.attempt) => return Ok(()),
            Err(failed) => return Err(failed.failure),
        };
        let id = restored.task;
        // What an earlier request found may still come after its task was taken away and given back: it is dropped.
        let awaited = self.pending.get(&id).filter(|pending| pending.attempt == restored.attempt);
        let Some(starts) = awaited.map(|pending| pending.starts.clone()) else { return Ok(()) };
        let inputs = restored.state.meta().map(|meta| meta.commit.inputs.clone()).unwrap_or_default();
        let (starts, moved) = match self.check_offsets(id, starts, &inputs) {
            Err(TaskFailure::Client(error)) if error.kind == ClientErrorKind::Retry => {
                tracing::info!(task = %id, %error, "the group's offsets are not to be had yet");
                self.restored.push(restored);
                return Ok(());
            }
            checked => checked?,
        };
        let Some(pending) = self.pending.remove(&id) else { return Ok(()) };
        let (Some(instance), Some(request)) = (
            self.topology.instantiate(id.subtopology, &self.settings.application_id),
            self.request(id, pending.attempt),
        ) else {
            return Ok(());
        };
        if !moved.is_empty() {
            self.client.seek(&moved)?;
        }
        let changelogs = request
            .changelogs
            .into_iter()
            .zip(pending.slots)
            .map(|(topic, slot)| Changelog { topic, slot })
            .collect();
        let reader = restored.state.reader();
        let mut task =
            Task::new(id, instance, restored.state, starts, changelogs, self.settings.task.clone());
        let now = self.now();
        task.open(&mut self.client, now)?;
        let partitions: Vec<_> = task.partitions().cloned().collect();
        self.client.resume(&partitions)?;
        self.tasks.push(task);
        if let Some(reader) = reader {
            self.around.readers.opened(id, reader);
        }
        self.after_task_change();
        tracing::info!(task = %id, records = restored.records, took = ?restored.took, wiped = ?restored.wiped, "task running");
        let positions: Vec<_> = self.tasks.last().map(|task| task.positions().collect()).unwrap_or_default();
        self.around.observer.running(id, (restored.records, restored.took, restored.wiped), &positions);
        self.running_if_nothing_waits();
        Ok(())
    }

    /// State and group offsets are written in one transaction, so under exactly-once they agree. Where the group has
    /// forgotten its offsets the state knows them; where they disagree a transaction was torn or somebody moved the
    /// offsets alone, and to go on would count records twice or not at all.
    fn check_offsets(
        &mut self,
        task: TaskId,
        starts: Vec<Start>,
        inputs: &[(TopicPartition, i64)],
    ) -> Result<(Vec<Start>, Vec<Position>), TaskFailure> {
        let mut checked = Vec::new();
        let mut moved = Vec::new();
        let committed =
            self.client.committed(&starts.iter().map(|(_, tp, _)| tp.clone()).collect::<Vec<_>>())?;
        for ((source, partition, start), committed) in starts.into_iter().zip(committed) {
            let known = inputs.iter().find(|(input, _)| *input == partition).map(|(_, offset)| *offset);
            let start = match (known, committed) {
                (Some(known), None) => {
                    tracing::warn!(%task, %partition, known, "the group has no offset: going on where the state is");
                    moved.push(Position { partition: partition.clone(), next_offset: known });
                    known
                }
                (Some(known), Some(committed)) if known != committed && self.settings.exactly_once => {
                    self.around.observer.exactly_once_violated(task);
                    return Err(TaskFailure::Store {
                        task,
                        message: format!(
                            "the state stands at offset {known} of {partition} and the group at {committed}: they are \
                             written together, so somebody moved one of them. Run `riacho reset` to begin anew, or \
                             set the group's offset to {known}"
                        ),
                    });
                }
                _ => start,
            };
            checked.push((source, partition, start));
        }
        Ok((checked, moved))
    }

    fn after_task_change(&mut self) {
        self.routes = Routes::of(&self.tasks);
        let stores: usize = self.tasks.iter().map(Task::stores).sum();
        let cache = self.settings.cache_bytes / stores.max(1);
        let dirty = self.settings.dirty_bytes / stores.max(1);
        for task in &mut self.tasks {
            task.set_cache_bytes(cache, dirty);
        }
    }

    fn give_up(
        &mut self,
        tasks: &BTreeSet<TaskId>,
        assigned: &[TopicPartition],
        reason: CloseReason,
    ) -> Result<(), TaskFailure> {
        let mut partitions: BTreeSet<TopicPartition> = assigned.iter().cloned().collect();
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.retain(|partition| !assigned.contains(partition));
        }
        for &task in tasks {
            if self.pending.remove(&task).is_some() {
                self.around.restore.cancel(task);
            }
            partitions.extend(self.layout.partitions(task).into_iter().flatten());
            self.around.observer.closed(task, reason);
        }
        self.restored.retain(|restored| !tasks.contains(&restored.task));
        self.tasks.retain(|task| !tasks.contains(&task.id));
        self.after_task_change();
        let partitions: Vec<_> = partitions.into_iter().collect();
        Ok(self.client.release(&partitions)?)
    }

    fn close_all(&mut self, reason: CloseReason) {
        for task in self.tasks.drain(..) {
            self.around.observer.closed(task.id, reason);
        }
        for task in std::mem::take(&mut self.pending).into_keys() {
            self.around.restore.cancel(task);
            self.around.observer.closed(task, reason);
        }
        self.unanswered = None;
        self.news.clear();
        self.restored.clear();
        self.routes = Routes::default();
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
