//! A value of a column of a known type.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveDateTime};

use super::calendar::{parse_date, parse_timestamp};
use super::flatten::Scalar;
use super::kind::{DECIMAL_DIGITS, Kind};

/// How much of a value that does not fit is told.
const TOLD_CHARS_MAX: usize = 40;

/// A value as Parquet holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(i128),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Timestamp(i64),
    Text(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    /// The value as one of `kind`. Text that says what is meant is read: `"12.50"` is a decimal, `"sim"` is true,
    /// `31/12/2026` is a date; text of blanks is null, but for text.
    ///
    /// # Errors
    /// When it cannot be one.
    pub(crate) fn of(scalar: Scalar<'a>, kind: Kind) -> Result<Cell<'a>, String> {
        if kind == Kind::Text {
            return Ok(as_text(scalar));
        }
        let text = match &scalar {
            Scalar::Null => return Ok(Cell::Null),
            Scalar::Boolean(value) if kind == Kind::Boolean => return Ok(Cell::Boolean(*value)),
            Scalar::Boolean(value) => return Err(format!("{value} is no {kind}")),
            Scalar::Json(_) => return Err(format!("an array is no {kind}")),
            Scalar::Number(text) => text,
            Scalar::Text(text) => text.trim(),
        };
        if text.is_empty() {
            return Ok(Cell::Null);
        }
        let is_number = matches!(scalar, Scalar::Number(_));
        let cell = match kind {
            Kind::Boolean => boolean(text).map(Cell::Boolean),
            Kind::Integer | Kind::WideInteger => text.parse().ok().map(Cell::Integer),
            Kind::Float => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Cell::Float),
            Kind::Decimal(places) => decimal(text, places).map(Cell::Decimal),
            Kind::Date => parse_date(text).or_else(|| brazilian_date(text)).map(Cell::Date),
            // A number is milliseconds since 1970.
            Kind::Timestamp if is_number => {
                text.parse::<i64>().ok().and_then(|millis| millis.checked_mul(1000)).map(Cell::Timestamp)
            }
            Kind::Timestamp => parse_timestamp(text).or_else(|| local_timestamp(text)).map(Cell::Timestamp),
            Kind::Null | Kind::Text => None,
        };
        cell.ok_or_else(|| {
            let mut told: String = text.chars().take(TOLD_CHARS_MAX).collect();
            if told.len() < text.len() {
                told.push('…');
            }
            format!("'{told}' is no {kind}")
        })
    }

    /// The value of an id, which is an integer or text, as it is compared; `None` if it is null.
    pub(crate) fn id(&self) -> Option<Cow<'_, str>> {
        match self {
            Cell::Text(text) => Some(Cow::Borrowed(text)),
            Cell::Integer(value) => Some(value.to_string().into()),
            _ => None,
        }
    }
}

fn as_text(scalar: Scalar<'_>) -> Cell<'_> {
    match scalar {
        Scalar::Null => Cell::Null,
        Scalar::Boolean(value) => Cell::Text(if value { "true" } else { "false" }.into()),
        Scalar::Number(text) | Scalar::Json(text) => Cell::Text(text.into()),
        Scalar::Text(text) => Cell::Text(text),
    }
}

fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 4] = ["true", "sim", "s", "1"];
    const FALSE: [&str; 5] = ["false", "não", "nao", "n", "0"];
    let lower = text.to_lowercase();
    match lower.as_str() {
        value if TRUE.contains(&value) => Some(true),
        value if FALSE.contains(&value) => Some(false),
        _ => None,
    }
}

/// The number times ten to the power of `places`, if that is whole and has digits enough.
fn decimal(text: &str, places: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let places = usize::from(places);
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > places {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() + places > usize::from(DECIMAL_DIGITS) {
        return None;
    }
    let digits =
        whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', places - fraction.len()));
    let value = digits.fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

fn brazilian_date(text: &str) -> Option<i32> {
    NaiveDate::parse_from_str(text, "%d/%m/%Y").ok().filter(|_| text.len() == 10).map(days)
}

fn days(date: NaiveDate) -> i32 {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).expect("dates of chrono are within some 260,000 years")
}

/// A point in time without a zone is one of UTC.
fn local_timestamp(text: &str) -> Option<i64> {
    const FORMATS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%d/%m/%Y %H:%M:%S"];
    let time = FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    Some(time.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, kind: Kind) -> Result<Cell<'_>, String> {
        Cell::of(Scalar::Text(text.into()), kind)
    }

    #[test]
    fn text_that_says_what_is_meant_is_read() {
        assert_eq!(text(" 12.50 ", Kind::Decimal(2)), Ok(Cell::Decimal(1250)));
        assert_eq!(text("-0.5", Kind::Decimal(2)), Ok(Cell::Decimal(-50)));
        assert_eq!(text("7", Kind::Decimal(2)), Ok(Cell::Decimal(700)));
        assert_eq!(text("1.2300", Kind::Decimal(2)), Ok(Cell::Decimal(123)));
        assert_eq!(text("7", Kind::WideInteger), Ok(Cell::Integer(7)));
        assert_eq!(text("Não", Kind::Boolean), Ok(Cell::Boolean(false)));
        assert_eq!(text("31/12/1970", Kind::Date), Ok(Cell::Date(364)));
        assert_eq!(text("1970-01-02", Kind::Date), Ok(Cell::Date(1)));
        assert_eq!(text("1970-01-01T00:00:01-01:00", Kind::Timestamp), Ok(Cell::Timestamp(3_601_000_000)));
        assert_eq!(text("1970-01-01 00:00:01.5", Kind::Timestamp), Ok(Cell::Timestamp(1_500_000)));
        assert_eq!(Cell::of(Scalar::Number("1500"), Kind::Timestamp), Ok(Cell::Timestamp(1_500_000)));
        assert_eq!(text("  ", Kind::Float), Ok(Cell::Null));
        assert_eq!(text("  ", Kind::Text), Ok(Cell::Text("  ".into())));
        assert_eq!(Cell::of(Scalar::Json("[1]"), Kind::Text), Ok(Cell::Text("[1]".into())));
    }

    #[test]
    fn what_is_not_meant_is_refused_with_the_value() {
        for (value, kind) in [
            ("abc", Kind::Decimal(2)),
            ("1.234", Kind::Decimal(2)),
            ("1e2", Kind::Decimal(2)),
            (".5", Kind::Decimal(2)),
            ("1,50", Kind::Decimal(2)),
            ("99999999999999999999999999999999999999", Kind::Decimal(2)),
            ("1.5", Kind::WideInteger),
            ("NaN", Kind::Float),
            ("inf", Kind::Float),
            ("talvez", Kind::Boolean),
            ("31/31/2026", Kind::Date),
            ("2026-02-30", Kind::Date),
            ("ontem", Kind::Timestamp),
        ] {
            let error = text(value, kind).unwrap_err();
            assert!(error.starts_with(&format!("'{value}' is no ")), "{error}");
        }
        assert_eq!(Cell::of(Scalar::Json("[1]"), Kind::Date).unwrap_err(), "an array is no date");
        let long = text(&"<b>".repeat(1 << 20), Kind::Date).unwrap_err();
        assert!(long.len() < 100, "{long}");
    }
}
