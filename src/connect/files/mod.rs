//! Files that others may read while they are made: each is there in full or not at all.
//!
//! [`AtomicFile`] makes a file appear; [`ParquetSink`] writes rows into one, [`ParquetSource`] reads them back, both
//! within bounds of memory that do not depend on the file's size.

mod atomic;
mod checksum;
mod parquet_sink;
mod parquet_source;

pub use atomic::{AtomicFile, FileFacts, remove_leftovers};
pub use checksum::{Checksum, NotAChecksum};
pub use parquet_sink::{ParquetError, ParquetLimits, ParquetSink};
pub use parquet_source::{Batches, ParquetSource};
