//! Writes records to a topic.

use std::rc::Rc;

use crate::error::{BadRecord, ProcessError};
use crate::processor::{Context, Outgoing, Process};
use crate::record::Record;
use crate::serde::{SharedSerde, Written};

/// `to`, and the writing half of a repartition.
pub(crate) struct Sink<K, V> {
    pub(crate) topic: Rc<str>,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    pub(crate) key_buffer: Vec<u8>,
    pub(crate) value_buffer: Vec<u8>,
}

impl<K, V> Process<K, V> for Sink<K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let unwritable = |error: crate::serde::SerdeError| {
            ProcessError::bad(BadRecord::Production, format!("for topic {}: {error}", self.topic))
        };
        self.key_buffer.clear();
        self.value_buffer.clear();
        let key = self.key_serde.serialize(record.key, &mut self.key_buffer).map_err(unwritable)?;
        let value = self.value_serde.serialize(record.value, &mut self.value_buffer).map_err(unwritable)?;
        ctx.collector.send(Outgoing {
            topic: &self.topic,
            partition: None,
            key: (key == Written::Bytes).then_some(self.key_buffer.as_slice()),
            value: (value == Written::Bytes).then_some(self.value_buffer.as_slice()),
            timestamp: record.timestamp,
            headers: record.headers,
        })?;
        Ok(())
    }
}
