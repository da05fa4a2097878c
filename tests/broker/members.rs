//! Instances as members of one group.

use super::{count, in_and_out};
use crate::support::{App, Kafka, LIMIT, Running, TestRecord, await_until, get, metric};

fn rebalances(running: &Running) -> f64 {
    let address = running.streams.http_address().expect("HTTP is on").to_string();
    let (_, page) = get(&address, "/metrics").expect("metrics are served");
    metric(&page, "kstreams_rebalances_total", "").unwrap_or(0.0)
}

#[test]
fn a_static_member_that_restarts_takes_nothing_from_the_other() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "static", 4);
    let with_eyes = App::on(client, "static")
        .with("riacho.http.address", "127.0.0.1:0")
        .with("session.timeout.ms", "30000");
    let (one, two) =
        (with_eyes.sibling().with("group.instance.id", "one"), with_eyes.with("group.instance.id", "two"));
    let stays = one.start(count(&from, &to));
    let goes = two.start(count(&from, &to));
    await_until(LIMIT, "they share the tasks", || (stays.progress().tasks, goes.progress().tasks) == (2, 2));
    let (seen, tasks) = (rebalances(&stays), stays.progress().active);
    goes.stop();

    // Before the session of the one that went is over, it is back, and gets what it had.
    let back = two.start(count(&from, &to));
    await_until(LIMIT, "it has its tasks again", || back.progress().tasks == 2);
    assert_eq!(back.progress().restored, 0, "its state is on its disk");
    client.produce(&from, &(0..4).map(|n| TestRecord::new("k", "").on(n)).collect::<Vec<_>>());
    stays.await_processed(&from);
    assert_eq!((rebalances(&stays), stays.progress().active), (seen, tasks));
    assert_eq!((stays.progress().records, back.progress().records), (2, 2));
    back.stop();
    stays.stop();
}
