//! Records that cannot be counted: their neighbours are, once, and they themselves are kept with the reason.

use serde_json::{Value, json};

use super::Transactions;
use super::recording::{compare, input};
use crate::support::{Isolation, Kafka, Received, TestRecord};

/// How far ahead of the wall clock a time is changes from run to run.
fn without_the_clock(message: &str) -> String {
    match (message.split_once(" is "), message.split_once(" ms ahead")) {
        (Some((before, _)), Some((_, after))) => format!("{before} is … ms ahead{after}"),
        _ => message.to_owned(),
    }
}

#[test]
fn bad_records_are_kept_with_the_reason_and_their_neighbours_are_counted_once() {
    let run = Transactions::on(Kafka::shared().client(), "bad", 1);
    let outcome = run.run("bad");
    let sent = input("bad");

    for letter in &outcome.dead {
        assert_eq!(letter.header("__streams.errors.topic"), run.input);
        assert_eq!(letter.header("__streams.errors.partition"), "0");
        let offset: usize = letter.header("__streams.errors.offset").parse().expect("an offset is a number");
        let TestRecord { key, value, timestamp, .. } = &sent[offset];
        assert!(letter.key == *key && letter.value == *value, "the bytes of {offset} are the original's");
        assert_eq!(letter.timestamp, *timestamp);
    }
    assert_eq!(outcome.dead_counted, outcome.dead.len() as u64);
    let client = Kafka::shared().client();
    let uncommitted = client.read_all(&run.app.dead_letter_topic(), Isolation::ReadUncommitted);
    assert_eq!(uncommitted.len(), outcome.dead.len());
    let end = client.end_offsets(&run.app.dead_letter_topic()).iter().map(|(_, end)| end).sum::<i64>();
    assert!(end > outcome.dead.len() as i64, "there are transaction markers among them");

    let reason = |letter: &Received| {
        json!({
            "offset": letter.header("__streams.errors.offset").parse::<i64>().expect("it was read before"),
            "exception": letter.header("__streams.errors.exception"),
            "message": without_the_clock(letter.header("__streams.errors.message")),
        })
    };
    let found = json!({
        "records": outcome.records,
        "windows": outcome.windows(),
        "dead letters": outcome.dead.iter().map(reason).collect::<Vec<Value>>(),
    });
    compare("bad", &found);
}

#[test]
fn a_key_that_contradicts_the_setting_is_caught() {
    let client = Kafka::shared().client();
    let run = Transactions::on(client, "contradiction", 3);
    let outcome = run.run("unkeyed");
    let sent = input("unkeyed");
    let vendor = |record: &TestRecord| {
        let value: Value =
            serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("it is JSON");
        value["id_vendedor"].as_str().map(str::to_owned)
    };
    let right = sent
        .iter()
        .filter(|record| record.key.is_some() && record.key == vendor(record).map(String::into_bytes));
    let right = right.count();
    assert_eq!(outcome.dead.len(), sent.len() - right);
    let message = |letter: &Received| {
        letter.header("__streams.errors.message").contains("transactions.input.keyed.by.vendor")
    };
    let of_another_vendor = outcome.dead.iter().filter(|letter| letter.key.is_some());
    assert!(of_another_vendor.clone().count() > 0 && of_another_vendor.clone().all(message));
    let counted: u64 =
        outcome.windows().iter().filter_map(|window| window["numero_transacoes"].as_u64()).sum();
    assert_eq!(counted, right as u64, "no record is added to the wrong task");
}

#[test]
fn with_the_policy_fail_the_application_stops_at_the_record_and_commits_what_is_before() {
    let client = Kafka::shared().client();
    let run = Transactions::on(client, "fail", 1).with("deserialization.exception.handler", "fail");
    let good = input("tumbling");
    client.produce(&run.input, &good[..3]);
    client.produce(&run.input, &[TestRecord::new("vendor_000001", "not JSON").on(0)]);
    let running = run.app.start(run.app.transactions());
    assert!(running.streams.wait_until_ended(crate::support::LIMIT), "it stops");
    let failure = running.streams.failure().unwrap_or_default();
    let place = format!("{}-0 at offset 3", run.input);
    assert!(failure.contains(&place) && failure.contains("deserialization.exception.handler"), "{failure}");
    assert!(running.streams.close().is_err());

    // The person looks at it, decides, and nothing is lost or doubled.
    client.produce(&run.input, &good[3..6]);
    let again = run.with("deserialization.exception.handler", "continue");
    let running = again.app.start(again.app.transactions());
    running.await_processed(&again.input);
    let progress = running.stop();
    assert_eq!((progress.skipped, progress.dead_letters), (1, 0));
    let outcome = client.read_all(&again.output, Isolation::ReadCommitted);
    let aggregates = super::Outcome {
        aggregated: outcome,
        late: vec![],
        dead: vec![],
        records: 0,
        late_counted: 0,
        dead_counted: 0,
    };
    let counted: u64 =
        aggregates.windows().iter().filter_map(|window| window["numero_transacoes"].as_u64()).sum();
    assert_eq!(counted, 6);
}
