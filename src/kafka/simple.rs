//! A plain writer and a plain reader of topics, for generators and tools. Neither is part of a group or a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use riacho_topology::{Headers, Timestamp, TopicPartition};

use super::context::{Listener, NativeContext};
use super::errors::{advice, code_of, describe, error, fatal, plain, retry};
use super::reader::PartitionReader;
use super::records::{size, to_native, to_native_timestamp};
use super::role::Role;
use super::settings::ClientSettings;
use super::wait::Deadline;
use crate::ports::{ClientError, ClientErrorKind, OnEntry};

const WRITE: &str = "write a record";
const FLUSH: &str = "flush the writer";
const READ: &str = "read a topic";

/// How long to wait for room in a full queue before looking again.
const ROOM_WAIT: Duration = Duration::from_millis(1);

/// A record to write. Only the topic is needed: without a partition Java's partitioner decides by the key, without a
/// timestamp it is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition, if not the key is to decide.
    pub partition: Option<i32>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// The event time, if not now.
    pub timestamp: Option<Timestamp>,
    /// The headers, if any.
    pub headers: Option<&'a Headers>,
}

/// What a writer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterCounts {
    /// Records taken.
    pub records: u64,
    /// Bytes of keys and values taken.
    pub bytes: u64,
    /// Records that the broker acknowledged.
    pub delivered: u64,
    /// Records that it did not.
    pub failed: u64,
}

#[derive(Debug)]
struct Deliveries {
    delivered: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

/// The producer's context: what it counts is read by the writer.
type WriterContext = NativeContext<Arc<Deliveries>>;

impl Listener for Arc<Deliveries> {}

impl ProducerContext for WriterContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((failure, message)) = result else {
            self.listener.delivered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.listener.failed.fetch_add(1, Ordering::Relaxed);
        let code = code_of(failure).unwrap_or(RDKafkaErrorCode::Fail);
        let mut first = self.listener.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (code, format!("topic {}: {code}{}", message.topic(), advice(code))));
    }
}

/// Writes records, in order per partition and without duplicates from retries. Waits when the brokers are slower than
/// the caller.
pub struct TopicWriter {
    producer: ThreadedProducer<WriterContext>,
    deliveries: Arc<Deliveries>,
    records: u64,
    bytes: u64,
    record_bytes_max: usize,
    request_timeout: Duration,
}

impl TopicWriter {
    /// Creates the producer.
    ///
    /// # Errors
    /// When librdkafka does not accept the settings.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let deliveries = Arc::new(Deliveries {
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: Mutex::new(None),
        });
        let producer = settings
            .config(Role::Writer)?
            .create_with_context(NativeContext::of("writer", Arc::clone(&deliveries), None))
            .map_err(|failure| plain("create the writer", &failure))?;
        Ok(TopicWriter {
            producer,
            deliveries,
            records: 0,
            bytes: 0,
            record_bytes_max: settings.record_bytes_max(),
            request_timeout: settings.request_timeout,
        })
    }

    /// Hands a record over; it is copied. Waits while the queue is full.
    ///
    /// # Errors
    /// [`ClientErrorKind::Refused`] when this record can never be written, [`ClientErrorKind::Retry`] when there is no
    /// room in time, others for the writer.
    pub fn write(&mut self, record: NewRecord<'_>) -> Result<(), ClientError> {
        let refuse = |text| error(ClientErrorKind::Refused, WRITE, format!("topic {}: {text}", record.topic));
        let headers = record.headers.unwrap_or(&Headers::EMPTY);
        let bytes = size(record.key, record.value, headers);
        if bytes > self.record_bytes_max {
            return Err(refuse(format!(
                "a record of {bytes} bytes is above the limit of {}",
                self.record_bytes_max
            )));
        }
        let mut pending = BaseRecord {
            topic: record.topic,
            partition: record.partition,
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp.map(to_native_timestamp).transpose().map_err(refuse)?,
            headers: to_native(headers),
            delivery_opaque: (),
        };
        let mut deadline = None;
        loop {
            let (failure, returned) = match self.producer.send(pending) {
                Ok(()) => break,
                Err(refused) => refused,
            };
            match code_of(&failure) {
                Some(RDKafkaErrorCode::QueueFull) => {}
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => return Err(refuse(describe(&failure, None))),
                _ => {
                    return Err(fatal(
                        WRITE,
                        format!("topic {}: {}", record.topic, describe(&failure, None)),
                    ));
                }
            }
            if deadline.get_or_insert_with(|| Deadline::after(self.request_timeout)).is_over() {
                return Err(retry(WRITE, "the queue has been full for too long: no broker acknowledges"));
            }
            pending = returned;
            std::thread::park_timeout(ROOM_WAIT);
        }
        self.records += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Waits until everything written is acknowledged.
    ///
    /// # Errors
    /// When a record was not delivered, or some are not acknowledged in time.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let deadline = Deadline::after(self.request_timeout);
        while self.producer.in_flight_count() > 0 && !deadline.is_over() {
            std::thread::park_timeout(ROOM_WAIT);
        }
        let failure = self.deliveries.first_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((code, text)) = failure {
            let kind = match code {
                RDKafkaErrorCode::MessageSizeTooLarge => ClientErrorKind::Refused,
                _ => ClientErrorKind::Fatal,
            };
            let failed = self.counts().failed;
            return Err(error(kind, FLUSH, format!("{failed} records were not written; the first: {text}")));
        }
        match self.producer.in_flight_count() {
            left if left > 0 => Err(retry(FLUSH, format!("{left} records are not acknowledged yet"))),
            _ => Ok(()),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> WriterCounts {
        WriterCounts {
            records: self.records,
            bytes: self.bytes,
            delivered: self.deliveries.delivered.load(Ordering::Relaxed),
            failed: self.deliveries.failed.load(Ordering::Relaxed),
        }
    }
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Those of committed transactions and those outside of any, up to the first open transaction.
    ReadCommitted,
    /// All, at once.
    ReadUncommitted,
}

/// Where a reader begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record still there.
    Beginning,
    /// After what is there now.
    End,
    /// At these offsets; partitions that are not named are not read.
    Offsets(Vec<(TopicPartition, i64)>),
}

