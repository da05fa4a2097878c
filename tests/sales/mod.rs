//! The application `sales` on a real Kafka and a real PostgreSQL, which are killed while sales flow.

mod postgres;

use std::collections::BTreeMap;

use rand::RngExt as _;
use riacho::connect::postgres::PostgresReader;
use serde_json::{Value, json};

use crate::recovery::{chosen, dice};
use crate::support::{App, Client, Kafka, LIMIT, Process, TestRecord, await_until, unique};
use postgres::{Postgres, rows};

const PARTITIONS: i32 = 4;

/// A topic of sales, a database, and the application between them.
struct Scene {
    client: Client,
    topic: String,
    database: Postgres,
    app: App,
    sent: u64,
    /// What the table must hold: partition and the fields of the row, in the order of the topic.
    expected: BTreeMap<i32, Vec<String>>,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let client = Kafka::shared().client().clone();
        let topic = unique(name);
        client.create_topic(&topic, PARTITIONS);
        let database = Postgres::start();
        let app = App::on(&client, name)
            .with("sales.input.topic", &topic)
            .with("sales.postgres.url", &database.url());
        Scene { client, topic, database, app, sent: 0, expected: BTreeMap::new() }
    }

    fn spawn(&self) -> Process {
        self.app.spawn_line(&["run", "sales"])
    }

    /// Sends `count` sales, each with another id.
    fn feed(&mut self, count: u64) {
        let mut records = Vec::new();
        for _ in 0..count {
            self.sent += 1;
            let id = self.sent;
            let product = format!("Product {}", char::from(b'A' + (id % 3) as u8));
            let amount = format!("{}.{:02}", 10 + id % 90, id % 100);
            let (latitude, longitude) = (-10.0 - (id % 80) as f64 / 8.0, -50.0 + (id % 16) as f64 / 4.0);
            let date = format!("2026-{:02}-{:02}", 1 + id % 11, 1 + id % 28);
            let value = format!(
                r#"{{"sale_id":{id},"product":"{product}","amount":{amount},"latitude":{latitude},"longitude":{longitude},"sale_date":"{date}"}}"#
            );
            let partition = (id % 4) as i32;
            records.push(TestRecord::new(id.to_string(), value).on(partition));
            let row = format!("{id}|{product}|{amount}|{latitude}|{longitude}|{date}");
            self.expected.entry(partition).or_default().push(row);
        }
        self.client.produce(&self.topic, &records);
    }

    fn stored(&self, reader: &PostgresReader) -> Option<i64> {
        reader.query("SELECT count(*) FROM sales", &[]).ok()?.first()?.try_get(0).ok()
    }

    fn await_stored(&self, reader: &PostgresReader) {
        let sent = i64::try_from(self.sent).expect("it is small");
        await_until(LIMIT, &format!("{sent} sales are stored"), || {
            self.stored(reader).is_some_and(|stored| stored >= sent)
        });
    }

    /// The table has each sale once, in the order of its partition, and says rightly where it is from.
    fn assert_table_is_topic(&self, reader: &PostgresReader) {
        let sql = "SELECT source_partition, source_offset, concat_ws('|', sale_id, product, amount, latitude, \
            longitude, sale_date) FROM sales ORDER BY source_partition, id";
        let mut found: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for row in rows(reader, sql, &[]) {
            let (partition, offset): (i32, i64) = (row.get(0), row.get(1));
            let of_partition = found.entry(partition).or_default();
            assert_eq!(usize::try_from(offset).ok(), Some(of_partition.len()), "offsets run without holes");
            of_partition.push(row.get(2));
        }
        assert!(found == self.expected, "the table is not the topic");
    }
}

#[test]
fn the_table_is_the_topic_whatever_is_killed_while_sales_flow() {
    let (_, mut dice) = dice();
    let mut scene = Scene::new("sales-killed");
    let reader = scene.database.reader();
    let batch = chosen("RIACHO_SALES_BATCH", 500);
    let kills = chosen("RIACHO_KILLS", 6);
    for kill in 0..kills {
        let mut process = scene.spawn();
        let before = scene.stored(&reader).unwrap_or(0);
        process.await_that("it has stored something", |_| {
            scene.feed(batch);
            scene.stored(&reader).is_some_and(|stored| stored > before)
        });
        if kill % 3 == 1 {
            // The database dies under a processor that goes on.
            scene.database.kill();
            scene.feed(batch);
            scene.database.up();
            let before = scene.stored(&reader).unwrap_or(0);
            process.await_that("it writes again", |_| {
                scene.feed(batch);
                scene.stored(&reader).is_some_and(|stored| stored > before)
            });
        }
        for _ in 0..dice.random_range(0..5) {
            scene.feed(batch);
        }
        process.kill();
    }
    let mut process = scene.spawn();
    scene.await_stored(&reader);
    assert!(process.terminate().success(), "{}", process.log_end());
    scene.assert_table_is_topic(&reader);
}

