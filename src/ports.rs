//! What the stream threads need from Kafka, a clock and a disk, so that a simulator can stand in for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riacho_topology::store::{StoreSpec, TaskStores};
use riacho_topology::{
    BadRecord, Counts, Outgoing, RawRecord, StoreIndex, TaskId, Timestamp, TopicPartition,
};

use crate::lifecycle::ThreadState;
use crate::state::{StateError, StoreStatistics, TaskMeta, WipeReason};

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
pub type Incoming<'a> = RawRecord<'a>;

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

/// What to do with a record that `poll` offers. What comes of it is sent through the sender, which is the client's
/// own producer.
pub type OnRecord<'f> = dyn FnMut(&Incoming<'_>, &mut dyn RecordSender) + 'f;

/// Identifies the changelog partition whose last appended offset the client should remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangelogSlot(pub usize);

/// The producing half of a client.
pub trait RecordSender {
    /// Hands a record to the producer. With a `slot`, its offset is remembered for
    /// [`appended`](StreamClient::appended).
    ///
    /// # Errors
    /// [`ClientErrorKind::Refused`] for this record, others for the producer.
    fn send(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError>;
}

/// The Kafka client of one stream thread: a group member and a producer that belong together.
pub trait StreamClient: RecordSender {
    /// Finds the group's coordinator and connects to it, so that whoever subscribes next joins at once. Waits a moment
    /// at most; what does not answer by then shows in the calls that need it.
    fn find_coordinator(&mut self);

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
    /// When the group has moved on; [`ClientErrorKind::Fenced`] when the coordinator does not answer at all.
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

