//! Brokers that die under a running application.

use super::dice;
use super::flow::{Flow, assert_nothing_was_wiped};
use crate::support::{Cluster, OFFSETS_PARTITIONS, Shape};

#[test]
fn brokers_that_are_killed_and_come_back_cost_nothing() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    let client = cluster.client();
    let mut flow = Flow::on(&client, "brokers", 4, seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    let places = [
        ("__consumer_offsets".to_owned(), coordinating(&flow.app.id)),
        (flow.output().to_owned(), 0),
        ("__transaction_state".to_owned(), 0),
    ];
    for (topic, partition) in places {
        let leader = client.leader(&topic, partition);
        println!("{leader} leads {topic}-{partition}");
        cluster.kill(leader);
        let before = process.metric("kstreams_records_consumed_total", "").unwrap_or(0.0);
        process.await_that("it goes on without the broker", |process| {
            flow.feed(40);
            process.metric("kstreams_records_consumed_total", "").is_some_and(|now| now > before + 500.0)
        });
        cluster.restart(leader);
    }
    flow.await_processed();
    assert_nothing_was_wiped(&process);
    assert!(process.terminate().success());
    flow.prove();
}

/// The partition of `__consumer_offsets` whose leader coordinates this group.
fn coordinating(group: &str) -> i32 {
    let hash =
        group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % OFFSETS_PARTITIONS
}