#[test]
fn a_second_process_takes_over_and_the_first_cannot_write_any_more() {
    let mut scene = Scene::new("sales-fenced");
    let reader = scene.database.reader();
    let mut first = scene.spawn();
    scene.feed(100);
    scene.await_stored(&reader);
    first.signal("STOP");
    await_until(LIMIT, "the first stands still", || first.is_stopped());
    scene.feed(100);
    let second = scene.app.sibling().spawn_line(&["run", "sales"]);
    scene.await_stored(&reader);
    scene.feed(100);
    first.signal("CONT");
    let end = first.await_end(LIMIT);
    assert!(!end.success() && first.log().contains("has taken over"), "{}", first.log_end());
    scene.await_stored(&reader);
    scene.assert_table_is_topic(&reader);
    drop(second);
}

#[test]
fn a_record_that_is_no_sale_is_noted_and_hostile_text_is_text() {
    let mut scene = Scene::new("sales-hostile");
    let reader = scene.database.reader();
    let hostile = ["<script>alert(1)</script>", "'; DROP TABLE sales; --", "a\nb\u{202e}c\0d"];
    let mut records =
        vec![TestRecord::new("k", "{").on(0), TestRecord { value: None, ..TestRecord::new("k", "") }.on(0)];
    for product in hostile {
        let value = json!({ "sale_id": 1, "product": product, "amount": 10.5, "latitude": 1.0, "longitude": 2.0,
            "sale_date": "2026-01-01" });
        records.push(TestRecord::new("k", value.to_string()).on(0));
    }
    scene.client.produce(&scene.topic, &records);
    scene.sent = 3;
    let process = scene.spawn();
    scene.await_stored(&reader);
    let found = rows(&reader, "SELECT product FROM sales ORDER BY id", &[]);
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, hostile.map(|text| text.replace('\0', "\u{fffd}")));
    let rejects = rows(&reader, "SELECT record_offset FROM riacho_sink_rejects ORDER BY 1", &[]);
    assert_eq!(rejects.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [0, 1]);
    let (_, table) = process.get("/api/sales/table").expect("the program answers");
    assert!(table.contains("<script>") && table.contains("DROP TABLE"), "{table}");
}

#[test]
fn the_page_is_told_what_the_table_holds() {
    let mut scene = Scene::new("sales-page");
    let reader = scene.database.reader();
    scene.feed(300);
    let process = scene.spawn();
    scene.await_stored(&reader);
    let ask = |path: &str| -> Value {
        let (_, body) = process.get(&format!("/api/sales/{path}")).expect("the program answers");
        let answer: Value = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(answer["state"], "ready", "{path}: {answer}");
        answer["data"].clone()
    };
    let cents: u64 = (1..=300).map(|id| (10 + id % 90) * 100 + id % 100).sum();
    let total = format!("{}.{:02}", cents / 100, cents % 100);
    let summary = ask("summary");
    assert_eq!((&summary["total_amount"], &summary["transactions"]), (&json!(total), &json!(300)));
    let products = ask("by-product");
    let quantities: Vec<&Value> =
        products["products"].as_array().expect("a list").iter().map(|one| &one["quantity"]).collect();
    assert_eq!(quantities, [100, 100, 100]);
    let months = ask("by-month");
    assert_eq!(months["months"].as_array().expect("a list").len(), 11);
    let sold: u64 = months["series"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|one| one["quantity"].as_array().expect("a list"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(sold, 300);
    let map = ask("map?bbox=-180,-90,180,90&zoom=3");
    let cells: u64 =
        map["cells"].as_array().expect("a list").iter().filter_map(|cell| cell["quantity"].as_u64()).sum();
    assert_eq!((cells, &map["outside"]), (300, &json!(0)));
    assert_eq!(ask("map?bbox=0,0,10,10")["outside"], 300);
    let table = ask("table?page=30&size=10");
    assert_eq!((&table["total"], table["rows"].as_array().map(Vec::len)), (&json!(300), Some(10)));
    assert_eq!(process.get("/api/sales/table?size=101").map(|(status, _)| status), Some(400));

    // Whoever has a newer schema is not overwritten by an older program.
    scene.database.run("INSERT INTO riacho_schema_versions (schema_name, version) VALUES ('sales', 99)");
    drop(process);
    let mut older = scene.spawn();
    assert!(!older.await_end(LIMIT).success());
    assert!(older.log().contains("run the newer program"), "{}", older.log_end());
    assert!(reader.query("DELETE FROM sales", &[]).is_err(), "whoever reads for a page cannot write");
}
