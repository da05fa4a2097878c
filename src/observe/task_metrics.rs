//! What is told of a task. Its gauges disappear with it; its counts go to its thread and stay.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use prometheus::{GaugeVec, IntCounter, IntGaugeVec};
use riacho_topology::{Counts, TaskId, Timestamp, TopicPartition};

use super::families::Series;
use super::metrics::Families;
use super::store_metrics::StoreMetrics;
use super::thread_metrics::TaskCounters;

/// Why a task was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskClosed {
    /// It was given up to another owner.
    Revoked,
    /// Another owner had taken it.
    Lost,
    /// The application stops.
    Shutdown,
    /// It could not go on.
    Failed,
}

impl TaskClosed {
    pub(super) const ALL: [TaskClosed; 4] =
        [TaskClosed::Revoked, TaskClosed::Lost, TaskClosed::Shutdown, TaskClosed::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            TaskClosed::Revoked => "revoked",
            TaskClosed::Lost => "lost",
            TaskClosed::Shutdown => "shutdown",
            TaskClosed::Failed => "failed",
        }
    }
}

/// The metrics of one task, from its creation until it is closed.
pub struct TaskMetrics {
    families: Arc<Families>,
    shared: Arc<TaskCounters>,
    thread: String,
    task: String,
    /// None before the task has seen a record.
    stream_time: Option<Series<GaugeVec>>,
    partitions: Vec<Arc<PartitionSeries>>,
    closed: TaskClosed,
}

struct PartitionSeries {
    partition: TopicPartition,
    labels: [String; 4],
    next_offset: AtomicI64,
    committed: Series<IntGaugeVec>,
    /// Empty before the end of the partition is known.
    lag: OnceLock<Series<IntGaugeVec>>,
}

impl PartitionSeries {
    fn end(&self, families: &Families, end_offset: i64) {
        let labels = self.labels.each_ref().map(String::as_str);
        let lag = self.lag.get_or_init(|| families.consumer_lag.owned(labels));
        lag.set(end_offset.saturating_sub(self.next_offset.load(Ordering::Relaxed)).max(0));
    }
}

/// The partitions that the tasks of this process read.
#[derive(Default)]
pub(super) struct Partitions(Mutex<Vec<Weak<PartitionSeries>>>);

impl Partitions {
    fn add(&self, partition: &Arc<PartitionSeries>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(partition));
    }

    /// The ends of partitions as they are now, whatever their tasks are doing.
    pub(super) fn ends(&self, families: &Families, ends: &BTreeMap<TopicPartition, i64>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for series in all.iter().filter_map(Weak::upgrade) {
            if let Some(end_offset) = ends.get(&series.partition) {
                series.end(families, *end_offset);
            }
        }
    }
}

impl TaskMetrics {
    pub(super) fn new(
        families: Arc<Families>,
        shared: Arc<TaskCounters>,
        thread: String,
        task: TaskId,
    ) -> Self {
        TaskMetrics {
            families,
            shared,
            thread,
            task: task.to_string(),
            stream_time: None,
            partitions: Vec::new(),
            closed: TaskClosed::Failed,
        }
    }

    /// What the task counted since its last commit, which has now succeeded, and its stream time.
    pub fn committed(&mut self, counts: &Counts, stream_time: Timestamp) {
        self.shared.late.inc_by(counts.late);
        self.shared.null.inc_by(counts.null);
        self.shared.windows_closed.inc_by(counts.windows_closed);
        self.shared.store_reads.inc_by(counts.store_reads);
        self.shared.store_writes.inc_by(counts.store_writes);
        if stream_time == Timestamp::MIN {
            return;
        }
        let labels = [self.thread.as_str(), self.task.as_str()];
        let gauge = self.stream_time.get_or_insert_with(|| self.families.stream_time.owned(labels));
        gauge.set(stream_time.as_millis() as f64 / 1000.0);
    }

    /// The committed position of an input partition, and the end of the partition where it is known.
    pub fn position(&mut self, partition: &TopicPartition, next_offset: i64, end_offset: Option<i64>) {
        let known = self.partitions.iter().position(|series| series.partition == *partition);
        let at = known.unwrap_or_else(|| {
            let number = partition.partition.to_string();
            let topic = self.families.topics.value(&partition.topic);
            let labels = [self.thread.as_str(), self.task.as_str(), topic, number.as_str()];
            let series = Arc::new(PartitionSeries {
                partition: partition.clone(),
                labels: labels.map(str::to_owned),
                next_offset: AtomicI64::new(next_offset),
                committed: self.families.committed_offset.owned(labels),
                lag: OnceLock::new(),
            });
            self.families.partitions.add(&series);
            self.partitions.push(series);
            self.partitions.len() - 1
        });
        let Some(series) = self.partitions.get(at) else { return };
        series.next_offset.store(next_offset, Ordering::Relaxed);
        series.committed.set(next_offset);
        if let Some(end_offset) = end_offset {
            series.end(&self.families, end_offset);
        }
    }

    /// The metrics of one of the task's stores. Its series are there until the handle is dropped.
    pub fn store(&self, store: &str) -> StoreMetrics {
        StoreMetrics::new(&self.families, [&self.thread, &self.task, store])
    }

    /// The task is closed for this reason. A handle that is dropped without this counts as failed.
    pub fn close(mut self, reason: TaskClosed) {
        self.closed = reason;
    }
}

impl Drop for TaskMetrics {
    fn drop(&mut self) {
        self.shared.closed.of(self.closed, IntCounter::inc);
    }
}
