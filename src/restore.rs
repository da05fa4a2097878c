//! Brings the state of new tasks up to the end of their changelogs, beside the threads that process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use riacho_topology::store::layout::{self, COMMIT_KEY, CommitRecord};
use riacho_topology::store::{StoreKind, StoreSpec};
use riacho_topology::{StoreIndex, TaskId, Timestamp, TopicPartition};

use crate::ports::{ChangelogReader, ClientError, ClientErrorKind, Clock, Incoming};
use crate::ports::{StateProvider, TaskState};
use crate::state::{StateError, TaskMeta, WipeReason};
use crate::task::TaskFailure;

/// How many entries are written to disk at once.
const ENTRIES_PER_BATCH: usize = 20_000;
/// How many records are taken from the reader at once.
const RECORDS_PER_POLL: usize = 10_000;
/// How long the thread waits for records, and so how soon it notices a new request.
const POLL_WAIT: Duration = Duration::from_millis(20);

/// A task whose state is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) task: TaskId,
    /// Tells this request from an earlier one for the same task, whose outcome may still be on its way.
    pub(crate) attempt: u64,
    pub(crate) stores: Vec<StoreSpec>,
    /// The changelog topic of each store.
    pub(crate) changelogs: Vec<String>,
}

/// A task's state, up to date.
pub(crate) struct Restored {
    pub(crate) task: TaskId,
    pub(crate) attempt: u64,
    pub(crate) state: Box<dyn TaskState>,
    pub(crate) records: u64,
    pub(crate) took: Duration,
    /// Why local state was thrown away, if it was.
    pub(crate) wiped: Option<WipeReason>,
}

/// A task whose state could not be had.
pub(crate) struct Failed {
    pub(crate) task: TaskId,
    pub(crate) attempt: u64,
    pub(crate) failure: TaskFailure,
}

/// How a request ended.
pub(crate) type Outcome = Result<Restored, Failed>;

/// Where a stream thread takes its tasks' state from.
pub(crate) trait RestoreService: Send {
    /// Asks for the state of tasks.
    fn request(&mut self, requests: Vec<Request>);
    /// Takes a request back; nothing of the task is open afterwards or it comes as an outcome still.
    fn cancel(&mut self, task: TaskId);
    /// What is done.
    fn outcomes(&mut self) -> Vec<Outcome>;
}

/// One changelog partition on its way.
struct Log {
    partition: TopicPartition,
    kind: StoreKind,
    next: i64,
    end: i64,
    done: bool,
}

struct Restoring {
    task: TaskId,
    attempt: u64,
    state: Box<dyn TaskState>,
    meta: TaskMeta,
    logs: Vec<Log>,
    staged: usize,
    records: u64,
    since: Duration,
    wiped: Option<WipeReason>,
    failure: Option<TaskFailure>,
}

/// Restores tasks, a poll at a time.
pub(crate) struct Restorer<R> {
    reader: R,
    provider: Arc<dyn StateProvider>,
    clock: Arc<dyn Clock>,
    active: BTreeMap<TaskId, Restoring>,
    key: Vec<u8>,
}

impl<R: ChangelogReader> Restorer<R> {
    pub(crate) fn new(reader: R, provider: Arc<dyn StateProvider>, clock: Arc<dyn Clock>) -> Self {
        Restorer { reader, provider, clock, active: BTreeMap::new(), key: Vec::new() }
    }

    /// Opens the state of tasks and starts to read what it lacks. Those that lack nothing are done.
    pub(crate) fn begin(&mut self, requests: Vec<Request>) -> Vec<Outcome> {
        let since = self.clock.monotonic();
        requests
            .into_iter()
            .filter_map(|request| {
                let (task, attempt) = (request.task, request.attempt);
                match self.begin_one(request, since) {
                    Ok(None) => None,
                    Ok(Some(restored)) => Some(Ok(restored)),
                    Err(failure) => Some(Err(Failed { task, attempt, failure })),
                }
            })
            .collect()
    }

