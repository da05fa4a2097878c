//! Brings the state of new tasks up to the end of their changelogs, beside the threads that process.

mod restoring;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::store::StoreSpec;
use riacho_topology::{TaskId, TopicPartition};

use crate::ports::{ChangelogReader, ClientError, ClientErrorKind, Clock, StateProvider, TaskState};
use crate::state::{StateError, TaskMeta, WipeReason};
use crate::task::TaskFailure;

use restoring::{Log, Restoring, stored_offset};
pub(crate) use service::{Failed, Outcome, Request, RestoreService, RestoreThread, Restored};

/// How many records are taken from the reader at once.
const RECORDS_PER_POLL: usize = 10_000;
/// How long the thread waits for records, and so how soon it notices a new request.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// How often a state that another thread holds is tried: to open a database is not free.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How long the last holder of a task's state may take to give it up before that is worth a warning.
const HOLDER_PATIENCE: Duration = Duration::from_secs(5);

/// A task whose state another thread of this process still holds: one that was frozen, or is in a long commit, while
/// the group gave its task away.
struct Waiting {
    request: Request,
    since: Duration,
    tried: Duration,
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
        let waiting =
            requests.into_iter().map(|request| Waiting { request, since, tried: since, told: false });
        waiting.filter_map(|waiting| self.begin_or_wait(waiting)).collect()
    }

    /// Tries once more to open what others held.
    fn begin_waiting(&mut self) -> Vec<Outcome> {
        let now = self.clock.monotonic();
        let is_due = |waiting: &mut Waiting| now.saturating_sub(waiting.tried) >= TRY_EVERY;
        let due: Vec<_> = self.waiting.extract_if(.., is_due).collect();
        due.into_iter().filter_map(|waiting| self.begin_or_wait(waiting)).collect()
    }

    fn begin_or_wait(&mut self, mut waiting: Waiting) -> Option<Outcome> {
        let Request { task, attempt, .. } = waiting.request;
        match self.begin_one(&waiting.request, waiting.since) {
            Ok(restored) => restored.map(Ok),
            Err(TaskFailure::State(error)) if error.is_in_use() => {
                waiting.tried = self.clock.monotonic();
                if waiting.tried.saturating_sub(waiting.since) >= HOLDER_PATIENCE && !waiting.told {
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
                Log::new(partition, spec.kind, stored_offset(&meta, store).unwrap_or(low), high)
            })
            .collect();
        let mut restoring = Restoring::new((task, attempt), state, meta, logs, since, wiped);
        if restoring.is_done() {
            return self.finish(restoring).map(Some);
        }
        restoring.begin(&mut self.reader)?;
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
        for partition in restoring.being_read() {
            if let Err(error) = self.reader.remove(partition) {
                tracing::debug!(%error, changelog = %partition, "not read any more");
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
            let restoring = active
                .values_mut()
                .find_map(|restoring| restoring.log_of(partition).map(|log| (restoring, log)));
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
        self.active.values().map(Restoring::attempt).collect()
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
        if !restoring.see(&mut self.reader, self.clock.monotonic())? {
            return Ok(None);
        }
        match self.active.remove(&task) {
            Some(restoring) => self.finish(restoring).map(Some),
            None => Ok(None),
        }
    }

    fn finish(&self, restoring: Restoring) -> Result<Restored, TaskFailure> {
        Ok(restoring.finish(self.clock.monotonic())?)
    }
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
