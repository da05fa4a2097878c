//! Instances that share the tasks of one application.

use super::dice;
use super::flow::{Flow, assert_nothing_was_wiped};
use crate::support::{Kafka, Process};

fn tasks(process: &Process) -> u64 {
    process.metric("kstreams_assigned_tasks", "role=\"active\"").unwrap_or(0.0) as u64
}

fn ready(process: &Process) -> bool {
    process.get("/ready").is_some_and(|(status, _)| status == 200)
}

#[test]
fn instances_that_come_and_go_share_the_tasks_and_the_result_is_one() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "shared", 12, seed);
    flow.app = flow.app.clone().with("num.stream.threads", "2");
    let mut polite = flow.app.spawn();
    let mut killed = flow.app.sibling().spawn();
    flow.feed_until("two share twelve tasks", || {
        ready(&polite) && ready(&killed) && (tasks(&polite), tasks(&killed)) == (6, 6)
    });

    let mut stays = flow.app.sibling().spawn();
    flow.feed_until("three share them", || {
        [&polite, &killed, &stays].iter().all(|process| ready(process) && tasks(process) == 4)
    });
    [&polite, &killed, &stays].into_iter().for_each(assert_nothing_was_wiped);

    polite.signal("TERM");
    flow.feed_until("one leaves politely", || polite.try_wait().is_some());
    assert!(polite.try_wait().is_some_and(|end| end.success()), "{}", polite.log_end());
    flow.feed_until("two have its tasks", || {
        [&killed, &stays].iter().all(|process| ready(process) && tasks(process) == 6)
    });

    killed.kill();
    flow.feed_until("one has them all", || ready(&stays) && tasks(&stays) == 12);
    flow.await_processed();
    assert_nothing_was_wiped(&stays);
    assert!(stays.terminate().success());
    flow.prove();
}

#[test]
fn an_instance_that_wakes_up_after_its_session_is_fenced() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "zombie", 4, seed);
    let mut zombie = flow.app.spawn();
    let mut heir = flow.app.sibling().spawn();
    flow.feed_until("two share the tasks", || ready(&zombie) && ready(&heir) && tasks(&zombie) == 2);
    zombie.signal("STOP");
    flow.feed_until("the other has all tasks", || ready(&heir) && tasks(&heir) == 4);
    flow.feed(400);
    zombie.signal("CONT");
    // It finds its tasks taken, gives up what it had under way, and joins again.
    zombie.await_that("it has tasks again", |zombie| {
        flow.feed(40);
        ready(zombie) && tasks(zombie) == 2 && tasks(&heir) == 2
    });
    flow.await_processed();
    assert_nothing_was_wiped(&zombie);
    assert!(zombie.terminate().success());
    assert!(heir.terminate().success());
    flow.prove();
}

#[test]
fn an_instance_whose_own_id_was_taken_from_it_joins_again() {
    let (seed, _) = dice();
    let mut flow = Flow::on(Kafka::shared().client(), "usurped", 4, seed);
    let mut instance = flow.app.spawn();
    flow.feed_until("it has its tasks", || ready(&instance) && tasks(&instance) == 4);
    // What the instance does to itself where a session runs out and an old request arrives after it has joined anew.
    flow.usurp_first_thread();
    instance.await_that("it has noticed", |instance| {
        flow.feed(40);
        instance.log().contains("joining again")
    });
    instance.await_that("it has its tasks again", |instance| {
        flow.feed(40);
        ready(instance) && tasks(instance) == 4
    });
    flow.await_processed();
    assert_nothing_was_wiped(&instance);
    assert!(instance.terminate().success());
    flow.prove();
}
