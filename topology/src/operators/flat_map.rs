//! Makes any number of records of one.

use std::sync::Arc;

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process, Refusals};
use crate::record::Record;

/// `flatMap`: new keys and values.
pub(crate) struct FlatMap<F, K2, V2> {
    pub(crate) map: Arc<F>,
    pub(crate) children: Children<K2, V2>,
}

impl<K, V, K2, V2, I, F> Process<K, V> for FlatMap<F, K2, V2>
where
    F: Fn(&Record<'_, K, V>) -> I,
    I: IntoIterator<Item = (K2, V2)>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let mut refusals = Refusals::default();
        for (key, value) in (self.map)(&record) {
            refusals.note(self.children.forward(record.with_key(&key).with_value(&value), ctx))?;
        }
        refusals.first()
    }
}

/// `flatMapValues`: the key stays, and so does the partition.
pub(crate) struct FlatMapValues<F, K, V2> {
    pub(crate) map: Arc<F>,
    pub(crate) children: Children<K, V2>,
}

impl<K, V, V2, I, F> Process<K, V> for FlatMapValues<F, K, V2>
where
    F: Fn(&Record<'_, K, V>) -> I,
    I: IntoIterator<Item = V2>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let mut refusals = Refusals::default();
        for value in (self.map)(&record) {
            refusals.note(self.children.forward(record.with_value(&value), ctx))?;
        }
        refusals.first()
    }
}
