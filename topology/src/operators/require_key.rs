//! Drops the records that have no key to be partitioned by.

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process};
use crate::record::Record;
use crate::serde::SharedSerde;

/// The filter before a repartition topic. Kafka Streams drops such records uncounted; here they count as null.
pub(crate) struct RequireKey<K, V> {
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) children: Children<K, V>,
}

impl<K, V> Process<K, V> for RequireKey<K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        if self.key_serde.is_null(record.key) {
            ctx.frame.counts.null += 1;
            return Ok(());
        }
        self.children.forward(record, ctx)
    }
}
