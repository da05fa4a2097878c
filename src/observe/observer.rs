//! Turns what a stream thread does into metrics, health facts and figures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::{TaskId, TopicPartition};

use super::metrics::{LatencySamples, Metrics};
use super::store_metrics::{RocksDbStatistics, StoreMetrics};
use super::task_metrics::{TaskClosed, TaskMetrics};
use super::thread_metrics::{
    DropReason, RebalanceKind, ThreadMetrics, TimeSpent, TopicMetrics, TransactionOutcome,
};
use crate::lifecycle::{ThreadLifecycle, ThreadState};
use crate::ports::{Clock, CloseReason, CommitOutcome, Position, TaskReport, ThreadObserver, ThreadTimes};
use crate::progress::Progress;
use crate::state::{StoreStatistics, WipeReason};

struct TaskEyes {
    metrics: TaskMetrics,
    store: StoreMetrics,
    open_windows: usize,
    cached_bytes: usize,
    partitions: Vec<TopicPartition>,
}

/// The observer of one stream thread.
pub(crate) struct Observer {
    metrics: Metrics,
    thread: ThreadMetrics,
    lifecycle: ThreadLifecycle,
    progress: Progress,
    clock: Arc<dyn Clock>,
    exactly_once: bool,
    end_to_end: LatencySamples,
    restoring: BTreeSet<TaskId>,
    tasks: BTreeMap<TaskId, TaskEyes>,
    topics: BTreeMap<String, TopicMetrics>,
    rebalance_since: Option<Duration>,
}

impl Observer {
    pub(crate) fn new(
        metrics: &Metrics,
        lifecycle: ThreadLifecycle,
        progress: Progress,
        clock: Arc<dyn Clock>,
        exactly_once: bool,
    ) -> Self {
        Observer {
            thread: metrics.thread(lifecycle.number()),
            end_to_end: metrics.end_to_end_latency(),
            metrics: metrics.clone(),
            lifecycle,
            progress,
            clock,
            exactly_once,
            restoring: BTreeSet::new(),
            tasks: BTreeMap::new(),
            topics: BTreeMap::new(),
            rebalance_since: None,
        }
    }

    fn task_count(&self) {
        self.lifecycle.tasks(self.tasks.len() + self.restoring.len(), self.restoring.len(), 0);
    }

    fn topic(&mut self, topic: &str) -> &TopicMetrics {
        self.topics.entry(topic.to_owned()).or_insert_with(|| self.thread.topic(topic))
    }

    fn see_task(&mut self, report: &TaskReport) {
        for skipped in report.skipped.values() {
            self.thread.dropped(DropReason::Invalid, *skipped);
        }
        for (kind, letters) in &report.dead_lettered {
            self.thread.dead_letters(*kind, *letters);
        }
        if let Some(latency) = report.latency {
            self.end_to_end.observe(latency);
        }
        if let Some(position) = report.positions.first() {
            self.topic(&position.partition.topic).consumed(report.records, report.bytes);
        }
        for sent in &report.sent {
            self.topic(&sent.topic).produced(sent.records, sent.bytes);
        }
        let Some(eyes) = self.tasks.get_mut(&report.task) else { return };
        eyes.metrics.committed(&report.counts, report.stream_time);
        for position in &report.positions {
            let end = self.progress.lock().ends.get(&position.partition).copied();
            eyes.metrics.position(&position.partition, position.next_offset, end);
        }
        if let Some(store) = &report.store {
            eyes.store.rocksdb(&to_metrics(store));
        }
        eyes.open_windows = report.open_windows;
        eyes.cached_bytes = report.cached_bytes;
    }
}

fn to_metrics(store: &StoreStatistics) -> RocksDbStatistics {
    RocksDbStatistics {
        memtable_bytes: store.memtable_bytes,
        sst_bytes: store.sst_bytes,
        pending_compaction_bytes: store.pending_compaction_bytes,
        entries: store.keys_estimate,
        background_errors: store.background_errors,
    }
}

impl ThreadObserver for Observer {
    fn state(&mut self, state: ThreadState) {
        let now = self.clock.monotonic();
        if let Err(error) = self.lifecycle.enter(state, now) {
            tracing::debug!(%error, "a state was skipped");
        }
        if state == ThreadState::Running
            && let Some(since) = self.rebalance_since.take()
        {
            self.thread.rebalance_ended(now.saturating_sub(since));
        }
    }

    fn polled(&mut self) {
        self.lifecycle.polled(self.clock.monotonic());
    }

    fn rebalanced(&mut self, assigned: bool) {
        self.thread.rebalanced(if assigned { RebalanceKind::Assigned } else { RebalanceKind::Revoked });
        self.rebalance_since.get_or_insert(self.clock.monotonic());
    }

