//! The type of a column, and what becomes of it when values of another type come.

use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use super::calendar::{parse_date, parse_timestamp};
use super::flatten::Scalar;
use super::raw_file::UTC;

/// Digits of a decimal, all together.
pub(crate) const DECIMAL_DIGITS: u8 = 38;
/// Every integer up to here is a double too.
const DOUBLE_INTEGER_MAX: u64 = 1 << 53;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Nothing but null was seen: there is no column yet.
    Null,
    Boolean,
    Integer,
    /// Some of the integers are no doubles.
    WideInteger,
    Float,
    /// Exact, with so many places.
    Decimal(u8),
    Date,
    /// Microseconds, UTC.
    Timestamp,
    Text,
}

impl Kind {
    /// What a value is by itself.
    pub(crate) fn of(scalar: &Scalar<'_>) -> Kind {
        match scalar {
            Scalar::Null => Kind::Null,
            Scalar::Boolean(_) => Kind::Boolean,
            Scalar::Number(text) => match text.parse::<i64>() {
                Ok(number) if number.unsigned_abs() <= DOUBLE_INTEGER_MAX => Kind::Integer,
                Ok(_) => Kind::WideInteger,
                Err(_) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => Kind::Text,
                Err(_) => match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => Kind::Float,
                    _ => Kind::Text,
                },
            },
            Scalar::Text(text) if parse_date(text).is_some() => Kind::Date,
            Scalar::Text(text) if parse_timestamp(text).is_some() => Kind::Timestamp,
            Scalar::Text(_) | Scalar::Json(_) => Kind::Text,
        }
    }

    /// What a value of an id is: an id is compared, never computed with.
    pub(crate) fn of_id(scalar: &Scalar<'_>) -> Kind {
        match Kind::of(scalar) {
            kind @ (Kind::Null | Kind::Integer | Kind::WideInteger) => kind,
            _ => Kind::Text,
        }
    }

    /// The narrowest type that holds the values of both without loss.
    pub(crate) fn and(self, other: Kind) -> Kind {
        use Kind::{Float, Integer, Null, Text, WideInteger};
        match (self, other) {
            (a, b) if a == b => a,
            (Null, kind) | (kind, Null) => kind,
            (Integer | WideInteger, Integer | WideInteger) => WideInteger,
            (Integer, Float) | (Float, Integer) => Float,
            _ => Text,
        }
    }

    /// The type in Parquet; none while there is no column.
    pub(crate) fn data_type(self) -> Option<DataType> {
        Some(match self {
            Kind::Null => return None,
            Kind::Boolean => DataType::Boolean,
            Kind::Integer | Kind::WideInteger => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Decimal(places) => DataType::Decimal128(DECIMAL_DIGITS, i8::try_from(places).unwrap_or(0)),
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Kind::Text => DataType::Utf8,
        })
    }
}

/// As it is told and configured.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Null => f.write_str("null"),
            Kind::Boolean => f.write_str("boolean"),
            Kind::Integer | Kind::WideInteger => f.write_str("integer"),
            Kind::Float => f.write_str("float"),
            Kind::Decimal(places) => write!(f, "decimal({places})"),
            Kind::Date => f.write_str("date"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Text => f.write_str("text"),
        }
    }
}

/// The text is not the name of a type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAKind;

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Kind, NotAKind> {
        Ok(match text {
            "boolean" => Kind::Boolean,
            "integer" => Kind::WideInteger,
            "float" => Kind::Float,
            "date" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            "text" => Kind::Text,
            _ => {
                let places = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let places = places.and_then(|places| places.parse().ok()).ok_or(NotAKind)?;
                if places > DECIMAL_DIGITS - 1 {
                    return Err(NotAKind);
                }
                Kind::Decimal(places)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Kind {
        let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Kind::of(&text.map_or(Scalar::Number(json), |text| Scalar::Text(text.into())))
    }

    #[test]
    fn a_value_is_what_it_can_be_without_loss() {
        for (json, kind) in [
            ("7", Kind::Integer),
            ("-9007199254740992", Kind::Integer),
            ("9007199254740993", Kind::WideInteger),
            ("9223372036854775808", Kind::Text),
            ("1.5", Kind::Float),
            ("1e400", Kind::Text),
            ("\"7\"", Kind::Text),
            ("\"2026-02-28\"", Kind::Date),
            ("\"2026-02-30\"", Kind::Text),
            ("\"2026-02-28T10:00:00Z\"", Kind::Timestamp),
            ("\"2026-02-28T10:00:00.1234567Z\"", Kind::Text),
            ("\"2026-02-28 10:00\"", Kind::Text),
        ] {
            assert_eq!(of(json), kind, "{json}");
        }
        assert_eq!(Kind::of_id(&Scalar::Text("2026-02-28".into())), Kind::Text);
    }

    #[test]
    fn types_only_widen_and_in_any_order_to_the_same() {
        let all = [
            Kind::Null,
            Kind::Boolean,
            Kind::Integer,
            Kind::WideInteger,
            Kind::Float,
            Kind::Date,
            Kind::Timestamp,
            Kind::Text,
        ];
        for a in all {
            for b in all {
                assert_eq!(a.and(b), b.and(a));
                for c in all {
                    assert_eq!(a.and(b).and(c), a.and(b.and(c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
        assert_eq!(Kind::Integer.and(Kind::Float), Kind::Float);
        assert_eq!(Kind::WideInteger.and(Kind::Float), Kind::Text);
        assert_eq!(Kind::Date.and(Kind::Timestamp), Kind::Text);
    }

    #[test]
    fn configured_names_are_read() {
        assert_eq!("decimal(2)".parse(), Ok(Kind::Decimal(2)));
        assert_eq!("integer".parse(), Ok(Kind::WideInteger));
        for text in ["", "null", "decimal", "decimal(x)", "decimal(38)", "int"] {
            assert_eq!(text.parse::<Kind>(), Err(NotAKind), "{text}");
        }
    }
}
