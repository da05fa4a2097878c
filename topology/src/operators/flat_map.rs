//! Makes any number of records of one.

use std::sync::Arc;

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
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
        for (key, value) in (self.map)(&record) {
            self.children.forward(record.with_key(&key).with_value(&value), ctx)?;
        }
        Ok(())
    }
}
