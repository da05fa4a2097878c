//! The table of all metrics: names, labels, levels and what they mean. Names are an interface: dashboards and alerts
//! are built on them.

use crate::config::RecordingLevel;

use RecordingLevel::{Debug, Info};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; starts again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size, in buckets up to these bounds.
    Histogram(Buckets),
}

/// Which sizes a histogram tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// Commits and transactions: 1 ms to 10 s.
    Commit,
    /// From event to result: 5 ms to 1 minute.
    EndToEnd,
    /// Rebalances and restores: 100 ms to 1 hour.
    Long,
}

impl Buckets {
    /// The upper bounds, in seconds.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Buckets::Commit => {
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
            }
            Buckets::EndToEnd => &[
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.5, 5.0, 10.0,
                60.0,
            ],
            Buckets::Long => &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0],
        }
    }
}

/// A metric. Every series also has the labels `application_id` and `instance`.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels beside `application_id` and `instance`.
    pub labels: &'static [&'static str],
    /// The level from which on it is exported.
    pub level: RecordingLevel,
    /// What it means.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricSpec {
    MetricSpec { name, kind: MetricKind::Counter, labels, level: Info, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricSpec {
    MetricSpec { name, kind: MetricKind::Gauge, labels, level: Info, help }
}

const fn histogram(
    name: &'static str,
    buckets: Buckets,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricSpec {
    MetricSpec { name, kind: MetricKind::Histogram(buckets), labels, level: Info, help }
}

const fn debug(spec: MetricSpec) -> MetricSpec {
    MetricSpec { level: Debug, ..spec }
}

/// Declares a constant per metric and the table of all of them.
macro_rules! metrics {
    ($($constant:ident = $spec:expr;)*) => {
        $(pub(super) const $constant: MetricSpec = $spec;)*

        /// Every metric of riacho, in the order of this table. `process_*` comes on top, from the `prometheus` crate.
        pub const METRICS: &[MetricSpec] = &[$($constant),*];
    };
}

const THREAD: &[&str] = &["thread"];
const THREAD_TOPIC: &[&str] = &["thread", "topic"];
const PARTITION: &[&str] = &["thread", "task", "topic", "partition"];
const STORE: &[&str] = &["thread", "task", "store"];
const BROKER: &[&str] = &["client", "broker"];

metrics! {
    CLIENT_INFO = gauge("kstreams_client_info", &["version", "commit"], "Always 1; its labels tell the build.");
    CLIENT_STATE = gauge("kstreams_client_state", &["state"], "1 for the state the application is in, else 0.");
    ALIVE_THREADS = gauge("kstreams_alive_threads", &[], "Stream threads that have started and not ended.");
    FAILED_THREADS = counter("kstreams_failed_threads_total", &[], "Stream threads that ended with a failure.");

    THREAD_STATE = gauge("kstreams_thread_state", &["thread", "state"], "1 for the state the thread is in, else 0.");
    THREAD_POLL = counter("kstreams_thread_poll_seconds_total", THREAD, "Time spent waiting for records.");
    THREAD_PROCESS = counter("kstreams_thread_process_seconds_total", THREAD, "Time spent processing records.");
    THREAD_COMMIT = counter("kstreams_thread_commit_seconds_total", THREAD, "Time spent committing.");
    COMMIT_LATENCY = histogram(
        "kstreams_thread_commit_latency_seconds", Buckets::Commit, THREAD,
        "How long commits take, from the first flush to the last answer.");
    THREAD_CACHE = gauge("kstreams_cache_bytes", THREAD, "Decoded state that the thread keeps at hand.");
    THREAD_DIRTY = gauge("kstreams_dirty_bytes", THREAD, "Changed state that is not yet committed.");

    REBALANCES = counter("kstreams_rebalances_total", &["thread", "kind"], "Changes of the assignment, by kind.");
    REBALANCE_DURATION = histogram(
        "kstreams_rebalance_duration_seconds", Buckets::Long, THREAD,
        "Time from a change of the assignment until the thread processes all its tasks.");
    ASSIGNED_TASKS = gauge("kstreams_assigned_tasks", &["thread", "role"], "Tasks assigned to the thread, by role.");
    TASK_CREATED = counter("kstreams_task_created_total", THREAD, "Tasks that were created.");
    TASK_CLOSED = counter("kstreams_task_closed_total", &["thread", "reason"], "Tasks that were closed, by reason.");

    RECORDS_CONSUMED = counter("kstreams_records_consumed_total", THREAD_TOPIC, "Records read from a topic.");
    BYTES_CONSUMED = counter("kstreams_bytes_consumed_total", THREAD_TOPIC, "Bytes of keys and values read.");
    RECORDS_PRODUCED = counter(
        "kstreams_records_produced_total", THREAD_TOPIC,
        "Records written to a topic and committed; changelogs and dead letters too.");
    BYTES_PRODUCED = counter("kstreams_bytes_produced_total", THREAD_TOPIC, "Bytes of their keys and values.");
    E2E_LATENCY = histogram(
        "kstreams_record_e2e_latency_seconds", Buckets::EndToEnd, &[],
        "One sample per task and commit: the age, by its Kafka timestamp, of the record that waited longest when its \
         commit was done.");
    DROPPED = counter(
        "kstreams_dropped_records_total", &["thread", "reason"],
        "Records that were consumed and counted nowhere, by reason.");
    DEAD_LETTERS = counter(
        "kstreams_dlq_records_total", &["thread", "reason"],
        "Records sent to the dead-letter topic, by what is wrong with them.");
    WINDOWS_OPEN = gauge(
        "kstreams_open_windows", THREAD, "Windows of the thread's tasks that are open, as of the last commit.");
    WINDOWS_CLOSED = counter("kstreams_windows_closed_total", THREAD, "Windows that were closed.");

    STREAM_TIME = gauge(
        "kstreams_stream_time_seconds", &["thread", "task"],
        "The highest event time the task has seen, in seconds since 1970.");
    CONSUMER_LAG = gauge(
        "kstreams_consumer_lag_records", PARTITION,
        "Records between the committed position and the end of the partition.");
    COMMITTED_OFFSET = gauge("kstreams_consumer_committed_offset", PARTITION, "The committed position.");

    STORE_OPERATIONS = counter(
        "kstreams_store_operations_total", &["thread", "op"],
        "Reads of stores that no cache could answer, and entries written to stores.");
    STORE_ENTRIES = gauge("kstreams_store_entries_estimate", STORE, "About how many entries the store has.");
    STORE_WIPES = counter(
        "kstreams_store_wipes_total", &["reason"],
        "Times that local state was deleted to restore it from its changelog, by reason.");
    RESTORED = counter("kstreams_restored_records_total", THREAD, "Records read from changelogs to restore state.");
    RESTORE_DURATION = histogram(
        "kstreams_restore_duration_seconds", Buckets::Long, &[], "How long it takes to restore a task.");

    TRANSACTIONS = counter("kstreams_transactions_total", &["thread", "outcome"], "Transactions, by outcome.");
    TRANSACTION_DURATION = histogram(
        "kstreams_transaction_duration_seconds", Buckets::Commit, THREAD,
        "Time from the begin of a transaction to its end.");
    EOS_VIOLATIONS = counter(
        "kstreams_eos_violations_total", &[],
        "Contradictions found between state, changelog and committed positions. Must be 0.");

    ROCKSDB_BLOCK_CACHE = gauge("rocksdb_block_cache_usage_bytes", &[], "Memory in the shared block cache, memtables included.");
    ROCKSDB_MEMTABLE = gauge("rocksdb_memtable_bytes", STORE, "Memory in memtables.");
    ROCKSDB_SST = gauge("rocksdb_sst_bytes", STORE, "Size of the SST files.");
    ROCKSDB_PENDING = gauge("rocksdb_pending_compaction_bytes", STORE, "About how much is left to compact.");
    ROCKSDB_ERRORS = counter("rocksdb_background_errors_total", STORE, "Errors in flushes and compactions.");

    BROKER_RTT = debug(gauge("librdkafka_broker_rtt_seconds", BROKER, "Average round trip to the broker."));
    BROKER_TIMEOUTS = debug(counter("librdkafka_request_timeouts_total", BROKER, "Requests that timed out."));
    BROKER_DISCONNECTS = debug(counter("librdkafka_disconnects_total", BROKER, "Connections that were lost."));
    BROKER_THROTTLE = debug(gauge(
        "librdkafka_throttle_seconds", BROKER, "Average time that the broker throttled us."));
    BROKER_RETRIES = debug(counter("librdkafka_tx_retries_total", BROKER, "Requests that were sent again."));
    QUEUE_MESSAGES = gauge("librdkafka_queue_messages", &["client"], "Records in the client's queues.");
    QUEUE_BYTES = gauge("librdkafka_queue_bytes", &["client"], "Bytes of records in the client's queues.");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut names = HashSet::new();
        for spec in METRICS {
            assert!(names.insert(spec.name), "{} is there twice", spec.name);
            assert_eq!(spec.name.ends_with("_total"), spec.kind == MetricKind::Counter, "{}", spec.name);
            assert!(
                ["kstreams_", "rocksdb_", "librdkafka_"].iter().any(|prefix| spec.name.starts_with(prefix))
            );
            assert!(spec.help.ends_with('.'), "{}", spec.name);
            if let MetricKind::Histogram(buckets) = spec.kind {
                assert!(spec.name.ends_with("_seconds"), "{}", spec.name);
                assert!(buckets.bounds().is_sorted(), "{}", spec.name);
            }
        }
    }
}
