//! The encoded entries of one store, read and written.

use crate::error::StoreError;
use crate::ids::StoreIndex;
use crate::processor::{Context, TaskFrame};
use crate::serde::{SharedSerde, Written};
use crate::store::cache::Entry;
use crate::store::layout;
use crate::time::Timestamp;

/// Reads and writes the encoded aggregates of one store: 8 bytes of event time, big-endian, before the value, like
/// Kafka Streams' timestamped stores.
pub(crate) struct StoreWriter<K, A> {
    pub(crate) store: StoreIndex,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<A>,
}

impl<K, A> StoreWriter<K, A> {
    /// Whether the record has a key to be grouped by; counts it where it has none.
    pub(crate) fn takes(&self, key: &K, frame: &mut TaskFrame) -> bool {
        let null = self.key_serde.is_null(key);
        frame.counts.null += u64::from(null);
        !null
    }

    pub(crate) fn key_bytes(&self, key: &K, out: &mut Vec<u8>) -> Result<(), StoreError> {
        match self.key_serde.serialize(key, out) {
            Ok(Written::Bytes) => Ok(()),
            Ok(Written::Null) => {
                Err(StoreError::new("a key is written as null, which its serde's is_null denies"))
            }
            Err(error) => Err(StoreError::caused_by("a key cannot be written", error)),
        }
    }

    /// Appends the entry's bytes to `out`; an entry that is null is to be deleted.
    pub(crate) fn encode(&self, entry: &Entry<A>, out: &mut Vec<u8>) -> Result<Written, StoreError> {
        out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        self.value_serde
            .serialize(&entry.value, out)
            .map_err(|error| StoreError::caused_by("an aggregate cannot be written", error))
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<(A, Timestamp), StoreError> {
        let (timestamp, value) = layout::split_value(bytes)?;
        let value = self
            .value_serde
            .deserialize(Some(value))
            .map_err(|error| StoreError::caused_by("an aggregate cannot be read", error))?;
        Ok((value, timestamp))
    }

    /// Reads the committed aggregate under `local_key`.
    pub(crate) fn load(
        &self,
        local_key: &[u8],
        buffer: &mut Vec<u8>,
        ctx: &mut Context<'_>,
    ) -> Result<Option<(A, Timestamp)>, StoreError> {
        if ctx.get(self.store, local_key, buffer)? { self.decode(buffer).map(Some) } else { Ok(None) }
    }
}
