//! Lets through the records that a predicate accepts.

use std::sync::Arc;

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;

/// `filter`, `filterNot` and one arm of `split`.
pub(crate) struct Filter<K, V, P> {
    pub(crate) accept: Arc<P>,
    pub(crate) children: Children<K, V>,
}

impl<K, V, P: Fn(&Record<'_, K, V>) -> bool> Process<K, V> for Filter<K, V, P> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        if (self.accept)(&record) { self.children.forward(record, ctx) } else { Ok(()) }
    }
}
