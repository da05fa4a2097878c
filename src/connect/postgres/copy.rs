//! Rows in the format of `COPY ... (FORMAT binary)`.

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a row's number of fields: no more rows.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Dates are days since 2000-01-01; this is that day in days since 1970-01-01.
const DAYS_TO_2000: i32 = 10_957;

/// Rows to be copied into a table, each with the same number of fields.
///
/// The fields of a row are given in the order of the table's columns, by the method of the column's type; the server
/// refuses a batch with other types.
#[derive(Debug)]
pub struct CopyRows {
    bytes: Vec<u8>,
    fields: i16,
    rows: u64,
}

impl CopyRows {
    /// No rows of `fields` fields.
    pub(super) fn of(fields: i16) -> CopyRows {
        CopyRows { bytes: HEADER.to_vec(), fields, rows: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(HEADER.len());
        self.rows = 0;
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a row by `write`; when that fails, there is no trace of it.
    pub(super) fn row<E>(&mut self, write: impl FnOnce(&mut CopyRows) -> Result<(), E>) -> Result<(), E> {
        let before = self.bytes.len();
        self.bytes.extend(self.fields.to_be_bytes());
        match write(self) {
            Ok(()) => self.rows += 1,
            Err(error) => {
                self.bytes.truncate(before);
                return Err(error);
            }
        }
        Ok(())
    }

    /// How many bytes the rows take so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The rows as the server wants them.
    pub(super) fn finished(&mut self) -> &[u8] {
        self.bytes.extend(TRAILER);
        &self.bytes
    }

    fn field(&mut self, bytes: &[u8]) {
        // A field of 2 GiB does not fit a record of Kafka.
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(bytes);
    }

    /// A field of type `integer`.
    pub fn integer(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    /// A field of type `bigint`.
    pub fn bigint(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    /// A field of type `double precision`.
    pub fn double(&mut self, value: f64) {
        self.field(&value.to_be_bytes());
    }

    /// A field of type `text`. Without the character 0, which no text of PostgreSQL holds: U+FFFD stands for it.
    pub fn text(&mut self, value: &str) {
        match value.contains('\0') {
            false => self.field(value.as_bytes()),
            true => self.field(value.replace('\0', "\u{fffd}").as_bytes()),
        }
    }

    /// A field of type `date`, from days since 1970-01-01.
    pub fn date(&mut self, days: i32) {
        self.field(&days.saturating_sub(DAYS_TO_2000).to_be_bytes());
    }

    /// A field of type `numeric` with two places after the point, from hundredths.
    pub fn hundredths(&mut self, value: i64) {
        const BASE: u64 = 10_000;
        const NEGATIVE: u16 = 0x4000;
        const PLACES: u16 = 2;
        let magnitude = value.unsigned_abs();
        let mut whole = magnitude / 100;
        // Digits of base 10,000, the last first: one behind the point, then those before it.
        let mut digits = vec![magnitude % 100 * 100];
        while whole > 0 {
            digits.push(whole % BASE);
            whole /= BASE;
        }
        let weight = i16::try_from(digits.len()).unwrap_or(0) - 2;
        let sign = if value < 0 { NEGATIVE } else { 0 };
        let mut bytes = Vec::with_capacity(8 + 2 * digits.len());
        bytes.extend(u16::try_from(digits.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(PLACES.to_be_bytes());
        for digit in digits.into_iter().rev() {
            bytes.extend(u16::try_from(digit).unwrap_or(0).to_be_bytes());
        }
        self.field(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_written_leaves_nothing() {
        let mut rows = CopyRows::of(2);
        let before = rows.len();
        let refused = rows.row(|row| {
            row.bigint(1);
            Err("no")
        });
        assert_eq!((refused, rows.len(), rows.rows()), (Err("no"), before, 0));
    }

    #[test]
    fn hundredths_are_digits_of_base_ten_thousand() {
        let written = |value: i64| {
            let mut rows = CopyRows::of(1);
            let before = rows.len();
            rows.hundredths(value);
            rows.bytes[before + 4..]
                .chunks(2)
                .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
                .collect::<Vec<_>>()
        };
        // Digits, weight, sign, places, then the digits: 12345678.90 is 1234 5678 . 9000
        assert_eq!(written(1_234_567_890), [3, 1, 0, 2, 1234, 5678, 9000]);
        assert_eq!(written(-7), [1, -1, 0x4000, 2, 700]);
        assert_eq!(written(1_000_000), [3, 1, 0, 2, 1, 0, 0]);
    }
}
