//! Batches as CSV: a line of names, then the rows as RFC 4180 writes them. Null is an empty field.

use std::io::Write;

use arrow_array::RecordBatch;

use super::text::write_text;

/// Writes CSV to `W`.
pub(crate) struct CsvWriter<W: Write> {
    out: csv::Writer<W>,
    text: String,
    has_names: bool,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(out: W) -> CsvWriter<W> {
        let out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        CsvWriter { out, text: String::new(), has_names: false }
    }

    /// Writes a batch; all have the same columns.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> csv::Result<()> {
        if !self.has_names {
            self.has_names = true;
            self.out.write_record(batch.schema().fields().iter().map(|field| field.name()))?;
        }
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                self.text.clear();
                write_text(&mut self.text, column, row);
                self.out.write_field(&self.text)?;
            }
            self.out.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Hands over what was written to.
    pub(crate) fn finish(self) -> std::io::Result<W> {
        self.out.into_inner().map_err(|error| std::io::Error::new(error.error().kind(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn hostile_text_stays_one_field() {
        let fields = vec![Field::new("id", DataType::Int64, true), Field::new("texto", DataType::Utf8, true)];
        let hostile = ["a,\"b\"", "x\r\ny", "'; DROP TABLE x; --", "\u{202e}<script>", ""];
        let texts = StringArray::from_iter(hostile.iter().map(Some).chain([None]));
        let ids = Int64Array::from_iter_values(0..6);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(ids), Arc::new(texts)])
            .unwrap();
        let mut csv = CsvWriter::new(Vec::new());
        csv.write(&batch).unwrap();
        csv.write(&batch.slice(0, 1)).unwrap();
        let written = csv.finish().unwrap();
        let mut reader = csv::Reader::from_reader(written.as_slice());
        assert_eq!(reader.headers().unwrap(), vec!["id", "texto"]);
        let found: Vec<_> =
            reader.records().map(|record| record.unwrap().get(1).unwrap().to_owned()).collect();
        assert_eq!(found, [hostile.as_slice(), &["", "a,\"b\""]].concat());
    }
}
