//! How far the application is: figures that stream threads leave at each commit and that others read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riacho_topology::{TaskId, TopicPartition};

/// The application's figures since it started.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Records processed and committed.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Records handed to the producers, changelogs included.
    pub sent: u64,
    /// Commits, with a transaction under exactly-once.
    pub commits: u64,
    /// Transactions that were aborted.
    pub aborts: u64,
    /// How long the last commit took.
    pub last_commit: Duration,
    /// Records that no window took any more.
    pub late: u64,
    /// Records that went to the dead-letter topic.
    pub dead_letters: u64,
    /// Bad records that were dropped.
    pub skipped: u64,
    /// Windows that were closed.
    pub windows_closed: u64,
    /// Windows that are open.
    pub windows_open: usize,
    /// Bytes of decoded state in memory.
    pub cached_bytes: usize,
    /// Tasks that run.
    pub tasks: usize,
    /// Tasks that run or wait for their state.
    pub active: BTreeSet<TaskId>,
    /// Changelog records replayed.
    pub restored: u64,
    /// How long that took, all tasks added up.
    pub restore_time: Duration,
    /// The next offset of each input partition.
    pub positions: BTreeMap<TopicPartition, i64>,
    /// The end of each input partition, where it is known.
    pub ends: BTreeMap<TopicPartition, i64>,
}

impl Snapshot {
    /// How many records are in the inputs and not yet processed, as far as the ends are known.
    pub fn lag(&self) -> u64 {
        let behind = |(partition, position): (&TopicPartition, &i64)| {
            self.ends.get(partition).map_or(0, |end| end.saturating_sub(*position).max(0))
        };
        self.positions.iter().map(behind).sum::<i64>().unsigned_abs()
    }
}

/// The shared figures. Locked once per commit and thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<Snapshot>>);

impl Progress {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
