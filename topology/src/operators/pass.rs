//! Passes records on as they are: where streams merge, split, or change from table to stream.

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;

/// `merge`, `toStream` and the arms of `split`.
pub(crate) struct Pass<K, V> {
    pub(crate) children: Children<K, V>,
}

impl<K, V> Process<K, V> for Pass<K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.children.forward(record, ctx)
    }
}
