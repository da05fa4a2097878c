//! Serdes: how keys and values become bytes and come back.

use std::marker::PhantomData;
use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::time::Timestamp;
use crate::windows::{TimeWindows, Windowed};

/// The bytes are not what the serde expects, or the value cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SerdeError(pub String);

impl SerdeError {
    /// An error with the reason that a person should read.
    pub fn new(message: impl Into<String>) -> Self {
        SerdeError(message.into())
    }

    fn null(expected: &str) -> Self {
        SerdeError(format!("null where {expected} is expected"))
    }
}

/// What was written: a value, or Kafka's null, which is not an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The bytes stand in the buffer.
    Bytes,
    /// The record carries null.
    Null,
}

/// Turns values of type `T` into bytes and back. `None` stands for Kafka's null.
///
/// ```
/// use riacho_topology::{Serde, SerdeError, Written};
/// struct YesNo;
///
/// impl Serde<bool> for YesNo {
///     fn deserialize(&self, bytes: Option<&[u8]>) -> Result<bool, SerdeError> {
///         match bytes {
///             Some(b"yes") => Ok(true),
///             Some(b"no") => Ok(false),
///             _ => Err(SerdeError::new("neither yes nor no")),
///         }
///     }
///
///     fn serialize(&self, value: &bool, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
///         out.extend_from_slice(if *value { b"yes" } else { b"no" });
///         Ok(Written::Bytes)
///     }
/// }
/// # assert!(YesNo.deserialize(Some(b"yes"))?);
/// # Ok::<(), SerdeError>(())
/// ```
pub trait Serde<T>: Send + Sync {
    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are not a `T`, or are null and a `T` cannot be.
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<T, SerdeError>;

    /// Appends the value's bytes to `out`.
    ///
    /// # Errors
    /// When the value has no representation.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<Written, SerdeError>;

    /// Whether [`serialize`](Self::serialize) writes `value` as null. A record whose key is null has no group, and
    /// an aggregate that is null is deleted: no group, no entry.
    fn is_null(&self, _value: &T) -> bool {
        false
    }
}

/// A serde that is shared by all tasks.
pub(crate) type SharedSerde<T> = Arc<dyn Serde<T>>;

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl Serde<Vec<u8>> for Bytes {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Vec<u8>, SerdeError> {
        bytes.map(<[u8]>::to_vec).ok_or_else(|| SerdeError::null("bytes"))
    }

    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        out.extend_from_slice(value);
        Ok(Written::Bytes)
    }
}

/// UTF-8 text, as Kafka's `StringSerializer` writes it, except that invalid UTF-8 is an error and never replaced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

fn utf8(bytes: Option<&[u8]>) -> Result<&str, SerdeError> {
    let bytes = bytes.ok_or_else(|| SerdeError::null("text"))?;
    std::str::from_utf8(bytes).map_err(|error| SerdeError(format!("not UTF-8: {error}")))
}

impl Serde<String> for Utf8 {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<String, SerdeError> {
        utf8(bytes).map(str::to_owned)
    }

    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(Written::Bytes)
    }
}

/// Text of up to 24 bytes is held without an allocation: the type for keys on a hot path.
impl Serde<CompactString> for Utf8 {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<CompactString, SerdeError> {
        utf8(bytes).map(CompactString::new)
    }

    fn serialize(&self, value: &CompactString, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(Written::Bytes)
    }
}

/// Fixed-width big-endian integers, as Kafka's `IntegerSerializer` and `LongSerializer` write them.
#[derive(Clone, Copy, Debug, Default)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($int:ty),*) => {$(
        impl Serde<$int> for BigEndian {
            fn deserialize(&self, bytes: Option<&[u8]>) -> Result<$int, SerdeError> {
                const WIDTH: usize = size_of::<$int>();
                let bytes = bytes.ok_or_else(|| SerdeError::null(stringify!($int)))?;
                let fixed = <[u8; WIDTH]>::try_from(bytes).map_err(|_| {
                    SerdeError(format!("{} bytes where {} has {WIDTH}", bytes.len(), stringify!($int)))
                })?;
                Ok(<$int>::from_be_bytes(fixed))
            }

            fn serialize(&self, value: &$int, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(Written::Bytes)
            }
        }
    )*};
}
big_endian!(i16, i32, i64, u16, u32, u64);

/// JSON through serde. Its errors name line and column.
///
/// ```
/// use riacho_topology::{Json, Serde};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct View { page: String }
/// let view: View = Json::new().deserialize(Some(br#"{"page":"/"}"#))?;
/// assert_eq!(view.page, "/");
/// # Ok::<(), riacho_topology::SerdeError>(())
/// ```
#[derive(Debug)]
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T> Json<T> {
    /// JSON of a `T`.
    pub const fn new() -> Self {
        Json(PhantomData)
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Serialize + DeserializeOwned> Serde<T> for Json<T> {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<T, SerdeError> {
        let bytes = bytes.ok_or_else(|| SerdeError::null("JSON"))?;
        serde_json::from_slice(bytes).map_err(|error| SerdeError(format!("not the expected JSON: {error}")))
    }

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        serde_json::to_writer(out, value)
            .map_err(|error| SerdeError(format!("not representable as JSON: {error}")))?;
        Ok(Written::Bytes)
    }
}

/// `Some` as `S` writes it, `None` as Kafka's null.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nullable<S>(pub S);

impl<T, S: Serde<T>> Serde<Option<T>> for Nullable<S> {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Option<T>, SerdeError> {
        bytes.map(|bytes| self.0.deserialize(Some(bytes))).transpose()
    }

    fn serialize(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        match value {
            Some(value) => self.0.serialize(value, out),
            None => Ok(Written::Null),
        }
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }
}

/// Keys of windowed tables, as Kafka's `TimeWindowedSerializer` writes them: the key as `S` writes it, then 8 bytes of
/// the window's start, big-endian. Whether the window was [`closed`](Windowed::closed) is not written.
///
/// ```
/// use std::time::Duration;
/// use riacho_topology::{Serde, TimeWindowed, TimeWindows, Timestamp, Utf8, Windowed};
/// let per_minute = TimeWindows::of_size_with_no_grace(Duration::from_secs(60))?;
/// let key = Windowed { key: "ana".to_owned(), window: per_minute.window(Timestamp(60_000)), closed: false };
/// let mut bytes = Vec::new();
/// TimeWindowed::of(per_minute, Utf8).serialize(&key, &mut bytes)?;
/// assert_eq!(bytes, b"ana\x00\x00\x00\x00\x00\x00\xea\x60");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeWindowed<S> {
    windows: TimeWindows,
    key_serde: S,
}

