//! Transactions that flow into an application's input, and the proof that what came out is right.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use riacho::store::layout::COMMIT_KEY;
use riacho::{EmitStrategy, Timestamp};

use super::floor::Floor;
use crate::support::{App, Client, Isolation, LIMIT, Process, Received, TestRecord, Topics, await_until};
use crate::transactions::generator::{EventClock, Generator, GeneratorOptions};
use crate::transactions::oracle::{Input, OpenWindows, Oracle, OracleRules, Report};

const BEGIN: Timestamp = Timestamp(1_767_225_600_000);
const STORES: [&str; 2] = ["totals-by-vendor", "vendor-profiles"];

/// An application `transactions` and its topics, fed by a generator.
pub(super) struct Flow {
    pub(super) app: App,
    client: Client,
    input: String,
    output: String,
    anomalies: String,
    late: String,
    generator: Generator,
    fed: u64,
    rules: OracleRules,
}

impl Flow {
    /// Few vendors, and a window every 1500 records: many close in the course of a test.
    pub(super) fn on(client: &Client, name: &str, partitions: i32, seed: u64) -> Flow {
        Flow::of(client, name, partitions, (seed, 60, 25))
    }

    /// So many vendors that each has a total of its own in every window of 15,000 records.
    pub(super) fn of_many_vendors(client: &Client, name: &str, seed: u64) -> Flow {
        Flow::of(client, name, 1, (seed, 1_000_000, 250))
    }

    fn of(
        client: &Client,
        name: &str,
        partitions: i32,
        (seed, vendors, per_second): (u64, u32, u32),
    ) -> Flow {
        let topics = Topics::create(client, name, partitions);
        let app = topics.application(client, name);
        let some = |number| NonZeroU32::new(number).expect("it is not zero");
        let options = GeneratorOptions {
            seed,
            vendors: some(vendors),
            share_late: 0.01,
            clock: EventClock::Simulated { start: BEGIN, per_second: some(per_second) },
            ..GeneratorOptions::default()
        };
        let generator = Generator::new(options).expect("the options are sound");
        let Topics { input, output, anomalies, late } = topics;
        let rules = OracleRules {
            partitions: usize::try_from(partitions).expect("a number of partitions is positive"),
            size_ms: 60_000,
            advance_ms: 60_000,
            grace_ms: 10_000,
            ahead_ms_max: 86_400_000,
            keyed_by_vendor: true,
            emit: EmitStrategy::OnWindowUpdateAndClose,
            exactly_once: true,
        };
        let client = client.clone();
        Flow { app, client, input, output, anomalies, late, generator, fed: 0, rules }
    }

    pub(super) fn is_exactly_once(&self) -> bool {
        self.rules.exactly_once
    }

    pub(super) fn with(self, key: &str, value: &str) -> Flow {
        Flow { app: self.app.with(key, value), ..self }
    }

    /// Each window is told once, when it closes.
    pub(super) fn telling_closed_windows_only(self) -> Flow {
        let rules = OracleRules { emit: EmitStrategy::OnWindowClose, ..self.rules };
        Flow { rules, ..self }.with("transactions.emit.strategy", "close")
    }

    /// Each transaction is counted in three windows.
    pub(super) fn in_hopping_windows(self) -> Flow {
        let rules = OracleRules { advance_ms: 20_000, ..self.rules };
        Flow { rules, ..self }
            .with("transactions.window.kind", "hopping")
            .with("transactions.window.advance.ms", "20000")
    }

    pub(super) fn at_least_once(self) -> Flow {
        let rules = OracleRules { exactly_once: false, ..self.rules };
        Flow { rules, ..self }.with("processing.guarantee", "at_least_once")
    }

    /// Feeds `count` transactions; one in a hundred comes with a companion that nobody can read.
    pub(super) fn feed(&mut self, count: usize) {
        let records = self.draw(count);
        self.client.produce(&self.input, &records);
    }

    /// As [`feed`](Self::feed); a marker is then the last entry of the partitions.
    pub(super) fn feed_in_a_transaction(&mut self, count: usize) {
        let records = self.draw(count);
        let transaction = self.client.begin_transaction();
        transaction.write(&self.input, &records);
        transaction.commit();
    }

    fn draw(&mut self, count: usize) -> Vec<TestRecord> {
        let mut records = Vec::with_capacity(count + 1);
        for _ in 0..count {
            self.fed += 1;
            let transaction = self.generator.next(BEGIN);
            let mut value = Vec::new();
            transaction.write_json(&mut value);
            let (key, time) = (transaction.key().to_vec(), transaction.time.as_millis());
            if self.fed.is_multiple_of(100) {
                records.push(TestRecord::new(key.clone(), format!("{{\"unreadable\":{}", self.fed)).at(time));
            }
            records.push(TestRecord::new(key, value).at(time));
        }
        records
    }

