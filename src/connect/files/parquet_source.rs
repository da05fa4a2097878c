//! Reads a Parquet file row group by row group.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::parquet_sink::ParquetError;

/// A Parquet file whose footer was read.
#[derive(Debug)]
pub struct ParquetSource {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl ParquetSource {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there or not a Parquet file.
    pub fn open(path: &Path) -> Result<ParquetSource, ParquetError> {
        let file = File::open(path).map_err(|error| ParquetError::file(path, error))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = metadata.map_err(|error| ParquetError::content(path, error))?;
        Ok(ParquetSource { path: path.to_owned(), metadata })
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.metadata.metadata().file_metadata().num_rows().max(0).unsigned_abs()
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// A label from its footer.
    pub fn label(&self, key: &str) -> Option<&str> {
        let labels = self.metadata.metadata().file_metadata().key_value_metadata()?;
        labels.iter().rev().find(|label| label.key == key)?.value.as_deref()
    }

    /// Its rows, in their order, at most `rows_max` at a time. No batch crosses the end of a row group, so that memory is
    /// bounded by what the writer put into one. With `columns`, only those at these places.
    pub fn batches(&self, rows_max: usize, columns: Option<&[usize]>) -> Batches<'_> {
        let columns = columns.map(<[usize]>::to_vec);
        Batches { source: self, rows_max, columns, next_group: 0, reader: None }
    }

    fn group(
        &self,
        group: usize,
        rows_max: usize,
        columns: Option<&[usize]>,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let file = File::open(&self.path).map_err(|error| ParquetError::file(&self.path, error))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let builder = builder.with_row_groups(vec![group]).with_batch_size(rows_max);
        let builder = match columns {
            Some(columns) => {
                let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
                builder.with_projection(mask)
            }
            None => builder,
        };
        builder.build().map_err(|error| ParquetError::content(&self.path, error))
    }
}

/// The rows of a [`ParquetSource`].
pub struct Batches<'a> {
    source: &'a ParquetSource,
    rows_max: usize,
    columns: Option<Vec<usize>>,
    next_group: usize,
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next() {
                    Some(batch) => {
                        return Some(batch.map_err(|error| ParquetError::batch(&self.source.path, error)));
                    }
                    None => self.reader = None,
                }
            }
            if self.next_group >= self.source.metadata.metadata().num_row_groups() {
                return None;
            }
            let opened = self.source.group(self.next_group, self.rows_max, self.columns.as_deref());
            self.next_group += 1;
            match opened {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => {
                    self.next_group = usize::MAX;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::super::{ParquetLimits, ParquetSink};
    use super::*;

    fn sample(rows: std::ops::Range<i64>) -> RecordBatch {
        let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
        let names: StringArray = rows.clone().map(|id| (id % 3 != 0).then(|| format!("nome {id}"))).collect();
        let ids = Int64Array::from_iter_values(rows);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(ids), Arc::new(names)]).unwrap()
    }

    #[test]
    fn rows_and_labels_come_back_as_they_were_written_group_by_group() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.parquet");
        let limits = ParquetLimits { group_rows_max: 100, ..ParquetLimits::default() };
        let first = [("riacho.first", "a".to_owned())];
        let mut sink = ParquetSink::create(&place, sample(0..1).schema(), &first, limits).unwrap();
        for start in [0, 50, 100, 150, 200] {
            sink.write(&sample(start..start + 50)).unwrap();
        }
        assert!(!place.exists());
        let facts = sink.publish(&[("riacho.last", "z".to_owned())]).unwrap();
        assert_eq!(facts.bytes, std::fs::metadata(&place).unwrap().len());

        let source = ParquetSource::open(&place).unwrap();
        assert_eq!(
            (source.rows(), source.label("riacho.first"), source.label("riacho.last")),
            (250, Some("a"), Some("z"))
        );
        let batches: Vec<_> = source.batches(70, None).map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [70, 30, 70, 30, 50]);
        let ids =
            batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        assert_eq!(ids.collect::<Vec<_>>(), (0..250).collect::<Vec<_>>());
        let names = source.batches(1000, Some(&[1])).next().unwrap().unwrap();
        assert_eq!((names.num_columns(), names.column(0).as_string::<i32>().value(1)), (1, "nome 1"));
    }

    #[test]
    fn a_row_group_is_bounded_by_its_bytes_too() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.parquet");
        let limits = ParquetLimits { group_bytes_max: 1, ..ParquetLimits::default() };
        let mut sink = ParquetSink::create(&place, sample(0..1).schema(), &[], limits).unwrap();
        (0..3).for_each(|at| sink.write(&sample(at * 10..at * 10 + 10)).unwrap());
        sink.publish(&[]).unwrap();
        let source = ParquetSource::open(&place).unwrap();
        assert_eq!(source.batches(1000, None).count(), 3);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.parquet");
        let mut sink =
            ParquetSink::create(&place, sample(0..1).schema(), &[], ParquetLimits::default()).unwrap();
        sink.write(&sample(0..10)).unwrap();
        sink.publish(&[]).unwrap();
        let bytes = std::fs::read(&place).unwrap();
        std::fs::write(&place, &bytes[..bytes.len() - 9]).unwrap();
        let error = ParquetSource::open(&place).unwrap_err().to_string();
        assert!(error.contains("a.parquet"), "{error}");
    }
}
