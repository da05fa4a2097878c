//! Brings the state of new tasks up to the end of their changelogs, beside the threads that process.

mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::store::layout::{self, COMMIT_KEY, CommitRecord};
use riacho_topology::store::{StoreKind, StoreSpec};
use riacho_topology::{StoreIndex, TaskId, Timestamp, TopicPartition};

use crate::ports::{ChangelogReader, ClientError, ClientErrorKind, Clock, Incoming};
use crate::ports::{StateProvider, TaskState};
use crate::state::{StateError, TaskMeta, WipeReason};
use crate::task::TaskFailure;

pub(crate) use service::{Failed, Outcome, Request, RestoreService, RestoreThread, Restored};

/// How many entries are written to disk at once.
const ENTRIES_PER_BATCH: usize = 20_000;
/// How many records are taken from the reader at once.
const RECORDS_PER_POLL: usize = 10_000;
/// How long the thread waits for records, and so how soon it notices a new request.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// How long the last holder of a task's state may take to give it up before that is worth a warning.
const HOLDER_PATIENCE: Duration = Duration::from_secs(5);

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

/// A task whose state another thread of this process still holds: one that was frozen, or is in a long commit, while
/// the group gave its task away.
struct Waiting {
    request: Request,
    since: Duration,
    told: bool,
}

/// Restores tasks, a poll at a time.
pub(crate) struct Restorer<R> {
    reader: R,
    provider: Arc<dyn StateProvider>,
    clock: Arc<dyn Clock>,
    active: BTreeMap<TaskId, Restoring>,
    waiting: Vec<Waiting>,
    key: Vec<u8>,
}

impl<R: ChangelogReader> Restorer<R> {
    pub(crate) fn new(reader: R, provider: Arc<dyn StateProvider>, clock: Arc<dyn Clock>) -> Self {
        Restorer { reader, provider, clock, active: BTreeMap::new(), waiting: Vec::new(), key: Vec::new() }
    }

    /// Opens the state of tasks and starts to read what it lacks. Those that lack nothing are done.
    pub(crate) fn begin(&mut self, requests: Vec<Request>) -> Vec<Outcome> {
        let since = self.clock.monotonic();
        let waiting = requests.into_iter().map(|request| Waiting { request, since, told: false });
        waiting.filter_map(|waiting| self.begin_or_wait(waiting)).collect()
    }

    /// Tries once more to open what others held.
    fn begin_waiting(&mut self) -> Vec<Outcome> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter_map(|waiting| self.begin_or_wait(waiting)).collect()
    }

    fn begin_or_wait(&mut self, mut waiting: Waiting) -> Option<Outcome> {
        let Request { task, attempt, .. } = waiting.request;
        match self.begin_one(&waiting.request, waiting.since) {
            Ok(restored) => restored.map(Ok),
            Err(TaskFailure::State(error)) if error.is_in_use() => {
                let waits = self.clock.monotonic().saturating_sub(waiting.since);
                if waits >= HOLDER_PATIENCE && !waiting.told {
                    tracing::warn!(%task, "waiting for the state, which the thread that had the task has not given up yet");
                    waiting.told = true;
                }
                self.waiting.push(waiting);
                None
            }
            Err(failure) => Some(Err(Failed { task, attempt, failure })),
        }
    }

    fn begin_one(&mut self, request: &Request, since: Duration) -> Result<Option<Restored>, TaskFailure> {
        let &Request { task, attempt, ref stores, ref changelogs } = request;
        let (mut state, mut wiped) = self.open(task, stores)?;
        let partitions: Vec<_> =
            changelogs.iter().map(|topic| TopicPartition::new(topic.clone(), task.partition)).collect();
        let bounds = self.bounds(&partitions)?;
        let mut meta = state.meta().cloned().unwrap_or_default();
        if let Some((partition, stored, (low, high))) = out_of_reach(&meta, &partitions, &bounds) {
            tracing::warn!(%task, changelog = %partition, stored, low, high,
                "local state is outside its changelog: wiping it and restoring from the changelog's start");
            drop(state);
            self.provider.wipe(task, WipeReason::OffsetOutOfRange)?;
            state = self.provider.open(task, stores)?;
            wiped = Some(WipeReason::OffsetOutOfRange);
            meta = TaskMeta::default();
        }
        let logs = partitions.into_iter().zip(stores).zip(&bounds).enumerate();
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
        self.waiting.retain(|waiting| waiting.request.task != task);
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

    /// Whether nothing is to be read, and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.is_empty() && self.waiting.is_empty()
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
        let mut outcomes = self.begin_waiting();
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
