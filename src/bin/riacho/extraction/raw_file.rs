//! Raw files: rows as the API gave them, in Parquet.
//!
//! Three columns: `ordinal` (the row's number over all files of the source, from 0), `fetched_at`, and `row`, the JSON text
//! byte for byte. What the rows hold cannot break the layout. The footer tells everything that the reference tells, so
//! that a file whose reference was never sent can still be told of.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riacho::Timestamp;
use riacho::connect::files::{Checksum, ParquetError, ParquetLimits, ParquetSink, ParquetSource};
use riacho::connect::http_api::Position;

use super::folders::{Folders, Stage, file_name};
use super::reference::{RAW_SCHEMA_VERSION, Reference};

const SOURCE: &str = "riacho.source";
const SEQUENCE: &str = "riacho.sequence";
const SCHEMA_VERSION: &str = "riacho.schema.version";
const FIRST_ROW: &str = "riacho.first.row";
const NEXT: &str = "riacho.next";
pub(crate) const UTC: &str = "UTC";

/// Rows are handed on in batches of so many rows or bytes.
const BATCH_ROWS_MAX: usize = 8 * 1024;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

fn schema() -> SchemaRef {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    Arc::new(Schema::new(vec![
        Field::new("ordinal", DataType::Int64, false),
        Field::new("fetched_at", millis, false),
        Field::new("row", DataType::Utf8, false),
    ]))
}

/// A raw file under construction.
pub(crate) struct RawWriter {
    sink: ParquetSink,
    schema: SchemaRef,
    source: String,
    sequence: u64,
    first_row: u64,
    next_row: u64,
    fetched_at: Vec<i64>,
    rows: StringBuilder,
    bytes: usize,
}

impl RawWriter {
    /// Begins the file after which `first_row` rows were counted.
    pub(crate) fn create(
        folders: &Folders,
        source: &str,
        sequence: u64,
        first_row: u64,
    ) -> Result<RawWriter, ParquetError> {
        let labels = [
            (SOURCE, source.to_owned()),
            (SEQUENCE, sequence.to_string()),
            (SCHEMA_VERSION, RAW_SCHEMA_VERSION.to_string()),
            (FIRST_ROW, first_row.to_string()),
        ];
        let place = folders.file(Stage::Raw, source, sequence);
        let schema = schema();
        let sink = ParquetSink::create(&place, Arc::clone(&schema), &labels, ParquetLimits::default())?;
        Ok(RawWriter {
            sink,
            schema,
            source: source.to_owned(),
            sequence,
            first_row,
            next_row: first_row,
            fetched_at: Vec::new(),
            rows: StringBuilder::new(),
            bytes: 0,
        })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.sink.rows() + self.fetched_at.len() as u64
    }

    pub(crate) fn push(&mut self, row: &str, fetched_at: Timestamp) -> Result<(), ParquetError> {
        self.rows.append_value(row);
        self.fetched_at.push(fetched_at.as_millis());
        self.bytes += row.len();
        if self.fetched_at.len() >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let fetched_at = std::mem::take(&mut self.fetched_at);
        let count = fetched_at.len() as u64;
        let ordinal = |row: u64| i64::try_from(row).unwrap_or(i64::MAX);
        let ordinals = Int64Array::from_iter_values((self.next_row..self.next_row + count).map(ordinal));
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(ordinals),
            Arc::new(TimestampMillisecondArray::from(fetched_at).with_timezone(UTC)),
            Arc::new(self.rows.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        self.sink.write(&batch.expect("three columns of one length, of the types of the schema"))?;
        self.next_row += count;
        self.bytes = 0;
        Ok(())
    }

    /// Lets the file appear; `next` is where the API has the rows after it.
    pub(crate) fn publish(mut self, next: &Position) -> Result<Reference, ParquetError> {
        self.flush()?;
        let rows = self.sink.rows();
        let facts = self.sink.publish(&[(NEXT, position_text(next))])?;
        Ok(Reference {
            path: file_name(Stage::Raw, &self.source, self.sequence),
            source: self.source,
            sequence: self.sequence,
            rows,
            bytes: facts.bytes,
            checksum: facts.checksum,
            schema_version: RAW_SCHEMA_VERSION,
            first_row: self.first_row,
            next: next.clone(),
        })
    }
}

fn position_text(position: &Position) -> String {
    serde_json::to_string(position).expect("a position is text and numbers")
}

/// What a raw file that is there has to be told of.
///
/// # Errors
/// When it is no raw file of this program.
pub(crate) fn reference_of(path: &Path) -> Result<Reference, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = ParquetSource::open(path).map_err(|error| error.to_string())?;
    let label = |key: &str| file.label(key).ok_or_else(|| told(&format!("its footer has no {key}")));
    let number = |key: &str| label(key)?.parse::<u64>().map_err(|error| told(&error));
    let schema_version = u32::try_from(number(SCHEMA_VERSION)?).map_err(|error| told(&error))?;
    Ok(Reference {
        source: label(SOURCE)?.to_owned(),
        sequence: number(SEQUENCE)?,
        path: path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned(),
        rows: file.rows(),
        bytes: path.metadata().map_err(|error| told(&error))?.len(),
        checksum: Checksum::of_file(path).map_err(|error| told(&error))?,
        schema_version,
        first_row: number(FIRST_ROW)?,
        next: serde_json::from_str(label(NEXT)?).map_err(|error| told(&error))?,
    })
}

/// A batch of a raw file.
pub(crate) struct RawRows {
    batch: RecordBatch,
}

impl RawRows {
    /// Number and text of each row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &str)> {
        let ordinals = self.batch.column(0).as_primitive::<Int64Type>();
        let rows: &StringArray = self.batch.column(2).as_string();
        ordinals.values().iter().copied().zip(rows.iter().map(Option::unwrap_or_default))
    }
}

/// The rows of a raw file, in their order.
///
/// # Errors
/// When the file is of another layout.
pub(crate) fn rows_of(
    file: &ParquetSource,
) -> Result<impl Iterator<Item = Result<RawRows, ParquetError>> + '_, String> {
    if file.schema().fields() != schema().fields() {
        return Err("it has not the columns of a raw file".to_owned());
    }
    Ok(file.batches(BATCH_ROWS_MAX, None).map(|batch| batch.map(|batch| RawRows { batch })))
}

#[cfg(test)]
mod tests {
    use riacho::connect::http_api::Place;

    use super::*;

    #[test]
    fn rows_come_back_byte_for_byte_and_the_footer_tells_what_the_reference_tells() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::below(root.path());
        folders.prepare().unwrap();
        let hostile = "{\"a\":\"<script>\\n\u{202e}'; DROP TABLE\"}";
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        let rows = [hostile, "null", " [1, 2 ] ", &long];
        let mut writer = RawWriter::create(&folders, "a", 3, 100).unwrap();
        rows.iter().for_each(|row| writer.push(row, Timestamp(7)).unwrap());
        let next = Position { place: Place::Page(9), taken: 2 };
        let reference = writer.publish(&next).unwrap();
        let path = folders.place(Stage::Raw, &reference.path).unwrap();
        assert_eq!(reference_of(&path).unwrap(), reference);
        assert_eq!((reference.rows, reference.first_row, &reference.next), (4, 100, &next));

        let file = ParquetSource::open(&path).unwrap();
        let found: Vec<_> = rows_of(&file)
            .unwrap()
            .flat_map(|batch| batch.unwrap().iter().map(|(at, row)| (at, row.to_owned())).collect::<Vec<_>>())
            .collect();
        assert_eq!(found, (100..).zip(rows.map(str::to_owned)).collect::<Vec<_>>());
    }
}
