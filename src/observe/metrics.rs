//! All metrics of an application in one registry, written out for Prometheus.
//!
//! Handles are resolved once and updated with plain numbers about once per commit, never per record.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};
use riacho_topology::TopicPartition;

use super::families::{Admission, Family, PerValue, Registrar, number};
use super::metric_table as table;
use super::task_metrics::Partitions;
use crate::config::RecordingLevel;
use crate::lifecycle::{ClientState, Lifecycle, ThreadState};
use crate::state::WipeReason;

pub use super::client_metrics::{BrokerStatistics, ClientMetrics};
pub use super::families::MetricsError;
pub use super::metric_table::{Buckets, METRICS, MetricKind, MetricSpec};
pub use super::own_metrics::{OwnCounter, OwnCounters, OwnGauges, OwnMetrics};
pub use super::store_metrics::{RocksDbStatistics, StoreMetrics};
pub use super::task_metrics::{TaskClosed, TaskMetrics};
pub use super::thread_metrics::{
    DropReason, RebalanceKind, ThreadMetrics, TimeSpent, TopicMetrics, TransactionOutcome,
};

/// Distinct topics and brokers that get series of their own.
const TOPICS_MAX: usize = 200;
const BROKERS_MAX: usize = 100;

/// The role of a task in its thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TaskRole {
    Active,
    Standby,
    Restoring,
}

/// Every family, as the parts that own series need them.
pub(super) struct Families {
    pub(super) thread_poll: Family<CounterVec, 1>,
    pub(super) thread_process: Family<CounterVec, 1>,
    pub(super) thread_commit: Family<CounterVec, 1>,
    pub(super) commit_latency: Family<HistogramVec, 1>,
    pub(super) thread_cache: Family<IntGaugeVec, 1>,
    pub(super) thread_dirty: Family<IntGaugeVec, 1>,
    pub(super) rebalances: Family<IntCounterVec, 2>,
    pub(super) rebalance_duration: Family<HistogramVec, 1>,
    pub(super) task_created: Family<IntCounterVec, 1>,
    pub(super) task_closed: Family<IntCounterVec, 2>,
    pub(super) records_consumed: Family<IntCounterVec, 2>,
    pub(super) bytes_consumed: Family<IntCounterVec, 2>,
    pub(super) records_produced: Family<IntCounterVec, 2>,
    pub(super) bytes_produced: Family<IntCounterVec, 2>,
    pub(super) dropped: Family<IntCounterVec, 2>,
    pub(super) dead_letters: Family<IntCounterVec, 2>,
    pub(super) windows_open: Family<IntGaugeVec, 1>,
    pub(super) windows_closed: Family<IntCounterVec, 1>,
    pub(super) stream_time: Family<GaugeVec, 2>,
    pub(super) consumer_lag: Family<IntGaugeVec, 4>,
    pub(super) committed_offset: Family<IntGaugeVec, 4>,
    pub(super) store_operations: Family<IntCounterVec, 2>,
    pub(super) store_entries: Family<IntGaugeVec, 3>,
    pub(super) restored: Family<IntCounterVec, 1>,
    pub(super) restore_duration: Histogram,
    pub(super) transactions: Family<IntCounterVec, 2>,
    pub(super) transaction_duration: Family<HistogramVec, 1>,
    pub(super) rocksdb_memtable: Family<IntGaugeVec, 3>,
    pub(super) rocksdb_sst: Family<IntGaugeVec, 3>,
    pub(super) rocksdb_pending: Family<IntGaugeVec, 3>,
    pub(super) rocksdb_errors: Family<IntCounterVec, 3>,
    pub(super) broker_rtt: Family<GaugeVec, 2>,
    pub(super) broker_timeouts: Family<IntCounterVec, 2>,
    pub(super) broker_disconnects: Family<IntCounterVec, 2>,
    pub(super) broker_throttle: Family<GaugeVec, 2>,
    pub(super) broker_retries: Family<IntCounterVec, 2>,
    pub(super) queue_messages: Family<IntGaugeVec, 1>,
    pub(super) queue_bytes: Family<IntGaugeVec, 1>,
    pub(super) topics: Admission,
    pub(super) brokers: Admission,
    pub(super) partitions: Partitions,
}

/// What the registry has beside the families.
struct Inner {
    registry: Registry,
    application_id: String,
    instance: String,
    families: Arc<Families>,
    client_state: PerValue<ClientState, IntGauge>,
    thread_state: Family<IntGaugeVec, 2>,
    assigned_tasks: Family<IntGaugeVec, 2>,
    alive_threads: IntGauge,
    failed_threads: IntCounter,
    e2e_latency: Histogram,
    store_wipes: PerValue<WipeReason, IntCounter>,
    eos_violations: IntCounter,
    block_cache: IntGauge,
    scrape: Mutex<()>,
}

/// All metrics of an application. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

