//! Looks at records on their way.

use std::sync::Arc;

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;

/// `peek`, and `foreach` where nothing follows.
pub(crate) struct Peek<F, K, V> {
    pub(crate) look: Arc<F>,
    pub(crate) children: Children<K, V>,
}

impl<K, V, F: Fn(&Record<'_, K, V>)> Process<K, V> for Peek<F, K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        (self.look)(&record);
        self.children.forward(record, ctx)
    }
}
