//! The page of the workshop.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Browser, Kafka, TestRecord, unique};
use crate::workshop::Half;

/// A topic with one partition, and the variables of those who work on it.
struct Room {
    topic: String,
    group: String,
}

impl Room {
    fn open(name: &str) -> Room {
        let topic = unique(name);
        Kafka::shared().client().create_topic_with(&topic, 1, &[("max.message.bytes", "4000000")]);
        Room { topic, group: unique("workshop") }
    }

    fn start(&self, action: &str) -> Half {
        let variables = [
            ("TOPIC", self.topic.as_str()),
            ("CONSUMER_GROUP", self.group.as_str()),
            // One message, then a rest that is longer than any test.
            ("RIACHO_WORKSHOP_INTERVAL_MS", "3600000"),
        ];
        Half::start(action, Kafka::shared().bootstrap(), &variables)
    }

    fn send(&self, messages: &[Value]) {
        let records: Vec<TestRecord> =
            messages.iter().map(|message| TestRecord::new("k", message.to_string())).collect();
        Kafka::shared().client().produce(&self.topic, &records);
    }
}

fn message(number: usize) -> Value {
    let platform = ["Mobile", "Laptop", "Tablet"].get(number % 3);
    json!({ "id_sequencia": number, "id_plataforma": platform, "mensagem": format!("mensagem {number}") })
}

fn await_figure(browser: &Browser, name: &str, value: &str) {
    browser.await_true(&format!(
        "document.querySelector('[data-figure=\"workshop.{name}\"]').dataset.value === '{value}'"
    ));
}

/// A column of the table of messages.
fn column(browser: &Browser, field: &str) -> Vec<String> {
    let script = format!(
        "return [...document.querySelectorAll('#rows-workshop-messages td[data-field={field}]')].map((cell) => cell.textContent)"
    );
    serde_json::from_value(browser.run(&script)).expect("texts")
}

#[test]
fn the_page_shows_what_was_received() {
    let room = Room::open("workshop-page");
    let messages: Vec<Value> = (0..70).map(message).collect();
    room.send(messages.get(..60).expect("there are more"));
    let mut consumer = room.start("consumer");
    consumer.await_lines("Mensagem consumida", 60);
    let browser = Browser::start();
    browser.open(&format!("{}/workshop", consumer.origin()));
    await_figure(&browser, "received", "60");
    await_figure(&browser, "topic", &room.topic);
    let key = "return document.querySelector('.figure.key [data-figure]').dataset.figure";
    assert_eq!(browser.run(key), json!("workshop.received"), "the producer is another process");

    // Without a reload: new messages arrive by themselves.
    browser.run("window.notReloaded = true");
    room.send(messages.get(60..).expect("there are more"));
    await_figure(&browser, "received", "70");
    assert!(browser.is("window.notReloaded"));
    assert!(browser.is("(await import('/assets/pages/workshop.js')).interval <= 5000"));
    browser.await_refresh();
    assert_eq!(consumer.lines("Mensagem consumida").len(), 70);

    let drawn = browser.chart("workshop-platforms");
    let list = |pointer: &str| drawn.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let names = list("/labels").into_iter().filter_map(|label| label.as_str().map(str::to_owned));
    let values = list("/series/0/values").into_iter().filter_map(|value| value.as_u64());
    let groups: BTreeMap<String, u64> = names.zip(values).collect();
    let expected = [("Laptop", 23), ("Mobile", 24), ("Tablet", 23)];
    assert_eq!(groups, expected.map(|(name, quantity)| (name.to_owned(), quantity)).into(), "{drawn}");

    // The newest first, page by page, and no more of them however many there were.
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    for page in 1..=4 {
        let pager = "document.querySelector('[data-pager=workshop-messages]').textContent";
        browser.await_true(&format!("{pager}.includes('Página {page} de 4')"));
        texts.extend(column(&browser, "mensagem"));
        places.extend(column(&browser, "place"));
        browser.click("[data-pager=workshop-messages] [data-go=next]");
    }
    let newest = || (20..70).rev();
    assert_eq!(texts, newest().map(|number| format!("mensagem {number}")).collect::<Vec<_>>());
    assert_eq!(places, newest().map(|offset| format!("0 @ {offset}")).collect::<Vec<_>>());
    let up = "[...document.querySelectorAll('#brokers [data-up]')].map((broker) => broker.dataset.up)";
    browser.await_true(&format!("({up}).join() === 'true'"));
    browser.assert_quiet(&consumer.origin());
}

#[test]
fn the_page_of_a_producer_shows_what_was_sent() {
    let room = Room::open("workshop-sent");
    let mut producer = room.start("producer");
    producer.await_lines("Mensagem enviada", 1);
    let browser = Browser::start();
    browser.open(&format!("{}/workshop", producer.origin()));
    await_figure(&browser, "sent", "1");
    browser.await_refresh();
    let sent = producer.messages("Mensagem enviada");
    let whole =
        "return document.querySelector('#rows-workshop-messages td[data-field=id_transacao] span').title";
    assert_eq!(browser.run(whole), sent[0]["id_transacao"]);
    for field in ["id_usuario", "endereco", "id_plataforma", "mensagem"] {
        let texts: Vec<String> =
            sent.iter().filter_map(|message| message.get(field)?.as_str().map(str::to_owned)).collect();
        assert_eq!(column(&browser, field), texts, "{field}");
    }
    browser.assert_quiet(&producer.origin());
}

#[test]
fn hostile_messages_are_shown_as_text_and_break_nothing() {
    let room = Room::open("workshop-hostile-page");
    let hostile = [
        "<img src=x onerror=\"window.owned=1\">",
        "'; DROP TABLE mensagens; --",
        "</script><script>window.owned=1</script>",
        "um\nde\u{202e}sárt\u{200f}{a|b}",
    ];
    let mut messages: Vec<Value> = hostile
        .iter()
        .map(|text| json!({ "id_plataforma": text, "id_transacao": text, "endereco": text, "mensagem": text, "id_sequencia": [text] }))
        .collect();
    messages.push(json!({ "id_plataforma": "x".repeat(1 << 20), "mensagem": "y".repeat(1 << 20) }));
    room.send(&messages);
    let mut consumer = room.start("consumer");
    consumer.await_lines("Mensagem consumida", messages.len());
    let browser = Browser::start();
    browser.widen(360);
    browser.open(&format!("{}/workshop", consumer.origin()));
    await_figure(&browser, "received", "5");
    browser.await_refresh();
    let shown = column(&browser, "mensagem");
    let (longest, others) = shown.split_first().expect("there are rows");
    assert_eq!(longest.chars().count(), 257, "a mebibyte is cut");
    let newest_first: Vec<&str> = hostile.iter().rev().copied().collect();
    assert_eq!(others, newest_first);
    let labels = browser.chart("workshop-platforms").pointer("/labels").cloned().unwrap_or_default();
    assert_eq!(labels.as_array().map(Vec::len), Some(messages.len()), "{labels}");
    assert!(browser.is("window.owned === undefined && document.querySelector('main img') === null"));
    browser.await_true("document.documentElement.scrollWidth <= document.documentElement.clientWidth");
    browser.assert_quiet(&consumer.origin());
}
