//! What the stores answer while the application runs, by one instance and by several.

use std::collections::BTreeMap;

use riacho::query::{Paging, Queries};
use riacho::{
    BigEndian, Consumed, Grouped, Materialized, StreamsBuilder, TimeWindows, Timestamp, Topology, Utf8,
};
use serde_json::Value;

use super::{count, in_and_out};
use crate::support::{App, Client, Isolation, Kafka, LIMIT, Running, TestRecord, await_until, get, get_with};

const PARTITIONS: i32 = 4;

fn record(key: &str) -> TestRecord {
    TestRecord::new(key, "")
}

/// Starts an instance that counts and shows its counts.
fn start(app: &App, from: &str, to: &str) -> Running {
    let queries = Queries::new();
    let _ = queries.key_value::<String, u64>("counts", Utf8, BigEndian).show();
    app.clone().with("riacho.http.address", "127.0.0.1:0").start_asked(count(from, to), queries)
}

fn address(running: &Running) -> String {
    running.streams.http_address().expect("HTTP is on").to_string()
}

fn ask(running: &Running, path: &str) -> (u16, Value) {
    let (status, body) = get(&address(running), path).expect("HTTP is served");
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[derive(serde::Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next: Option<String>,
}

#[derive(serde::Deserialize)]
struct Entry {
    key: String,
    value: u64,
}

/// All that a store shows, page by page; none while it cannot be read.
fn all(running: &Running, limit: usize) -> Option<BTreeMap<String, u64>> {
    let (mut found, mut after) = (BTreeMap::new(), String::new());
    loop {
        let (status, page) = ask(running, &format!("/stores/counts/range?limit={limit}&after={after}"));
        if status == 503 {
            return None;
        }
        assert_eq!(status, 200, "{page}");
        let Page { entries, next } = serde_json::from_value(page).expect("a page of counts");
        for Entry { key, value } in entries {
            assert_eq!(found.insert(key.clone(), value), None, "{key} came twice");
        }
        match next {
            Some(next) => after = next,
            None => return Some(found),
        }
    }
}

/// An independent count of the topic.
fn recount(client: &Client, topic: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in client.read_all(topic, Isolation::ReadCommitted) {
        *counts.entry(String::from_utf8(record.key.expect("keyed")).expect("text")).or_default() += 1;
    }
    counts
}

#[test]
fn either_of_two_instances_answers_for_every_key_also_after_a_rebalance() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "queries", PARTITIONS);
    let app = App::on(client, "queries");
    let keys: Vec<String> = (0..60).map(|n| format!("k{n:02}")).collect();
    let feed = |times: usize| {
        let records: Vec<_> =
            (0..times).flat_map(|n| keys.iter().skip(n % 7).map(|key| record(key))).collect();
        client.produce(&from, &records);
    };
    feed(10);
    let one = start(&app, &from, &to);
    let two = start(&app.sibling(), &from, &to);
    await_until(LIMIT, "they share the tasks", || (one.progress().tasks, two.progress().tasks) == (2, 2));
    one.await_processed(&from);
    let expected = recount(client, &from);
    let agree = |running: &Running, expected: &BTreeMap<String, u64>| {
        await_until(LIMIT, "all partitions answer, and right", || {
            let found = all(running, 7);
            let too_much =
                |(key, count): (&String, &u64)| expected.get(key).is_none_or(|right| count > right);
            assert!(!found.iter().flatten().any(too_much), "more than there is: {found:?}");
            found.as_ref() == Some(expected)
        });
    };
    for running in [&one, &two] {
        agree(running, &expected);
        for (key, &count) in &expected {
            let (status, entry) = ask(running, &format!("/stores/counts/keys/{key}"));
            assert_eq!((status, entry["value"].as_u64()), (200, Some(count)), "{key}");
        }
        assert_eq!(ask(running, "/stores/counts/keys/nobody").0, 404);
        let (_, stores) = ask(running, "/stores");
        let partitions = stores["stores"][0]["partitions"].as_array().expect("partitions").clone();
        let owned_by = |address: &str| partitions.iter().filter(|p| p["owner"] == address).count();
        assert_eq!((owned_by(&address(&one)), owned_by(&address(&two))), (2, 2), "{stores}");
    }

    // One leaves: while its partitions move, the other says 503 or the whole truth.
    two.stop();
    feed(3);
    let total = recount(client, &from);
    await_until(LIMIT, "one answers for everything", || {
        let (status, page) = ask(&one, "/stores/counts/range?limit=1000");
        if status == 503 {
            assert!(page["error"].as_str().is_some_and(|reason| reason.contains("Try again")), "{page}");
            return false;
        }
        all(&one, 1000).is_some_and(|found| found == total)
    });
    one.await_processed(&from);
    agree(&one, &total);

    // And comes back, at another address, to idle partitions.
    let back = start(&app.sibling(), &from, &to);
    await_until(LIMIT, "they share the tasks again", || {
        (one.progress().tasks, back.progress().tasks) == (2, 2)
    });
    for running in [&one, &back] {
        agree(running, &total);
    }
    back.stop();
    one.stop();
}

