//! The real program with its main job, and transactions in its input.

use std::num::NonZeroU32;

use riacho::SystemClock;
use riacho::ports::Clock as _;

use crate::support::{Client, Kafka, Process, TestRecord, Topics};
use crate::transactions::generator::{Generator, GeneratorOptions};

const PARTITIONS: i32 = 3;
pub(super) const VENDORS: u32 = 20;

/// The program, whose input is not keyed by vendor: two sub-topologies with three tasks each.
pub(super) struct Scene {
    pub(super) process: Process,
    client: Client,
    input: String,
    generator: Generator,
}

impl Scene {
    pub(super) fn set(name: &str, settings: &[(&str, &str)]) -> Scene {
        let client = Kafka::shared().client().clone();
        let topics = Topics::create(&client, name, PARTITIONS);
        let app = topics.application(&client, name).with("transactions.input.keyed.by.vendor", "false");
        let app = settings.iter().fold(app, |app, (key, value)| app.with(key, value));
        let vendors = NonZeroU32::new(VENDORS).expect("it is not zero");
        let generator = Generator::new(GeneratorOptions { vendors, ..GeneratorOptions::default() });
        let generator = generator.expect("the options are sound");
        let mut process = app.spawn();
        process.await_that("it is ready", |process| {
            process.get("/ready").is_some_and(|(status, _)| status == 200)
        });
        Scene { process, client, input: topics.input, generator }
    }

    /// Feeds transactions of now.
    pub(super) fn feed(&mut self, count: usize) {
        let now = SystemClock::new().now();
        let draw = |_| {
            let transaction = self.generator.next(now);
            let mut value = Vec::new();
            transaction.write_json(&mut value);
            TestRecord::new(transaction.key().to_vec(), value).at(transaction.time.as_millis())
        };
        let records: Vec<TestRecord> = (0..count).map(draw).collect();
        self.client.produce(&self.input, &records);
    }

    /// Feeds one transaction of now over 12.34 of this vendor.
    pub(super) fn feed_one_of(&self, vendor: &str) {
        let now = SystemClock::new().now().as_millis();
        let value = serde_json::json!({
            "id_transacao": "4f1a7b52-6c0f-4a6e-9d3b-0c5b7d1f2e3a", "id_usuario": "u", "valor": 12.34,
            "hora_transacao": now, "id_vendedor": vendor, "tipo_transacao": "compra", "localizacao": "Fortaleza",
            "metodo_pagamento": "pix", "compra_internacional": "false", "moeda": "BRL",
        });
        self.client.produce(&self.input, &[TestRecord::new(b"k".to_vec(), value.to_string()).at(now)]);
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port)
    }
}
