//! Records between librdkafka's form and ours. A record without headers costs no allocation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use riacho_topology::{Headers, Timestamp};

use crate::ports::Incoming;

static NO_HEADERS: Headers = Headers::EMPTY;

/// Kafka's word for a record that carries no timestamp.
pub(super) const NO_TIMESTAMP: Timestamp = Timestamp(-1);

/// Shows `message` to `take` in our form.
#[inline]
pub(super) fn hand_over<R>(message: &BorrowedMessage<'_>, take: impl FnOnce(&Incoming<'_>) -> R) -> R {
    let owned;
    let headers = match message.headers() {
        None => &NO_HEADERS,
        Some(native) => {
            owned = from_native(native);
            &owned
        }
    };
    take(&Incoming {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().map_or(NO_TIMESTAMP, Timestamp),
        key: message.key(),
        value: message.payload(),
        headers,
    })
}

#[cold]
fn from_native(native: &BorrowedHeaders) -> Headers {
    let mut headers = Headers::EMPTY;
    for index in 0..native.count() {
        // rdkafka panics on a header whose name is not UTF-8. Such a record must not stop the job.
        match catch_unwind(AssertUnwindSafe(|| native.try_get(index))) {
            Ok(Some(header)) => headers.push(header.key, header.value.map(<[u8]>::to_vec)),
            Ok(None) => {}
            Err(_) => tracing::warn!(index, "dropped a record header: its name is not UTF-8"),
        }
    }
    headers
}

/// The headers as a producer takes them; `None` when there are none.
pub(super) fn to_native(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let native = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(native, |native, header| {
        native.insert(Header { key: &header.name, value: header.value.as_deref() })
    }))
}

/// What a record adds to a produce request, about: key, value and headers.
pub(super) fn size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
    let headers: usize =
        headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len) + 8).sum();
    key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers
}

/// The timestamp as librdkafka has to be given it. It takes 0 for "now", so that the first millisecond of 1970 becomes
/// the second.
///
/// # Errors
/// A negative time other than Kafka's "none" is refused: the broker would refuse the whole batch.
pub(super) fn to_native_timestamp(timestamp: Timestamp) -> Result<i64, String> {
    match timestamp.as_millis() {
        0 => Ok(1),
        millis if millis >= NO_TIMESTAMP.as_millis() => Ok(millis),
        millis => Err(format!("its timestamp {millis} is before 1970, which Kafka does not store")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_that_kafka_cannot_hold_are_refused_and_zero_is_not_now() {
        let native = [-1, 0, 1, 1_700_000_000_000].map(|millis| to_native_timestamp(Timestamp(millis)));
        assert_eq!(native, [Ok(-1), Ok(1), Ok(1), Ok(1_700_000_000_000)]);
        assert!(to_native_timestamp(Timestamp(-2)).is_err() && to_native_timestamp(Timestamp::MIN).is_err());
    }

    #[test]
    fn headers_keep_order_repetition_and_null() {
        let mut headers = Headers::EMPTY;
        headers.push("a", Some(b"1".to_vec()));
        headers.push("a", None);
        headers.push("b", Some(Vec::new()));
        let native = to_native(&headers).unwrap();
        assert_eq!(from_native(native.as_borrowed()), headers);
        assert!(to_native(&Headers::EMPTY).is_none());
    }
}