impl<S> TimeWindowed<S> {
    /// Keys that `key_serde` writes, in these windows; a reader takes the windows' length from them.
    pub const fn of(windows: TimeWindows, key_serde: S) -> Self {
        TimeWindowed { windows, key_serde }
    }
}

impl<K, S: Serde<K>> Serde<Windowed<K>> for TimeWindowed<S> {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Windowed<K>, SerdeError> {
        let bytes = bytes.ok_or_else(|| SerdeError::null("a windowed key"))?;
        let (key, start) = bytes
            .split_last_chunk()
            .ok_or_else(|| SerdeError(format!("{} bytes are too few for a windowed key", bytes.len())))?;
        let start = windowed_start(i64::from_be_bytes(*start))?;
        let key = self.key_serde.deserialize(Some(key))?;
        Ok(Windowed { key, window: self.windows.window(start), closed: false })
    }

    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        let start = windowed_start(value.window.start.0)?;
        if self.key_serde.serialize(&value.key, out)? == Written::Null {
            return Err(SerdeError::null("the key of a windowed key"));
        }
        out.extend_from_slice(&start.0.to_be_bytes());
        Ok(Written::Bytes)
    }
}

fn windowed_start(millis: i64) -> Result<Timestamp, SerdeError> {
    if millis < 0 {
        return Err(SerdeError(format!("a window would start at {millis}, before 1970")));
    }
    Ok(Timestamp(millis))
}

/// A value that writes itself compactly for state: the layout may change, the version byte says which one it is.
///
/// Integers are best written with [`write_varint`]; see [`State`] for the serde.
///
/// ```
/// use riacho_topology::{Serde, SerdeError, State, StateCodec, read_varint, write_varint};
/// #[derive(Debug, PartialEq)]
/// struct Visits { count: u64 }
///
/// impl StateCodec for Visits {
///     const VERSION: u8 = 1;
///
///     fn encode(&self, out: &mut Vec<u8>) {
///         write_varint(self.count, out);
///     }
///
///     fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
///         match version {
///             1 => Ok(Visits { count: read_varint(&mut bytes)? }),
///             other => Err(SerdeError::new(format!("layout {other} of Visits is unknown"))),
///         }
///     }
/// }
///
/// let mut bytes = Vec::new();
/// State::new().serialize(&Visits { count: 300 }, &mut bytes)?;
/// assert_eq!(bytes, [1, 0xac, 0x02]);
/// assert_eq!(State::<Visits>::new().deserialize(Some(&bytes))?, Visits { count: 300 });
/// # Ok::<(), SerdeError>(())
/// ```
pub trait StateCodec: Sized {
    /// The layout that `encode` writes. Increase it with every change; `decode` should read the one before too.
    const VERSION: u8;

    /// Appends the value in layout [`VERSION`](Self::VERSION).
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value in layout `version` from all of `bytes`.
    ///
    /// # Errors
    /// When the version is unknown or the bytes are damaged.
    fn decode(version: u8, bytes: &[u8]) -> Result<Self, SerdeError>;
}

/// The compact binary serde for state: a version byte, then what [`StateCodec`] writes.
#[derive(Debug)]
pub struct State<T>(PhantomData<fn() -> T>);

impl<T> State<T> {
    /// The binary serde of `T`.
    pub const fn new() -> Self {
        State(PhantomData)
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: StateCodec> Serde<T> for State<T> {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<T, SerdeError> {
        match bytes.ok_or_else(|| SerdeError::null("state"))? {
            [version, rest @ ..] => T::decode(*version, rest),
            [] => Err(SerdeError::new("empty where a version byte is expected")),
        }
    }

    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        out.push(T::VERSION);
        value.encode(out);
        Ok(Written::Bytes)
    }
}

/// Appends `value` in 7-bit groups, lowest first (LEB128).
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`write_varint`] wrote and moves `bytes` past it.
///
/// # Errors
/// When the bytes end early or the number does not fit in 64 bits.
pub fn read_varint(bytes: &mut &[u8]) -> Result<u64, SerdeError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(|| SerdeError::new("a number is cut off"))?;
        *bytes = rest;
        let group = u64::from(byte & 0x7f);
        if shift == 63 && group > 1 {
            break;
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SerdeError::new("a number does not fit in 64 bits"))
}

/// Maps a signed number to an unsigned one so that small magnitudes stay small.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
