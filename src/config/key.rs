//! What a configuration key is: its name, its default, the values it takes.

use std::fmt;

/// A configuration key. Applications keep theirs in a `static` table and hand it to
/// [`RawConfig::new`](super::RawConfig::new).
///
/// ```
/// use riacho::config::{Allowed, DefaultValue, KeySpec};
/// static KEYS: &[KeySpec] = &[KeySpec {
///     name: "transactions.window.size.ms",
///     default: DefaultValue::Value("60000"),
///     allowed: Allowed::Integer { min: 1, max: 86_400_000 },
///     doc: "Length of a window in event time.",
/// }];
/// # let _ = KEYS;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// The key, in lower case with dots; the unit comes last.
    pub name: &'static str,
    /// The value when none is given.
    pub default: DefaultValue,
    /// The values it takes.
    pub allowed: Allowed,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// The value of a key that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none: the key must be given.
    Required,
    /// The key then has no value. It also has none when it is given as empty text.
    Unset,
    /// This value.
    Value(&'static str),
    /// Follows from other keys, in the way that the text describes.
    Derived(&'static str),
}

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// Any text that is not empty.
    Text,
    /// Any text that is not empty, and that is never shown.
    Secret,
    /// A name that Kafka accepts for a topic.
    TopicName,
    /// One of these, in upper or lower case.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number from `min` to `max`.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number from `min` to `max`.
    Decimal {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// What `accepts` accepts, described by `must_be`.
    Checked {
        /// Completes the sentence "must be ...".
        must_be: &'static str,
        /// Whether a value is allowed.
        accepts: fn(&str) -> bool,
    },
}

/// A value that its key allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Decimal(f64),
    Boolean(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Decimal(number) => write!(f, "{number}"),
            Value::Boolean(yes) => write!(f, "{yes}"),
        }
    }
}

impl Allowed {
    /// Reads `text`; `None` when it is not allowed.
    pub(super) fn read(&self, text: &str) -> Option<Value> {
        let text = if matches!(self, Allowed::Secret) { text } else { text.trim() };
        let verbatim = |allowed: bool| allowed.then(|| Value::Text(text.to_owned()));
        match self {
            Allowed::Text | Allowed::Secret => verbatim(!text.is_empty()),
            Allowed::TopicName => verbatim(is_topic_name(text)),
            Allowed::Checked { accepts, .. } => verbatim(accepts(text)),
            Allowed::OneOf(names) => names
                .iter()
                .find(|name| name.eq_ignore_ascii_case(text))
                .map(|name| Value::Text((*name).to_owned())),
            Allowed::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" => Some(Value::Boolean(true)),
                "false" => Some(Value::Boolean(false)),
                _ => None,
            },
            Allowed::Integer { min, max } => {
                text.parse().ok().filter(|number| (min..=max).contains(&number)).map(Value::Integer)
            }
            Allowed::Decimal { min, max } => {
                text.parse().ok().filter(|number| (min..=max).contains(&number)).map(Value::Decimal)
            }
        }
    }

    /// Whether values are never to be shown.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Allowed::Secret)
    }
}

/// Completes the sentence "must be ...".
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Text | Allowed::Secret => f.write_str("some text"),
            Allowed::TopicName => {
                f.write_str("1 to 249 of the characters a-z A-Z 0-9 . _ - (and neither . nor ..)")
            }
            Allowed::OneOf(names) => write!(f, "one of {}", names.join(", ")),
            Allowed::Boolean => f.write_str("true or false"),
            Allowed::Integer { min, max: i64::MAX } => write!(f, "a whole number of at least {min}"),
            Allowed::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Allowed::Decimal { min, max } => write!(f, "a number from {min} to {max}"),
            Allowed::Checked { must_be, .. } => f.write_str(must_be),
        }
    }
}

fn is_topic_name(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_kind() {
        let whole = Allowed::Integer { min: -1, max: 10 };
        let number = Allowed::Decimal { min: 0.0, max: 1.0 };
        let names = Allowed::OneOf(&["fail", "dlq"]);
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let cases: &[(Allowed, &str, Option<Value>)] = &[
            (whole, "-1", Some(Value::Integer(-1))),
            (whole, " 10 ", Some(Value::Integer(10))),
            (whole, "11", None),
            (whole, "-2", None),
            (whole, "1.5", None),
            (whole, "", None),
            (whole, "99999999999999999999", None),
            (number, "0.25", Some(Value::Decimal(0.25))),
            (number, "NaN", None),
            (number, "1.01", None),
            (names, "DLQ", text("dlq")),
            (names, "drop", None),
            (Allowed::Boolean, "True", Some(Value::Boolean(true))),
            (Allowed::Boolean, "yes", None),
            (Allowed::Text, "  ", None),
            (Allowed::Text, " a ", text("a")),
            (Allowed::Secret, " a ", text(" a ")),
            (Allowed::TopicName, "a.B_c-9", text("a.B_c-9")),
            (Allowed::TopicName, "..", None),
            (Allowed::TopicName, "vendas/ano", None),
            (Allowed::TopicName, "", None),
        ];
        for (allowed, given, expected) in cases {
            assert_eq!(&allowed.read(given), expected, "{given:?} where {allowed} is asked for");
        }
        assert_eq!(Allowed::TopicName.read(&"a".repeat(250)), None);
    }
}
