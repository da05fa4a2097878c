//! Sends each record down the first arm whose predicate accepts it.

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;

/// Decides whether a record belongs to an arm.
pub(crate) type Predicate<K, V> = dyn Fn(&Record<'_, K, V>) -> bool + Send + Sync;

/// `split`. The children are the arms in order; the default arm, where there is one, is the last child and has no
/// predicate.
pub(crate) struct Split<K, V> {
    pub(crate) predicates: std::sync::Arc<[Box<Predicate<K, V>>]>,
    pub(crate) arms: Children<K, V>,
}

impl<K, V> Process<K, V> for Split<K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let arm =
            self.predicates.iter().position(|accepts| accepts(&record)).unwrap_or(self.predicates.len());
        self.arms.forward_to(arm, record, ctx)
    }
}
