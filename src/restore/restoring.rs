//! One task on its way to the end of its changelogs.
//!
//! A changelog of windows is mostly windows that have closed since. When there is much of it, its end is read first: the
//! last commit there tells how far the task was in time, and so which windows need not be restored at all.

#[cfg(test)]
mod tests;

use std::time::Duration;

use riacho_topology::store::StoreKind;
use riacho_topology::store::layout::{self, COMMIT_KEY, CommitRecord, MalformedKey};
use riacho_topology::{StoreIndex, TaskId, Timestamp, TopicPartition};

use super::Restored;
use crate::ports::{ChangelogReader, ClientError, Incoming, TaskState};
use crate::state::{StateError, TaskMeta, WipeReason};
use crate::task::TaskFailure;

/// How many entries are written to disk at once.
const ENTRIES_PER_BATCH: usize = 20_000;
/// How much of a changelog's end is looked at before it is read. Each commit ends with its record, so there is one unless
/// what was written last was never committed; then everything is restored, and what is closed is deleted at the end.
const LOOKED_AT: i64 = 2_000;
/// A look that makes no progress for so long is over: a predecessor's transaction is still open there, and its
/// coordinator may take its time to abort it.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);
/// From so many entries on it is worth a look.
const LOOK_FROM: i64 = 20 * LOOKED_AT;

/// One changelog partition on its way.
pub(super) struct Log {
    partition: TopicPartition,
    kind: StoreKind,
    /// Where it began.
    from: i64,
    next: i64,
    end: i64,
    done: bool,
    look: Look,
}

/// What is known of the changelog's end.
enum Look {
    Looking {
        /// The best commit so far.
        commit: CommitRecord,
        /// How far the look is, and since when.
        position: (i64, Duration),
    },
    /// Windows that start earlier are closed at the end of the changelog.
    OpenFrom(Timestamp),
}

impl Log {
    /// A changelog that lacks what is between `next` and `end`.
    pub(super) fn new(partition: TopicPartition, kind: StoreKind, next: i64, end: i64) -> Self {
        let is_long = end.saturating_sub(next) >= LOOK_FROM;
        let look = match kind {
            StoreKind::Window(_) if is_long => {
                Look::Looking { commit: CommitRecord::default(), position: (i64::MIN, Duration::ZERO) }
            }
            _ => Look::OpenFrom(Timestamp::MIN),
        };
        Log { partition, kind, from: next, next, end, done: next >= end, look }
    }

    /// Goes back, and leaves nothing out this time.
    fn begin_again(&mut self) {
        self.next = self.from;
        self.done = self.next >= self.end;
        self.look = Look::OpenFrom(Timestamp::MIN);
    }

    /// Where a restore goes on that is cut short here. What was left out is not noted, and whether that was right is known
    /// at the end only: so it begins anew.
    fn reached(&self) -> i64 {
        match self.look {
            Look::OpenFrom(start) if start > Timestamp::MIN => self.from,
            _ => self.next,
        }
    }

    /// Where to read.
    fn start(&self) -> i64 {
        match self.look {
            Look::Looking { .. } => self.end - LOOKED_AT,
            Look::OpenFrom(_) => self.next,
        }
    }

    /// The number differs more often than the name, and is compared sooner.
    fn is_of(&self, partition: &TopicPartition) -> bool {
        self.partition.partition == partition.partition && self.partition.topic == partition.topic
    }

    /// Takes note of how far the reader is.
    fn see<R: ChangelogReader>(&mut self, reader: &mut R, now: Duration) -> Result<(), ClientError> {
        let position = reader.position(&self.partition)?;
        match &mut self.look {
            Look::Looking { position: seen, .. } if position < self.end && position != seen.0 => {
                *seen = (position, now);
            }
            Look::Looking { position: (_, since), .. }
                if position < self.end && now.saturating_sub(*since) < LOOK_PATIENCE => {}
            Look::Looking { commit, .. } => {
                let open_from = open_from(self.kind, commit.stream_time);
                if open_from > Timestamp::MIN {
                    let open_from = open_from.as_millis();
                    tracing::info!(changelog = %self.partition, open_from, "closed windows are left out");
                }
                reader.seek(&self.partition, self.next)?;
                self.look = Look::OpenFrom(open_from);
            }
            Look::OpenFrom(_) => {
                self.next = self.next.max(position);
                if self.next >= self.end {
                    self.done = true;
                    reader.remove(&self.partition)?;
                }
            }
        }
        Ok(())
    }
}

/// Windows that start earlier are closed at this time; `Timestamp::MIN` if none is.
fn open_from(kind: StoreKind, stream_time: Timestamp) -> Timestamp {
    match kind {
        StoreKind::Window(windows) if stream_time > Timestamp::MIN => {
            stream_time.plus_millis(1 - windows.size_ms() - windows.grace_ms())
        }
        _ => Timestamp::MIN,
    }
}

/// A task on its way.
pub(super) struct Restoring {
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

impl Restoring {
    pub(super) fn new(
        (task, attempt): (TaskId, u64),
        state: Box<dyn TaskState>,
        meta: TaskMeta,
        logs: Vec<Log>,
        since: Duration,
        wiped: Option<WipeReason>,
    ) -> Self {
        Restoring { task, attempt, state, meta, logs, staged: 0, records: 0, since, wiped, failure: None }
    }

    pub(super) fn attempt(&self) -> (TaskId, u64) {
        (self.task, self.attempt)
    }

    pub(super) fn is_done(&self) -> bool {
        self.logs.iter().all(|log| log.done)
    }

