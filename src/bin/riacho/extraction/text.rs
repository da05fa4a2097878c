//! Values of Parquet columns as text: for CSV, previews and ids.

use std::fmt::Write as _;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::calendar::{write_date, write_timestamp};

/// Appends the value of a row; tells whether there is one. What riacho does not write is a value that cannot be shown.
pub(crate) fn write_text(out: &mut String, column: &ArrayRef, row: usize) -> bool {
    if row >= column.len() || column.is_null(row) {
        return false;
    }
    let micros = match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Some(column.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000))
        }
        _ => None,
    };
    // Writing to a String cannot fail.
    let _always_fits = match column.data_type() {
        DataType::Utf8 => out.write_str(column.as_string::<i32>().value(row)),
        DataType::Boolean => write!(out, "{}", column.as_boolean().value(row)),
        DataType::Int64 => {
            out.push_str(itoa::Buffer::new().format(column.as_primitive::<Int64Type>().value(row)));
            Ok(())
        }
        DataType::Float64 => write!(out, "{}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, places) => {
            write_decimal(out, column.as_primitive::<Decimal128Type>().value(row), *places)
        }
        DataType::Date32 => {
            return write_date(out, i64::from(column.as_primitive::<Date32Type>().value(row)));
        }
        DataType::Timestamp(..) => return micros.is_some_and(|micros| write_timestamp(out, micros)),
        other => write!(out, "({other})"),
    };
    true
}

fn write_decimal(out: &mut String, value: i128, places: i8) -> std::fmt::Result {
    let places = usize::try_from(places).unwrap_or(0);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if value < 0 { "-" } else { "" };
    let point = if places > 0 { "." } else { "" };
    write!(out, "{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Decimal128Array, Float64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn texts(column: ArrayRef) -> Vec<Option<String>> {
        let mut all = Vec::new();
        for row in 0..column.len() {
            let mut text = String::new();
            all.push(write_text(&mut text, &column, row).then_some(text));
        }
        all
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).chain([None]).collect()
    }

    #[test]
    fn values_are_written_exactly() {
        let decimals = Decimal128Array::from(vec![Some(1250), Some(-5), Some(0), None]);
        let decimals = decimals.with_precision_and_scale(38, 2).unwrap();
        assert_eq!(texts(Arc::new(decimals)), some(&["12.50", "-0.05", "0.00"]));
        let days = Date32Array::from(vec![Some(0), Some(-1), Some(20_453), None]);
        assert_eq!(texts(Arc::new(days)), some(&["1970-01-01", "1969-12-31", "2025-12-31"]));
        let times = TimestampMicrosecondArray::from(vec![Some(0), Some(1_500_000), Some(-1), None]);
        let expected = ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z", "1969-12-31T23:59:59.999999Z"];
        assert_eq!(texts(Arc::new(times)), some(&expected));
        let floats = Float64Array::from(vec![Some(1.25), Some(1e300), None]);
        assert_eq!(texts(Arc::new(floats))[0].as_deref(), Some("1.25"));
        let text = StringArray::from(vec![Some(""), Some("a\n"), None]);
        assert_eq!(texts(Arc::new(text)), some(&["", "a\n"]));
        assert_eq!(texts(Arc::new(Date32Array::from(vec![i32::MAX])))[0], None);
    }
}
