//! What the stream threads need from Kafka, a clock and a disk, so that a simulator can stand in for them.

use std::time::Duration;

use riacho_topology::{Headers, Outgoing, Timestamp, TopicPartition};

/// What a failed client call means for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientErrorKind {
    /// The same call may succeed later.
    Retry,
    /// The transaction must be aborted and its input read again.
    Abort,
    /// Another owner has taken over: give up all tasks without committing and join again with a new client.
    Fenced,
    /// This one record can never be sent.
    Refused,
    /// The client is of no use any more, or the cluster will never accept the request.
    Fatal,
}

/// A call to Kafka failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct ClientError {
    /// What follows from it.
    pub kind: ClientErrorKind,
    /// What was tried.
    pub operation: &'static str,
    /// What Kafka or the client library says, and what to do about it where that is known.
    pub message: String,
}

/// The next offset to read of an input partition: what is committed to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The input partition.
    pub partition: TopicPartition,
    /// The offset after the last one processed.
    pub next_offset: i64,
}

/// A record as the consumer hands it over; it lives only during the call.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The timestamp that Kafka gives.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a Headers,
}

/// News of the group, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// These partitions are ours from now on; answered by [`StreamClient::accept`].
    Assigned(Vec<TopicPartition>),
    /// These are to be given up: commit, then answer by [`StreamClient::release`].
    Revoked(Vec<TopicPartition>),
    /// These already belong to somebody else: do not commit; answer by [`StreamClient::release`].
    Lost(Vec<TopicPartition>),
    /// The end of a partition was reached.
    EndOfPartition(i32),
}

/// What to do with a record that `poll` offers.
pub type OnRecord<'f> = dyn FnMut(&Incoming<'_>) + 'f;

/// Identifies the changelog partition whose last appended offset the client should remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangelogSlot(pub usize);

/// The Kafka client of one stream thread: a group member and a producer that belong together.
pub trait StreamClient {
    /// Joins the group for these topics.
    ///
    /// # Errors
    /// When the client refuses the names.
    fn subscribe(&mut self, topics: &[String]) -> Result<(), ClientError>;