    fn begin_one(&mut self, request: Request, since: Duration) -> Result<Option<Restored>, TaskFailure> {
        let Request { task, attempt, stores, changelogs } = request;
        let (mut state, mut wiped) = self.open(task, &stores)?;
        let partitions: Vec<_> =
            changelogs.iter().map(|topic| TopicPartition::new(topic.clone(), task.partition)).collect();
        let bounds = self.bounds(&partitions)?;
        let mut meta = state.meta().cloned().unwrap_or_default();
        if let Some((partition, stored, (low, high))) = out_of_reach(&meta, &partitions, &bounds) {
            tracing::warn!(%task, changelog = %partition, stored, low, high,
                "local state is outside its changelog: wiping it and restoring from the changelog's start");
            drop(state);
            self.provider.wipe(task, WipeReason::OffsetOutOfRange)?;
            state = self.provider.open(task, &stores)?;
            wiped = Some(WipeReason::OffsetOutOfRange);
            meta = TaskMeta::default();
        }
        let logs = partitions.into_iter().zip(&stores).zip(&bounds).enumerate();
        let logs: Vec<_> = logs
            .map(|(store, ((partition, spec), &(low, high)))| {
                let next = stored_offset(&meta, store).unwrap_or(low);
                Log { partition, kind: spec.kind, next, end: high, done: next >= high }
            })
            .collect();
        let restoring = Restoring {
            task,
            attempt,
            state,
            meta,
            logs,
            staged: 0,
            records: 0,
            since,
            wiped,
            failure: None,
        };
        if restoring.logs.iter().all(|log| log.done) {
            return self.finish(restoring).map(Some);
        }
        for log in restoring.logs.iter().filter(|log| !log.done) {
            tracing::info!(%task, changelog = %log.partition, from = log.next, to = log.end, "restoring");
            self.reader.add(&log.partition, log.next)?;
        }
        self.active.insert(task, restoring);
        Ok(None)
    }

    fn open(
        &self,
        task: TaskId,
        stores: &[StoreSpec],
    ) -> Result<(Box<dyn TaskState>, Option<WipeReason>), StateError> {
        let error = match self.provider.open(task, stores) {
            Ok(state) => return Ok((state, None)),
            Err(error) => error,
        };
        let Some(reason) = error.wipe_reason() else { return Err(error) };
        tracing::warn!(%task, %error, "wiping local state and restoring it from the changelog");
        self.provider.wipe(task, reason)?;
        Ok((self.provider.open(task, stores)?, Some(reason)))
    }

