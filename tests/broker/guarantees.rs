//! What does not change with the guarantee, the state directory and the eyes on the application.

use riacho::{BigEndian, Consumed, Error, Grouped, Materialized, Produced, StreamsBuilder, Utf8};

use super::{count, in_and_out};
use crate::support::{App, Isolation, Kafka, LIMIT, Received, TestRecord, await_until, get, metric, unique};

/// Keys with their counts, in the order of the output.
fn updates(records: &[Received]) -> Vec<(String, u64)> {
    let update = |record: &Received| {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let bytes = record.value.as_deref().and_then(|bytes| bytes.try_into().ok());
        (key, u64::from_be_bytes(bytes.expect("a count has 8 bytes")))
    };
    records.iter().map(update).collect()
}

#[test]
fn at_least_once_counts_exactly_once_where_nothing_fails() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "at-least-once", 3);
    let app = App::on(client, "at-least-once").with("processing.guarantee", "at_least_once");
    let records = |count: usize| -> Vec<_> {
        (0..count).map(|n| TestRecord::new(format!("k{}", n % 11), "")).collect()
    };
    for round in 1..=2 {
        client.produce(&from, &records(1100));
        let running = app.start(count(&from, &to));
        running.await_processed(&from);
        let progress = running.stop();
        assert_eq!(progress.records, 1100, "a restart goes on where the group is");
        assert_eq!(progress.restored, 0, "and with the state on disk");
        let found = client.read_all(&to, Isolation::ReadUncommitted);
        let last: std::collections::BTreeMap<_, _> = updates(&found).into_iter().collect();
        assert_eq!(last.len(), 11);
        assert!(last.values().all(|&count| count == 100 * round), "{last:?}");
    }
}

#[test]
fn a_second_instance_on_the_same_state_directory_is_refused() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "locked", 1);
    let app = App::on(client, "locked");
    let running = app.start(count(&from, &to));
    let refused = app.try_start(count(&from, &to)).err().map(|error| error.to_string()).unwrap_or_default();
    let place = app.state_dir().display().to_string();
    assert!(refused.contains("in use by another process") && refused.contains(&place), "{refused}");
    client.produce(&from, &[TestRecord::new("a", "")]);
    running.await_processed(&from);
    running.stop();
}

#[test]
fn a_missing_topic_is_named() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "missing", 1);
    let nowhere = unique("nowhere");
    for (from, to, role) in [(&nowhere, &to, "input"), (&from, &nowhere, "output")] {
        let refused = App::on(client, "missing").try_start(count(from, to)).err();
        let Some(Error::NoTopic { topic, role: found }) = refused else { panic!("{refused:?}") };
        assert_eq!((topic, found), (nowhere.clone(), role));
    }
}

#[test]
fn metrics_and_readiness_are_served() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "eyes", 2);
    let app = App::on(client, "eyes").with("riacho.http.address", "127.0.0.1:0");
    let running = app.start(count(&from, &to));
    let address = running.streams.http_address().expect("HTTP is on").to_string();
    await_until(LIMIT, "it is ready", || get(&address, "/ready").is_some_and(|(status, _)| status == 200));
    client.produce(&from, &[TestRecord::new("a", "1").on(0), TestRecord::new("b", "2").on(1)]);
    running.await_processed(&from);

    let mut page = String::new();
    await_until(LIMIT, "the records are counted", || {
        page = get(&address, "/metrics").map(|(_, body)| body).unwrap_or_default();
        metric(&page, "kstreams_records_consumed_total", &from) == Some(2.0)
    });
    assert_eq!(metric(&page, "kstreams_client_state", "running"), Some(1.0));
    assert_eq!(metric(&page, "kstreams_alive_threads", ""), Some(1.0));
    assert_eq!(metric(&page, "kstreams_assigned_tasks", "active"), Some(2.0));
    assert_eq!(metric(&page, "kstreams_consumer_committed_offset", &from), Some(2.0));
    assert!(metric(&page, "kstreams_transactions_total", "committed").is_some_and(|count| count >= 1.0));
    assert_eq!(metric(&page, "kstreams_eos_violations_total", "").unwrap_or(0.0), 0.0);
    let application = format!("application_id=\"{}\"", app.id);
    assert!(
        page.lines().filter(|line| line.starts_with("kstreams_")).all(|line| line.contains(&application))
    );
    assert_eq!(get(&address, "/health").map(|(status, _)| status), Some(200));
    let described = get(&address, "/topology").map(|(_, body)| body).unwrap_or_default();
    assert!(described.contains("Sub-topology: 0") && described.contains("(topics: ["), "{described}");
    running.stop();
}

#[test]
fn an_input_that_is_silent_for_a_partition_does_not_hold_up_the_others() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "hot", 6);
    let other = unique("hot-other");
    client.create_topic(&other, 3);
    let builder = StreamsBuilder::new();
    let stream = |topic: &str| builder.stream(topic, Consumed::<String, String>::with(Utf8, Utf8));
    stream(&from)
        .merge(&stream(&other))
        .group_by_key(Grouped::with(Utf8, Utf8))
        .count(Materialized::named("counts", BigEndian))
        .to_stream()
        .to(to.as_str(), Produced::with(Utf8, BigEndian));
    let app = App::on(client, "hot");
    client.produce(&from, &(0..500).map(|_| TestRecord::new("hot", "").on(4)).collect::<Vec<_>>());
    let running = app.start(builder.build().expect("two sources, one store"));
    running.await_processed(&from);
    client.produce(&other, &[TestRecord::new("hot", "").on(1)]);
    running.await_processed(&other);
    running.stop();
    let found = updates(&client.read_all(&to, Isolation::ReadCommitted));
    assert!(found.contains(&("hot".to_owned(), 500)) && found.contains(&("hot".to_owned(), 1)), "{found:?}");
}
