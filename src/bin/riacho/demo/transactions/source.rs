//! Draws transactions, tells them to the proof and sends them, never further ahead of the application than the broker
//! remembers.

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use riacho::kafka::{NewRecord, TopicWriter};
use riacho::ports::Clock as _;
use riacho::{Streams, SystemClock, Timestamp, TopicPartition, partition_of};

use super::Options;
use super::proof::Proof;
use super::scene::Scene;
use crate::transactions::generator::{Generator, GeneratorOptions};
use crate::transactions::oracle::Input;

/// How the names of the vendors begin that close windows and are not compared.
pub(super) const CLOSING: &str = "closing_";
/// Time between two batches: short against a commit.
const TICK: Duration = Duration::from_millis(5);
/// How far a partition may be ahead of what is committed. The embedded broker keeps some 16,000 records and silently
/// drops what is before.
const AHEAD_RECORDS_MAX: i64 = 5_000;
/// So long without a step forward is a failure.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is thrown at the application, for others to read.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    partitions: Arc<[AtomicI64]>,
    /// Whether the generator has to wait for the application.
    held: Arc<AtomicU64>,
}

impl Sent {
    fn none(partitions: i32) -> Sent {
        Sent { partitions: (0..partitions).map(|_| AtomicI64::new(0)).collect(), held: Arc::default() }
    }

    fn of(&self, partition: i32) -> Option<&AtomicI64> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// How many records were sent.
    pub(super) fn total(&self) -> u64 {
        self.partitions.iter().map(|count| count.load(Ordering::Relaxed).unsigned_abs()).sum()
    }

    /// How often the generator had to wait for the application.
    pub(super) fn times_held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

pub(super) struct Source {
    clock: SystemClock,
    generator: Generator,
    writer: TopicWriter,
    topic: String,
    partitions: NonZeroU32,
    rate: NonZeroU32,
    closing_ms: i64,
    sent: Sent,
    value: Vec<u8>,
}

impl Source {
    /// A generator that has sent nothing.
    ///
    /// # Errors
    /// When there is no writer.
    pub(super) fn new(options: &Options, scene: &Scene) -> Result<Source, Box<dyn Error>> {
        let generator = Generator::new(GeneratorOptions {
            seed: options.seed(),
            vendors: options.vendors(),
            // So that there are top vendors at all.
            skew: 0.7,
            out_of_order_ms: 0..=scene.out_of_order_ms_max(),
            share_late: 0.0005,
            late_ms: scene.late_ms_min()..=3 * scene.late_ms_min(),
            share_atypical: 0.00002,
            ..GeneratorOptions::default()
        })?;
        Ok(Source {
            clock: SystemClock::new(),
            generator,
            writer: TopicWriter::new(&scene.clients)?,
            topic: scene.application.input_topic.clone(),
            partitions: u32::try_from(scene.partitions)
                .ok()
                .and_then(NonZeroU32::new)
                .ok_or("no partitions")?,
            rate: options.rate(),
            closing_ms: scene.closing_ms(),
            sent: Sent::none(scene.partitions),
            value: Vec::with_capacity(512),
        })
    }

    /// Where to read what was sent.
    pub(super) fn sent(&self) -> Sent {
        self.sent.clone()
    }

    /// Sends until `stop`, then closes all windows and waits until the application has committed all of it, or until
    /// `given_up`.
    ///
    /// # Errors
    /// When a record is not taken, or the application ends or gets stuck.
    pub(super) fn run(
        mut self,
        streams: &Streams,
        proof: &Proof,
        stop: &AtomicBool,
        given_up: &AtomicBool,
    ) -> Result<(), String> {
        let began = self.clock.monotonic();
        // What could not be sent in its time is not sent later: the rate is a limit, not a debt.
        let mut forgone = 0;
        let mut moved_at = began;
        while !stop.load(Ordering::Acquire) {
            thread::park_timeout(TICK);
            let now = self.clock.monotonic();
            let elapsed = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX);
            let due = (elapsed.saturating_mul(u64::from(self.rate.get())) / 1_000_000)
                .saturating_sub(self.generator.drawn() + forgone);
            let room = u64::try_from(self.room(streams)?).unwrap_or(0);
            if due > room {
                forgone += due - room;
                self.sent.held.fetch_add(1, Ordering::Relaxed);
            }
            if room > 0 {
                moved_at = now;
            } else if now - moved_at > SILENCE_MAX {
                return Err(format!("the application has committed nothing for {} s", SILENCE_MAX.as_secs()));
            }
            self.send_drawn(due.min(room), proof)?;
        }
        self.close_windows(proof)?;
        self.writer.flush().map_err(|error| error.to_string())?;
        self.drain(streams, given_up)
    }

