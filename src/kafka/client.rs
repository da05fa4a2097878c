//! The Kafka client of one stream thread: a group member and a producer that belong together.

use std::time::Duration;

use riacho_topology::{Outgoing, TopicPartition};

use super::consumer::GroupMember;
use super::errors::fatal;
use super::producer::RecordProducer;
use super::settings::ClientSettings;
use crate::ports::{ChangelogSlot, ClientError, GroupEvent, OnRecord, Position, RecordSender, StreamClient};

/// [`StreamClient`] on librdkafka. Dropping it closes it.
pub struct KafkaStreamClient {
    open: Option<Open>,
}

struct Open {
    producer: RecordProducer,
    member: GroupMember,
}

impl KafkaStreamClient {
    /// Creates the clients. Nothing is sent before [`subscribe`](StreamClient::subscribe) or
    /// [`init_transactions`](StreamClient::init_transactions).
    ///
    /// # Errors
    /// When librdkafka does not accept the settings.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let producer = RecordProducer::new(settings)?;
        let member = GroupMember::new(settings)?;
        Ok(KafkaStreamClient { open: Some(Open { producer, member }) })
    }

    #[inline]
    fn member(&mut self) -> Result<&mut GroupMember, ClientError> {
        self.open.as_mut().map(|open| &mut open.member).ok_or_else(closed)
    }

    #[inline]
    fn producer(&mut self) -> Result<&mut RecordProducer, ClientError> {
        self.open.as_mut().map(|open| &mut open.producer).ok_or_else(closed)
    }
}

#[cold]
fn closed() -> ClientError {
    fatal("use the Kafka client", "it is closed")
}

impl RecordSender for KafkaStreamClient {
    fn send(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError> {
        self.producer()?.send(record, slot)
    }
}

impl StreamClient for KafkaStreamClient {
    fn find_coordinator(&mut self) {
        if let Some(open) = &self.open {
            open.member.find_coordinator();
        }
    }

    fn subscribe(&mut self, topics: &[String]) -> Result<(), ClientError> {
        self.member()?.subscribe(topics)
    }

    fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_record: &mut OnRecord<'_>,
    ) -> Result<Option<GroupEvent>, ClientError> {
        let Open { producer, member } = self.open.as_mut().ok_or_else(closed)?;
        member.poll(wait, records_max, |record| on_record(record, producer))
    }

    fn accept(&mut self, partitions: &[(TopicPartition, Option<i64>)]) -> Result<(), ClientError> {
        self.member()?.accept(partitions)
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.member()?.release(partitions)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.member()?.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.member()?.resume(partitions)
    }

    fn seek(&mut self, positions: &[Position]) -> Result<(), ClientError> {
        self.member()?.seek(positions)
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, ClientError> {
        self.member()?.committed(partitions)
    }

    fn reset_offset(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        self.member()?.reset_offset(partition)
    }

    fn partitions_of(&mut self, topic: &str) -> Result<Option<i32>, ClientError> {
        self.member()?.partitions_of(topic)
    }

    fn init_transactions(&mut self) -> Result<(), ClientError> {
        self.producer()?.init_transactions()
    }

    fn begin(&mut self) -> Result<(), ClientError> {
        self.producer()?.begin()
    }

    fn serve(&mut self) {
        if let Some(open) = &mut self.open {
            open.producer.serve();
        }
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        self.producer()?.flush()
    }

    fn appended(&mut self, slot: ChangelogSlot) -> Option<i64> {
        self.open.as_mut()?.producer.appended(slot)
    }

    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), ClientError> {
        let open = self.open.as_mut().ok_or_else(closed)?;
        // Fresh each time: the broker compares it with the group's current generation, and that is what stops a zombie.
        let sent = open
            .member
            .group_metadata()
            .and_then(|membership| open.producer.send_offsets(positions, &membership));
        if sent.is_err() {
            open.producer.doom();
        }
        sent
    }

    fn commit(&mut self) -> Result<(), ClientError> {
        self.producer()?.commit()
    }

    fn abort(&mut self) -> Result<(), ClientError> {
        self.producer()?.abort()
    }

    fn commit_offsets(&mut self, positions: &[Position]) -> Result<(), ClientError> {
        self.member()?.commit(positions)
    }

    fn close(&mut self) {
        // The producer goes first: its open transaction must not be cut short by another member taking over.
        self.open = None;
    }
}
