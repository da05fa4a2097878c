//! Records as tests write them and as they find them in a topic.

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestRecord {
    /// Unset: where Java's default partitioner puts the key.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// In milliseconds; unset: the time of writing.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl TestRecord {
    pub(crate) fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> TestRecord {
        TestRecord { key: Some(key.into()), value: Some(value.into()), ..TestRecord::default() }
    }

    pub(crate) fn at(self, timestamp_ms: i64) -> TestRecord {
        TestRecord { timestamp: Some(timestamp_ms), ..self }
    }

    pub(crate) fn on(self, partition: i32) -> TestRecord {
        TestRecord { partition: Some(partition), ..self }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> TestRecord {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A record found in a topic. A key or value that is null is `None`, an empty one is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Received {
    /// A header that must be there and be text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(found, _)| found == name);
        let (_, value) = header.unwrap_or_else(|| panic!("{name} is missing: {:?}", self.headers));
        std::str::from_utf8(value).unwrap_or_else(|_| panic!("{name} is no text: {value:?}"))
    }
}