    /// The bounds of changelogs, which may have been made a moment ago and not be known everywhere yet.
    fn bounds(&mut self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        const TRIES: usize = 20;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.reader.bounds(partitions) {
                Err(error) if error.kind == ClientErrorKind::Retry && tries < TRIES => {
                    tracing::debug!(%error, "the changelogs' ends are not known yet");
                    self.reader.poll(POLL_WAIT * 5, 0, &mut |_, _| {})?;
                }
                result => return result,
            }
        }
    }

    /// Takes a task back.
    pub(crate) fn cancel(&mut self, task: TaskId) {
        if let Some(restoring) = self.active.remove(&task) {
            self.forget(&restoring);
        }
    }

    fn forget(&mut self, restoring: &Restoring) {
        for log in restoring.logs.iter().filter(|log| !log.done) {
            if let Err(error) = self.reader.remove(&log.partition) {
                tracing::debug!(%error, changelog = %log.partition, "not read any more");
            }
        }
    }

    /// Whether there is anything to read.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Reads once and returns the tasks that are done with it.
    pub(crate) fn step(&mut self, wait: Duration) -> Vec<Outcome> {
        let Restorer { reader, active, key, .. } = self;
        let polled = reader.poll(wait, RECORDS_PER_POLL, &mut |partition, entry| {
            let restoring = active.values_mut().find_map(|restoring| {
                let log = restoring.logs.iter().position(|log| is_of(log, partition))?;
                Some((restoring, log))
            });
            if let Some((restoring, log)) = restoring {
                restoring.apply(log, entry, key);
            }
        });
        if let Err(error) = polled {
            return self.fail_all(&error);
        }
        let mut outcomes = Vec::new();
        for (task, attempt) in self.attempts() {
            match self.see(task) {
                Ok(None) => {}
                Ok(Some(restored)) => outcomes.push(Ok(restored)),
                Err(failure) => {
                    self.cancel(task);
                    outcomes.push(Err(Failed { task, attempt, failure }));
                }
            }
        }
        outcomes
    }

    fn attempts(&self) -> Vec<(TaskId, u64)> {
        self.active.values().map(|restoring| (restoring.task, restoring.attempt)).collect()
    }

    fn fail_all(&mut self, error: &ClientError) -> Vec<Outcome> {
        if error.kind == ClientErrorKind::Retry {
            tracing::warn!(%error, "restore waits");
            return Vec::new();
        }
        self.attempts()
            .into_iter()
            .map(|(task, attempt)| {
                self.cancel(task);
                let failure = ClientError {
                    kind: error.kind,
                    operation: error.operation,
                    message: error.message.clone(),
                };
                Err(Failed { task, attempt, failure: TaskFailure::Client(failure) })
            })
            .collect()
    }

    fn see(&mut self, task: TaskId) -> Result<Option<Restored>, TaskFailure> {
        let Some(restoring) = self.active.get_mut(&task) else { return Ok(None) };
        if let Some(failure) = restoring.failure.take() {
            return Err(failure);
        }
        for log in restoring.logs.iter_mut().filter(|log| !log.done) {
            let position = self.reader.position(&log.partition)?;
            log.next = log.next.max(position);
            if log.next >= log.end {
                log.done = true;
                self.reader.remove(&log.partition)?;
            }
        }
        if !restoring.logs.iter().all(|log| log.done) {
            return Ok(None);
        }
        match self.active.remove(&task) {
            Some(restoring) => self.finish(restoring).map(Some),
            None => Ok(None),
        }
    }

    fn finish(&self, mut restoring: Restoring) -> Result<Restored, TaskFailure> {
        let stream_time = restoring.meta.commit.stream_time;
        let mut loaded = restoring.records > 0;
        if loaded {
            // Before purging, which sees what is written and not what is staged.
            restoring.write()?;
        }
        // The changelog has no tombstones of closed windows: left in place they would be closed, and told, once more.
        let mut purged = false;
        for (store, log) in restoring.logs.iter().enumerate() {
            if let (StoreKind::Window(windows), true) = (log.kind, stream_time > Timestamp::MIN) {
                let open_from = stream_time.plus_millis(1 - windows.size_ms() - windows.grace_ms());
                purged |= restoring.state.purge_windows_before(store_index(store), open_from)?;
            }
        }
        if purged {
            restoring.write()?;
            loaded = true;
        }
        if loaded {
            restoring.state.finish_load()?;
        }
        let Restoring { task, attempt, state, records, since, wiped, .. } = restoring;
        let took = self.clock.monotonic().saturating_sub(since);
        Ok(Restored { task, attempt, state, records, took, wiped })
    }
}

/// The number differs more often than the name, and is compared sooner.
fn is_of(log: &Log, partition: &TopicPartition) -> bool {
    log.partition.partition == partition.partition && log.partition.topic == partition.topic
}

fn stored_offset(meta: &TaskMeta, store: usize) -> Option<i64> {
    meta.changelogs.iter().find(|(index, _)| usize::from(index.0) == store).map(|(_, next)| *next)
}

/// The first changelog that the stored offset does not fit: compacted or deleted past it, or made anew.
fn out_of_reach<'p>(
    meta: &TaskMeta,
    partitions: &'p [TopicPartition],
    bounds: &[(i64, i64)],
) -> Option<(&'p TopicPartition, i64, (i64, i64))> {
    partitions.iter().zip(bounds).enumerate().find_map(|(store, (partition, &(low, high)))| {
        let stored = stored_offset(meta, store)?;
        (stored < low || stored > high).then_some((partition, stored, (low, high)))
    })
}

fn store_index(store: usize) -> StoreIndex {
    StoreIndex(u16::try_from(store).unwrap_or(u16::MAX))
}

impl Restoring {
    fn apply(&mut self, log: usize, entry: &Incoming<'_>, local_key: &mut Vec<u8>) {
        if self.failure.is_some() {
            return;
        }
        if let Err(failure) = self.try_apply(log, entry, local_key) {
            self.failure = Some(failure);
        }
    }

