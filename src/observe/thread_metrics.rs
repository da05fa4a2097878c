//! What a stream thread counts and measures.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Counter, Histogram, IntCounter, IntGauge};
use riacho_topology::{BadRecord, TaskId};

use super::families::{PerValue, number};
use super::metrics::Families;
use super::task_metrics::{TaskClosed, TaskMetrics};

/// Why a record was consumed and counted nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Its window had closed.
    Late,
    /// Its key or value is null where the operator needs one.
    NullKey,
    /// It is bad, and the policy of its kind is to go on.
    Invalid,
    /// It belongs to a window whose state is no longer kept.
    ExpiredWindow,
}

impl DropReason {
    const ALL: [DropReason; 4] =
        [DropReason::Late, DropReason::NullKey, DropReason::Invalid, DropReason::ExpiredWindow];

    fn as_str(self) -> &'static str {
        match self {
            DropReason::Late => "late",
            DropReason::NullKey => "null_key",
            DropReason::Invalid => "invalid",
            DropReason::ExpiredWindow => "expired_window",
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionOutcome {
    /// It was committed.
    Committed,
    /// It was aborted; its input is read again.
    Aborted,
    /// Another producer has taken over.
    Fenced,
    /// Its end is unknown, so the producer was set up anew.
    Reinitialized,
}

impl TransactionOutcome {
    const ALL: [TransactionOutcome; 4] = [
        TransactionOutcome::Committed,
        TransactionOutcome::Aborted,
        TransactionOutcome::Fenced,
        TransactionOutcome::Reinitialized,
    ];

    fn as_str(self) -> &'static str {
        match self {
            TransactionOutcome::Committed => "committed",
            TransactionOutcome::Aborted => "aborted",
            TransactionOutcome::Fenced => "fenced",
            TransactionOutcome::Reinitialized => "reinitialized",
        }
    }
}

/// What a rebalance did to a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebalanceKind {
    /// It got partitions.
    Assigned,
    /// It gave partitions up.
    Revoked,
    /// Its partitions were taken away.
    Lost,
}

impl RebalanceKind {
    const ALL: [RebalanceKind; 3] = [RebalanceKind::Assigned, RebalanceKind::Revoked, RebalanceKind::Lost];

    fn as_str(self) -> &'static str {
        match self {
            RebalanceKind::Assigned => "assigned",
            RebalanceKind::Revoked => "revoked",
            RebalanceKind::Lost => "lost",
        }
    }
}

/// How a thread spent its time since it last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeSpent {
    /// Waiting for records.
    pub poll: Duration,
    /// Processing them.
    pub process: Duration,
    /// Committing.
    pub commit: Duration,
}

/// The metrics of one stream thread.
pub struct ThreadMetrics {
    name: String,
    families: Arc<Families>,
    poll: Counter,
    process: Counter,
    commit: Counter,
    commit_latency: Histogram,
    cache: IntGauge,
    dirty: IntGauge,
    windows_open: IntGauge,
    rebalances: PerValue<RebalanceKind, IntCounter>,
    rebalance_duration: Histogram,
    restored: IntCounter,
    dead_letters: PerValue<BadRecord, IntCounter>,
    dropped: PerValue<DropReason, IntCounter>,
    transactions: PerValue<TransactionOutcome, IntCounter>,
    transaction_duration: Histogram,
    shared: Arc<TaskCounters>,
}

/// What the tasks of a thread count together. It outlives them, so that a count never goes back.
pub(super) struct TaskCounters {
    pub(super) late: IntCounter,
    pub(super) null: IntCounter,
    pub(super) windows_closed: IntCounter,
    pub(super) store_reads: IntCounter,
    pub(super) store_writes: IntCounter,
    pub(super) created: IntCounter,
    pub(super) closed: PerValue<TaskClosed, IntCounter>,
}

