//! The harness keeps its promises.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::leash::leashed;
use super::{
    Client, Cluster, Isolation, Kafka, NodeId, Received, Shape, TestRecord, await_some, await_until, unique,
};

const LIMIT: Duration = Duration::from_secs(60);

fn values(records: &[Received]) -> Vec<String> {
    let text =
        |record: &Received| String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null")).into_owned();
    records.iter().map(text).collect()
}

fn fresh_topic(client: &Client, name: &str, partitions: i32) -> String {
    let topic = unique(name);
    client.create_topic(&topic, partitions);
    topic
}

#[test]
fn leashed_process_dies_with_its_pipe() {
    let mut child = leashed("sleep").arg("1000").spawn().expect("sh can be run");
    assert_eq!(child.try_wait().expect("a child can be asked"), None);
    drop(child.stdin.take());
    let end = await_some(LIMIT, "the process dies", || child.try_wait().expect("a child can be asked"));
    assert!(!end.success());
}

#[test]
fn shared_kafka_has_one_broker_for_everybody() {
    let (first, second) = (Kafka::shared(), Kafka::shared());
    assert_eq!(first.bootstrap(), second.bootstrap());
    assert_eq!(first.client().brokers().map(|brokers| brokers.len()), Ok(1));
}

#[test]
fn records_come_back_as_they_were_written() {
    let client = Kafka::shared().client();
    let topic = fresh_topic(client, "as-written", 3);
    let full = TestRecord::new("key", "value")
        .at(86_400_000)
        .on(2)
        .with_header("h", "1")
        .with_header("h", vec![0, 255]);
    let null = TestRecord { partition: Some(0), ..TestRecord::default() }.at(1);
    let empty = TestRecord::new("", "").at(2).on(0);
    client.produce(&topic, &[full.clone(), null, empty]);

    let found = client.read_all(&topic, Isolation::ReadCommitted);

    let back = |at: usize| found.get(at).cloned().expect("three records were written");
    let received = |partition, offset, timestamp, key: Option<&str>, value: Option<&str>| Received {
        partition,
        offset,
        timestamp: Some(timestamp),
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers: vec![],
    };
    assert_eq!(back(0), received(0, 0, 1, None, None));
    assert_eq!(back(1), received(0, 1, 2, Some(""), Some("")));
    assert_eq!(
        back(2),
        Received { headers: full.headers, ..received(2, 0, 86_400_000, Some("key"), Some("value")) }
    );
    assert_eq!(client.end_offsets(&topic), [(0, 2), (1, 0), (2, 1)]);
}

#[test]
fn aborted_records_are_seen_by_the_uncommitted_reader_alone() {
    let client = Kafka::shared().client();
    let topic = fresh_topic(client, "aborted", 2);
    client.produce(&topic, &[TestRecord::new("k", "a").on(0)]);
    client.produce_aborted(&topic, &[TestRecord::new("k", "b").on(0), TestRecord::new("k", "c").on(1)]);

    assert_eq!(values(&client.read_all(&topic, Isolation::ReadCommitted)), ["a"]);
    assert_eq!(values(&client.read_all(&topic, Isolation::ReadUncommitted)), ["a", "b", "c"]);
    assert_eq!(client.end_offsets(&topic), [(0, 3), (1, 2)], "each partition ends in an abort marker");
}

#[test]
fn committed_reader_awaits_the_decision_and_reads_all_of_it() {
    let client = Kafka::shared().client();
    let topic = fresh_topic(client, "decided", 1);
    client.produce(&topic, &[TestRecord::new("k", "a")]);
    for round in 0..20 {
        let transaction = client.begin_transaction();
        transaction.write(&topic, &[TestRecord::new("k", format!("{round}"))]);
        assert_eq!(client.read_decided(&topic).len(), round + 1, "an open transaction is not read");
        transaction.commit();
        assert_eq!(client.read_all(&topic, Isolation::ReadCommitted).len(), round + 2, "a committed one is");
    }
}

#[test]
fn committed_offsets_of_a_group_are_told() {
    let client = Kafka::shared().client();
    let (topic, group) = (fresh_topic(client, "offsets", 2), unique("group"));
    let consumer: BaseConsumer =
        client.config().set("group.id", &group).create().expect("the configuration is valid");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 1, Offset::Offset(7)).expect("the offset is valid");
    consumer.commit(&offsets, CommitMode::Sync).expect("the coordinator answers");

    assert_eq!(client.committed(&group, &topic), [(1, 7)]);
    assert_eq!(client.committed(&unique("group"), &topic), []);
}

#[test]
fn cluster_survives_the_loss_of_any_node() {
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    assert_eq!(cluster.brokers(), [NodeId(11), NodeId(12), NodeId(13)]);
    assert_eq!(cluster.controllers(), [NodeId(1), NodeId(2), NodeId(3)]);
    assert_eq!(cluster.bootstrap().split(',').count(), 3);
    let client = cluster.client();
    let topic = fresh_topic(&client, "survives", 1);
    let write = |value: &str| client.produce(&topic, &[TestRecord::new("k", value)]);
    write("before");

    let leader = client.leader(&topic, 0);
    cluster.kill(leader);
    write("without its leader");
    assert_ne!(client.leader(&topic, 0), leader);
    cluster.restart(leader);

    let controller = NodeId(1);
    cluster.kill(controller);
    write("without a controller");
    cluster.restart(controller);

    let follower = NodeId(if leader == NodeId(11) { 12 } else { 11 });
    cluster.stop(follower);
    write("without a stopped broker");
    cluster.restart(follower);

    let frozen = client.leader(&topic, 0);
    cluster.pause(frozen);
    write("while its leader is frozen");
    cluster.resume(frozen);
    await_until(LIMIT, "all brokers are back", || client.brokers().is_ok_and(|brokers| brokers.len() == 3));

    let expected = [
        "before",
        "without its leader",
        "without a controller",
        "without a stopped broker",
        "while its leader is frozen",
    ];
    assert_eq!(values(&client.read_all(&topic, Isolation::ReadCommitted)), expected);
}