    /// The changelogs that the reader reads for this task.
    pub(super) fn being_read(&self) -> impl Iterator<Item = &TopicPartition> {
        self.logs.iter().filter(|log| !log.done).map(|log| &log.partition)
    }

    pub(super) fn begin<R: ChangelogReader>(&mut self, reader: &mut R) -> Result<(), ClientError> {
        for log in self.logs.iter().filter(|log| !log.done) {
            tracing::info!(task = %self.task, changelog = %log.partition, from = log.next, to = log.end, "restoring");
            reader.add(&log.partition, log.start())?;
        }
        Ok(())
    }

    /// The place of the log that reads this partition.
    pub(super) fn log_of(&self, partition: &TopicPartition) -> Option<usize> {
        self.logs.iter().position(|log| log.is_of(partition))
    }

    pub(super) fn apply(&mut self, log: usize, entry: &Incoming<'_>, local_key: &mut Vec<u8>) {
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
        let commit = (key == COMMIT_KEY)
            .then(|| CommitRecord::decode(entry.value.unwrap_or_default()))
            .transpose()
            .map_err(|error| damaged(error.to_string()))?;
        let open_from = match &mut log.look {
            Look::Looking { commit: last, .. } => {
                keep_latest(last, commit);
                return Ok(());
            }
            Look::OpenFrom(open_from) => *open_from,
        };
        log.next = entry.offset + 1;
        self.records += 1;
        if commit.is_some() {
            keep_latest(&mut self.meta.commit, commit);
            return Ok(());
        }
        let malformed = |error: MalformedKey| damaged(error.to_string());
        if open_from > Timestamp::MIN
            && layout::split_window_changelog_key(key).map_err(malformed)?.0 < open_from
        {
            return Ok(());
        }
        layout::to_local_key(log.kind, key, local_key).map_err(malformed)?;
        match entry.value {
            Some(value) => self.state.put(store_index(place), local_key, value),
            None => self.state.delete(store_index(place), local_key),
        }
        self.staged += 1;
        if self.staged >= ENTRIES_PER_BATCH {
            self.write(Log::reached)?;
        }
        Ok(())
    }

    /// Writes what is staged with these offsets, from which a crash goes on.
    fn write(&mut self, offset: impl Fn(&Log) -> i64) -> Result<(), StateError> {
        let logs = self.logs.iter().enumerate();
        self.meta.changelogs = logs.map(|(store, log)| (store_index(store), offset(log))).collect();
        self.staged = 0;
        self.state.load(&self.meta)
    }

    /// Takes note of how far the reader is; tells whether the task is at the end of its changelogs.
    pub(super) fn see<R: ChangelogReader>(
        &mut self,
        reader: &mut R,
        now: Duration,
    ) -> Result<bool, TaskFailure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        for log in self.logs.iter_mut().filter(|log| !log.done) {
            log.see(reader, now)?;
        }
        if !self.is_done() {
            return Ok(false);
        }
        if self.looked_too_far() {
            self.begin_again(reader)?;
        }
        Ok(self.is_done())
    }

    /// Whether a window was left out that is open after all: the commits of a changelog were not in their order.
    fn looked_too_far(&self) -> bool {
        let stream_time = self.meta.commit.stream_time;
        self.logs.iter().any(|log| match log.look {
            Look::Looking { .. } => false,
            Look::OpenFrom(start) => start > open_from(log.kind, stream_time),
        })
    }

    /// Reads everything once more and leaves nothing out.
    fn begin_again<R: ChangelogReader>(&mut self, reader: &mut R) -> Result<(), TaskFailure> {
        tracing::warn!(task = %self.task, "the commits in the changelog are out of order: restoring all of it");
        for log in &mut self.logs {
            log.begin_again();
        }
        self.write(Log::reached)?;
        Ok(self.begin(reader)?)
    }

    pub(super) fn finish(mut self, now: Duration) -> Result<Restored, StateError> {
        let stream_time = self.meta.commit.stream_time;
        let mut loaded = self.records > 0;
        if loaded {
            // Before purging, which sees what is written and not what is staged.
            self.write(|log| log.next)?;
        }
        // The changelog has no tombstones of closed windows: left in place they would be closed, and told, once more.
        let mut purged = false;
        for (store, log) in self.logs.iter().enumerate() {
            let open_from = open_from(log.kind, stream_time);
            if open_from > Timestamp::MIN {
                purged |= self.state.purge_windows_before(store_index(store), open_from)?;
            }
        }
        if purged {
            self.write(|log| log.next)?;
            loaded = true;
        }
        if loaded {
            self.state.finish_load()?;
        }
        let Restoring { task, attempt, state, records, since, wiped, .. } = self;
        Ok(Restored { task, attempt, state, records, took: now.saturating_sub(since), wiped })
    }
}

/// A task with several changelogs ends each with the same record; the latest counts.
fn keep_latest(last: &mut CommitRecord, commit: Option<CommitRecord>) {
    if let Some(commit) = commit.filter(|commit| commit.transaction >= last.transaction) {
        *last = commit;
    }
}

/// Where a stored changelog goes on.
pub(super) fn stored_offset(meta: &TaskMeta, store: usize) -> Option<i64> {
    meta.changelogs.iter().find(|(index, _)| usize::from(index.0) == store).map(|(_, next)| *next)
}

fn store_index(store: usize) -> StoreIndex {
    StoreIndex(u16::try_from(store).unwrap_or(u16::MAX))
}