    /// Goes on at `from` with a `partition` that is being read. Nothing that was read ahead is handed over any more.
    ///
    /// # Errors
    /// When the client does not do it in time.
    fn seek(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError>;

    /// Waits up to `wait`, then hands over at most `records_max` committed records that are there.
    ///
    /// # Errors
    /// When the client cannot go on; an offset out of range is [`ClientErrorKind::Refused`].
    fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<(), ClientError>;

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

/// The stores of one task on disk.
pub trait TaskState: TaskStores + Send {
    /// How far the state is; `None` when nothing was ever committed.
    fn meta(&self) -> Option<&TaskMeta>;

    /// Writes everything staged and `meta` in one atomic batch.
    ///
    /// # Errors
    /// When the disk refuses; nothing is written then.
    fn commit(&mut self, meta: &TaskMeta) -> Result<(), StateError>;

    /// As [`commit`](Self::commit), for the bulk of a restore: a crash may go back to an earlier load.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn load(&mut self, meta: &TaskMeta) -> Result<(), StateError>;

    /// Makes what was loaded survive a crash.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn finish_load(&mut self) -> Result<(), StateError>;

    /// Forgets everything staged.
    fn abort(&mut self);

    /// Stages the removal of the windows that start before `start`.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn purge_windows_before(&mut self, store: StoreIndex, start: Timestamp) -> Result<bool, StateError>;

    /// What the storage engine says about itself.
    fn statistics(&self) -> StoreStatistics;

    /// Reads of the committed state beside the thread that owns it; none where there is nothing to read.
    fn reader(&self) -> Option<Arc<dyn StateReader>> {
        None
    }
}

/// Committed state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The task has been closed.
    #[error("the task has been closed")]
    Closed,
    /// The disk cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Looks at one entry, key first, and says where to go on.
pub type Look<'l> = dyn FnMut(&[u8], &[u8]) -> ScanStep + 'l;

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanStep {
    /// At the next entry.
    Next,
    /// At the first entry whose key is not before this one, which lies behind the present one.
    Seek(Vec<u8>),
    /// Nowhere.
    Stop,
}

/// Reads the committed state of one task, from any thread and for as long as the task runs. Each call sees the state of
/// one commit, and holds up nobody.
pub trait StateReader: Send + Sync {
    /// Whether the task still runs.
    fn is_open(&self) -> bool {
        true
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When the task has been closed, or the disk cannot be read.
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// Visits the entries with `from <= key < to` in the order of the keys' bytes, as `visit` wants to go on.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn scan(
        &self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Look<'_>,
    ) -> Result<(), ReadError>;
}

/// Where tasks that run let others read their state.
pub trait ReaderRegistry: Send + Sync {
    /// A task runs from now on.
    fn opened(&self, task: TaskId, reader: Arc<dyn StateReader>);
}

/// Tells the instances of an application who has which partition.
pub trait OwnerDirectory: Send + Sync {
    /// Writes down that partitions are at `address`.
    ///
    /// # Errors
    /// When Kafka does not answer or refuses.
    fn claim(&self, partitions: &[TopicPartition], address: &str) -> Result<(), ClientError>;

    /// The address at which each partition is, as its owner has told last.
    ///
    /// # Errors
    /// When Kafka does not answer or refuses.
    fn owners(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<String>>, ClientError>;
}

/// Where tasks keep their state.
pub trait StateProvider: Send + Sync {
    /// Opens the state of a task with these stores, or makes it.
    ///
    /// # Errors
    /// Where [`StateError::wipe_reason`] gives one, [`wipe`](Self::wipe) helps; one that [is in
    /// use](StateError::is_in_use) can be had later; other errors are for a person.
    fn open(&self, task: TaskId, stores: &[StoreSpec]) -> Result<Box<dyn TaskState>, StateError>;

    /// Deletes the state of a task that is not open.
    ///
    /// # Errors
    /// When the disk refuses.
    fn wipe(&self, task: TaskId, reason: WipeReason) -> Result<(), StateError>;
}

/// How a transaction, or a commit without one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is committed.
    Committed,
    /// It was aborted and its input will be read again.
    Aborted,
    /// Another owner has taken over.
    Fenced,
}

/// How much was handed to the producer for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentTo {
    /// The topic.
    pub topic: String,
    /// Records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// What one task did since the last report.
#[derive(Clone, Debug)]
pub struct TaskReport {
    /// The task.
    pub task: TaskId,
    /// Late and dropped records, closed windows, store reads and writes.
    pub counts: Counts,
    /// Records processed.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// What was handed to the producer, by topic: changelogs and dead letters too.
    pub sent: Vec<SentTo>,
    /// Bad records that were skipped, by kind.
    pub skipped: BTreeMap<BadRecord, u64>,
    /// Bad records that went to the dead-letter topic, by kind.
    pub dead_lettered: BTreeMap<BadRecord, u64>,
    /// The highest event time seen.
    pub stream_time: Timestamp,
    /// Windows open in memory.
    pub open_windows: usize,
    /// Bytes of decoded state.
    pub cached_bytes: usize,
    /// Bytes of it that were changed and waited for the commit.
    pub dirty_bytes: usize,
    /// What the storage engine says, for a task that keeps state.
    pub store: Option<StoreStatistics>,
    /// How long the record that waited longest took from its Kafka timestamp to the end of the commit.
    pub latency: Option<Duration>,
    /// How far the inputs are.
    pub positions: Vec<Position>,
}

/// Where the time of a stream thread went since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// Waiting for records.
    pub poll: Duration,
    /// Handling them.
    pub process: Duration,
    /// Committing.
    pub commit: Duration,
}

/// Why a task was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its partitions went to somebody else after a commit.
    Revoked,
    /// Its partitions were somebody else's already.
    Lost,
    /// The thread stops.
    Shutdown,
    /// Its state could not be trusted.
    Corrupted,
}

/// Told what a stream thread does, never more often than a commit or a poll.
pub trait ThreadObserver: Send {
    /// The thread is in this state now.
    fn state(&mut self, state: ThreadState);
    /// The thread has polled: it is alive.
    fn polled(&mut self);
    /// The group has assigned (`true`) or taken away partitions.
    fn rebalanced(&mut self, assigned: bool);
    /// A task waits for its state.
    fn restoring(&mut self, task: TaskId);
    /// A task has its state and stands at these positions. `restore` is how many changelog records were replayed, how
    /// long that took, and why local state was thrown away if it was.
    fn running(&mut self, task: TaskId, restore: (u64, Duration, Option<WipeReason>), positions: &[Position]);
    /// A task is gone.
    fn closed(&mut self, task: TaskId, reason: CloseReason);
    /// A commit was due and there was nothing to commit.
    fn idle(&mut self);
    /// A commit has ended.
    fn committed(&mut self, outcome: CommitOutcome, took: Duration, tasks: &[TaskReport], times: ThreadTimes);
    /// State and committed offsets disagree.
    fn exactly_once_violated(&mut self, task: TaskId);
}

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back; for intervals.
    fn monotonic(&self) -> Duration;
}
