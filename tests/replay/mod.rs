//! Recorded inputs with expected outputs, end to end: the application `transactions` on a real Kafka.
//!
//! `NAME.input.jsonl` has a record per line: `key` and `value` (`null`; text; any other JSON, which stands for its text;
//! `{"hex": ..}` for bytes, `{"repeat": .., "times": ..}` for long text), `timestamp` and `partition`.
//! `NAME.expected.json` has what must stand in the topics afterwards. `RIACHO_REPLAY_WRITE=1` writes it anew, for a person
//! to check.

#![expect(
    clippy::indexing_slicing,
    reason = "of what is missing, serde_json makes null, and then the test fails"
)]

mod bad_records;
mod recording;
mod windows;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{App, Client, Isolation, Received, Topics};

/// The application and its topics.
struct Transactions {
    app: App,
    client: Client,
    input: String,
    output: String,
    late: String,
}

/// What an application has made of its input.
struct Outcome {
    aggregated: Vec<Received>,
    late: Vec<Received>,
    dead: Vec<Received>,
    records: u64,
    late_counted: u64,
    dead_counted: u64,
}

impl Transactions {
    fn on(client: &Client, name: &str, partitions: i32) -> Transactions {
        let topics = Topics::create(client, name, partitions);
        let app = topics.application(client, name);
        let Topics { input, output, late, .. } = topics;
        Transactions { app, client: client.clone(), input, output, late }
    }

    fn with(self, key: &str, value: &str) -> Transactions {
        Transactions { app: self.app.with(key, value), ..self }
    }

    /// Feeds `records` in two halves with a restart between them, so that what is recorded is also carried over.
    fn run(&self, recording: &str) -> Outcome {
        let records = recording::input(recording);
        let (first, second) = records.split_at(records.len() / 2);
        let (mut records, mut late_counted, mut dead_counted) = (0, 0, 0);
        for half in [first, second] {
            self.client.produce(&self.input, half);
            let running = self.app.start(self.app.transactions());
            running.await_processed(&self.input);
            self.await_repartitioned(&running);
            let progress = running.stop();
            assert_eq!((progress.restored, progress.aborts), (0, 0));
            records += progress.records;
            late_counted += progress.late;
            dead_counted += progress.dead_letters;
        }
        let read = |topic: &str| self.client.read_all(topic, Isolation::ReadCommitted);
        Outcome {
            aggregated: read(&self.output),
            late: read(&self.late),
            dead: read(&self.app.dead_letter_topic()),
            records,
            late_counted,
            dead_counted,
        }
    }

    fn repartition_topic(&self) -> String {
        format!("{}-by-vendor-repartition", self.app.id)
    }

    fn await_repartitioned(&self, running: &crate::support::Running) {
        if self.client.partition_count(&self.repartition_topic()).is_some() {
            running.await_processed(&self.repartition_topic());
        }
    }
}

fn parsed(record: &Received) -> Value {
    let value = record.value.as_deref().expect("an aggregate is not null");
    let parsed: Value = serde_json::from_slice(value).expect("an aggregate is JSON");
    assert_eq!(
        parsed["id_vendedor"].as_str().map(str::as_bytes),
        record.key.as_deref(),
        "the key is the vendor"
    );
    parsed
}

impl Outcome {
    /// The last update of every vendor's window. Which ones come before depends on when commits fall, but their counts
    /// only grow, and nothing follows the record that says that the window is closed.
    fn windows(&self) -> Vec<Value> {
        let mut last: BTreeMap<(String, i64), Value> = BTreeMap::new();
        for record in &self.aggregated {
            let value = parsed(record);
            let vendor = value["id_vendedor"].as_str().expect("it is the key").to_owned();
            let key = (vendor, value["janela_inicio"].as_i64().expect("a window begins"));
            if let Some(before) = last.insert(key.clone(), value.clone()) {
                assert_eq!(before["final"], false, "{key:?}: {value} follows the last one");
                let count = |value: &Value| value["numero_transacoes"].as_u64();
                assert!(count(&before) <= count(&value), "{key:?}: {value} follows {before}");
            }
        }
        last.into_values().collect()
    }

    /// Late records as they were sent, and the windows they came too late for.
    fn late(&self) -> Vec<Value> {
        let late = self.late.iter().map(|record| {
            let value: Value =
                serde_json::from_slice(record.value.as_deref().unwrap_or(b"null")).expect("as sent");
            json!({
                "key": String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()),
                "value": value,
                "timestamp": record.timestamp,
            })
        });
        late.collect()
    }

    fn compare(&self, recording: &str) {
        let found = json!({
            "records": self.records,
            "windows": self.windows(),
            "late": self.late(),
        });
        recording::compare(recording, &found);
    }
}