    fn try_apply(
        &mut self,
        place: usize,
        entry: &Incoming<'_>,
        local_key: &mut Vec<u8>,
    ) -> Result<(), TaskFailure> {
        let Some(log) = self.logs.get_mut(place) else { return Ok(()) };
        let damaged = |reason: String| TaskFailure::Store {
            task: self.task,
            message: format!(
                "the changelog {} holds something at offset {} that riacho did not write: {reason}. Delete the record \
                 or the topic, or run `riacho reset` to begin anew",
                log.partition, entry.offset
            ),
        };
        let key = entry.key.ok_or_else(|| damaged("a null key".to_owned()))?;
        log.next = entry.offset + 1;
        self.records += 1;
        if key == COMMIT_KEY {
            let commit = CommitRecord::decode(entry.value.unwrap_or_default())
                .map_err(|error| damaged(error.to_string()))?;
            // A task with several changelogs ends each with the same record; the latest counts.
            if commit.transaction >= self.meta.commit.transaction {
                self.meta.commit = commit;
            }
            return Ok(());
        }
        layout::to_local_key(log.kind, key, local_key).map_err(|error| damaged(error.to_string()))?;
        match entry.value {
            Some(value) => self.state.put(store_index(place), local_key, value),
            None => self.state.delete(store_index(place), local_key),
        }
        self.staged += 1;
        if self.staged >= ENTRIES_PER_BATCH {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what is staged with the offsets it reaches, so that a crash goes on from there.
    fn write(&mut self) -> Result<(), StateError> {
        self.meta.changelogs =
            self.logs.iter().enumerate().map(|(store, log)| (store_index(store), log.next)).collect();
        self.staged = 0;
        self.state.load(&self.meta)
    }
}

enum Command {
    Begin(Vec<Request>),
    Cancel(TaskId),
}

/// A [`Restorer`] in a thread of its own. Ends when it is dropped.
pub(crate) struct RestoreThread {
    commands: Option<SyncSender<Command>>,
    outcomes: Receiver<Outcome>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RestoreThread {
    /// Starts the thread. `make` runs in it.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start<R: ChangelogReader + 'static>(
        name: String,
        make: impl FnOnce() -> Result<Restorer<R>, ClientError> + Send + 'static,
    ) -> std::io::Result<Self> {
        // Both bounds are above what one rebalance can ask for at once; beyond them the sender waits.
        let (commands, requests) = sync_channel(1024);
        let (results, outcomes) = sync_channel(4096);
        let thread = std::thread::Builder::new().name(name).spawn(move || match make() {
            Ok(restorer) => run(restorer, &requests, &results),
            Err(error) => tracing::error!(%error, "no reader for changelogs"),
        })?;
        Ok(RestoreThread { commands: Some(commands), outcomes, thread: Some(thread) })
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands
            && commands.send(command).is_err()
        {
            tracing::error!("the restore thread has ended");
        }
    }
}

fn run<R: ChangelogReader>(
    mut restorer: Restorer<R>,
    commands: &Receiver<Command>,
    outcomes: &SyncSender<Outcome>,
) {
    loop {
        let command = if restorer.is_idle() {
            match commands.recv() {
                Ok(command) => Some(command),
                Err(_) => return,
            }
        } else {
            match commands.try_recv() {
                Ok(command) => Some(command),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            }
        };
        let done = match command {
            Some(Command::Begin(requests)) => restorer.begin(requests),
            Some(Command::Cancel(task)) => {
                restorer.cancel(task);
                Vec::new()
            }
            None => restorer.step(POLL_WAIT),
        };
        for outcome in done {
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }
}

impl RestoreService for RestoreThread {
    fn request(&mut self, requests: Vec<Request>) {
        self.send(Command::Begin(requests));
    }

    fn cancel(&mut self, task: TaskId) {
        self.send(Command::Cancel(task));
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        self.outcomes.try_iter().collect()
    }
}

impl Drop for RestoreThread {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the restore thread panicked");
        }
    }
}