impl Metrics {
    /// The metrics of one instance of an application; every series carries both names.
    ///
    /// # Errors
    /// Only when the table of metrics contradicts itself.
    pub fn new(application_id: &str, instance: &str, level: RecordingLevel) -> Result<Metrics, MetricsError> {
        let labels = [("application_id", application_id), ("instance", instance)];
        let labels: HashMap<String, String> =
            labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let make = Registrar::new(labels, level)?;

        let version = env!("CARGO_PKG_VERSION");
        let commit = option_env!("RIACHO_COMMIT").unwrap_or("unknown");
        make.gauges::<2>(&table::CLIENT_INFO)?.with([version, commit]).set(1);
        let client_state = make.gauges::<1>(&table::CLIENT_STATE)?;
        let store_wipes = make.counters::<1>(&table::STORE_WIPES)?;
        let inner = Inner {
            application_id: application_id.to_owned(),
            instance: instance.to_owned(),
            client_state: PerValue::new(&ClientState::ALL, |state| {
                client_state.with([&label(state.as_str())])
            }),
            thread_state: make.gauges(&table::THREAD_STATE)?,
            assigned_tasks: make.gauges(&table::ASSIGNED_TASKS)?,
            alive_threads: make.gauges(&table::ALIVE_THREADS)?.with([]),
            failed_threads: make.counters(&table::FAILED_THREADS)?.with([]),
            e2e_latency: make.histograms(&table::E2E_LATENCY)?.with([]),
            store_wipes: PerValue::new(&WipeReason::ALL, |reason| store_wipes.with([reason.as_str()])),
            eos_violations: make.counters(&table::EOS_VIOLATIONS)?.with([]),
            block_cache: make.gauges(&table::ROCKSDB_BLOCK_CACHE)?.with([]),
            scrape: Mutex::new(()),
            families: Arc::new(Families::new(&make)?),
            registry: make.registry(),
        };
        #[cfg(target_os = "linux")]
        inner.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Metrics(Arc::new(inner)))
    }

    /// The application's name.
    pub fn application_id(&self) -> &str {
        &self.0.application_id
    }

    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// The metrics of stream thread `number`, from 1.
    pub fn thread(&self, number: usize) -> ThreadMetrics {
        ThreadMetrics::new(Arc::clone(&self.0.families), number)
    }

    /// The metrics of a Kafka client, until the handle is dropped. `client` must be one of a fixed set of names.
    pub fn client(&self, client: &str) -> ClientMetrics {
        ClientMetrics::new(Arc::clone(&self.0.families), client)
    }

    /// Collects the age of the records that waited longest for their commit. One per thread.
    pub fn end_to_end_latency(&self) -> LatencySamples {
        LatencySamples(self.0.e2e_latency.local())
    }

    /// Local state was deleted.
    pub fn store_wiped(&self, reason: WipeReason) {
        self.0.store_wipes.of(reason, IntCounter::inc);
    }

    /// State, changelog and committed positions contradict each other.
    pub fn eos_violated(&self) {
        self.0.eos_violations.inc();
    }

    /// The ends of the inputs: the lag of a task that does not commit grows with them.
    pub fn ends(&self, ends: &BTreeMap<TopicPartition, i64>) {
        self.0.families.partitions.ends(&self.0.families, ends);
    }

    /// The memory in RocksDB's shared block cache, write buffers included.
    pub fn block_cache(&self, bytes: u64) {
        self.0.block_cache.set(number(bytes));
    }

    /// Serves an application's own metrics beside these.
    ///
    /// # Errors
    /// When one has the name of another.
    pub fn add(&self, own: OwnMetrics) -> Result<(), MetricsError> {
        for collector in own.into_collectors() {
            self.0.registry.register(collector)?;
        }
        Ok(())
    }

    /// The bytes of each store on disk and in memtables, all tasks added up.
    pub fn store_bytes(&self) -> BTreeMap<String, u64> {
        let mut bytes = BTreeMap::new();
        for family in [&self.0.families.rocksdb_sst, &self.0.families.rocksdb_memtable] {
            for (store, sum) in family.sums_by("store") {
                *bytes.entry(store).or_default() += sum.max(0).unsigned_abs();
            }
        }
        bytes
    }

    /// Writes every metric in Prometheus' text format 0.0.4, with the states of `lifecycle` as they are at `now`.
    ///
    /// # Errors
    /// Only when a metric contradicts the table.
    pub fn render(&self, lifecycle: &Lifecycle, now: Duration) -> Result<String, MetricsError> {
        // One scrape at a time: two would count a failed thread twice.
        let _scrape = self.0.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.note_states(lifecycle, now);
        Ok(TextEncoder::new().encode_to_string(&self.0.registry.gather())?)
    }

    fn note_states(&self, lifecycle: &Lifecycle, now: Duration) {
        let inner = &*self.0;
        let client = lifecycle.state();
        for (state, gauge) in inner.client_state.iter() {
            gauge.set(i64::from(state == client));
        }
        let failed = u64::try_from(lifecycle.failed_threads()).unwrap_or(u64::MAX);
        inner.failed_threads.inc_by(failed.saturating_sub(inner.failed_threads.get()));
        let threads = lifecycle.threads(now);
        let is_alive = |state| !matches!(state, ThreadState::Created | ThreadState::Dead);
        let alive = threads.iter().filter(|thread| is_alive(thread.state)).count();
        inner.alive_threads.set(i64::try_from(alive).unwrap_or(i64::MAX));
        for thread in threads {
            let name = thread.number.to_string();
            for state in ThreadState::ALL {
                let gauge = inner.thread_state.with([&name, &label(state.as_str())]);
                gauge.set(i64::from(state == thread.state));
            }
            for role in [TaskRole::Active, TaskRole::Standby, TaskRole::Restoring] {
                let (role, tasks) = match role {
                    TaskRole::Active => ("active", thread.tasks.saturating_sub(thread.restoring_tasks)),
                    TaskRole::Standby => ("standby", 0),
                    TaskRole::Restoring => ("restoring", thread.restoring_tasks),
                };
                inner.assigned_tasks.with([&name, role]).set(i64::try_from(tasks).unwrap_or(i64::MAX));
            }
        }
    }
}

