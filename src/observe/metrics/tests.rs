//! What the registry says after what it was told.

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
    let (sold, price) = (spec("cars_sold_total", MetricKind::Counter), spec("car_price", MetricKind::Gauge));
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
