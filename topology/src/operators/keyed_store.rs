//! One value per key: the committed ones in a store of the task, the changed ones in a cache before it.

use std::hash::Hash;

use crate::error::ProcessError;
use crate::operators::StoreWriter;
use crate::processor::{Context, TaskFrame};
use crate::record::Record;
use crate::serde::Written;
use crate::store::cache::{AggregateCache, Entry, Slot};

/// The state of an operator without windows.
pub(crate) struct KeyedStore<K, A> {
    writer: StoreWriter<K, A>,
    cache: AggregateCache<K, A>,
    key_buffer: Vec<u8>,
    value_buffer: Vec<u8>,
}

impl<K: Hash + Eq + Clone, A> KeyedStore<K, A> {
    /// A store of which nothing is known until it is opened.
    pub(crate) fn new(writer: StoreWriter<K, A>) -> Self {
        let cache = AggregateCache::over_committed_state();
        KeyedStore { writer, cache, key_buffer: Vec::new(), value_buffer: Vec::new() }
    }

    /// Learns whether there is committed state.
    pub(crate) fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let empty = ctx.stores.last_key(self.writer.store)?.is_none();
        self.cache = if empty { AggregateCache::complete() } else { AggregateCache::over_committed_state() };
        Ok(())
    }

    /// Changes the value of the record's key by `change`. Returns false, and counts the record, when it has no key.
    pub(crate) fn update<V>(
        &mut self,
        record: &Record<'_, K, V>,
        ctx: &mut Context<'_>,
        change: impl FnOnce(Slot<'_, A>) -> Result<(), ProcessError>,
    ) -> Result<bool, ProcessError> {
        let KeyedStore { writer, cache, key_buffer, value_buffer } = self;
        if !writer.takes(record.key, ctx.frame) {
            return Ok(false);
        }
        cache.update(
            record.key,
            record.timestamp,
            |value| writer.value_serde.is_null(value),
            |key| {
                key_buffer.clear();
                writer.key_bytes(key, key_buffer)?;
                Ok(writer.load(key_buffer, value_buffer, ctx)?)
            },
            change,
        )?;
        if cache.dirty_bytes() > ctx.frame.dirty_bytes_per_store {
            ctx.frame.commit_requested = true;
        }
        Ok(true)
    }

    /// Writes the changed entries and hands each to `then`.
    pub(crate) fn flush(
        &mut self,
        ctx: &mut Context<'_>,
        mut then: impl FnMut(&K, &Entry<A>, &mut Context<'_>) -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        let KeyedStore { writer, cache, key_buffer, value_buffer } = self;
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

    /// The flush has been committed: what exceeds the task's budget may leave the cache.
    pub(crate) fn committed(&mut self, frame: &TaskFrame) {
        self.cache.committed();
        let excess = self.cache.bytes().saturating_sub(frame.cache_bytes_per_store);
        if excess > 0 {
            self.cache.evict(excess);
        }
    }

    /// Forgets everything that is not committed.
    pub(crate) fn aborted(&mut self) {
        self.cache = AggregateCache::over_committed_state();
    }

    pub(crate) fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.cache.dirty_bytes()
    }
}
