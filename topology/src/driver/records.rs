//! Records as a test writes and reads them.

use crate::driver::TestDriver;
use crate::error::{BadRecord, ProcessError};
use crate::record::{Header, Headers};
use crate::serde::{Serde, Written};
use crate::time::Timestamp;

/// A record of an output topic, or an entry of a store, read by its serdes.
///
/// Equals the pair of its key and value, and the triple with its timestamp: a test compares what matters to it.
#[derive(Clone, Debug, PartialEq)]
pub struct TestRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The event time.
    pub timestamp: Timestamp,
    /// The headers; a store keeps none.
    pub headers: Headers,
}

impl<K: PartialEq<Q>, V: PartialEq<W>, Q, W> PartialEq<(Q, W)> for TestRecord<K, V> {
    fn eq(&self, (key, value): &(Q, W)) -> bool {
        self.key == *key && self.value == *value
    }
}

impl<K: PartialEq<Q>, V: PartialEq<W>, Q, W> PartialEq<(Q, W, Timestamp)> for TestRecord<K, V> {
    fn eq(&self, (key, value, timestamp): &(Q, W, Timestamp)) -> bool {
        self.key == *key && self.value == *value && self.timestamp == *timestamp
    }
}

/// A record as a topic holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRecord {
    /// The topic.
    pub topic: String,
    /// The key's bytes; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is null.
    pub value: Option<Vec<u8>>,
    /// The event time.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

/// A record that could not be processed, or a result that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What kind of error it was.
    pub kind: BadRecord,
    /// What is wrong, in words.
    pub message: String,
    /// The record as it came; `None` where a result could not be written while state was flushed.
    pub record: Option<SentRecord>,
}

/// Writes records to an input topic, each call from where the one before left off; made by [`TestDriver::input`].
pub struct TestInput<'d, K, V> {
    pub(super) driver: &'d mut TestDriver,
    pub(super) topic: String,
    pub(super) key_serde: Box<dyn Serde<K> + 'd>,
    pub(super) value_serde: Box<dyn Serde<V> + 'd>,
    pub(super) timestamp: Timestamp,
    pub(super) headers: Headers,
}

impl<K, V> TestInput<'_, K, V> {
    /// The timestamp of the records that follow. Without it they carry the wall clock's time.
    pub fn at(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = timestamp.into();
        self
    }

    /// A header that the records that follow carry.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, Some(value.into()));
        self
    }

    /// Writes a record and processes it.
    ///
    /// # Panics
    /// When the record is bad and the policy is to fail.
    pub fn send(mut self, key: impl Into<K>, value: impl Into<V>) -> Self {
        if let Err(error) = self.try_send(key, value) {
            panic!("a record of topic {}: {error}", self.topic);
        }
        self
    }

    /// Writes a record as bytes, `None` for null, and processes it: the way to a record that the serdes would not
    /// write.
    ///
    /// # Panics
    /// When the record is bad and the policy is to fail.
    pub fn send_bytes(mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        if let Err(error) = self.try_send_bytes(key, value) {
            panic!("a record of topic {}: {error}", self.topic);
        }
        self
    }

    /// Writes a record and processes it.
    ///
    /// # Errors
    /// When the serdes cannot write it, or when it is bad and the policy is to fail. Then the transaction is aborted.
    pub fn try_send(&mut self, key: impl Into<K>, value: impl Into<V>) -> Result<(), ProcessError> {
        let key = to_bytes(&*self.key_serde, &key.into())?;
        let value = to_bytes(&*self.value_serde, &value.into())?;
        self.try_send_bytes(key.as_deref(), value.as_deref())
    }

    /// Writes a record as bytes, `None` for null, and processes it.
    ///
    /// # Errors
    /// When it is bad and the policy is to fail. Then the transaction is aborted.
    pub fn try_send_bytes(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), ProcessError> {
        self.driver.receive(SentRecord {
            topic: self.topic.clone(),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            timestamp: self.timestamp,
            headers: self.headers.clone(),
        })
    }
}

fn to_bytes<T>(serde: &dyn Serde<T>, value: &T) -> Result<Option<Vec<u8>>, ProcessError> {
    let mut bytes = Vec::new();
    Ok((serde.serialize(value, &mut bytes)? == Written::Bytes).then_some(bytes))
}

impl SentRecord {
    /// Reads the record by its serdes.
    ///
    /// # Panics
    /// When the serdes cannot read it.
    pub(super) fn read<K, V>(
        &self,
        key_serde: &impl Serde<K>,
        value_serde: &impl Serde<V>,
    ) -> TestRecord<K, V> {
        let read =
            |part: &str, error| -> ! { panic!("the {part} of a record of topic {}: {error}", self.topic) };
        TestRecord {
            key: key_serde.deserialize(self.key.as_deref()).unwrap_or_else(|error| read("key", error)),
            value: value_serde
                .deserialize(self.value.as_deref())
                .unwrap_or_else(|error| read("value", error)),
            timestamp: self.timestamp,
            headers: self.headers.clone(),
        }
    }

    /// The value of the last header called `name`, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let Header { value, .. } = self.headers.last(name)?;
        value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())
    }
}