impl Families {
    fn new(make: &Registrar) -> Result<Families, MetricsError> {
        Ok(Families {
            thread_poll: make.seconds(&table::THREAD_POLL)?,
            thread_process: make.seconds(&table::THREAD_PROCESS)?,
            thread_commit: make.seconds(&table::THREAD_COMMIT)?,
            commit_latency: make.histograms(&table::COMMIT_LATENCY)?,
            thread_cache: make.gauges(&table::THREAD_CACHE)?,
            thread_dirty: make.gauges(&table::THREAD_DIRTY)?,
            rebalances: make.counters(&table::REBALANCES)?,
            rebalance_duration: make.histograms(&table::REBALANCE_DURATION)?,
            task_created: make.counters(&table::TASK_CREATED)?,
            task_closed: make.counters(&table::TASK_CLOSED)?,
            records_consumed: make.counters(&table::RECORDS_CONSUMED)?,
            bytes_consumed: make.counters(&table::BYTES_CONSUMED)?,
            records_produced: make.counters(&table::RECORDS_PRODUCED)?,
            bytes_produced: make.counters(&table::BYTES_PRODUCED)?,
            dropped: make.counters(&table::DROPPED)?,
            dead_letters: make.counters(&table::DEAD_LETTERS)?,
            windows_open: make.gauges(&table::WINDOWS_OPEN)?,
            windows_closed: make.counters(&table::WINDOWS_CLOSED)?,
            stream_time: make.fractions(&table::STREAM_TIME)?,
            consumer_lag: make.gauges(&table::CONSUMER_LAG)?,
            committed_offset: make.gauges(&table::COMMITTED_OFFSET)?,
            store_operations: make.counters(&table::STORE_OPERATIONS)?,
            store_entries: make.gauges(&table::STORE_ENTRIES)?,
            restored: make.counters(&table::RESTORED)?,
            restore_duration: make.histograms(&table::RESTORE_DURATION)?.with([]),
            transactions: make.counters(&table::TRANSACTIONS)?,
            transaction_duration: make.histograms(&table::TRANSACTION_DURATION)?,
            rocksdb_memtable: make.gauges(&table::ROCKSDB_MEMTABLE)?,
            rocksdb_sst: make.gauges(&table::ROCKSDB_SST)?,
            rocksdb_pending: make.gauges(&table::ROCKSDB_PENDING)?,
            rocksdb_errors: make.counters(&table::ROCKSDB_ERRORS)?,
            broker_rtt: make.fractions(&table::BROKER_RTT)?,
            broker_timeouts: make.counters(&table::BROKER_TIMEOUTS)?,
            broker_disconnects: make.counters(&table::BROKER_DISCONNECTS)?,
            broker_throttle: make.fractions(&table::BROKER_THROTTLE)?,
            broker_retries: make.counters(&table::BROKER_RETRIES)?,
            queue_messages: make.gauges(&table::QUEUE_MESSAGES)?,
            queue_bytes: make.gauges(&table::QUEUE_BYTES)?,
            topics: Admission::new(TOPICS_MAX),
            brokers: Admission::new(BROKERS_MAX),
            partitions: Partitions::default(),
        })
    }
}

/// Ages of records, collected without a lock and handed over by [`flush`](Self::flush).
pub struct LatencySamples(prometheus::local::LocalHistogram);

impl LatencySamples {
    /// Collects the age of a record.
    pub fn observe(&self, age: Duration) {
        self.0.observe(age.as_secs_f64());
    }

    /// Hands over what was collected; once per commit.
    pub fn flush(&self) {
        self.0.flush();
    }
}

/// Kafka Streams' name of a state as a label value: `running` for `RUNNING`.
fn label(state: &str) -> String {
    state.to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
