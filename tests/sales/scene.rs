//! A topic of sales, a database, and the program between them.

use std::collections::BTreeMap;

use riacho::connect::postgres::PostgresReader;
use serde_json::json;

use super::postgres::{Postgres, rows};
use crate::support::{App, Client, Kafka, LIMIT, Process, TestRecord, await_until, unique};

const PARTITIONS: i32 = 4;

/// A topic of sales, a database, and the application between them.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) topic: String,
    pub(crate) database: Postgres,
    pub(crate) app: App,
    pub(crate) sent: u64,
    /// What the table must hold: partition and the fields of the row, in the order of the topic.
    expected: BTreeMap<i32, Vec<String>>,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let client = Kafka::shared().client().clone();
        let topic = unique(name);
        client.create_topic(&topic, PARTITIONS);
        let database = Postgres::start();
        let app = App::on(&client, name)
            .with("sales.input.topic", &topic)
            .with("sales.postgres.url", &database.url());
        Scene { client, topic, database, app, sent: 0, expected: BTreeMap::new() }
    }

    pub(crate) fn spawn(&self) -> Process {
        self.app.spawn_line(&["run", "sales"])
    }

    /// As [`Scene::spawn`]; returns when the program and its sink run.
    pub(crate) fn spawn_ready(&self) -> Process {
        let mut process = self.spawn();
        await_ready(&mut process);
        process
    }

    /// Sends `count` sales, each with another id.
    pub(crate) fn feed(&mut self, count: u64) {
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

    /// Sends a sale of which this is the product.
    pub(crate) fn feed_product(&mut self, product: &str) {
        self.sent += 1;
        let value = json!({
            "sale_id": self.sent, "product": product, "amount": 10.5, "latitude": 1.0, "longitude": 2.0,
            "sale_date": "2026-01-01",
        });
        self.client.produce(&self.topic, &[TestRecord::new("k", value.to_string()).on(0)]);
    }

    pub(crate) fn stored(&self, reader: &PostgresReader) -> Option<i64> {
        reader.query("SELECT count(*) FROM sales", &[]).ok()?.first()?.try_get(0).ok()
    }

    pub(crate) fn await_stored(&self, reader: &PostgresReader) {
        let sent = i64::try_from(self.sent).expect("it is small");
        await_until(LIMIT, &format!("{sent} sales are stored"), || {
            self.stored(reader).is_some_and(|stored| stored >= sent)
        });
    }

    /// The table has each sale once, in the order of its partition, and says rightly where it is from.
    pub(crate) fn assert_table_is_topic(&self, reader: &PostgresReader) {
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

pub(super) fn await_ready(process: &mut Process) {
    process
        .await_that("it is ready", |process| process.get("/ready").is_some_and(|(status, _)| status == 200));
}
