//! What is told on Kafka of the files that were made of a raw file.

use riacho::connect::files::{Checksum, FileFacts};
use serde::{Deserialize, Serialize};

/// A raw file was normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// Whose rows they are; the record's key too.
    pub(crate) source: String,
    /// The number of the raw file.
    pub(crate) sequence: u64,
    /// The name of the raw file.
    pub(crate) raw: String,
    /// Counts up with every change of the columns.
    pub(crate) schema_version: u32,
    pub(crate) columns: Vec<ColumnFacts>,
    pub(crate) rows_read: u64,
    /// Rows that were there already, by their id; they are among the rejected.
    pub(crate) rows_repeated: u64,
    /// None when no row was good.
    pub(crate) parquet: Option<Output>,
    /// None when none is asked for, or no row was good.
    pub(crate) csv: Option<Output>,
    /// None when every row was good.
    pub(crate) rejected: Option<Output>,
}

/// A column of a normalised file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ColumnFacts {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// A file that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    /// Its name in the folder of its stage.
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
}

impl Output {
    pub(crate) fn of(path: String, rows: u64, facts: FileFacts) -> Output {
        Output { path, rows, bytes: facts.bytes, checksum: facts.checksum }
    }
}
