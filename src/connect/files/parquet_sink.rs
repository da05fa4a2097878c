//! Rows into a Parquet file that appears when it is whole.

use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::atomic::{AtomicFile, FileFacts};

/// A Parquet file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// The file system refuses; the source says why.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{path}: {source}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: parquet::errors::ParquetError,
    },
}

impl ParquetError {
    pub(super) fn file(path: &Path, source: io::Error) -> ParquetError {
        ParquetError::File { path: path.to_owned(), source }
    }

    pub(super) fn content(path: &Path, source: parquet::errors::ParquetError) -> ParquetError {
        ParquetError::Content { path: path.to_owned(), source }
    }

    pub(super) fn batch(path: &Path, source: ArrowError) -> ParquetError {
        ParquetError::content(path, source.into())
    }
}

/// How much of a file is held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParquetLimits {
    /// The most rows of a row group.
    pub group_rows_max: usize,
    /// About the most bytes of a row group, before compression.
    pub group_bytes_max: usize,
}

impl Default for ParquetLimits {
    /// 131,072 rows, 16 MiB.
    fn default() -> Self {
        ParquetLimits { group_rows_max: 128 * 1024, group_bytes_max: 16 * 1024 * 1024 }
    }
}

/// Writes one Parquet file, row group by row group, compressed with Snappy.
///
/// The same batches, labels and limits make the same bytes.
pub struct ParquetSink {
    writer: ArrowWriter<AtomicFile>,
    place: PathBuf,
    rows: u64,
    group_bytes_max: usize,
}

impl ParquetSink {
    /// Begins a file that will be at `place`; `labels` are kept in its footer.
    ///
    /// # Errors
    /// When the folder cannot be written to, or Parquet cannot hold the schema.
    pub fn create(
        place: &Path,
        schema: SchemaRef,
        labels: &[(&str, String)],
        limits: ParquetLimits,
    ) -> Result<ParquetSink, ParquetError> {
        let file = AtomicFile::create(place).map_err(|error| ParquetError::file(place, error))?;
        let labels =
            labels.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("riacho".to_owned())
            .set_key_value_metadata(Some(labels))
            .set_max_row_group_row_count(Some(limits.group_rows_max))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        let writer = writer.map_err(|error| ParquetError::content(place, error))?;
        Ok(ParquetSink { writer, place: place.to_owned(), rows: 0, group_bytes_max: limits.group_bytes_max })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When they have another schema or the file cannot grow.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch).map_err(|error| ParquetError::content(&self.place, error))?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size().max(self.writer.memory_size()) >= self.group_bytes_max {
            self.writer.flush().map_err(|error| ParquetError::content(&self.place, error))?;
        }
        Ok(())
    }

    /// How many rows were written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the footer with these labels beside those of the beginning, and lets the file appear.
    ///
    /// # Errors
    /// When it cannot be written in full. Then nothing has appeared.
    pub fn publish(mut self, labels: &[(&str, String)]) -> Result<FileFacts, ParquetError> {
        for (key, value) in labels {
            self.writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), value.clone()));
        }
        let file = self.writer.into_inner().map_err(|error| ParquetError::content(&self.place, error))?;
        file.publish().map_err(|error| ParquetError::file(&self.place, error))
    }
}