    /// Waits up to `wait` for something to happen, then hands over at most `records_max` records that are there.
    /// Returns at once with the first news of the group.
    ///
    /// # Errors
    /// [`ClientErrorKind::Retry`] is news for the log; [`ClientErrorKind::Fatal`] ends the client.
    fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_record: &mut OnRecord<'_>,
    ) -> Result<Option<GroupEvent>, ClientError>;

    /// Answers [`GroupEvent::Assigned`]: takes the partitions, and these companions beside them, each from `from` or,
    /// where that is `None`, from the group's committed offset or else the reset policy. All start paused.
    ///
    /// # Errors
    /// When the assignment has changed meanwhile.
    fn accept(&mut self, partitions: &[(TopicPartition, Option<i64>)]) -> Result<(), ClientError>;

    /// Answers [`GroupEvent::Revoked`] and [`GroupEvent::Lost`].
    ///
    /// # Errors
    /// When the assignment has changed meanwhile.
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Stops delivery of these partitions.
    ///
    /// # Errors
    /// When they are not assigned.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Starts delivery of these partitions again.
    ///
    /// # Errors
    /// When they are not assigned.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError>;

    /// Reads the given partitions from these offsets from now on; records fetched before are dropped.
    ///
    /// # Errors
    /// When they are not assigned.
    fn seek(&mut self, positions: &[Position]) -> Result<(), ClientError>;

    /// The group's committed offsets (`None`: never committed). Waits for transactions that are still open on them.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, ClientError>;

    /// The first offset (for a partition never committed) by the reset policy.
    ///
    /// # Errors
    /// When the broker does not answer, or the policy is `none`.
    fn reset_offset(&mut self, partition: &TopicPartition) -> Result<i64, ClientError>;

    /// The number of partitions of a topic; `None` when it does not exist.
    ///
    /// # Errors
    /// When no broker answers.
    fn partitions_of(&mut self, topic: &str) -> Result<Option<i32>, ClientError>;

    /// Makes this producer the only one with its transactional id: open transactions of a predecessor are aborted.
    ///
    /// # Errors
    /// When the coordinator does not answer in time.
    fn init_transactions(&mut self) -> Result<(), ClientError>;

    /// Begins a transaction. What is sent until `commit` or `abort` belongs to it.
    ///
    /// # Errors
    /// When the producer is not ready for one.
    fn begin(&mut self) -> Result<(), ClientError>;

    /// Hands a record to the producer. With a `slot`, its offset is remembered for [`appended`](Self::appended).
    ///
    /// # Errors
    /// [`ClientErrorKind::Refused`] for this record, others for the producer.
    fn send(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError>;

    /// Serves delivery reports without waiting.
    fn serve(&mut self);

    /// Waits until every record sent is acknowledged.
    ///
    /// # Errors
    /// When one was not delivered.
    fn flush(&mut self) -> Result<(), ClientError>;

    /// The offset after the last record that was delivered for `slot`, if there was any since the last call.
    fn appended(&mut self, slot: ChangelogSlot) -> Option<i64>;

    /// Makes the positions part of the transaction, fenced by the group's current generation.
    ///
    /// # Errors
    /// [`ClientErrorKind::Abort`] when a rebalance came between, [`ClientErrorKind::Fenced`] when we are a zombie.
    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), ClientError>;

    /// Commits the transaction.
    ///
    /// # Errors
    /// As the transaction protocol has it; after [`ClientErrorKind::Abort`] call [`abort`](Self::abort).
    fn commit(&mut self) -> Result<(), ClientError>;

    /// Aborts the transaction.
    ///
    /// # Errors
    /// [`ClientErrorKind::Fenced`] and [`ClientErrorKind::Fatal`] need a new client.
    fn abort(&mut self) -> Result<(), ClientError>;

    /// Commits positions to the group without a transaction and waits for the answer.
    ///
    /// # Errors
    /// When the group has moved on.
    fn commit_offsets(&mut self, positions: &[Position]) -> Result<(), ClientError>;

    /// Leaves the group (a member with a configured `group.instance.id` stays in it) and closes both clients.
    fn close(&mut self);
}

/// What a restore poll hands over: changelog key, value (`None`: tombstone), headers and offset.
pub type OnEntry<'f> = dyn FnMut(&TopicPartition, &Incoming<'_>) + 'f;

/// Reads changelogs from a given offset to the end they had when the restore began. Never a member of a group.
pub trait ChangelogReader: Send {
    /// The first offset still there and the high watermark of each partition, read with read_uncommitted: a
    /// transaction that is still open lies below it.
    ///
    /// # Errors
    /// When a broker does not answer.
    fn bounds(&mut self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError>;

    /// Starts to read `partition` at `from`.
    ///
    /// # Errors
    /// When the client refuses it.
    fn add(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError>;

    /// Stops to read `partition`.
    ///
    /// # Errors
    /// When the client refuses it.
    fn remove(&mut self, partition: &TopicPartition) -> Result<(), ClientError>;

    /// Waits up to `wait`, then hands over at most `records_max` committed records that are there.
    ///
    /// # Errors
    /// When the client cannot go on; an offset out of range is [`ClientErrorKind::Refused`].
    fn poll(&mut self, wait: Duration, records_max: usize, on_entry: &mut OnEntry<'_>) -> Result<(), ClientError>;

    /// The offset after the last record or transaction marker that was read of `partition`.
    ///
    /// # Errors
    /// When the partition is not being read.
    fn position(&mut self, partition: &TopicPartition) -> Result<i64, ClientError>;
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; -1 is the broker's default.
    pub replication_factor: i32,
    /// Its settings.
    pub config: Vec<(String, String)>,
}

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back; for intervals.
    fn monotonic(&self) -> Duration;
}
