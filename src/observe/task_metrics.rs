//! What is told of a task. Its gauges disappear with it; its counts go to its thread and stay.

use std::sync::Arc;

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
    partitions: Vec<PartitionSeries>,
    closed: TaskClosed,
}

struct PartitionSeries {
    partition: TopicPartition,
    committed: Series<IntGaugeVec>,
    /// None before the end of the partition is known.
    lag: Option<Series<IntGaugeVec>>,
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
        let number = partition.partition.to_string();
        let topic = self.families.topics.value(&partition.topic);
        let labels = [self.thread.as_str(), self.task.as_str(), topic, number.as_str()];
        let known = self.partitions.iter().position(|series| series.partition == *partition);
        let at = known.unwrap_or_else(|| {
            let committed = self.families.committed_offset.owned(labels);
            self.partitions.push(PartitionSeries { partition: partition.clone(), committed, lag: None });
            self.partitions.len() - 1
        });
        let Some(series) = self.partitions.get_mut(at) else { return };
        series.committed.set(next_offset);
        if let Some(end_offset) = end_offset {
            let lag = series.lag.get_or_insert_with(|| self.families.consumer_lag.owned(labels));
            lag.set(end_offset.saturating_sub(next_offset).max(0));
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
