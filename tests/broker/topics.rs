//! Internal topics, committed offsets, and what is written when nothing happens.

use std::time::Duration;

use riacho::{
    BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, TimeWindowed, TimeWindows, Utf8,
};

use super::{copy, count, in_and_out};
use crate::support::{App, Isolation, Kafka, LIMIT, TestRecord, await_until};

#[test]
fn internal_topics_have_the_names_partitions_and_settings_of_kafka_streams() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "internal", 5);
    let windows =
        TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(10)).expect("a minute");
    let builder = StreamsBuilder::new();
    let by_value = builder
        .stream(from.as_str(), Consumed::<String, String>::with(Utf8, Utf8))
        .group_by(|record| record.value.clone(), Grouped::with(Utf8, Utf8).named("by-value"));
    let _ = by_value.count(Materialized::named("all-time", BigEndian));
    by_value
        .windowed_by(windows)
        .count(Materialized::named("per-minute", BigEndian))
        .to_stream()
        .to(to.as_str(), Produced::with(TimeWindowed::of(windows, Utf8), BigEndian));
    let app = App::on(client, "internal").with("windowstore.changelog.additional.retention.ms", "5000");
    let running = app.start(builder.build().expect("one repartition topic, two stores"));

    let repartition = format!("{}-by-value-repartition", app.id);
    let (all_time, per_minute) =
        (format!("{}-all-time-changelog", app.id), format!("{}-per-minute-changelog", app.id));
    for (topic, settings) in [
        (
            &repartition,
            &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("segment.bytes", "52428800")] as &[_],
        ),
        (&all_time, &[("cleanup.policy", "compact")]),
        (&per_minute, &[("cleanup.policy", "compact,delete"), ("retention.ms", "75000")]),
    ] {
        assert_eq!(client.partition_count(topic), Some(5), "{topic}");
        let config = client.topic_config(topic);
        for (name, value) in settings.iter().chain([&("message.timestamp.type", "CreateTime")]) {
            assert_eq!(config.get(*name).map(String::as_str), Some(*value), "{name} of {topic}");
        }
    }

    // A restart finds them as they are.
    running.stop();
    let again = StreamsBuilder::new();
    let stream = again.stream(from.as_str(), Consumed::<String, String>::with(Utf8, Utf8));
    let _ = stream
        .group_by(|record| record.value.clone(), Grouped::with(Utf8, Utf8).named("by-value"))
        .count(Materialized::named("all-time", BigEndian));
    app.start(again.build().expect("one repartition topic, one store")).stop();
}

#[test]
fn committed_offsets_advance_while_the_application_runs() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "offsets", 2);
    let app = App::on(client, "offsets");
    let running = app.start(copy(&from, &to));
    for round in 1..=3 {
        client.produce(&from, &[TestRecord::new("a", "1").on(0), TestRecord::new("b", "2").on(1)]);
        await_until(LIMIT, "the group's offsets show it", || {
            client.committed(&app.id, &from) == [(0, round), (1, round)]
        });
        assert_eq!(
            client.read_all(&to, Isolation::ReadCommitted).len() as i64,
            2 * round,
            "with its outputs"
        );
    }
    running.stop();
}

#[test]
fn an_empty_commit_interval_opens_no_transaction() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "idle", 1);
    let (busy_from, busy_to) = in_and_out(client, "busy", 1);
    let idle_app = App::on(client, "idle").with("commit.interval.ms", "20");
    let busy_app = App::on(client, "busy").with("commit.interval.ms", "20");
    let idle = idle_app.start(count(&from, &to));
    client.produce(&from, &[TestRecord::new("a", "1")]);
    idle.await_processed(&from);
    let changelog = format!("{}-counts-changelog", idle_app.id);
    let ends = || [&to, &changelog].map(|topic| client.end_offsets(topic));
    // Its last marker may still be under way.
    assert_eq!(
        client.read_all(&changelog, Isolation::ReadCommitted).len(),
        2,
        "the count and the commit record"
    );
    assert_eq!(client.read_all(&to, Isolation::ReadCommitted).len(), 1);
    let (before, commits) = (ends(), idle.progress().commits);

    // Ten commits of a neighbour are at least ten commit intervals.
    let busy = busy_app.start(copy(&busy_from, &busy_to));
    for round in 1..=10 {
        client.produce(&busy_from, &[TestRecord::new("a", "1")]);
        await_until(LIMIT, "the neighbour commits", || busy.progress().commits >= round);
    }
    busy.stop();

    assert_eq!(ends(), before);
    assert_eq!((idle.progress().commits, idle.progress().aborts), (commits, 0));
    idle.stop();
}
