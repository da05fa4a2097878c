//! Rows gathered into columns, batch by batch.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::cell::Cell;
use super::columns::Column;
use super::kind::Kind;
use super::raw_file::UTC;

/// A batch is full at so many rows or bytes of text.
const BATCH_ROWS_MAX: usize = 8 * 1024;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

enum Builder {
    /// Of a path without a column.
    None,
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn of(kind: Kind) -> Builder {
        match kind.data_type() {
            None => Builder::None,
            Some(DataType::Boolean) => Builder::Boolean(BooleanBuilder::new()),
            Some(DataType::Int64) => Builder::Integer(Int64Builder::new()),
            Some(DataType::Float64) => Builder::Float(Float64Builder::new()),
            Some(decimal @ DataType::Decimal128(..)) => {
                Builder::Decimal(Decimal128Builder::new().with_data_type(decimal))
            }
            Some(DataType::Date32) => Builder::Date(Date32Builder::new()),
            Some(DataType::Timestamp(..)) => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(UTC))
            }
            Some(_) => Builder::Text(StringBuilder::new()),
        }
    }

    /// Appends a value, or null where the value is of another type.
    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Builder::Boolean(builder), Cell::Boolean(value)) => builder.append_value(*value),
            (Builder::Integer(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Builder::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            (Builder::Decimal(builder), Cell::Decimal(value)) => builder.append_value(*value),
            (Builder::Date(builder), Cell::Date(value)) => builder.append_value(*value),
            (Builder::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(*value),
            (Builder::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (builder, _) => builder.push_null(),
        }
    }

    fn push_null(&mut self) {
        match self {
            Builder::None => {}
            Builder::Boolean(builder) => builder.append_null(),
            Builder::Integer(builder) => builder.append_null(),
            Builder::Float(builder) => builder.append_null(),
            Builder::Decimal(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> Option<ArrayRef> {
        Some(match self {
            Builder::None => return None,
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Float(builder) => Arc::new(builder.finish()),
            Builder::Decimal(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
        })
    }
}

/// Rows that become a batch.
pub(crate) struct Table {
    schema: SchemaRef,
    builders: Vec<Builder>,
    /// The row in which a column was last given a value.
    given_in: Vec<usize>,
    rows: usize,
    bytes: usize,
}

impl Table {
    /// A table of these columns, without those that have no type yet.
    pub(crate) fn of(columns: &[Column]) -> Table {
        let field = |column: &Column| Some(Field::new(&column.name, column.kind.data_type()?, true));
        Table {
            schema: Arc::new(Schema::new(columns.iter().filter_map(field).collect::<Vec<_>>())),
            builders: columns.iter().map(|column| Builder::of(column.kind)).collect(),
            given_in: vec![0; columns.len()],
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Gives the row under way a value, once per column.
    pub(crate) fn give(&mut self, column: usize, cell: &Cell<'_>) {
        if let (Some(builder), Some(given_in)) =
            (self.builders.get_mut(column), self.given_in.get_mut(column))
        {
            *given_in = self.rows + 1;
            if let Cell::Text(text) = cell {
                self.bytes += text.len();
            }
            builder.push(cell);
        }
    }

    /// Ends the row; columns that were given nothing are null.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        for (builder, given_in) in self.builders.iter_mut().zip(&self.given_in) {
            if *given_in != self.rows {
                builder.push_null();
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    /// The rows so far, if there are any; the table is empty then.
    pub(crate) fn take(&mut self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        (self.rows, self.bytes) = (0, 0);
        self.given_in.fill(0);
        let columns = self.builders.iter_mut().filter_map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        Some(batch.expect("each column has a value or null for each row, of the type of its field"))
    }
}
