//! Records: a key, a value, an event time and headers.

use crate::time::Timestamp;

/// Headers of a record, in order; names may repeat. Empty headers take no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::box_collection,
    reason = "records mostly have none, and then carry one word instead of three"
)]
pub struct Headers(Option<Box<Vec<Header>>>);

/// One header: a name and a value that may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

impl Headers {
    /// No headers.
    pub const EMPTY: Headers = Headers(None);

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Vec<u8>>) {
        self.0.get_or_insert_default().push(Header { name: name.into(), value });
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter().flat_map(|headers| headers.iter())
    }

    /// The value of the last header called `name`.
    pub fn last(&self, name: &str) -> Option<&Header> {
        self.0.as_ref()?.iter().rev().find(|header| header.name == name)
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |headers| headers.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<N: Into<String>, B: Into<Vec<u8>>> FromIterator<(N, B)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, B)>>(pairs: I) -> Self {
        let mut headers = Headers::EMPTY;
        for (name, value) in pairs {
            headers.push(name, Some(value.into()));
        }
        headers
    }
}

/// A record on its way through the operators: a view, so that passing it on copies nothing.
#[derive(Debug)]
pub struct Record<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// The event time.
    pub timestamp: Timestamp,
    /// The headers, as they came from the source.
    pub headers: &'a Headers,
}

impl<K, V> Clone for Record<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Record<'_, K, V> {}

impl<'a, K, V> Record<'a, K, V> {
    /// The same record with another key.
    pub fn with_key<K2>(self, key: &'a K2) -> Record<'a, K2, V> {
        Record { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: &'a V2) -> Record<'a, K, V2> {
        Record { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }
}

/// A record as Kafka holds it, before any deserialisation.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// The topic it was read from.
    pub topic: &'a str,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset in that partition.
    pub offset: i64,
    /// The timestamp that Kafka gives.
    pub timestamp: Timestamp,
    /// The key; `None` is null, which is not the empty key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, which is not the empty value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a Headers,
}