/// Reads whole topics, or parts of them, without being a member of a group.
pub struct TopicReader {
    reader: PartitionReader,
    /// The partitions that are read, each with the end that it had when the reader was opened.
    ends: Vec<(TopicPartition, i64)>,
}

impl TopicReader {
    /// Starts to read `topics`.
    ///
    /// # Errors
    /// When a topic does not exist, access is denied, or no broker answers.
    pub fn open(
        settings: &ClientSettings,
        topics: &[&str],
        start: &StartAt,
        isolation: Isolation,
    ) -> Result<Self, ClientError> {
        let reader = PartitionReader::new(settings, Role::Reader(isolation == Isolation::ReadCommitted))?;
        let mut reader = TopicReader { reader, ends: Vec::new() };
        let partitions = match start {
            StartAt::Offsets(offsets) => offsets.iter().map(|(partition, _)| partition.clone()).collect(),
            StartAt::Beginning | StartAt::End => reader.partitions_of(topics)?,
        };
        for (partition, (first, end)) in partitions.iter().zip(reader.reader.bounds(&partitions)?) {
            let from = match start {
                StartAt::Beginning => first,
                StartAt::End => end,
                StartAt::Offsets(offsets) => {
                    offsets.iter().find(|(place, _)| place == partition).map_or(first, |(_, offset)| *offset)
                }
            };
            reader.reader.add(partition, from)?;
            reader.ends.push((partition.clone(), end));
        }
        Ok(reader)
    }

    fn partitions_of(&self, topics: &[&str]) -> Result<Vec<TopicPartition>, ClientError> {
        let mut partitions = Vec::new();
        for topic in topics {
            let Some(count) = self.reader.partitions_of(topic)? else {
                return Err(fatal(
                    READ,
                    format!("topic {topic} does not exist: create it, or check its name"),
                ));
            };
            partitions.extend((0..count).map(|partition| TopicPartition::new(*topic, partition)));
        }
        Ok(partitions)
    }

    /// Waits up to `wait`, then hands over at most `records_max` records that are there; tells how many it were.
    ///
    /// # Errors
    /// When the reader cannot go on; an offset that is gone is [`ClientErrorKind::Refused`].
    pub fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<usize, ClientError> {
        self.reader.poll(wait, records_max, on_entry)
    }

    /// Whether everything that was there when the reader was opened has been read. With [`Isolation::ReadCommitted`]
    /// that includes transactions which were open then.
    ///
    /// # Errors
    /// When the client cannot tell.
    pub fn is_at_end(&mut self) -> Result<bool, ClientError> {
        for (partition, end) in &self.ends {
            if self.reader.position(partition)? < *end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads everything that was there when the reader was opened; tells how many records it were.
    ///
    /// # Errors
    /// When the reader cannot go on, or nothing at all comes for `silence_max`.
    pub fn read_to_end(
        &mut self,
        silence_max: Duration,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<u64, ClientError> {
        const BATCH: usize = 10_000;
        let mut total = 0;
        let mut silence = Deadline::after(silence_max);
        while !self.is_at_end()? {
            let count = self.poll(Duration::from_millis(100), BATCH, on_entry)?;
            total += u64::try_from(count).unwrap_or(u64::MAX);
            if count > 0 {
                silence = Deadline::after(silence_max);
            } else if silence.is_over() {
                return Err(retry(
                    READ,
                    "nothing comes, and the end is not reached: is a transaction still open?",
                ));
            }
        }
        Ok(total)
    }

    /// The offset after the last record or transaction marker that was read of `partition`.
    ///
    /// # Errors
    /// When the partition is not being read.
    pub fn position(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        self.reader.position(partition)
    }
}
