//! Makes one record of one: another key, another value, or both.

use std::sync::Arc;

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;

/// `map`: a new key and a new value.
pub(crate) struct Map<F, K2, V2> {
    pub(crate) map: Arc<F>,
    pub(crate) children: Children<K2, V2>,
}

impl<K, V, K2, V2, F: Fn(&Record<'_, K, V>) -> (K2, V2)> Process<K, V> for Map<F, K2, V2> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let (key, value) = (self.map)(&record);
        self.children.forward(record.with_key(&key).with_value(&value), ctx)
    }
}

/// `mapValues`: the key stays, and so does the partition.
pub(crate) struct MapValues<F, K, V2> {
    pub(crate) map: Arc<F>,
    pub(crate) children: Children<K, V2>,
}

impl<K, V, V2, F> Process<K, V> for MapValues<F, K, V2>
where
    F: Fn(&Record<'_, K, V>) -> Result<V2, ProcessError>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let value = (self.map)(&record)?;
        self.children.forward(record.with_value(&value), ctx)
    }
}

/// `selectKey`: the value stays.
pub(crate) struct SelectKey<F, K2, V> {
    pub(crate) select: Arc<F>,
    pub(crate) children: Children<K2, V>,
}

impl<K, V, K2, F: Fn(&Record<'_, K, V>) -> K2> Process<K, V> for SelectKey<F, K2, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let key = (self.select)(&record);
        self.children.forward(record.with_key(&key), ctx)
    }
}
