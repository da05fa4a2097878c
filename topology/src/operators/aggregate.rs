//! Keeps one aggregate per key.

use std::hash::Hash;
use std::sync::Arc;

use crate::error::ProcessError;
use crate::operators::KeyedStore;
use crate::processor::{Children, Context, Process, Stateful, TaskFrame};
use crate::record::{Headers, Record};
use crate::store::cache::Slot;

/// `count`, `reduce` and `aggregate` without windows.
pub(crate) struct Aggregate<K, V, A, F> {
    pub(crate) store: KeyedStore<K, A>,
    pub(crate) fold: Arc<F>,
    pub(crate) children: Children<K, A>,
    pub(crate) input: std::marker::PhantomData<fn(V)>,
}

impl<K, V, A, F> Process<K, V> for Aggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
    F: Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.store.update(&record, ctx, |slot| (self.fold)(record.key, record.value, slot))?;
        Ok(())
    }
}

impl<K, V, A, F> Stateful for Aggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
{
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.store.open(ctx)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let children = &self.children;
        self.store.flush(ctx, |key, entry, ctx| {
            let record =
                Record { key, value: &entry.value, timestamp: entry.timestamp, headers: &Headers::EMPTY };
            let forwarded = children.forward(record, ctx);
            ctx.tolerate(forwarded)
        })
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
