//! Reads partitions from given offsets without being a member of a group.
//!
//! librdkafka keeps, per partition, the offset after the last thing that was taken from its queue, transaction markers
//! and the ends of aborted transactions included, although those reach nobody. That position, not the last record,
//! tells how far a reader is.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use riacho_topology::TopicPartition;

use super::consumer::listed;
use super::context::NativeContext;
use super::errors::{advice, code_of, describe, error, fatal, is_refusal, plain, retry};
use super::records::hand_over;
use super::role::Role;
use super::settings::ClientSettings;
use super::settle::settle;
use super::wait::Deadline;
use crate::ports::{ClientError, ClientErrorKind, OnEntry};

const READ: &str = "read the partitions";
const ADD: &str = "start to read a partition";
const SEEK: &str = "read a partition from another offset on";
const BOUNDS: &str = "ask for the first and last offsets";

const SETTLE_WAIT: Duration = Duration::from_secs(1);
const SEEK_WAIT: Duration = Duration::from_secs(5);

/// A partition that is being read.
struct Reading {
    /// Where reading began.
    from: i64,
    /// The library's position when it was last asked.
    position: Option<i64>,
}

/// Reads assigned partitions.
pub(super) struct PartitionReader {
    consumer: BaseConsumer<NativeContext<()>>,
    /// Asks for offsets and sees open transactions.
    watermarks: BaseConsumer<NativeContext<()>>,
    reading: HashMap<TopicPartition, Reading>,
    /// The partition of the last record: they come in runs.
    run: TopicPartition,
    /// Whether something was read since the positions were last asked for.
    moved: bool,
    request_timeout: Duration,
}

impl PartitionReader {
    pub(super) fn new(settings: &ClientSettings, role: Role) -> Result<Self, ClientError> {
        let create = |role, name| -> Result<BaseConsumer<_>, ClientError> {
            settings
                .config(role)?
                .create_with_context(NativeContext::of(name, (), None))
                .map_err(|failure| plain("create the reader", &failure))
        };
        let consumer = create(role, "reader")?;
        let watermarks = create(Role::Watermarks, "watermarks")?;
        if let Some(topic) = &settings.known_topic {
            let deadline = Deadline::after(SETTLE_WAIT);
            settle(consumer.client(), topic, deadline);
            settle(watermarks.client(), topic, deadline);
        }
        Ok(PartitionReader {
            consumer,
            watermarks,
            reading: HashMap::new(),
            run: TopicPartition::new("", -1),
            moved: false,
            request_timeout: settings.request_timeout,
        })
    }

    /// The first offset still there and the high watermark of each partition.
    pub(super) fn bounds(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        serve(&self.watermarks);
        let first = self.offsets_at(partitions, Offset::Beginning)?;
        let end = self.offsets_at(partitions, Offset::End)?;
        Ok(first.into_iter().zip(end).collect())
    }

    /// The number of partitions of a topic; `None` when it does not exist.
    pub(super) fn partitions_of(&self, topic: &str) -> Result<Option<i32>, ClientError> {
        const DESCRIBE: &str = "ask for a topic's partitions";
        let metadata = self
            .watermarks
            .fetch_metadata(Some(topic), self.request_timeout)
            .map_err(|failure| self.unasked(DESCRIBE, &failure))?;
        super::admin::partition_count(&metadata, topic, DESCRIBE)
    }