    fn restoring(&mut self, task: TaskId) {
        self.restoring.insert(task);
        self.progress.lock().active.insert(task);
        self.task_count();
    }

    fn running(
        &mut self,
        task: TaskId,
        restore: (u64, Duration, Option<WipeReason>),
        positions: &[Position],
    ) {
        let (restored_records, took, wiped) = restore;
        self.restoring.remove(&task);
        let mut metrics = self.thread.task(task);
        let store = metrics.store("all");
        for position in positions {
            metrics.position(&position.partition, position.next_offset, None);
        }
        let partitions = positions.iter().map(|position| position.partition.clone()).collect();
        self.tasks.insert(task, TaskEyes { metrics, store, open_windows: 0, cached_bytes: 0, partitions });
        self.thread.restored(restored_records);
        self.thread.restore_ended(took);
        if let Some(reason) = wiped {
            self.metrics.store_wiped(reason);
        }
        let mut progress = self.progress.lock();
        progress.tasks += 1;
        progress.restored += restored_records;
        progress.restore_time += took;
        for position in positions {
            progress.positions.insert(position.partition.clone(), position.next_offset);
        }
        drop(progress);
        self.task_count();
    }

    fn closed(&mut self, task: TaskId, reason: CloseReason) {
        self.restoring.remove(&task);
        self.progress.lock().active.remove(&task);
        if let Some(eyes) = self.tasks.remove(&task) {
            let TaskEyes { metrics, partitions, open_windows, cached_bytes, .. } = eyes;
            metrics.close(match reason {
                CloseReason::Revoked => TaskClosed::Revoked,
                CloseReason::Lost => TaskClosed::Lost,
                CloseReason::Shutdown => TaskClosed::Shutdown,
                CloseReason::Corrupted => TaskClosed::Failed,
            });
            let mut progress = self.progress.lock();
            progress.tasks = progress.tasks.saturating_sub(1);
            for partition in &partitions {
                progress.positions.remove(partition);
            }
            progress.windows_open = progress.windows_open.saturating_sub(open_windows);
            progress.cached_bytes = progress.cached_bytes.saturating_sub(cached_bytes);
            drop(progress);
            self.thread.windows_open(sizes(&self.tasks).0 as u64);
        }
        self.task_count();
    }

    fn idle(&mut self) {
        self.lifecycle.committed(self.clock.monotonic());
    }

    fn committed(
        &mut self,
        outcome: CommitOutcome,
        took: Duration,
        tasks: &[TaskReport],
        times: ThreadTimes,
    ) {
        self.thread.spent(TimeSpent { poll: times.poll, process: times.process, commit: times.commit });
        let transaction = match outcome {
            CommitOutcome::Committed => TransactionOutcome::Committed,
            CommitOutcome::Aborted => TransactionOutcome::Aborted,
            CommitOutcome::Fenced => TransactionOutcome::Fenced,
        };
        if self.exactly_once {
            self.thread.transaction(transaction, took);
        }
        if outcome != CommitOutcome::Committed {
            self.progress.lock().aborts += 1;
            return;
        }
        self.lifecycle.committed(self.clock.monotonic());
        self.thread.committed(took);
        let before: (usize, usize) = sizes(&self.tasks);
        for report in tasks {
            self.see_task(report);
        }
        self.end_to_end.flush();
        let after = sizes(&self.tasks);
        let dirty: usize = tasks.iter().map(|report| report.dirty_bytes).sum();
        self.thread.memory(after.1 as u64, dirty as u64);
        self.thread.windows_open(after.0 as u64);
        let mut progress = self.progress.lock();
        progress.commits += 1;
        progress.last_commit = took;
        progress.windows_open = (progress.windows_open + after.0).saturating_sub(before.0);
        progress.cached_bytes = (progress.cached_bytes + after.1).saturating_sub(before.1);
        for report in tasks {
            progress.records += report.records;
            progress.bytes += report.bytes;
            progress.sent += report.sent.iter().map(|sent| sent.records).sum::<u64>();
            progress.late += report.counts.late;
            progress.windows_closed += report.counts.windows_closed;
            progress.dead_letters += report.dead_lettered.values().sum::<u64>();
            progress.skipped += report.skipped.values().sum::<u64>();
            for position in &report.positions {
                progress.positions.insert(position.partition.clone(), position.next_offset);
            }
        }
    }

    fn exactly_once_violated(&mut self, _: TaskId) {
        self.metrics.eos_violated();
    }
}

/// Open windows and cached bytes of all tasks.
fn sizes(tasks: &BTreeMap<TaskId, TaskEyes>) -> (usize, usize) {
    tasks
        .values()
        .fold((0, 0), |(windows, bytes), eyes| (windows + eyes.open_windows, bytes + eyes.cached_bytes))
}
