//! Keeps one aggregate per key.

use std::hash::Hash;
use std::sync::Arc;

use crate::error::{ProcessError, StoreError};
use crate::ids::StoreIndex;
use crate::processor::{Children, Context, Process, Stateful, TaskFrame};
use crate::record::{Headers, Record};
use crate::serde::{SharedSerde, Written};
use crate::store::cache::{AggregateCache, Entry, Slot};
use crate::store::layout;
use crate::time::Timestamp;

/// Reads and writes the encoded aggregates of one store: 8 bytes of event time, big-endian, before the value, like
/// Kafka Streams' timestamped stores.
pub(crate) struct StoreWriter<K, A> {
    pub(crate) store: StoreIndex,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<A>,
}

impl<K, A> StoreWriter<K, A> {
    /// Whether the record has a key to be grouped by; counts it where it has none.
    pub(crate) fn takes(&self, key: &K, frame: &mut TaskFrame) -> bool {
        let null = self.key_serde.is_null(key);
        frame.counts.null += u64::from(null);
        !null
    }

    pub(crate) fn key_bytes(&self, key: &K, out: &mut Vec<u8>) -> Result<(), StoreError> {
        match self.key_serde.serialize(key, out) {
            Ok(Written::Bytes) => Ok(()),
            Ok(Written::Null) => {
                Err(StoreError::new("a key is written as null, which its serde's is_null denies"))
            }
            Err(error) => Err(StoreError::caused_by("a key cannot be written", error)),
        }
    }

    /// Appends the entry's bytes to `out`; an entry that is null is to be deleted.
    pub(crate) fn encode(&self, entry: &Entry<A>, out: &mut Vec<u8>) -> Result<Written, StoreError> {
        out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        self.value_serde
            .serialize(&entry.value, out)
            .map_err(|error| StoreError::caused_by("an aggregate cannot be written", error))
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<(A, Timestamp), StoreError> {
        let (timestamp, value) = layout::split_value(bytes)?;
        let value = self
            .value_serde
            .deserialize(Some(value))
            .map_err(|error| StoreError::caused_by("an aggregate cannot be read", error))?;
        Ok((value, timestamp))
    }

    /// Reads the committed aggregate under `local_key`.
    pub(crate) fn load(
        &self,
        local_key: &[u8],
        buffer: &mut Vec<u8>,
        ctx: &mut Context<'_>,
    ) -> Result<Option<(A, Timestamp)>, StoreError> {
        if ctx.get(self.store, local_key, buffer)? { self.decode(buffer).map(Some) } else { Ok(None) }
    }
}

/// `count`, `reduce` and `aggregate` without windows.
pub(crate) struct Aggregate<K, V, A, F> {
    pub(crate) writer: StoreWriter<K, A>,
    pub(crate) fold: Arc<F>,
    pub(crate) cache: AggregateCache<K, A>,
    pub(crate) children: Children<K, A>,
    pub(crate) key_buffer: Vec<u8>,
    pub(crate) value_buffer: Vec<u8>,
    pub(crate) input: std::marker::PhantomData<fn(V)>,
}

/// Reads the committed aggregate of a key that the cache does not hold.
pub(crate) fn load_key<K, A>(
    writer: &StoreWriter<K, A>,
    key: &K,
    (key_buffer, value_buffer): (&mut Vec<u8>, &mut Vec<u8>),
    ctx: &mut Context<'_>,
) -> Result<Option<(A, Timestamp)>, StoreError> {
    key_buffer.clear();
    writer.key_bytes(key, key_buffer)?;
    writer.load(key_buffer, value_buffer, ctx)
}

/// Writes the changed entries of a cache over a key-value store and hands each to `then`.
pub(crate) fn flush_keys<K: Hash + Eq + Clone, A>(
    cache: &mut AggregateCache<K, A>,
    writer: &StoreWriter<K, A>,
    (key_buffer, value_buffer): (&mut Vec<u8>, &mut Vec<u8>),
    ctx: &mut Context<'_>,
    mut then: impl FnMut(&K, &Entry<A>, &mut Context<'_>) -> Result<(), ProcessError>,
) -> Result<(), ProcessError> {
    cache.for_each_dirty(|key, entry| {
        key_buffer.clear();
        value_buffer.clear();
        writer.key_bytes(key, key_buffer)?;
        match writer.encode(entry, value_buffer)? {
            Written::Bytes => ctx.put(writer.store, key_buffer, key_buffer, value_buffer)?,
            Written::Null => ctx.delete(writer.store, key_buffer, key_buffer)?,
        }
        then(key, entry, ctx)?;
        Ok(key_buffer.len() + value_buffer.len())
    })
}

/// Bounds a cache to the task's budget once its entries are committed.
pub(crate) fn shrink<K: Hash + Eq + Clone, A>(cache: &mut AggregateCache<K, A>, frame: &TaskFrame) {
    let excess = cache.bytes().saturating_sub(frame.cache_bytes_per_store);
    if excess > 0 {
        cache.evict(excess);
    }
}

/// A cache over whatever `store` holds.
pub(crate) fn cache_over<K: Hash + Eq + Clone, A>(
    store: StoreIndex,
    ctx: &mut Context<'_>,
) -> Result<AggregateCache<K, A>, StoreError> {
    let empty = ctx.stores.last_key(store)?.is_none();
    Ok(if empty { AggregateCache::complete() } else { AggregateCache::over_committed_state() })
}

impl<K, V, A, F> Process<K, V> for Aggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
    F: Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let Aggregate { writer, cache, key_buffer, value_buffer, .. } = self;
        if !writer.takes(record.key, ctx.frame) {
            return Ok(());
        }
        cache.update(
            record.key,
            record.timestamp,
            |value| writer.value_serde.is_null(value),
            |key| load_key(writer, key, (key_buffer, value_buffer), ctx).map_err(ProcessError::from),
            |slot| (self.fold)(record.key, record.value, slot),
        )?;
        if cache.dirty_bytes() > ctx.frame.dirty_bytes_per_store {
            ctx.frame.commit_requested = true;
        }
        Ok(())
    }
}

impl<K, V, A, F> Stateful for Aggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
{
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.cache = cache_over(self.writer.store, ctx)?;
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let Aggregate { writer, cache, children, key_buffer, value_buffer, .. } = self;
        flush_keys(cache, writer, (key_buffer, value_buffer), ctx, |key, entry, ctx| {
            let record =
                Record { key, value: &entry.value, timestamp: entry.timestamp, headers: &Headers::EMPTY };
            let forwarded = children.forward(record, ctx);
            ctx.tolerate(forwarded)
        })
    }

    fn committed(&mut self, frame: &TaskFrame) {
        self.cache.committed();
        shrink(&mut self.cache, frame);
    }

    fn aborted(&mut self) {
        self.cache = AggregateCache::over_committed_state();
    }

    fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    fn dirty_bytes(&self) -> usize {
        self.cache.dirty_bytes()
    }

    fn open_windows(&self) -> usize {
        0
    }

    fn next_close(&self) -> Timestamp {
        Timestamp(i64::MAX)
    }
}
