//! Results that no topic takes.

use std::collections::BTreeMap;

use riacho::{Consumed, Produced, StreamsBuilder, Topology, Utf8};

use super::{counts, in_and_out};
use crate::support::{App, Client, Isolation, Kafka, Received, TestRecord};

/// What librdkafka takes and never sends, what it refuses, and what the broker would refuse.
const TOO_LARGE: [usize; 7] = [999_000, 999_886, 1_000_000, 1_000_033, 1_048_577, 1_500_000, 3_000_000];

/// Makes of each value as many bytes as it says.
fn inflate(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(from, Consumed::<String, String>::with(Utf8, Utf8))
        .map_values(|record| "x".repeat(record.value.parse().unwrap_or_default()))
        .to(to, Produced::with(Utf8, Utf8));
    builder.build().expect("a source and a sink")
}

/// Makes of each count as many bytes as the key says.
fn inflate_counts(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let inflated = counts(&builder, from).map(|record| {
        let filling = " ".repeat(record.key.parse().unwrap_or_default());
        (record.key.clone(), format!("{}{filling}", record.value))
    });
    inflated.to(to, Produced::with(Utf8, Utf8));
    builder.build().expect("a source, a store and a sink")
}

fn lengths(records: &[Received]) -> Vec<usize> {
    records.iter().map(|record| record.value.as_ref().map_or(0, Vec::len)).collect()
}

fn letters(client: &Client, app: &App) -> Vec<Received> {
    client.read_all(&app.dead_letter_topic(), Isolation::ReadCommitted)
}

#[test]
fn a_result_too_large_for_kafka_is_kept_as_its_input_and_its_neighbours_come_once() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "oversized", 1);
    let app = App::on(client, "oversized");
    // The largest that fits, and each of the others between two small ones.
    let mut wanted = vec![998_900];
    for (number, large) in TOO_LARGE.into_iter().enumerate() {
        wanted.extend([number + 1, large]);
    }
    wanted.push(100);
    let record = |length: &usize| TestRecord::new("key", length.to_string());
    // A restart between them repeats nothing.
    let (first, second) = wanted.split_at(wanted.len() / 2);
    for half in [first, second] {
        client.produce(&from, &half.iter().map(record).collect::<Vec<_>>());
        let running = app.start(inflate(&from, &to));
        running.await_processed(&from);
        assert_eq!(running.progress().aborts, 0, "none of them ends a transaction");
        running.stop();
    }

    let fitting: Vec<usize> = wanted.iter().copied().filter(|length| !TOO_LARGE.contains(length)).collect();
    assert_eq!(lengths(&client.read_all(&to, Isolation::ReadCommitted)), fitting);
    let letters = letters(client, &app);
    let kept: Vec<Option<Vec<u8>>> = letters.iter().map(|letter| letter.value.clone()).collect();
    assert_eq!(kept, TOO_LARGE.map(|length| Some(length.to_string().into_bytes())));
    for letter in &letters {
        assert_eq!(letter.header("__streams.errors.exception"), "production");
        let message = letter.header("__streams.errors.message");
        assert!(message.contains(&to) && message.contains("max.message.bytes"), "{message}");
    }
}

#[test]
fn a_result_of_state_that_is_too_large_is_told_and_the_other_keys_come_once() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "outgrown", 1);
    let app = App::on(client, "outgrown");
    for round in 1..=2 {
        let keys = ["10", "1000000", "20", "1048600", "30"];
        client.produce(&from, &keys.map(|key| TestRecord::new(key, "")));
        let running = app.start(inflate_counts(&from, &to));
        running.await_processed(&from);
        assert_eq!(running.progress().aborts, 0, "none of them ends a transaction");
        running.stop();

        let found = client.read_all(&to, Isolation::ReadCommitted);
        let count = |record: &Received| {
            let text = |bytes: &Option<Vec<u8>>| {
                String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
            };
            (text(&record.key), text(&record.value).trim().to_owned())
        };
        let last: BTreeMap<_, _> = found.iter().map(count).collect();
        let expected = ["10", "20", "30"].map(|key| (key.to_owned(), round.to_string()));
        assert_eq!((last, found.len()), (expected.into(), 3 * round));
        let letters = letters(client, &app);
        assert_eq!(letters.len(), 2 * round, "one for each result, in round {round}");
        assert!(letters.iter().all(|letter| {
            letter.header("__streams.errors.exception") == "production"
                && letter.header("__streams.errors.message").contains(&to)
        }));
    }
}