impl ThreadMetrics {
    pub(super) fn new(families: Arc<Families>, number: usize) -> Self {
        let all = &*families;
        let name = number.to_string();
        let thread: &str = &name;
        let dropped = |reason: DropReason| all.dropped.with([thread, reason.as_str()]);
        let shared = TaskCounters {
            late: dropped(DropReason::Late),
            null: dropped(DropReason::NullKey),
            windows_closed: all.windows_closed.with([thread]),
            store_reads: all.store_operations.with([thread, "get"]),
            store_writes: all.store_operations.with([thread, "put"]),
            created: all.task_created.with([thread]),
            closed: PerValue::new(&TaskClosed::ALL, |reason| all.task_closed.with([thread, reason.as_str()])),
        };
        ThreadMetrics {
            poll: all.thread_poll.with([thread]),
            process: all.thread_process.with([thread]),
            commit: all.thread_commit.with([thread]),
            commit_latency: all.commit_latency.with([thread]),
            cache: all.thread_cache.with([thread]),
            dirty: all.thread_dirty.with([thread]),
            windows_open: all.windows_open.with([thread]),
            rebalances: PerValue::new(&RebalanceKind::ALL, |kind| {
                all.rebalances.with([thread, kind.as_str()])
            }),
            rebalance_duration: all.rebalance_duration.with([thread]),
            restored: all.restored.with([thread]),
            dead_letters: PerValue::new(&BadRecord::ALL, |kind| {
                all.dead_letters.with([thread, kind.as_str()])
            }),
            dropped: PerValue::new(&DropReason::ALL, dropped),
            transactions: PerValue::new(&TransactionOutcome::ALL, |outcome| {
                all.transactions.with([thread, outcome.as_str()])
            }),
            transaction_duration: all.transaction_duration.with([thread]),
            shared: Arc::new(shared),
            name,
            families,
        }
    }

    /// How the thread spent its time since it last told.
    pub fn spent(&self, time: TimeSpent) {
        self.poll.inc_by(time.poll.as_secs_f64());
        self.process.inc_by(time.process.as_secs_f64());
        self.commit.inc_by(time.commit.as_secs_f64());
    }

    /// A commit was made, and took so long.
    pub fn committed(&self, took: Duration) {
        self.commit_latency.observe(took.as_secs_f64());
    }

    /// A transaction has ended, so long after it began.
    pub fn transaction(&self, outcome: TransactionOutcome, took: Duration) {
        self.transactions.of(outcome, IntCounter::inc);
        self.transaction_duration.observe(took.as_secs_f64());
    }

    /// The state that the thread keeps at hand, and how much of it is not yet committed.
    pub fn memory(&self, cache_bytes: u64, dirty_bytes: u64) {
        self.cache.set(number(cache_bytes));
        self.dirty.set(number(dirty_bytes));
    }

    /// How many windows of the thread's tasks are open.
    pub fn windows_open(&self, windows: u64) {
        self.windows_open.set(number(windows));
    }

    /// The assignment has changed.
    pub fn rebalanced(&self, kind: RebalanceKind) {
        self.rebalances.of(kind, IntCounter::inc);
    }

    /// The thread processes all its tasks again, so long after the assignment changed.
    pub fn rebalance_ended(&self, took: Duration) {
        self.rebalance_duration.observe(took.as_secs_f64());
    }

    /// Records were read from changelogs and applied.
    pub fn restored(&self, records: u64) {
        self.restored.inc_by(records);
    }

    /// A task is restored, after so long.
    pub fn restore_ended(&self, took: Duration) {
        self.families.restore_duration.observe(took.as_secs_f64());
    }

    /// Records were sent to the dead-letter topic.
    pub fn dead_letters(&self, kind: BadRecord, records: u64) {
        self.dead_letters.of(kind, |counter| counter.inc_by(records));
    }

    /// Records were dropped. Those in a task's `Counts` are counted by [`TaskMetrics::committed`].
    pub fn dropped(&self, reason: DropReason, records: u64) {
        self.dropped.of(reason, |counter| counter.inc_by(records));
    }

    /// The metrics of a topic that the thread reads or writes. To be kept, not asked for again and again.
    pub fn topic(&self, topic: &str) -> TopicMetrics {
        let labels = [self.name.as_str(), self.families.topics.value(topic)];
        TopicMetrics {
            records_consumed: self.families.records_consumed.with(labels),
            bytes_consumed: self.families.bytes_consumed.with(labels),
            records_produced: self.families.records_produced.with(labels),
            bytes_produced: self.families.bytes_produced.with(labels),
        }
    }

    /// The metrics of a task that was just created. Its series are there until the handle is gone.
    pub fn task(&self, task: TaskId) -> TaskMetrics {
        self.shared.created.inc();
        TaskMetrics::new(Arc::clone(&self.families), Arc::clone(&self.shared), self.name.clone(), task)
    }
}

/// The metrics of a topic that a thread reads or writes.
#[derive(Clone)]
pub struct TopicMetrics {
    records_consumed: IntCounter,
    bytes_consumed: IntCounter,
    records_produced: IntCounter,
    bytes_produced: IntCounter,
}

impl TopicMetrics {
    /// So many records were read, whose keys and values have so many bytes.
    pub fn consumed(&self, records: u64, bytes: u64) {
        self.records_consumed.inc_by(records);
        self.bytes_consumed.inc_by(bytes);
    }

    /// So many records were written, whose keys and values have so many bytes.
    pub fn produced(&self, records: u64, bytes: u64) {
        self.records_produced.inc_by(records);
        self.bytes_produced.inc_by(bytes);
    }
}
