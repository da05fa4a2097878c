//! Windows over recorded event times: in order, out of order, too late, on update and on close, keyed and not.

use serde_json::Value;

use super::{Transactions, parsed};
use crate::support::Kafka;

/// One partition, so that the order of the recording is the order of processing.
fn recorded(name: &str) -> Transactions {
    Transactions::on(Kafka::shared().client(), name, 1)
}

#[test]
fn tumbling_windows_take_what_is_out_of_order_and_tell_what_is_late() {
    let outcome = recorded("tumbling").run("tumbling");
    outcome.compare("tumbling");
    assert_eq!(
        outcome.late_counted,
        outcome.late.len() as u64,
        "what is counted as late is in the late topic"
    );
    assert!(outcome.dead.is_empty());
}

#[test]
fn hopping_windows_overlap() {
    let run = recorded("hopping").with("transactions.window.kind", "hopping");
    let outcome = run.with("transactions.window.advance.ms", "20000").run("tumbling");
    outcome.compare("hopping");
}

#[test]
fn on_close_a_window_is_written_once_and_not_before() {
    let outcome = recorded("close").with("transactions.emit.strategy", "close").run("tumbling");
    let windows = outcome.windows();
    assert_eq!(windows.len(), outcome.aggregated.len(), "once");
    assert!(windows.iter().all(|window| window["final"] == true), "not before");
    // The same figures as on update.
    let on_update: Value = serde_json::from_str(include_str!("tumbling.expected.json")).expect("it is JSON");
    let closed = on_update["windows"].as_array().expect("windows are listed").iter();
    let closed: Vec<&Value> = closed.filter(|window| window["final"] == true).collect();
    assert_eq!(windows.iter().collect::<Vec<_>>(), closed);
    // Windows close in the order of their ends.
    let ends: Vec<_> =
        outcome.aggregated.iter().map(|record| parsed(record)["janela_fim"].as_i64()).collect();
    assert!(ends.is_sorted(), "{ends:?}");
}

#[test]
fn on_update_alone_the_figures_are_the_same() {
    let outcome = recorded("update").with("transactions.emit.strategy", "update").run("tumbling");
    let on_both: Value = serde_json::from_str(include_str!("tumbling.expected.json")).expect("it is JSON");
    // Whether the last update comes with the closing or before it depends on when commits fall.
    let figures = |windows: &[Value]| -> Vec<Value> {
        let mut windows = windows.to_vec();
        windows.iter_mut().for_each(|window| window["final"] = Value::Null);
        windows
    };
    let expected = on_both["windows"].as_array().expect("windows are listed");
    assert_eq!(figures(&outcome.windows()), figures(expected));
}

#[test]
fn input_with_other_keys_gives_the_same_totals() {
    let client = Kafka::shared().client();
    // Without lateness, since the order in which records of several partitions are repartitioned is anybody's.
    let patient =
        |name: &str| Transactions::on(client, name, 3).with("transactions.window.grace.ms", "86400000");
    let unkeyed = patient("unkeyed").with("transactions.input.keyed.by.vendor", "false");
    let outcome = unkeyed.run("unkeyed");
    outcome.compare("unkeyed");
    assert!(client.partition_count(&unkeyed.repartition_topic()).is_some_and(|partitions| partitions == 3));
    // The repartition topic carries each record once: it counts as consumed twice.
    assert_eq!(outcome.records, 2 * super::recording::input("unkeyed").len() as u64);
}