    /// How many records may be sent, wherever they all go.
    fn room(&self, streams: &Streams) -> Result<i64, String> {
        if streams.state().has_ended() {
            return Err("the application has ended".to_owned());
        }
        let ahead = self.behind(streams).max().unwrap_or(0);
        Ok(AHEAD_RECORDS_MAX - ahead)
    }

    /// For each partition how many records are sent but not committed.
    fn behind(&self, streams: &Streams) -> impl Iterator<Item = i64> {
        let positions = streams.progress().positions;
        let topic = self.topic.clone();
        let behind = move |(partition, sent): (i32, &AtomicI64)| {
            let position =
                positions.get(&TopicPartition::new(topic.as_str(), partition)).copied().unwrap_or(0);
            sent.load(Ordering::Relaxed) - position
        };
        (0..).zip(self.sent.partitions.iter()).map(behind)
    }

    fn send_drawn(&mut self, count: u64, proof: &Proof) -> Result<(), String> {
        for _ in 0..count {
            let now = self.clock.now();
            let transaction = self.generator.next(now);
            self.value.clear();
            transaction.write_json(&mut self.value);
            let partition = partition_of(transaction.key(), self.partitions);
            let record = Addressed { partition, time: now, key: transaction.key(), value: &self.value };
            send(&mut self.writer, &self.topic, &self.sent, proof, &record)?;
        }
        Ok(())
    }

    /// Sends a record to each partition that is late enough to close every window there is. The vendors have no other
    /// records, and their windows stay open, so that they are not compared.
    fn close_windows(&mut self, proof: &Proof) -> Result<(), String> {
        let now = self.clock.now();
        let time = now.plus_millis(self.closing_ms);
        for partition in 0..self.partitions.get().cast_signed() {
            let vendor = (0..)
                .map(|number: u32| format!("{CLOSING}{number}"))
                .find(|vendor| partition_of(vendor.as_bytes(), self.partitions) == partition)
                .ok_or("no vendor belongs to a partition")?;
            let transaction = self.generator.next(now);
            let mut closing = transaction.clone();
            closing.vendor = vendor.as_str().into();
            closing.time = time;
            self.value.clear();
            closing.write_json(&mut self.value);
            let record = Addressed { partition, time, key: vendor.as_bytes(), value: &self.value };
            send(&mut self.writer, &self.topic, &self.sent, proof, &record)?;
        }
        Ok(())
    }

    fn drain(&self, streams: &Streams, given_up: &AtomicBool) -> Result<(), String> {
        let mut left_before = i64::MAX;
        let mut moved_at = self.clock.monotonic();
        loop {
            // Somebody else's records, if there are any, are the proof's business.
            let left: i64 = self.behind(streams).map(|behind| behind.max(0)).sum();
            let now = self.clock.monotonic();
            if left == 0 {
                return Ok(());
            }
            if left != left_before {
                (left_before, moved_at) = (left, now);
            } else if now - moved_at > SILENCE_MAX {
                return Err(format!("{left} records are sent but not committed, and nothing moves"));
            }
            if streams.state().has_ended() || given_up.load(Ordering::Acquire) {
                return Err(format!("{left} records are sent but not committed, and nobody waits for them"));
            }
            thread::park_timeout(4 * TICK);
        }
    }
}

struct Addressed<'a> {
    partition: i32,
    time: Timestamp,
    key: &'a [u8],
    value: &'a [u8],
}

fn send(
    writer: &mut TopicWriter,
    topic: &str,
    sent: &Sent,
    proof: &Proof,
    record: &Addressed<'_>,
) -> Result<(), String> {
    let &Addressed { partition, time, key, value } = record;
    let count = sent.of(partition).ok_or("a partition that the topic does not have")?;
    // There is one writer, and it keeps the order: the offset is how many went before.
    let offset = count.load(Ordering::Relaxed);
    // Told first: the application may write what follows from it at once.
    proof.sent(&Input { partition, offset, reference: time, key: Some(key), value: Some(value) });
    let written = writer.write(NewRecord {
        topic,
        partition: Some(partition),
        key: Some(key),
        value: Some(value),
        timestamp: Some(time),
        headers: None,
    });
    written.map_err(|error| error.to_string())?;
    count.store(offset + 1, Ordering::Relaxed);
    Ok(())
}
