//! Keeps a state per key and forwards at once whatever the user's function makes of a record.

use std::hash::Hash;
use std::sync::Arc;

use crate::error::ProcessError;
use crate::operators::StoreWriter;
use crate::operators::aggregate::{cache_over, flush_keys, load_key, shrink};
use crate::processor::{Children, Context, Process, Refusals, Stateful, TaskFrame};
use crate::record::Record;
use crate::store::cache::{AggregateCache, Slot};
use crate::time::Timestamp;

/// Takes the values that a [`process_values`](crate::KGroupedStream::process_values) function forwards.
#[derive(Debug)]
pub struct Forward<V> {
    values: Vec<V>,
}

impl<V> Forward<V> {
    /// Forwards `value` under the record's own key, time and headers.
    pub fn value(&mut self, value: V) {
        self.values.push(value);
    }
}

/// `processValues` with one store.
pub(crate) struct ProcessValues<K, V, S, V2, F> {
    pub(crate) writer: StoreWriter<K, S>,
    pub(crate) step: Arc<F>,
    pub(crate) cache: AggregateCache<K, S>,
    pub(crate) children: Children<K, V2>,
    pub(crate) forward: Forward<V2>,
    pub(crate) key_buffer: Vec<u8>,
    pub(crate) value_buffer: Vec<u8>,
    pub(crate) input: std::marker::PhantomData<fn(V)>,
}

impl<V> Forward<V> {
    pub(crate) fn new() -> Self {
        Forward { values: Vec::new() }
    }
}

impl<K, V, S, V2, F> Process<K, V> for ProcessValues<K, V, S, V2, F>
where
    K: Hash + Eq + Clone,
    F: Fn(&Record<'_, K, V>, Slot<'_, S>, &mut Forward<V2>) -> Result<(), ProcessError>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let ProcessValues { writer, cache, forward, key_buffer, value_buffer, .. } = self;
        if !writer.takes(record.key, ctx.frame) {
            return Ok(());
        }
        forward.values.clear();
        cache.update(
            record.key,
            record.timestamp,
            |state| writer.value_serde.is_null(state),
            |key| load_key(writer, key, (key_buffer, value_buffer), ctx).map_err(ProcessError::from),
            |slot| (self.step)(&record, slot, forward),
        )?;
        if cache.dirty_bytes() > ctx.frame.dirty_bytes_per_store {
            ctx.frame.commit_requested = true;
        }
        let mut refusals = Refusals::default();
        for value in &forward.values {
            refusals.note(self.children.forward(record.with_value(value), ctx))?;
        }
        refusals.first()
    }
}

impl<K: Hash + Eq + Clone, V, S, V2, F> Stateful for ProcessValues<K, V, S, V2, F> {
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.cache = cache_over(self.writer.store, ctx)?;
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let ProcessValues { writer, cache, key_buffer, value_buffer, .. } = self;
        flush_keys(cache, writer, (key_buffer, value_buffer), ctx, |_, _, _| Ok(()))
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
