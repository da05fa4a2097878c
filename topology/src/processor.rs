//! What an operator may do while it handles a record: forward, keep state, know the time.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::{BadRecord, CollectError, ProcessError, StoreError};
use crate::ids::{StoreIndex, TaskId};
use crate::record::{Headers, RawRecord, Record};
use crate::store::TaskStores;
use crate::time::Timestamp;

/// A record on its way out of a task.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The topic to write to.
    pub topic: &'a str,
    /// The partition; `None` lets Java's default partitioner (murmur2 of the key) decide.
    pub partition: Option<i32>,
    /// The key's bytes; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is null.
    pub value: Option<&'a [u8]>,
    /// The event time.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: &'a Headers,
}

/// Takes what a task writes. Under exactly-once everything it takes between two commits is one transaction.
pub trait RecordCollector {
    /// Hands a record to the producer; the bytes are copied before it returns.
    ///
    /// # Errors
    /// [`CollectError::Refused`] when this record can never be sent, [`CollectError::Failed`] when the producer
    /// cannot go on.
    fn send(&mut self, record: Outgoing<'_>) -> Result<(), CollectError>;

    /// Appends an entry to the changelog of `store`, into the partition of the task; `value = None` is a tombstone.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn append(&mut self, store: StoreIndex, key: &[u8], value: Option<&[u8]>) -> Result<(), CollectError>;
}

/// What a task counted since the counts were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that no window took any more.
    pub late: u64,
    /// Records dropped because their key is null where they are grouped by it.
    pub null: u64,
    /// Windows that were closed.
    pub windows_closed: u64,
    /// Reads of a store that the cache could not answer.
    pub store_reads: u64,
    /// Entries written to stores.
    pub store_writes: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        let Counts { late, null, windows_closed, store_reads, store_writes } = other;
        self.late += late;
        self.null += null;
        self.windows_closed += windows_closed;
        self.store_reads += store_reads;
        self.store_writes += store_writes;
    }
}

/// A result that could not be written while state was flushed: there is no source record to blame.
#[derive(Debug)]
pub struct BadOutput {
    /// The kind, which chooses the policy.
    pub kind: BadRecord,
    /// What is wrong with it.
    pub message: String,
}

/// What belongs to a task while its operators run and is not itself state.
#[derive(Debug)]
pub struct TaskFrame {
    /// The task.
    pub id: TaskId,
    /// The highest event time the task has seen. It never goes back.
    pub stream_time: Timestamp,
    /// What happened since the counts were last taken.
    pub counts: Counts,
    /// Set by an operator that holds more unwritten state than it may: the task should commit now.
    pub commit_requested: bool,
    /// Where late records go, if anywhere.
    pub late_topic: Option<Rc<str>>,
    /// How many bytes of decoded state each store of the task may cache.
    pub cache_bytes_per_store: usize,
    /// How many bytes of changed state each store of the task may hold before it asks for a commit. What grows between
    /// two commits is changed, so that the sum of both bounds holds.
    pub dirty_bytes_per_store: usize,
    /// How far ahead of the wall clock an event time may be, in milliseconds. A record beyond would close every
    /// window before it, so it is a bad record and does not move stream time.
    pub timestamp_ahead_max_ms: i64,
    /// Results that could not be written since these were last taken.
    pub bad_outputs: Vec<BadOutput>,
}

impl TaskFrame {
    /// A frame for a task that has seen nothing yet.
    pub fn new(id: TaskId, cache_bytes_per_store: usize) -> Self {
        TaskFrame {
            id,
            stream_time: Timestamp::MIN,
            counts: Counts::default(),
            commit_requested: false,
            late_topic: None,
            cache_bytes_per_store,
            dirty_bytes_per_store: cache_bytes_per_store,
            timestamp_ahead_max_ms: i64::MAX,
            bad_outputs: Vec::new(),
        }
    }
}

/// The surroundings of an operator while it handles one record or one flush.
pub struct Context<'a> {
    /// The task's own numbers.
    pub frame: &'a mut TaskFrame,
    /// The task's stores.
    pub stores: &'a mut dyn TaskStores,
    /// Where output and changelog entries go.
    pub collector: &'a mut dyn RecordCollector,
    /// The source record that is being processed; none while state is flushed.
    pub source: Option<RawRecord<'a>>,
    /// The wall clock when processing of this record began.
    pub now: Timestamp,
}

/// Header names of late records, beside those of the source record.
pub(crate) mod late_headers {
    pub(crate) const STREAM_TIME: &str = "riacho.late.stream-time";
    pub(crate) const TOPIC: &str = "riacho.late.topic";
    pub(crate) const PARTITION: &str = "riacho.late.partition";
    pub(crate) const OFFSET: &str = "riacho.late.offset";
}

