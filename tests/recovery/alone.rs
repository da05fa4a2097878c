//! One instance that ends in every way, and comes back.

use std::time::Duration;

use rand::RngExt;

use super::flow::{Flow, assert_nothing_was_wiped, delete_state, restored};
use super::{chosen, dice};
use crate::support::{Isolation, Kafka};

/// Kills an application at random moments while it is fed, restarts it each time on the same state directory, and at
/// last lets it end.
fn kill_at_random_moments(flow: &mut Flow, kills: u64, dice: &mut impl RngExt) {
    let mut left_to_replay = None;
    for kill in 1..=kills {
        let mut process = flow.app.spawn();
        // One in four dies while it starts.
        if dice.random_range(0..4) > 0 {
            flow.feed_until_ready(&mut process);
            if let Some(most) = left_to_replay {
                let restored = restored(&process);
                println!("before kill {kill}: {restored} records restored, the last commit had {most}");
                assert!(restored <= most, "{restored} records were restored, the last commit had {most}");
            }
            assert_nothing_was_wiped(&process);
            // However busy the machine is: without a commit there is nothing that a kill could break.
            process.await_that("it has committed something", |process| {
                flow.feed(40);
                process.metric("kstreams_records_consumed_total", "").is_some_and(|records| records > 0.0)
            });
        }
        let mut batches = dice.random_range(1..30);
        flow.feed_until("the moment has come", || {
            batches -= 1;
            batches == 0
        });
        process.kill();
        // Without transactions nothing bounds it: what a commit that did not end has written is replayed as well.
        let bounded = flow.is_exactly_once()
            && (kill > 1 || flow.client().partition_count(&flow.changelogs()[0]).is_some());
        left_to_replay = bounded.then(|| flow.changelog_records_of_the_last_commit());
    }

    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    flow.await_processed();
    assert_nothing_was_wiped(&process);
    assert!(process.terminate().success(), "{}", process.log_end());
}

#[test]
fn kills_at_random_moments_lose_nothing_double_nothing_and_wipe_nothing() {
    let (seed, mut dice) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "killed", 4, seed);
    kill_at_random_moments(&mut flow, chosen("RIACHO_KILLS", 6), &mut dice);
    flow.prove();
}

#[test]
fn kills_at_random_moments_let_every_closed_window_be_told_once() {
    let (seed, mut dice) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "closed", 4, seed).telling_closed_windows_only();
    kill_at_random_moments(&mut flow, chosen("RIACHO_KILLS", 4), &mut dice);
    flow.prove();
}

#[test]
fn kills_at_random_moments_leave_hopping_windows_right() {
    let (seed, mut dice) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "hopping", 4, seed).in_hopping_windows();
    kill_at_random_moments(&mut flow, chosen("RIACHO_KILLS", 4), &mut dice);
    flow.prove();
}

#[test]
fn kills_at_random_moments_lose_nothing_under_at_least_once() {
    let (seed, mut dice) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "least", 4, seed).at_least_once();
    kill_at_random_moments(&mut flow, chosen("RIACHO_KILLS", 4), &mut dice);
    flow.prove_that_nothing_is_lost();
}

#[test]
fn sigterm_commits_what_is_done_and_a_restart_restores_nothing() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "polite", 4, seed);
    for round in 0..3 {
        let mut process = flow.app.spawn();
        flow.feed_until_ready(&mut process);
        assert_eq!(restored(&process), 0, "in round {round}");
        assert_nothing_was_wiped(&process);
        let mut batches = 20;
        flow.feed_until("some records are on their way", || {
            batches -= 1;
            batches == 0
        });
        if round == 1 {
            let mut second = flow.app.spawn();
            let end = second.await_end(Duration::from_secs(30));
            assert!(!end.success() && second.log().contains("in use by another process"), "{}", second.log());
        }
        if round == 2 {
            flow.await_processed();
        }
        assert!(process.terminate().success(), "{}", process.log_end());
    }
    flow.prove();
    // Nothing was left open, so everybody sees everything at once.
    for topic in [flow.output(), flow.anomalies()] {
        let uncommitted = flow.client().read_all(topic, Isolation::ReadUncommitted);
        assert_eq!(flow.client().read_decided(topic).len(), uncommitted.len(), "{topic}");
    }
}

#[test]
fn a_deleted_state_directory_is_restored_from_the_changelog() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "deleted", 4, seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    // Slowly, so that windows are in the changelog before they close: it tells of no closing.
    let mut batches = 100;
    flow.feed_until("two minutes of event time have passed", || {
        batches -= 1;
        batches == 0
    });
    flow.await_processed();
    process.kill();
    delete_state(&flow.app);

    flow.feed(500);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    let restored = restored(&process);
    // Each of the vendors has a profile, and each changelog that is not empty a commit record at least.
    assert!(restored > 60, "{restored} records restored");
    flow.await_processed();
    assert!(process.terminate().success());
    flow.prove();
}

#[test]
fn windows_that_have_closed_are_left_out_of_the_restore_of_a_long_changelog() {
    let (seed, _) = dice();
    let mut flow = Flow::of_many_vendors(Kafka::shared().client(), "long", seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    // No more at once than the grace of 10 s has: a window that closes in the commit that opens it is in no changelog.
    for _batch in 0..30 {
        flow.feed(2_000);
        flow.await_processed();
    }
    process.kill();
    delete_state(&flow.app);

    flow.feed(500);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    assert!(process.log().contains("closed windows are left out"), "{}", process.log());
    let restored = restored(&process);
    assert!(restored > 50_000, "{restored} records restored");
    flow.await_processed();
    assert!(process.terminate().success());
    flow.prove();
}

#[test]
fn until_caught_up_ends_also_behind_a_transaction_marker() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "caught-up", 2, seed);
    flow.feed(300);
    flow.feed_in_a_transaction(300);
    let mut process = flow.app.spawn_with(&["--until-caught-up"]);
    let end = process.await_end(Duration::from_secs(40));
    assert!(end.success(), "{}", process.log_end());
    flow.prove();
}
