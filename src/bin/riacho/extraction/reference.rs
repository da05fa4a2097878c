//! What is told on Kafka of a raw file: enough to find it, to know that it is whole, and to go on behind it.

use riacho::connect::files::Checksum;
use riacho::connect::http_api::Position;
use serde::{Deserialize, Serialize};

/// The layout of raw files: see [`RawWriter`](super::raw_file::RawWriter).
pub(crate) const RAW_SCHEMA_VERSION: u32 = 1;

/// A raw file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Whose rows they are; the record's key too.
    pub(crate) source: String,
    /// From 1, without holes.
    pub(crate) sequence: u64,
    /// Its name in the folder of raw files.
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
    pub(crate) schema_version: u32,
    /// The number of its first row, counted from 0 over all files of the source.
    pub(crate) first_row: u64,
    /// Where the API has the rows that come after it.
    pub(crate) next: Position,
}
