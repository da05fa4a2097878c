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
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroUsize;

    use riacho_topology::{BadRecord, Counts, TaskId, Timestamp};

    use super::*;
    use crate::lifecycle::Limits;

    const MILLIS: Duration = Duration::from_millis(1);

    fn metrics(level: RecordingLevel) -> Metrics {
        Metrics::new("app", "host-1", level).unwrap()
    }

    fn lifecycle() -> Arc<Lifecycle> {
        Lifecycle::new("app-1", NonZeroUsize::MIN, Limits { poll_age_max: MILLIS, commit_age_max: MILLIS })
    }

    fn rendered(metrics: &Metrics) -> String {
        metrics.render(&lifecycle(), Duration::ZERO).unwrap()
    }

    /// The value of the series with this name and these labels, which must be in alphabetical order.
    fn value(text: &str, name: &str, labels: &str) -> Option<f64> {
        text.lines().find_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (of, rest) = series.split_once('{')?;
            let own = rest
                .trim_end_matches('}')
                .split(',')
                .filter(|label| !label.starts_with("application_id=") && !label.starts_with("instance="))
                .collect::<Vec<_>>()
                .join(",");
            (of == name && own == labels).then(|| value.parse().unwrap())
        })
    }

    const TASK: TaskId = TaskId { subtopology: 0, partition: 3 };

    #[test]
    fn what_is_exported_is_the_table_and_the_process() {
        for level in [RecordingLevel::Info, RecordingLevel::Debug] {
            let metrics = metrics(level);
            let thread = metrics.thread(1);
            let _topic = thread.topic("in");
            let mut task = thread.task(TASK);
            task.committed(&Counts::default(), Timestamp(5));
            task.position(&TopicPartition::new("in", 3), 1, Some(2));
            let _store = task.store("totals");
            let mut client = metrics.client("consumer-1");
            let broker = BrokerStatistics { broker: "b:9092/1", ..BrokerStatistics::default() };
            client.statistics(1, 2, [broker]);
            let text = rendered(&metrics);
            let exported: BTreeSet<&str> =
                text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
            let expected: BTreeSet<&str> =
                METRICS.iter().filter(|spec| spec.level <= level).map(|spec| spec.name).collect();
            let own: BTreeSet<&str> =
                exported.iter().copied().filter(|name| !name.starts_with("process_")).collect();
            assert_eq!(own, expected);
            assert!(exported.contains("process_resident_memory_bytes"));
            let is_labelled = |line: &&str| {
                line.starts_with('#')
                    || line.contains("application_id=\"app\"") && line.contains("instance=\"host-1\"")
            };
            assert_eq!(text.lines().find(|line| !is_labelled(line)), None);
        }
    }

    #[test]
    fn a_commit_is_told_in_plain_numbers() {
        let metrics = metrics(RecordingLevel::Info);
        let thread = metrics.thread(2);
        let mut task = thread.task(TASK);
        let counts = Counts { late: 1, null: 2, windows_closed: 3, store_reads: 4, store_writes: 5 };
        task.committed(&counts, Timestamp(1_500));
        task.committed(&counts, Timestamp(2_500));
        task.position(&TopicPartition::new("in", 3), 90, Some(100));
        thread.committed(5 * MILLIS);
        thread.transaction(TransactionOutcome::Committed, 7 * MILLIS);
        thread.spent(TimeSpent { poll: 250 * MILLIS, process: 500 * MILLIS, ..TimeSpent::default() });
        thread.dead_letters(BadRecord::Timestamp, 6);
        thread.windows_open(9);
        thread.dropped(DropReason::Invalid, 7);
        thread.topic("in").consumed(8, 900);
        thread.topic("out").produced(3, 70);
        let text = rendered(&metrics);
        let cases = [
            ("kstreams_dropped_records_total", r#"reason="late",thread="2""#, 2.0),
            ("kstreams_dropped_records_total", r#"reason="null_key",thread="2""#, 4.0),
            ("kstreams_dropped_records_total", r#"reason="invalid",thread="2""#, 7.0),
            ("kstreams_dropped_records_total", r#"reason="expired_window",thread="2""#, 0.0),
            ("kstreams_dlq_records_total", r#"reason="timestamp",thread="2""#, 6.0),
            ("kstreams_dlq_records_total", r#"reason="production",thread="2""#, 0.0),
            ("kstreams_open_windows", r#"thread="2""#, 9.0),
            ("kstreams_windows_closed_total", r#"thread="2""#, 6.0),
            ("kstreams_store_operations_total", r#"op="get",thread="2""#, 8.0),
            ("kstreams_store_operations_total", r#"op="put",thread="2""#, 10.0),
            ("kstreams_stream_time_seconds", r#"task="0_3",thread="2""#, 2.5),
            ("kstreams_consumer_lag_records", r#"partition="3",task="0_3",thread="2",topic="in""#, 10.0),
            ("kstreams_consumer_committed_offset", r#"partition="3",task="0_3",thread="2",topic="in""#, 90.0),
            ("kstreams_thread_commit_latency_seconds_count", r#"thread="2""#, 1.0),
            ("kstreams_thread_commit_latency_seconds_bucket", r#"thread="2",le="0.005""#, 1.0),
            ("kstreams_transactions_total", r#"outcome="committed",thread="2""#, 1.0),
            ("kstreams_transactions_total", r#"outcome="fenced",thread="2""#, 0.0),
            ("kstreams_thread_poll_seconds_total", r#"thread="2""#, 0.25),
            ("kstreams_thread_process_seconds_total", r#"thread="2""#, 0.5),
            ("kstreams_records_consumed_total", r#"thread="2",topic="in""#, 8.0),
            ("kstreams_bytes_consumed_total", r#"thread="2",topic="in""#, 900.0),
            ("kstreams_records_produced_total", r#"thread="2",topic="out""#, 3.0),
            ("kstreams_bytes_produced_total", r#"thread="2",topic="out""#, 70.0),
            ("kstreams_task_created_total", r#"thread="2""#, 1.0),
        ];
        for (name, labels, expected) in cases {
            assert_eq!(value(&text, name, labels), Some(expected), "{name} {labels}\n{text}");
        }
    }

    #[test]
    fn what_an_application_adds_is_served_with_the_labels_that_all_have() {
        let spec = |name, kind| MetricSpec {
            name,
            kind,
            labels: &["color"],
            level: RecordingLevel::Info,
            help: "What a test adds.",
        };
        let (sold, price) =
            (spec("cars_sold_total", MetricKind::Counter), spec("car_price", MetricKind::Gauge));
        let mut own = OwnMetrics::default();
        let (sales, prices) = (own.counters::<1>(&sold).unwrap(), own.gauges::<1>(&price).unwrap());
        assert!(own.gauges::<1>(&sold).is_err() && own.counters::<2>(&sold).is_err());
        sales.series(["red"]).add(2.0);
        let metrics = metrics(RecordingLevel::Info);
        metrics.add(own).unwrap();
        sales.series(["red"]).add(1.5);
        for color in ["red", "blue"] {
            prices.set([color], 7.0);
        }
        prices.remove(["blue"]);
        let text = rendered(&metrics);
        assert_eq!(value(&text, "cars_sold_total", r#"color="red""#), Some(3.5));
        assert_eq!(value(&text, "car_price", r#"color="red""#), Some(7.0));
        assert_eq!(value(&text, "car_price", r#"color="blue""#), None);
        let is_labelled =
            |line: &str| line.contains(r#"application_id="app""#) && line.contains(r#"instance="host-1""#);
        assert!(text.lines().any(|line| line.starts_with("car_price{") && is_labelled(line)), "{text}");
        let mut twice = OwnMetrics::default();
        twice.counters::<1>(&sold).unwrap();
        assert!(metrics.add(twice).is_err());
    }

    #[test]
    fn the_series_of_a_task_go_with_it_and_its_counts_stay() {
        let metrics = metrics(RecordingLevel::Info);
        let thread = metrics.thread(1);
        let mut task = thread.task(TASK);
        let store = task.store("totals");
        task.position(&TopicPartition::new("in", 3), 1, None);
        task.committed(&Counts { late: 4, ..Counts::default() }, Timestamp(1));
        assert!(rendered(&metrics).contains("0_3"));
        drop(store);
        task.close(TaskClosed::Revoked);
        let text = rendered(&metrics);
        assert!(!text.contains("0_3"), "{text}");
        assert_eq!(value(&text, "kstreams_dropped_records_total", r#"reason="late",thread="1""#), Some(4.0));
        assert_eq!(value(&text, "kstreams_task_closed_total", r#"reason="revoked",thread="1""#), Some(1.0));
        assert_eq!(value(&text, "kstreams_task_closed_total", r#"reason="failed",thread="1""#), Some(0.0));
    }

    #[test]
    fn a_task_that_is_dropped_without_a_word_has_failed() {
        let metrics = metrics(RecordingLevel::Info);
        drop(metrics.thread(1).task(TASK));
        let text = rendered(&metrics);
        assert_eq!(value(&text, "kstreams_task_closed_total", r#"reason="failed",thread="1""#), Some(1.0));
    }

    #[test]
    fn a_task_without_stream_time_exports_none() {
        let metrics = metrics(RecordingLevel::Info);
        let mut task = metrics.thread(1).task(TASK);
        task.committed(&Counts::default(), Timestamp::MIN);
        assert!(!rendered(&metrics).contains("kstreams_stream_time_seconds"));
    }

    #[test]
    fn states_are_those_of_the_lifecycle_at_the_time_of_the_scrape() {
        let metrics = metrics(RecordingLevel::Info);
        let lifecycle = lifecycle();
        let thread = lifecycle.thread(1);
        lifecycle.start().unwrap();
        let _ = thread.enter(ThreadState::Starting, MILLIS).unwrap();
        thread.tasks(5, 2, 100);
        let text = metrics.render(&lifecycle, MILLIS).unwrap();
        let cases = [
            ("kstreams_client_state", r#"state="rebalancing""#, 1.0),
            ("kstreams_client_state", r#"state="running""#, 0.0),
            ("kstreams_thread_state", r#"state="starting",thread="1""#, 1.0),
            ("kstreams_alive_threads", "", 1.0),
            ("kstreams_failed_threads_total", "", 0.0),
            ("kstreams_assigned_tasks", r#"role="active",thread="1""#, 3.0),
            ("kstreams_assigned_tasks", r#"role="restoring",thread="1""#, 2.0),
        ];
        for (name, labels, expected) in cases {
            assert_eq!(value(&text, name, labels), Some(expected), "{name} {labels}\n{text}");
        }
        thread.fail("disk full");
        drop(thread);
        for _ in 0..2 {
            let text = metrics.render(&lifecycle, MILLIS).unwrap();
            assert_eq!(value(&text, "kstreams_failed_threads_total", ""), Some(1.0));
            assert_eq!(value(&text, "kstreams_client_state", r#"state="error""#), Some(1.0));
            assert_eq!(value(&text, "kstreams_alive_threads", ""), Some(0.0));
        }
    }

    #[test]
    fn statistics_of_stores_and_clients_grow_by_what_is_new() {
        let metrics = metrics(RecordingLevel::Debug);
        let task = metrics.thread(1).task(TASK);
        let mut store = task.store("totals");
        let mut client = metrics.client("producer-1");
        for total in [3, 5] {
            store.rocksdb(&RocksDbStatistics {
                memtable_bytes: 10,
                background_errors: total,
                ..RocksDbStatistics::default()
            });
            let broker = BrokerStatistics {
                broker: "b:9092/1",
                round_trip: 2 * MILLIS,
                disconnects: total,
                ..BrokerStatistics::default()
            };
            client.statistics(total, 100 * total, [broker]);
        }
        let text = rendered(&metrics);
        let of_store = r#"store="totals",task="0_3",thread="1""#;
        let of_broker = r#"broker="b:9092/1",client="producer-1""#;
        let cases = [
            ("rocksdb_memtable_bytes", of_store, 10.0),
            ("rocksdb_background_errors_total", of_store, 5.0),
            ("librdkafka_disconnects_total", of_broker, 5.0),
            ("librdkafka_broker_rtt_seconds", of_broker, 0.002),
            ("librdkafka_queue_bytes", r#"client="producer-1""#, 500.0),
        ];
        for (name, labels, expected) in cases {
            assert_eq!(value(&text, name, labels), Some(expected), "{name} {labels}\n{text}");
        }
        drop(client);
        assert!(!rendered(&metrics).contains("producer-1"));
    }

    #[test]
    fn the_lag_grows_while_its_task_stands_still() {
        let metrics = metrics(RecordingLevel::Info);
        let mut task = metrics.thread(1).task(TASK);
        let partition = TopicPartition::new("in", 3);
        let lag = |metrics: &Metrics| {
            let labels = r#"partition="3",task="0_3",thread="1",topic="in""#;
            value(&rendered(metrics), "kstreams_consumer_lag_records", labels)
        };
        task.position(&partition, 90, None);
        assert_eq!(lag(&metrics), None, "the end is not known");
        for (end, expected) in [(100, 10.0), (150, 60.0), (80, 0.0)] {
            metrics.ends(&[(partition.clone(), end), (TopicPartition::new("in", 4), 7)].into());
            assert_eq!(lag(&metrics), Some(expected), "up to {end}");
        }
        task.position(&partition, 95, Some(150));
        assert_eq!(lag(&metrics), Some(55.0));
        task.close(TaskClosed::Revoked);
        metrics.ends(&[(partition, 200)].into());
        assert_eq!(lag(&metrics), None, "it went with its task");
    }

    #[test]
    fn latencies_are_handed_over_at_the_commit() {
        let metrics = metrics(RecordingLevel::Info);
        let latency = metrics.end_to_end_latency();
        latency.observe(40 * MILLIS);
        let name = "kstreams_record_e2e_latency_seconds_count";
        assert_eq!(value(&rendered(&metrics), name, ""), Some(0.0));
        latency.flush();
        assert_eq!(value(&rendered(&metrics), name, ""), Some(1.0));
    }
}
