//! The workshop's producer and consumer, on brokers that come late, go away and hand over anything.

mod half;

use std::collections::BTreeSet;

pub(crate) use half::Half;
use serde_json::Value;

use crate::support::{Cluster, Isolation, Kafka, LIMIT, Shape, TestRecord, await_until, free_port, unique};

const WAITING: &str = "Aguardando brokers disponíveis";
const SENT: &str = "Mensagem enviada";
const CONSUMED: &str = "Mensagem consumida";

/// The ids of the transactions, each of which is one message.
fn ids(messages: &[Value]) -> BTreeSet<String> {
    let id = |message: &Value| message.get("id_transacao").and_then(Value::as_str).map(str::to_owned);
    messages.iter().map(|message| id(message).unwrap_or_else(|| panic!("no id: {message}"))).collect()
}

#[test]
fn it_waits_for_brokers_and_loses_nothing_when_one_of_three_is_killed() {
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let mut cluster = Cluster::start(Shape::ThreePlusThree, dir.path());
    for broker in cluster.brokers() {
        cluster.kill(broker);
    }
    let mut producer = Half::start("producer", cluster.bootstrap(), &[]);
    let mut consumer = Half::start("consumer", cluster.bootstrap(), &[("CONSUMER_GROUP", "alunos")]);
    producer.await_lines(WAITING, 2);
    consumer.await_lines(WAITING, 2);
    for broker in cluster.brokers() {
        cluster.restart(broker);
    }
    producer.await_lines(SENT, 50);
    consumer.await_lines(CONSUMED, 50);

    let client = cluster.client();
    cluster.kill(client.leader("my-topic", 0));
    let before = producer.lines(SENT).len();
    producer.await_lines(SENT, before + 200);
    assert_eq!(producer.terminate().code(), Some(0), "{}", producer.log());

    let sent = ids(&producer.messages(SENT));
    let records = client.read_all("my-topic", Isolation::ReadCommitted);
    let value = |value: &[u8]| serde_json::from_slice(value).expect("the producer writes JSON");
    let kept: Vec<Value> = records.iter().filter_map(|record| record.value.as_deref().map(value)).collect();
    assert!(sent.is_subset(&ids(&kept)), "acknowledged messages are lost");
    await_until(LIMIT, "every message that was sent is consumed", || {
        sent.is_subset(&ids(&consumer.messages(CONSUMED)))
    });
    let summary = consumer.figures("/api/workshop/summary");
    assert_eq!(summary.get("received"), Some(&consumer.lines(CONSUMED).len().into()), "{summary}");
    assert_eq!(consumer.terminate().code(), Some(0), "{}", consumer.log());
    let read: BTreeSet<(i32, i64)> = client.committed("alunos", "my-topic").into_iter().collect();
    let ends: BTreeSet<(i32, i64)> =
        client.end_offsets("my-topic").into_iter().filter(|(_, end)| *end > 0).collect();
    assert_eq!(read, ends, "what is logged is committed");
}

#[test]
fn a_hostile_message_stays_one_line_of_the_log() {
    let kafka = Kafka::shared();
    let topic = unique("workshop-hostile");
    kafka.client().create_topic_with(&topic, 1, &[("max.message.bytes", "4000000")]);
    let forged = "\n2026-01-01T00:00:00Z ERROR forged\r\u{202e}txt\u{2028}\u{1b}[2J";
    let huge = format!("{forged}{}", "x".repeat(1 << 20));
    let values = [
        serde_json::json!({ "id_sequencia": 1, "mensagem": forged }).to_string(),
        serde_json::json!({ "id_sequencia": 2, "mensagem": huge, "id_plataforma": forged }).to_string(),
        forged.to_owned(),
        serde_json::json!({ "id_sequencia": 4, "mensagem": "the last one" }).to_string(),
    ];
    kafka.client().produce(&topic, &values.map(|value| TestRecord::new("k", value)));
    let group = unique("workshop");
    let variables = [("TOPIC", topic.as_str()), ("CONSUMER_GROUP", group.as_str())];
    let mut consumer = Half::start("consumer", kafka.bootstrap(), &variables);
    consumer.await_lines("the last one", 1);
    let (log, lines) = (consumer.log(), consumer.lines(CONSUMED));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line.len() < 4_000));
    assert!(log.lines().filter(|line| line.contains("forged")).all(|line| line.contains(CONSUMED)), "{log}");
    assert!(!log.contains(['\u{202e}', '\u{2028}', '\u{1b}', '\r']), "{log}");
    let messages = consumer.figures("/api/workshop/messages");
    let rows = messages.get("rows").and_then(Value::as_array).expect("there are rows");
    let offsets: Vec<_> = rows.iter().filter_map(|row| row.get("offset").and_then(Value::as_i64)).collect();
    assert_eq!(offsets, [3, 2, 1, 0]);
    assert_eq!(consumer.terminate().code(), Some(0), "{}", consumer.log());
}

#[test]
fn whoever_waits_for_brokers_can_be_stopped() {
    let nobody = format!("127.0.0.1:{}", free_port());
    for action in ["producer", "consumer"] {
        let mut half = Half::start(action, &nobody, &[]);
        half.await_lines(WAITING, 1);
        assert_eq!(half.terminate().code(), Some(0), "{}", half.log());
    }
}

#[test]
fn wrong_variables_are_refused_by_their_names() {
    for (action, variables, named) in [
        ("both", [("TOPIC", "t")], "ACTION"),
        ("producer", [("TOPIC", "a b")], "TOPIC"),
        ("producer", [("RIACHO_WORKSHOP_INTERVALL_MS", "1")], "RIACHO_WORKSHOP_INTERVALL_MS"),
    ] {
        let mut half = Half::start(action, "127.0.0.1:1", &variables);
        assert_eq!(half.await_end().code(), Some(2), "{}", half.log());
        assert!(half.log().contains(named), "{}", half.log());
    }
}
