//! Commits that are cut in two: what is committed on the cluster and not yet on the disk, or the other way round.

use std::fs;
use std::path::Path;

use super::dice;
use super::flow::{Flow, assert_nothing_was_wiped, restored};
use crate::support::{ApiKey, App, Cluster, Door, Kafka, LIMIT, Process, Proxy, await_until, free_port};

/// A broker behind a proxy, which clients of [`Cluster::client`] do not go through.
fn proxied(dir: &Path) -> (Cluster, Proxy) {
    let (port, advertised) = (free_port(), free_port());
    let proxy = Proxy::before(port, advertised);
    let door = Door { protocol: "PLAINTEXT", port, advertised, settings: vec![] };
    (Cluster::start_with_door(dir, &door), proxy)
}

#[test]
fn a_transaction_whose_end_the_process_did_not_live_to_hear_is_replayed_and_no_other() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let (cluster, proxy) = proxied(dir.path());
    let mut flow =
        Flow::on(&cluster.client(), "unheard", 4, seed).with("bootstrap.servers", &proxy.address());
    let mut process = flow.app.spawn();
    for round in 1..=2 {
        flow.feed_until_ready(&mut process);
        flow.feed(2000);
        flow.await_stored(&mut process);
        let before = flow.changelog_records();

        // The broker ends the transaction; the process waits for the answer, and so has written nothing to its disk.
        proxy.withhold_answers(ApiKey::END_TXN);
        flow.feed(300);
        process.await_that("the end of a transaction is not heard of", |_| proxy.withheld() > 0);
        process.kill();
        proxy.let_pass();
        let left = flow.changelog_records() - before;
        assert!(left > 0, "the transaction was committed");

        process = flow.app.spawn();
        process.await_that("it is ready", |process| {
            process.get("/ready").is_some_and(|(status, _)| status == 200)
        });
        assert_eq!(restored(&process), left, "records, in round {round}");
        assert_nothing_was_wiped(&process);
    }

    // And one that the process lives on with: it asks again how the transaction ended.
    proxy.withhold_answers(ApiKey::END_TXN);
    flow.feed(300);
    process.await_that("the end of a transaction is not heard of", |_| proxy.withheld() > 0);
    proxy.let_pass();
    proxy.cut();
    flow.feed(300);
    flow.await_stored(&mut process);
    assert_nothing_was_wiped(&process);
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove();
}

/// Copies the state of an application that stands still.
fn copy_state(process: &Process, app: &App, to: &Path) {
    process.signal("STOP");
    await_until(LIMIT, "it stands still", || process.is_stopped());
    copy(&app.state_dir().join(&app.id), to);
    process.signal("CONT");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder for temporary files is writable");
    for entry in fs::read_dir(from).expect("the application has state") {
        let entry = entry.expect("nobody changes the folder");
        let place = to.join(entry.file_name());
        match entry.file_type().expect("nobody changes the folder").is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).expect("there is room for a copy")),
        }
    }
}

#[test]
fn an_older_copy_of_the_state_directory_is_brought_up_to_date_by_what_came_after_it() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "older", 4, seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.feed(2000);
    flow.await_stored(&mut process);
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let older = dir.path().join("older");
    copy_state(&process, &flow.app, &older);
    let before = flow.changelog_records();

    // A window closes meanwhile, so that there is something that must not be told again.
    flow.feed(2000);
    flow.await_stored(&mut process);
    process.kill();
    let since = flow.changelog_records() - before;
    let state = flow.app.state_dir().join(&flow.app.id);
    fs::remove_dir_all(&state).expect("the application had state");
    copy(&older, &state);

    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    assert!(since > 0);
    assert_eq!(restored(&process), since);
    assert_nothing_was_wiped(&process);
    flow.await_processed();
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove();
}

#[test]
fn under_at_least_once_a_window_is_not_closed_in_the_changelog_before_its_result_is_written() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let (cluster, proxy) = proxied(dir.path());
    let mut flow = Flow::on(&cluster.client(), "unwritten", 2, seed)
        .at_least_once()
        .telling_closed_windows_only()
        // So that the changelogs' requests pass those that are withheld.
        .with("producer.max.in.flight", "5")
        .with("bootstrap.servers", &proxy.address());
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.feed(1000);
    flow.await_stored(&mut process);

    // Windows close; the broker hears of everything but their results.
    proxy.withhold_requests(ApiKey::PRODUCE, flow.output());
    let before = flow.changelog_records();
    flow.feed(3000);
    process.await_that("results are under way", |_| proxy.withheld() > 0);
    let mut looks = vec![before];
    process.await_that("the changelogs have all that the process has to say", |_| {
        looks.push(flow.changelog_records());
        looks.last() > looks.first()
            && looks.iter().rev().take(4).all(|records| looks.last() == Some(records))
    });
    process.kill();
    proxy.let_pass();

    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.await_processed();
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove_that_nothing_is_lost();
}

#[test]
fn under_at_least_once_a_commit_that_is_never_answered_holds_up_nothing_for_longer_than_a_session() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let (cluster, proxy) = proxied(dir.path());
    let mut flow = Flow::on(&cluster.client(), "unanswered", 4, seed)
        .at_least_once()
        .with("num.stream.threads", "2")
        .with("bootstrap.servers", &proxy.address());
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.feed(1000);
    flow.await_stored(&mut process);

    proxy.withhold_answers(ApiKey::OFFSET_COMMIT);
    flow.feed(300);
    process.await_that("a thread gives up and joins again", |process| {
        process.log().contains("the group's coordinator has not answered for")
    });
    proxy.let_pass();
    flow.feed(300);
    flow.await_stored(&mut process);
    assert_nothing_was_wiped(&process);
    assert!(process.terminate().success(), "{}", process.log_end());
    flow.prove_that_nothing_is_lost();
}