    /// One request per broker for all partitions.
    fn offsets_at(&self, partitions: &[TopicPartition], place: Offset) -> Result<Vec<i64>, ClientError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = listed(partitions);
        list.set_all_offsets(place).map_err(|failure| plain(BOUNDS, &failure))?;
        let answer =
            self.watermarks.offsets_for_times(list, self.request_timeout).map_err(
                |failure| match code_of(&failure) {
                    Some(RDKafkaErrorCode::UnknownPartition) => self.unknown(partitions),
                    _ => self.unasked(BOUNDS, &failure),
                },
            )?;
        partitions
            .iter()
            .map(|partition| {
                let found = answer.find_partition(&partition.topic, partition.partition);
                let Some(found) = found else {
                    return Err(retry(BOUNDS, format!("no answer for {partition}")));
                };
                found.error().map_err(|failure| {
                    let reason = plain(BOUNDS, &failure);
                    error(reason.kind, BOUNDS, format!("{partition}: {}", reason.message))
                })?;
                match found.offset() {
                    Offset::Offset(offset) => Ok(offset),
                    other => Err(retry(BOUNDS, format!("{partition}: the broker answered {other:?}"))),
                }
            })
            .collect()
    }

    /// librdkafka calls a partition unknown without saying which, also when it may not be seen.
    fn unknown(&self, partitions: &[TopicPartition]) -> ClientError {
        for partition in partitions {
            match self.partitions_of(&partition.topic) {
                Ok(Some(count)) if partition.partition < count => {}
                Ok(count) => {
                    let count = count.unwrap_or(0);
                    return retry(
                        BOUNDS,
                        format!("{partition} does not exist: the topic has {count} partitions"),
                    );
                }
                Err(failure) => return failure,
            }
        }
        retry(BOUNDS, "a partition is not known yet")
    }

    pub(super) fn add(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        if self.reading.contains_key(partition) {
            return Err(fatal(ADD, format!("{partition} is being read already")));
        }
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(from))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|failure| plain(ADD, &failure))?;
        self.reading.insert(partition.clone(), Reading { from, position: None });
        Ok(())
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        if self.reading.remove(partition).is_none() {
            return Ok(());
        }
        self.consumer
            .incremental_unassign(&listed(std::slice::from_ref(partition)))
            .map_err(|failure| plain("stop to read a partition", &failure))
    }

    /// librdkafka forgets its position when it has heard of the new one, which is when the call returns.
    pub(super) fn seek(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        let Some(reading) = self.reading.get_mut(partition) else {
            return Err(fatal(SEEK, format!("{partition} is not being read")));
        };
        self.consumer
            .seek(&partition.topic, partition.partition, Offset::Offset(from), SEEK_WAIT)
            .map_err(|failure| retry(SEEK, format!("{partition}: {}", describe(&failure, None))))?;
        *reading = Reading { from, position: None };
        self.moved = true;
        Ok(())
    }

    /// Waits up to `wait`, then hands over at most `records_max` records; tells how many it were.
    pub(super) fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<usize, ClientError> {
        if records_max == 0 {
            // A poll would take a record that nobody wants yet.
            std::thread::park_timeout(wait);
            return Ok(0);
        }
        self.moved = true;
        let mut wait = wait;
        let mut count = 0;
        while count < records_max {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let run = &mut self.run;
                    hand_over(&message, |record| {
                        if run.partition != record.partition || run.topic != record.topic {
                            *run = TopicPartition::new(record.topic, record.partition);
                        }
                        on_entry(run, record);
                    });
                    count += 1;
                    wait = Duration::ZERO;
                }
                Some(Err(failure)) => {
                    self.judge(&failure)?;
                    break;
                }
                None => break,
            }
        }
        Ok(count)
    }

    fn judge(&mut self, failure: &KafkaError) -> Result<(), ClientError> {
        use RDKafkaErrorCode as Code;
        let Some(code) = code_of(failure) else { return Ok(()) };
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Err(self.out_of_range()),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Err(self.failed(READ, failure, &self.consumer))
            }
            Code::Authentication | Code::SSL => self.consumer.context().complaints.check_login(READ),
            code if is_refusal(code) => Err(self.failed(READ, failure, &self.consumer)),
            _ => Ok(()),
        }
    }

    /// librdkafka does not say which partition it cannot go on with.
    fn out_of_range(&mut self) -> ClientError {
        let partitions: Vec<_> = self.reading.keys().cloned().collect();
        let mut gone = Vec::new();
        if let Ok(bounds) = self.bounds(&partitions) {
            for (partition, (first, end)) in partitions.iter().zip(bounds) {
                match self.position(partition) {
                    Ok(at) if at < first || at > end => {
                        gone.push(format!("{partition} has the offsets {first} to {end}, not {at}"));
                    }
                    _ => {}
                }
            }
        }
        let which = if gone.is_empty() { "one of the partitions".to_owned() } else { gone.join("; ") };
        error(
            ClientErrorKind::Refused,
            READ,
            format!("{which}{}", advice(RDKafkaErrorCode::OffsetOutOfRange)),
        )
    }

    fn failed(
        &self,
        operation: &'static str,
        failure: &KafkaError,
        client: &BaseConsumer<NativeContext<()>>,
    ) -> ClientError {
        let complaints = &client.context().complaints;
        let details = code_of(failure).and_then(|code| complaints.details(code));
        complaints.or_login(error(
            plain(operation, failure).kind,
            operation,
            describe(failure, details.as_deref()),
        ))
    }

    /// A failed question of the second client, which is not polled: what it has to say waits in its queue.
    fn unasked(&self, operation: &'static str, failure: &KafkaError) -> ClientError {
        serve(&self.watermarks);
        self.failed(operation, failure, &self.watermarks)
    }

    /// The offset after the last record or transaction marker that was read.
    pub(super) fn position(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        const POSITION: &str = "tell the position";
        if self.moved {
            let positions = self.consumer.position().map_err(|failure| plain(POSITION, &failure))?;
            for (place, reading) in &mut self.reading {
                let found = positions.find_partition(&place.topic, place.partition);
                if let Some(Offset::Offset(offset)) = found.map(|found| found.offset()) {
                    reading.position = Some(offset);
                }
            }
            self.moved = false;
        }
        let reading = self.reading.get(partition);
        let reading = reading.ok_or_else(|| fatal(POSITION, format!("{partition} is not being read")))?;
        Ok(reading.position.map_or(reading.from, |position| position.max(reading.from)))
    }
}

/// Takes log lines and complaints from the queue of a client that reads nothing.
pub(super) fn serve<C: ConsumerContext>(client: &BaseConsumer<C>) {
    const EVENTS_MAX: usize = 100;
    for _ in 0..EVENTS_MAX {
        let _nothing = client.poll(Duration::ZERO);
    }
}
