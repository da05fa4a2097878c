//! Brokers that die under a running application.

use super::dice;
use super::flow::{Flow, assert_nothing_was_wiped};
use crate::support::{Cluster, Shape};

#[test]
fn brokers_that_are_killed_and_come_back_cost_nothing() {
    let (seed, _) = dice();
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    let client = cluster.client();
    let mut flow = Flow::on(&client, "brokers", 4, seed);
    let mut process = flow.app.spawn();
    flow.feed_until_ready(&mut process);
    for topic in [flow.output().to_owned(), "__transaction_state".to_owned()] {
        let leader = client.leader(&topic, 0);
        println!("{leader} leads {topic}-0");
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
