//! How a program reads a checked value as a type of its own choice.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::key::Value;

/// A checked value on its way to the type that a program reads it as.
#[derive(Clone, Copy)]
pub struct Setting<'a>(pub(super) &'a Value);

/// A type that a setting can be read as: text, numbers, `bool`, `Duration` (of milliseconds), and `Option` of these.
pub trait FromConfig: Sized {
    /// Reads the value; `None` when there is none or it is of another type.
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self>;
}

impl FromConfig for String {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromConfig for bool {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Boolean(yes) => Some(*yes),
            _ => None,
        }
    }
}

impl FromConfig for f64 {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Decimal(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromConfig for i64 {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl FromConfig for $integer {
            fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
                i64::from_config(setting)?.try_into().ok()
            }
        }
    )*};
}
from_integer!(u16, u32, u64, usize, i32);

impl FromConfig for NonZeroUsize {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        NonZeroUsize::new(usize::from_config(setting)?)
    }
}

impl FromConfig for Duration {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        Some(Duration::from_millis(u64::from_config(setting)?))
    }
}

impl<T: FromConfig> FromConfig for Option<T> {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting {
            None => Some(None),
            Some(_) => T::from_config(setting).map(Some),
        }
    }
}
