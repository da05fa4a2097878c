//! Parts of the cluster that are gone for longer than anything waits: the application stands still, says so, and goes on.

use super::dice;
use super::flow::{Flow, assert_nothing_was_wiped};
use crate::support::{Cluster, LIMIT, Process, Shape, await_until};

fn status(process: &Process, path: &str) -> Option<u16> {
    process.get(path).map(|(status, _)| status)
}

fn consumed(process: &Process) -> f64 {
    process.metric("kstreams_records_consumed_total", "").unwrap_or(0.0)
}

/// Asserts that the log got a line that says `what` since it had `before` bytes.
fn assert_said(process: &Process, before: usize, what: &str) {
    let log = process.log();
    let since = log.get(before..).unwrap_or_default();
    assert!(since.contains(what), "{what} is not in what it said since:\n{since}");
}

#[test]
fn an_application_waits_for_lost_brokers_and_goes_on_when_they_are_back() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    let client = cluster.client();
    let mut flow = Flow::on(&client, "outage", 4, seed).with("transaction.timeout.ms", "3000");
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.await_processed();

    // Two of three: there is something to do, and nothing can be written.
    process.signal("STOP");
    await_until(LIMIT, "it stands still", || process.is_stopped());
    flow.feed(2000);
    let (done, said) = (client.committed(&flow.app.id, flow.input()), process.log().len());
    let brokers = cluster.brokers();
    let (lost, last) = brokers.split_at(2);
    lost.iter().for_each(|broker| cluster.kill(*broker));
    process.signal("CONT");
    process.await_that("it is alive and not ready", |process| {
        (status(process, "/ready"), status(process, "/health")) == (Some(503), Some(200))
    });
    assert_said(&process, said, "check bootstrap.servers, the network and the brokers");
    let warnings = process.log().get(said..).unwrap_or_default().matches("WARN librdkafka").count();
    assert!(warnings < 20, "{warnings} warnings of the same");

    // All three, also for one that is just started.
    let said = process.log().len();
    last.iter().for_each(|broker| cluster.kill(*broker));
    let mut late = flow.app.sibling().spawn();
    late.await_that("it says what it waits for", |late| late.log().contains("waiting for Kafka at"));
    process.await_that("it says what it waits for", |process| {
        process.log().get(said..).is_some_and(|since| since.contains("check bootstrap.servers"))
    });
    assert_eq!(status(&process, "/health"), Some(200));

    brokers.iter().for_each(|broker| cluster.restart(*broker));
    assert_eq!(done, client.committed(&flow.app.id, flow.input()), "nothing was committed meanwhile");
    process.await_that("it is ready again", |process| status(process, "/ready") == Some(200));
    late.await_that("it is ready", |late| status(late, "/ready") == Some(200));
    flow.feed(500);
    flow.await_processed();
    [&process, &late].into_iter().for_each(assert_nothing_was_wiped);
    assert!(late.terminate().success(), "{}", late.log_end());
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove();
}

#[test]
fn a_lost_quorum_stops_no_records_and_a_start_waits_for_its_topics() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    let client = cluster.client();
    let mut flow = Flow::on(&client, "quorum", 4, seed);
    let mut next = Flow::on(&client, "quorum-next", 2, seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);

    // With the second of them the quorum is lost.
    let controllers = cluster.controllers();
    for controller in controllers.iter().take(2) {
        cluster.kill(*controller);
        let before = consumed(&process);
        process.await_that("it goes on without the controller", |process| {
            flow.feed(40);
            consumed(process) > before + 500.0
        });
    }
    flow.await_processed();

    let mut starting = next.app.spawn();
    starting.await_that("it says what it waits for", |starting| starting.log().contains("create topics"));
    controllers.iter().take(2).for_each(|controller| cluster.restart(*controller));
    next.feed(1000);
    starting.await_that("it is ready", |starting| status(starting, "/ready") == Some(200));
    next.await_processed();
    assert!(starting.terminate().success(), "{}", starting.log_end());
    next.prove();

    flow.feed(500);
    flow.await_processed();
    assert_nothing_was_wiped(&process);
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove();
}
