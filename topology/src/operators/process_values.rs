//! Keeps a state per key and forwards at once whatever the user's function makes of a record.

use std::hash::Hash;
use std::sync::Arc;

use crate::error::ProcessError;
use crate::operators::KeyedStore;
use crate::processor::{Children, Context, Process, Refusals, Stateful, TaskFrame};
use crate::record::Record;
use crate::store::cache::Slot;

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
    pub(crate) store: KeyedStore<K, S>,
    pub(crate) step: Arc<F>,
    pub(crate) children: Children<K, V2>,
    pub(crate) forward: Forward<V2>,
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
        let forward = &mut self.forward;
        forward.values.clear();
        if !self.store.update(&record, ctx, |slot| (self.step)(&record, slot, forward))? {
            return Ok(());
        }
        let mut refusals = Refusals::default();
        for value in &self.forward.values {
            refusals.note(self.children.forward(record.with_value(value), ctx))?;
        }
        refusals.first()
    }
}

impl<K: Hash + Eq + Clone, V, S, V2, F> Stateful for ProcessValues<K, V, S, V2, F> {
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.store.open(ctx)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.store.flush(ctx, |_, _, _| Ok(()))
    }

    fn committed(&mut self, frame: &TaskFrame) {
        self.store.committed(frame);
    }

    fn aborted(&mut self) {
        self.store.aborted();
    }

    fn cached_bytes(&self) -> usize {
        self.store.cached_bytes()
    }

    fn dirty_bytes(&self) -> usize {
        self.store.dirty_bytes()
    }
}