#[test]
fn what_is_not_committed_is_not_shown() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "uncommitted", PARTITIONS);
    // The commit is far away: what is processed before it is in a transaction that may yet be aborted.
    let app = App::on(client, "uncommitted")
        .with("commit.interval.ms", "3000")
        .with("transaction.timeout.ms", "60000");
    client.produce(&from, &[record("a")]);
    let one = start(&app, &from, &to);
    one.await_processed(&from);
    assert_eq!(ask(&one, "/stores/counts/keys/a").1["value"], 1);

    client.produce(&from, &[record("a"), record("a"), record("b")]);
    await_until(LIMIT, "the commit", || {
        let shown = ask(&one, "/stores/counts/keys/a").1["value"].as_u64();
        // The state follows the group's offsets, so what is shown has been committed by now.
        let committed: i64 = client.committed(&app.id, &from).into_iter().map(|(_, offset)| offset).sum();
        match shown {
            Some(1) => {}
            Some(3) => assert_eq!(committed, 4, "shown before it was committed"),
            other => panic!("{other:?} was never committed"),
        }
        shown == Some(3)
    });
    one.stop();
}

#[test]
fn aborted_input_is_never_shown() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "aborted-queries", PARTITIONS);
    let app = App::on(client, "aborted-queries");
    client.produce(&from, &[record("a")]);
    client.produce_aborted(&from, &[record("a"), record("ghost")]);
    client.produce(&from, &[record("a")]);
    let one = start(&app, &from, &to);
    one.await_processed(&from);
    assert_eq!(all(&one, 10), Some(BTreeMap::from([("a".to_owned(), 2)])));
    assert_eq!(ask(&one, "/stores/counts/keys/ghost").0, 404);
    one.stop();
}

#[test]
fn with_a_token_nobody_else_reads_and_instances_still_answer_each_other() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "token", PARTITIONS);
    let app = App::on(client, "token").with("riacho.http.token", "open-sesame");
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    client.produce(&from, &keys.iter().map(|key| record(key)).collect::<Vec<_>>());
    let one = start(&app, &from, &to);
    let two = start(&app.sibling(), &from, &to);
    await_until(LIMIT, "they share the tasks", || (one.progress().tasks, two.progress().tasks) == (2, 2));
    one.await_processed(&from);
    for path in ["/stores", "/stores/counts/keys/k1", "/stores/counts/range", "/topology", "/info"] {
        assert_eq!(ask(&one, path).0, 401, "{path}");
    }
    assert_eq!(get(&address(&one), "/health").map(|(status, _)| status), Some(200));
    await_until(LIMIT, "everything is answered", || {
        let answer = get_with(&address(&one), "/stores/counts/range", "Authorization: Bearer open-sesame");
        let (status, body) = answer.expect("HTTP is served");
        assert!(status == 200 || status == 503, "{status}: {body}");
        let page: Value = serde_json::from_str(&body).unwrap_or_default();
        page["entries"].as_array().is_some_and(|entries| entries.len() == keys.len())
    });
    two.stop();
    one.stop();
}

#[test]
fn open_windows_are_shown_by_key_and_by_time() {
    let client = Kafka::shared().client();
    let (from, _) = in_and_out(client, "window-queries", PARTITIONS);
    let queries = Queries::new();
    let open = queries.windowed::<String, u64>("per-minute", Utf8, BigEndian).show();
    let app = App::on(client, "window-queries").with("riacho.http.address", "127.0.0.1:0");
    let running = app.start_asked(per_minute(&from), queries);
    let minute = 60_000;
    // Both keys in two minutes; nothing has closed with an hour of grace.
    let times = [("a", 0), ("a", 1), ("b", 2), ("a", minute), ("b", minute + 1), ("b", minute + 2)];
    let base = 1_700_000_040_000;
    let records: Vec<_> = times.iter().map(|(key, at)| record(key).at(base + at)).collect();
    client.produce(&from, &records);
    running.await_processed(&from);
    let fetched = open
        .fetch(&"a".to_owned(), Timestamp(base), Timestamp(base + minute), &Paging::default())
        .expect("all tasks run here");
    let counts: Vec<_> =
        fetched.entries.iter().map(|entry| (entry.key.window.start.0, entry.value)).collect();
    assert_eq!(counts, [(base, 2), (base + minute, 1)]);
    let (status, page) = ask(&running, &format!("/stores/per-minute/windows?from={base}&to={base}"));
    assert_eq!(status, 200);
    let entry = |key: &str, value: u64, time: i64| serde_json::json!({ "key": key, "start": base, "end": base + minute, "value": value, "time": time });
    assert_eq!(page["entries"], serde_json::json!([entry("a", 2, base + 1), entry("b", 1, base + 2)]));
    assert_eq!(page["next"], Value::Null);
    running.stop();
}

fn per_minute(from: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let minute = std::time::Duration::from_secs(60);
    let windows = TimeWindows::of_size_and_grace(minute, 60 * minute).expect("a minute is a window");
    let _per_minute = builder
        .stream(from, Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key(Grouped::with(Utf8, Utf8))
        .windowed_by(windows)
        .count(Materialized::named("per-minute", BigEndian));
    builder.build().expect("a source and a window store")
}

#[test]
fn a_query_of_a_store_that_is_not_there_stops_the_start() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "no-store", 1);
    let queries = Queries::new();
    let _ = queries.key_value::<String, u64>("total", Utf8, BigEndian);
    let refused = App::on(client, "no-store").try_start_asked(count(&from, &to), queries).err();
    let refused = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("'total'") && refused.contains("counts (key-value)"), "{refused}");
}