    /// Feeds on until `holds`.
    pub(super) fn feed_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        await_until(LIMIT, what, || {
            self.feed(40);
            holds()
        });
    }

    /// Feeds on until a process is ready, which it must reach alive.
    pub(super) fn feed_until_ready(&mut self, process: &mut Process) {
        process.await_that("it is ready", |process| {
            self.feed(40);
            process.get("/ready").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Lets another client join the group under the id of the application's first thread, and vanish.
    pub(super) fn usurp_first_thread(&self) {
        let directory = self.app.state_dir().join(&self.app.id);
        let text = std::fs::read_to_string(directory.join("kafka-streams-process-metadata"));
        let stored: serde_json::Value =
            serde_json::from_str(&text.expect("it is written at the start")).expect("it is JSON");
        let process = stored.get("processId").and_then(|id| id.as_str()).expect("it names the process");
        let usurper: BaseConsumer = self
            .client
            .config()
            .set("group.id", &self.app.id)
            .set("group.instance.id", format!("{process}-1"))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .create()
            .expect("the settings are sound");
        usurper.subscribe(&[&self.input]).expect("the name is sound");
        await_until(LIMIT, "the usurper has joined", || {
            usurper.poll(Duration::from_millis(100));
            usurper.assignment().is_ok_and(|assigned| assigned.count() > 0)
        });
    }

    /// Returns when everything that was fed is committed.
    pub(super) fn await_processed(&self) {
        self.app.await_processed(&self.input);
    }

    /// Returns when everything that was fed is committed and the process knows it: its state on disk is then as new as
    /// the changelogs.
    pub(super) fn await_stored(&self, process: &mut Process) {
        self.await_processed();
        let committed: i64 = self.client.committed(&self.app.id, &self.input).iter().map(|(_, at)| at).sum();
        process.await_that("its last commit is on disk", |process| {
            let known = process.metric("kstreams_consumer_committed_offset", &self.input);
            known.is_some_and(|known| known >= committed as f64)
        });
    }

    /// How many committed records the changelogs have.
    pub(super) fn changelog_records(&self) -> usize {
        let of_topic = |topic: &String| self.client.read_all(topic, Isolation::ReadCommitted).len();
        self.changelogs().iter().map(of_topic).sum()
    }

    pub(super) fn changelogs(&self) -> [String; 2] {
        STORES.map(|store| format!("{}-{store}-changelog", self.app.id))
    }

    /// The records of the last transaction on every changelog: what a crash may leave to be replayed.
    pub(super) fn changelog_records_of_the_last_commit(&self) -> usize {
        let of_topic = |topic: &String| {
            let mut last: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
            for record in self.client.read_decided(topic) {
                // How many records the transaction before and the one under way have had.
                let (ended, under_way) = last.entry(record.partition).or_default();
                *under_way += 1;
                if record.key.as_deref() == Some(COMMIT_KEY.as_slice()) {
                    (*ended, *under_way) = (*under_way, 0);
                }
            }
            last.values().map(|(ended, _)| ended).sum::<usize>()
        };
        self.changelogs().iter().map(of_topic).sum()
    }

    /// Compares all that was committed with an independent count of the input, and the side topics with it.
    pub(super) fn prove(&self) -> Report {
        let mut oracle = Oracle::new(self.rules);
        let inputs = self.client.read_all(&self.input, Isolation::ReadCommitted);
        for record in &inputs {
            oracle.input(&Input {
                partition: record.partition,
                offset: record.offset,
                reference: Timestamp(record.timestamp.unwrap_or_default()),
                key: record.key.as_deref(),
                value: record.value.as_deref(),
            });
        }
        for record in self.client.read_all(&self.output, Isolation::ReadCommitted) {
            oracle.output(record.key.as_deref(), record.value.as_deref());
        }
        let report = oracle.finish(OpenWindows::Compare);
        println!("{report}");
        assert!(report.passed(), "{report}");
        assert_eq!(report.records, inputs.len() as u64);

        let late = self.client.read_all(&self.late, Isolation::ReadCommitted).len() as u64;
        assert_eq!(late, report.late, "late records are told once each");
        let (letters, origins) = self.dead_letters();
        assert_eq!(origins, letters, "no dead letter comes twice");
        assert_eq!(letters as u64, report.unreadable, "and none is missing");
        report
    }

    /// For what is processed at least once: every window that is due is told, with no less than there was in the input.
    pub(super) fn prove_that_nothing_is_lost(&self) {
        let mut floor = Floor::new(&self.rules);
        for record in self.client.read_all(&self.input, Isolation::ReadCommitted) {
            floor.input(&record);
        }
        for record in self.client.read_all(&self.output, Isolation::ReadCommitted) {
            floor.output(&record);
        }
        let unreadable = floor.prove();
        let (_, origins) = self.dead_letters();
        assert_eq!(origins, unreadable, "every record that cannot be read has a dead letter");
    }

    /// How many there are, and to how many records they belong.
    fn dead_letters(&self) -> (usize, usize) {
        let letters = self.client.read_all(&self.app.dead_letter_topic(), Isolation::ReadCommitted);
        let origin = |letter: &Received| {
            ["partition", "offset"].map(|part| {
                let name = format!("__streams.errors.{part}");
                let header = letter.headers.iter().find(|(found, _)| *found == name);
                header.map(|(_, value)| value.clone()).expect("a letter has it")
            })
        };
        let origins: BTreeSet<_> = letters.iter().map(origin).collect();
        (letters.len(), origins.len())
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn input(&self) -> &str {
        &self.input
    }

    pub(super) fn output(&self) -> &str {
        &self.output
    }

    pub(super) fn anomalies(&self) -> &str {
        &self.anomalies
    }
}

/// Deletes everything below the state directory but the logs.
pub(super) fn delete_state(app: &App) {
    let dir: &Path = &app.state_dir().join(&app.id);
    std::fs::remove_dir_all(dir).expect("the application had state");
}

pub(super) fn restored(process: &Process) -> usize {
    process.metric("kstreams_restored_records_total", "").unwrap_or(0.0) as usize
}

pub(super) fn assert_nothing_was_wiped(process: &Process) {
    assert_eq!(process.metric("kstreams_store_wipes_total", "").unwrap_or(0.0), 0.0, "a store was wiped");
    assert_eq!(process.metric("kstreams_eos_violations_total", "").unwrap_or(0.0), 0.0);
}