impl Context<'_> {
    /// The highest event time the task has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.frame.stream_time
    }

    /// Writes `value` under `key` to the changelog and stages it for the store. The changelog comes first: a store
    /// ahead of its log would restore a hole.
    pub(crate) fn put(
        &mut self,
        store: StoreIndex,
        key: &[u8],
        changelog_key: &[u8],
        value: &[u8],
    ) -> Result<(), CollectError> {
        self.collector.append(store, changelog_key, Some(value))?;
        self.stores.put(store, key, value);
        self.frame.counts.store_writes += 1;
        Ok(())
    }

    /// Writes the removal of `key` to the changelog and stages it for the store.
    pub(crate) fn delete(
        &mut self,
        store: StoreIndex,
        key: &[u8],
        changelog_key: &[u8],
    ) -> Result<(), CollectError> {
        self.collector.append(store, changelog_key, None)?;
        self.stores.delete(store, key);
        self.frame.counts.store_writes += 1;
        Ok(())
    }

    /// Reads the committed value of `key`.
    pub(crate) fn get(
        &mut self,
        store: StoreIndex,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        self.frame.counts.store_reads += 1;
        self.stores.get(store, key, value)
    }

    /// While state is flushed, one result that cannot be written must not keep the others back: it is set aside for
    /// the policy of its kind. While a record is processed the error is the record's own.
    pub(crate) fn tolerate(&mut self, result: Result<(), ProcessError>) -> Result<(), ProcessError> {
        let (kind, message) = match result {
            Err(ProcessError::BadRecord { kind, message, .. }) if self.source.is_none() => (kind, message),
            Err(ProcessError::Collect(error @ CollectError::Refused { .. })) if self.source.is_none() => {
                (BadRecord::Production, error.to_string())
            }
            other => return other,
        };
        self.frame.bad_outputs.push(BadOutput { kind, message });
        Ok(())
    }

    /// Counts the source record as late and, where a late topic is configured, sends it there as it came.
    pub(crate) fn late(&mut self) -> Result<(), CollectError> {
        self.frame.counts.late += 1;
        let (Some(topic), Some(source)) = (self.frame.late_topic.clone(), self.source) else { return Ok(()) };
        let mut headers = source.headers.clone();
        headers.push(late_headers::TOPIC, Some(source.topic.into()));
        headers.push(late_headers::PARTITION, Some(source.partition.to_string().into_bytes()));
        headers.push(late_headers::OFFSET, Some(source.offset.to_string().into_bytes()));
        headers.push(late_headers::STREAM_TIME, Some(self.frame.stream_time.to_string().into_bytes()));
        self.collector.send(Outgoing {
            topic: &topic,
            partition: None,
            key: source.key,
            value: source.value,
            timestamp: source.timestamp,
            headers: &headers,
        })
    }
}

/// An operator that takes records of key `K` and value `V`.
pub(crate) trait Process<K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError>;
}

/// An operator that is wired into a task. One task runs on one thread, so the cell is never contended.
pub(crate) type Link<K, V> = Rc<RefCell<dyn Process<K, V>>>;

/// Lets the others go on where one of several takers of a record refuses it, so that what one gets does not depend on
/// the order in which they were made. The first refusal is told when all have had their turn.
#[derive(Default)]
pub(crate) struct Refusals(Option<ProcessError>);

impl Refusals {
    /// Keeps a refusal; any other error ends the transaction at once.
    pub(crate) fn note(&mut self, result: Result<(), ProcessError>) -> Result<(), ProcessError> {
        match result {
            Err(
                refusal @ (ProcessError::BadRecord { .. }
                | ProcessError::Collect(CollectError::Refused { .. })),
            ) => {
                self.0.get_or_insert(refusal);
                Ok(())
            }
            other => other,
        }
    }

    /// The first refusal, if there was one.
    pub(crate) fn first(self) -> Result<(), ProcessError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// The operators that come next.
pub(crate) struct Children<K, V>(Box<[Link<K, V>]>);

impl<K, V> Clone for Children<K, V> {
    fn clone(&self) -> Self {
        Children(self.0.clone())
    }
}

impl<K, V> Children<K, V> {
    pub(crate) fn new(links: Vec<Link<K, V>>) -> Self {
        Children(links.into_boxed_slice())
    }

    pub(crate) fn forward(
        &self,
        record: Record<'_, K, V>,
        ctx: &mut Context<'_>,
    ) -> Result<(), ProcessError> {
        if let [child] = &*self.0 {
            return child.borrow_mut().process(record, ctx);
        }
        let mut refusals = Refusals::default();
        for child in &self.0 {
            refusals.note(child.borrow_mut().process(record, ctx))?;
        }
        refusals.first()
    }

    /// Forwards to one child only; to none where there is no such child.
    pub(crate) fn forward_to(
        &self,
        child: usize,
        record: Record<'_, K, V>,
        ctx: &mut Context<'_>,
    ) -> Result<(), ProcessError> {
        self.0.get(child).map_or(Ok(()), |child| child.borrow_mut().process(record, ctx))
    }
}

/// An operator with state, as the task's commit sees it. One without windows never has anything to close.
pub(crate) trait Stateful {
    /// Learns from the stores what committed state there is. Called before the first record and after an abort.
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError>;
    /// Stream time has moved: close what is due.
    fn advance(&mut self, _ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        Ok(())
    }
    /// Writes every change since the last commit to the changelog and the staged batch, and forwards it downstream.
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError>;
    /// The flush has been committed.
    fn committed(&mut self, frame: &TaskFrame);
    /// The flush, or what led to it, has been aborted: forget everything that is not committed.
    fn aborted(&mut self);
    /// How many bytes of decoded state the operator holds, about.
    fn cached_bytes(&self) -> usize;
    /// How many of them are changed and not committed.
    fn dirty_bytes(&self) -> usize;
    /// How many windows are open in the cache.
    fn open_windows(&self) -> usize {
        0
    }
    /// The stream time at which `advance` has something to do.
    fn next_close(&self) -> Timestamp {
        Timestamp(i64::MAX)
    }
}
