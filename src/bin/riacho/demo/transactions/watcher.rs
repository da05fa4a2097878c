//! Reads what the application writes, as any reader would, for the proof and for the board.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use riacho::kafka::{ClientSettings, Isolation, StartAt, TopicReader};
use riacho::ports::{ClientError, ClientErrorKind, Clock as _};
use riacho::{SystemClock, TopicPartition};

use super::board::Board;
use super::proof::Proof;
use super::scene::Scene;

const POLL_WAIT: Duration = Duration::from_millis(100);
const POLL_RECORDS_MAX: usize = 5_000;
/// So long without a record that is known to be there is a failure.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Watcher {
    reader: TopicReader,
    clients: ClientSettings,
    output: String,
    anomalies: Option<String>,
    partitions: i32,
}

impl Watcher {
    /// Starts to read at the beginning.
    ///
    /// # Errors
    /// When the topics cannot be read.
    pub(super) fn open(scene: &Scene) -> Result<Watcher, Box<dyn Error>> {
        let (output, anomalies) =
            (scene.application.output_topic.clone(), scene.application.anomalies_topic.clone());
        let topics: Vec<&str> =
            [Some(&output), anomalies.as_ref()].into_iter().flatten().map(String::as_str).collect();
        let clock = SystemClock::new();
        let reader = loop {
            match TopicReader::open(&scene.clients, &topics, &StartAt::Beginning, Isolation::ReadCommitted) {
                // The topics are so new that their leaders may not know of it.
                Err(error) if error.kind == ClientErrorKind::Retry && clock.monotonic() < SILENCE_MAX => {
                    thread::park_timeout(POLL_WAIT);
                }
                opened => break opened?,
            }
        };
        Ok(Watcher {
            reader,
            clients: scene.clients.clone(),
            output,
            anomalies,
            partitions: scene.partitions,
        })
    }

    /// Reads until `stop`, then to the end that the topics have at that moment.
    ///
    /// # Errors
    /// When a reader cannot go on, or what is there does not come.
    pub(super) fn watch(
        mut self,
        proof: &Proof,
        board: &Board,
        stop: &AtomicBool,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        while !stop.load(Ordering::Acquire) {
            self.read(proof, board)?;
        }
        let ends = self.ends()?;
        let clock = SystemClock::new();
        let mut moved_at = clock.monotonic();
        while !self.has_reached(&ends)? {
            if self.read(proof, board)? > 0 {
                moved_at = clock.monotonic();
            } else if clock.monotonic() - moved_at > SILENCE_MAX {
                return Err("the end of the output does not come: is a transaction still open?".into());
            }
        }
        Ok(())
    }

    fn read(&mut self, proof: &Proof, board: &Board) -> Result<usize, ClientError> {
        let output = self.output.as_str();
        self.reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut |place, record| {
            if place.topic == output {
                proof.written(record.key, record.value);
                board.written(record.value);
            } else {
                board.anomaly();
            }
        })
    }

    /// The ends of the topics, also of what is not decided yet.
    fn ends(&self) -> Result<Vec<(TopicPartition, i64)>, ClientError> {
        let topics: Vec<&str> =
            [Some(&self.output), self.anomalies.as_ref()].into_iter().flatten().map(String::as_str).collect();
        let mut last = TopicReader::open(&self.clients, &topics, &StartAt::End, Isolation::ReadUncommitted)?;
        let mut ends = Vec::new();
        for topic in topics {
            for partition in 0..self.partitions {
                let partition = TopicPartition::new(topic, partition);
                let end = last.position(&partition)?;
                ends.push((partition, end));
            }
        }
        Ok(ends)
    }

    fn has_reached(&mut self, ends: &[(TopicPartition, i64)]) -> Result<bool, ClientError> {
        for (partition, end) in ends {
            if self.reader.position(partition)? < *end {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
