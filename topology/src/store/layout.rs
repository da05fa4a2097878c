//! The bytes of keys, in a task's own stores and in changelogs, and of the commit record that ends a transaction.
//!
//! A key-value store keeps a key's bytes as they are, on disk and in the changelog. A window store has two layouts:
//!
//! | where | layout | because |
//! |---|---|---|
//! | the task's store | start, 8 bytes big-endian with the sign bit flipped · key | a window is one prefix, the oldest window comes first, closing windows is one range delete |
//! | the changelog | key · start, 8 bytes big-endian · 4 bytes sequence number 0 | it is Java's `WindowKeySchema`: partitioning by key holds and Kafka Streams' tools can read it |

use crate::error::StoreError;
use crate::ids::TopicPartition;
use crate::serde::{SerdeError, read_varint, unzigzag, write_varint, zigzag};
use crate::store::StoreKind;
use crate::time::Timestamp;

const START_BYTES: usize = size_of::<i64>();
const SEQUENCE_BYTES: usize = size_of::<u32>();
/// Kafka Streams counts duplicates of a key in a window with this number; a store without duplicates has only 0.
const SEQUENCE: [u8; SEQUENCE_BYTES] = [0; SEQUENCE_BYTES];

/// The bytes are not a key of this layout: they were written by something else, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKey {
    /// Too short to hold the window.
    #[error("a key of {length} bytes is too short: {layout} needs at least {needed}")]
    TooShort {
        /// Which layout was expected.
        layout: &'static str,
        /// How many bytes there are.
        length: usize,
        /// How many it takes at least.
        needed: usize,
    },
    /// The sequence number says that the store keeps duplicates; ours never do.
    #[error("the key ends in sequence number {0} where a window store without duplicates has 0")]
    Sequence(u32),
    /// The window would start at the end of time, and have no end.
    #[error("the key's window starts at the last millisecond there is: no window can")]
    EndOfTime,
}

impl From<MalformedKey> for StoreError {
    fn from(error: MalformedKey) -> Self {
        StoreError::caused_by("a stored key cannot be read", error)
    }
}

/// The bounds, lower inclusive and upper exclusive, of the keys of the window starting at `start` in a task's window
/// store.
///
/// The lower one is also the upper bound, exclusive, of all windows that start before `start`; the lower bound of
/// those is the empty key. No window starts at `i64::MAX`: there is no millisecond in which it could end.
#[must_use]
pub fn window_bounds(start: Timestamp) -> ([u8; START_BYTES], [u8; START_BYTES]) {
    (prefix(start.0), prefix(start.0.saturating_add(1)))
}

fn prefix(start: i64) -> [u8; START_BYTES] {
    (start ^ i64::MIN).to_be_bytes()
}

fn checked_start(millis: i64) -> Result<Timestamp, MalformedKey> {
    if millis == i64::MAX { Err(MalformedKey::EndOfTime) } else { Ok(Timestamp(millis)) }
}

/// Replaces what `out` holds by the key under which a task's window store keeps `key` in the window starting at
/// `start`.
pub fn window_key(start: Timestamp, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&prefix(start.0));
    out.extend_from_slice(key);
}

/// The window's start and the key in what [`window_key`] built.
///
/// # Errors
/// When there are too few bytes, or the window has no end.
pub fn split_window_key(bytes: &[u8]) -> Result<(Timestamp, &[u8]), MalformedKey> {
    let (start, key) = bytes.split_first_chunk().ok_or(MalformedKey::TooShort {
        layout: "a window store's key",
        length: bytes.len(),
        needed: START_BYTES,
    })?;
    Ok((checked_start(i64::from_be_bytes(*start) ^ i64::MIN)?, key))
}

/// Replaces what `out` holds by the changelog's key of `key` in the window starting at `start`.
pub fn window_changelog_key(key: &[u8], start: Timestamp, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(key);
    out.extend_from_slice(&start.0.to_be_bytes());
    out.extend_from_slice(&SEQUENCE);
}

/// The window's start and the key in what [`window_changelog_key`] or Java's `WindowKeySchema` built.
///
/// # Errors
/// When there are too few bytes, the sequence number is not 0, or the window has no end.
pub fn split_window_changelog_key(bytes: &[u8]) -> Result<(Timestamp, &[u8]), MalformedKey> {
    let too_short = MalformedKey::TooShort {
        layout: "a window changelog's key",
        length: bytes.len(),
        needed: START_BYTES + SEQUENCE_BYTES,
    };
    let Some((rest, sequence)) = bytes.split_last_chunk::<SEQUENCE_BYTES>() else { return Err(too_short) };
    let Some((key, start)) = rest.split_last_chunk::<START_BYTES>() else { return Err(too_short) };
    match u32::from_be_bytes(*sequence) {
        0 => Ok((checked_start(i64::from_be_bytes(*start))?, key)),
        other => Err(MalformedKey::Sequence(other)),
    }
}

/// The event time and the value's bytes in an entry of any store: 8 bytes of time, big-endian, stand before the value,
/// as in Kafka Streams' timestamped stores.
///
/// # Errors
/// When there are too few bytes.
pub fn split_value(bytes: &[u8]) -> Result<(Timestamp, &[u8]), StoreError> {
    let (time, value) = bytes.split_first_chunk().ok_or_else(|| {
        StoreError::new(format!("an entry of {} bytes is too short to hold its time", bytes.len()))
    })?;
    Ok((Timestamp(i64::from_be_bytes(*time)), value))
}

/// Replaces what `out` holds by the task's own key of the entry that the changelog of a `kind` store keeps under
/// `changelog_key`.
///
/// # Errors
/// When `changelog_key` is not a key of such a store. What `out` holds is then of no use.
pub fn to_local_key(kind: StoreKind, changelog_key: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedKey> {
    match kind {
        StoreKind::KeyValue => {
            out.clear();
            out.extend_from_slice(changelog_key);
        }
        StoreKind::Window(_) => {
            let (start, key) = split_window_changelog_key(changelog_key)?;
            window_key(start, key, out);
        }
    }
    Ok(())
}

/// Replaces what `out` holds by the changelog's key of the entry that a `kind` store keeps under `local_key`.
///
/// # Errors
/// When `local_key` is not a key of such a store. What `out` holds is then of no use.
pub fn to_changelog_key(kind: StoreKind, local_key: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedKey> {
    match kind {
        StoreKind::KeyValue => {
            out.clear();
            out.extend_from_slice(local_key);
        }
        StoreKind::Window(_) => {
            let (start, key) = split_window_key(local_key)?;
            window_changelog_key(key, start, out);
        }
    }
    Ok(())
}

/// The key of the commit record in every changelog.
///
/// It cannot be a key of a window store: its last four bytes are not the sequence number 0. It can be a key of a
/// key-value store only on purpose: it ends in 16 random bytes, drawn once. One key for all commits lets log compaction
/// keep the last commit record only.
pub const COMMIT_KEY: [u8; 32] =
    *b"\0riacho.commit\0\0\xc5\x1e\x8a\x47\x0f\xd2\x4b\x93\xb6\x7d\x39\xe4\xa8\x52\xfb\x91";

/// What a task's transaction appends to its changelogs last: how far the inputs are when everything before it in the
/// changelog is applied.
///
/// After a restore it must agree with the group's committed offsets; if it does not, a transaction was torn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// The highest event time the task had seen.
    pub stream_time: Timestamp,
    /// The number of the transaction, counted by the task from 1.
    pub transaction: u64,
    /// For each input partition, the offset after the last record processed.
    pub inputs: Vec<(TopicPartition, i64)>,
}

impl Default for CommitRecord {
    /// Before the first commit.
    fn default() -> Self {
        CommitRecord { stream_time: Timestamp::MIN, transaction: 0, inputs: Vec::new() }
    }
}

impl CommitRecord {
    /// The layout that [`encode`](Self::encode) writes.
    pub const VERSION: u8 = 1;

    /// Appends the record's value: a version byte, then numbers as varints and topic names by their length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        write_varint(zigzag(self.stream_time.0), out);
        write_varint(self.transaction, out);
        write_varint(self.inputs.len() as u64, out);
        for (partition, next_offset) in &self.inputs {
            write_varint(partition.topic.len() as u64, out);
            out.extend_from_slice(partition.topic.as_bytes());
            write_varint(zigzag(i64::from(partition.partition)), out);
            write_varint(zigzag(*next_offset), out);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote, from all of `bytes`.
    ///
    /// # Errors
    /// When the version is unknown, or the bytes are damaged, cut off or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, SerdeError> {
        let mut rest = match bytes {
            [Self::VERSION, rest @ ..] => rest,
            [version, ..] => {
                let expected = Self::VERSION;
                return Err(SerdeError::new(format!(
                    "a commit record of version {version}, where this riacho reads {expected}: run a newer one"
                )));
            }
            [] => return Err(SerdeError::new("an empty commit record")),
        };
        let stream_time = Timestamp(unzigzag(read_varint(&mut rest)?));
        let transaction = read_varint(&mut rest)?;
        let count = read_varint(&mut rest)?;
        // The count is not trusted with an allocation: each position is read before room is made for the next.
        let mut inputs = Vec::new();
        for _ in 0..count {
            inputs.push(read_position(&mut rest)?);
        }
        if !rest.is_empty() {
            return Err(SerdeError::new(format!("{} bytes too many after a commit record", rest.len())));
        }
        Ok(CommitRecord { stream_time, transaction, inputs })
    }
}

fn read_position(rest: &mut &[u8]) -> Result<(TopicPartition, i64), SerdeError> {
    let length = read_varint(rest)?;
    let (topic, tail) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| SerdeError::new("a topic's name is cut off"))?;
    *rest = tail;
    let topic =
        std::str::from_utf8(topic).map_err(|error| SerdeError::new(format!("a topic's name: {error}")))?;
    let partition = i32::try_from(unzigzag(read_varint(rest)?))
        .map_err(|_| SerdeError::new("a partition's number does not fit in 32 bits"))?;
    let next_offset = unzigzag(read_varint(rest)?);
    Ok((TopicPartition::new(topic, partition), next_offset))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::windows::TimeWindows;

    const JAVA_WINDOW_KEYS: &str = include_str!("../../tests/golden/windowed_key.tsv");

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn windows() -> StoreKind {
        StoreKind::Window(TimeWindows::of_size_with_no_grace(Duration::from_secs(60)).unwrap())
    }

    fn local(start: i64, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        window_key(Timestamp(start), key, &mut out);
        out
    }

    fn changelog(start: i64, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        window_changelog_key(key, Timestamp(start), &mut out);
        out
    }

    #[test]
    fn changelog_keys_of_windows_are_java_s() {
        let mut rows = 0;
        for line in JAVA_WINDOW_KEYS.lines().skip(1) {
            let mut fields = line.split('\t');
            let key = hex(fields.next().unwrap());
            let start: i64 = fields.next().unwrap().parse().unwrap();
            let expected = hex(fields.next().unwrap());
            assert_eq!(changelog(start, &key), expected, "{line}");
            assert_eq!(
                split_window_changelog_key(&expected),
                Ok((Timestamp(start), key.as_slice())),
                "{line}"
            );
            rows += 1;
        }
        assert!(rows > 10);
    }

    #[test]
    fn a_window_changelog_key_too_short_for_a_window_is_refused() {
        for length in 0..12 {
            let error = split_window_changelog_key(&[0; 12][..length]).unwrap_err();
            assert!(matches!(error, MalformedKey::TooShort { needed: 12, .. }), "{error}");
        }
        assert_eq!(split_window_changelog_key(&[0; 12]), Ok((Timestamp(0), [].as_slice())));
        assert!(matches!(split_window_key(&[0; 7]), Err(MalformedKey::TooShort { needed: 8, .. })));
    }

    #[test]
    fn a_sequence_number_other_than_0_is_refused() {
        let mut key = changelog(60_000, b"ana");
        *key.last_mut().unwrap() = 7;
        assert_eq!(split_window_changelog_key(&key), Err(MalformedKey::Sequence(7)));
        let mut out = Vec::new();
        assert_eq!(to_local_key(windows(), &key, &mut out), Err(MalformedKey::Sequence(7)));
    }

    #[test]
    fn the_commit_key_is_no_key_of_a_window_store() {
        assert!(split_window_changelog_key(&COMMIT_KEY).is_err());
    }

    #[test]
    fn window_bounds_hold_all_keys_of_the_window_and_no_other() {
        let (lower, upper) = window_bounds(Timestamp(60_000));
        for key in [b"".as_slice(), b"\0", b"ana", &[0xff; 40]] {
            assert!(local(60_000, key).as_slice() >= lower.as_slice());
            assert!(local(60_000, key).as_slice() < upper.as_slice());
            assert!(local(59_999, key).as_slice() < lower.as_slice());
            assert!(local(60_001, key).as_slice() >= upper.as_slice());
        }
    }

    #[test]
    fn a_window_without_an_end_is_refused() {
        assert_eq!(split_window_key(&local(i64::MAX, b"ana")), Err(MalformedKey::EndOfTime));
        assert_eq!(split_window_changelog_key(&changelog(i64::MAX, b"ana")), Err(MalformedKey::EndOfTime));
    }

    #[test]
    fn an_unknown_version_of_the_commit_record_is_refused_by_its_number() {
        let error = CommitRecord::decode(&[9, 0, 0, 0]).unwrap_err();
        assert!(error.to_string().contains("version 9"), "{error}");
        assert!(CommitRecord::decode(&[]).is_err());
    }

    #[test]
    fn a_commit_record_keeps_its_bytes() {
        let record = CommitRecord {
            stream_time: Timestamp(1_700_000_000_000),
            transaction: 300,
            inputs: vec![(TopicPartition::new("in", 3), 5), (TopicPartition::new("other", 0), 1 << 40)],
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let expected = [
            &[1, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xac, 0x02, 2][..],
            &[2, b'i', b'n', 6, 10],
            &[5, b'o', b't', b'h', b'e', b'r', 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(CommitRecord::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn a_commit_record_that_claims_too_many_positions_is_refused_without_an_allocation() {
        let mut bytes = vec![CommitRecord::VERSION, 0, 0];
        write_varint(u64::MAX, &mut bytes);
        assert!(CommitRecord::decode(&bytes).is_err());
        write_varint(u64::MAX, &mut bytes);
        assert!(CommitRecord::decode(&bytes).is_err());
    }

    fn commit_record() -> impl Strategy<Value = CommitRecord> {
        let position = ("[a-zA-Z0-9._-]{1,20}|\\PC{0,8}", any::<i32>(), any::<i64>())
            .prop_map(|(topic, partition, next)| (TopicPartition::new(topic, partition), next));
        (any::<i64>(), any::<u64>(), prop::collection::vec(position, 0..6)).prop_map(
            |(time, transaction, inputs)| CommitRecord { stream_time: Timestamp(time), transaction, inputs },
        )
    }

    proptest! {
        #[test]
        fn window_keys_come_back(start in i64::MIN..i64::MAX, key in any::<Vec<u8>>()) {
            let (in_store, in_log) = (local(start, &key), changelog(start, &key));
            prop_assert_eq!(split_window_key(&in_store), Ok((Timestamp(start), key.as_slice())));
            prop_assert_eq!(split_window_changelog_key(&in_log), Ok((Timestamp(start), key.as_slice())));
        }

        #[test]
        fn changelog_and_local_keys_convert_into_each_other(start in i64::MIN..i64::MAX, key in any::<Vec<u8>>(), mut out in any::<Vec<u8>>()) {
            for (kind, in_log, in_store) in [
                (windows(), changelog(start, &key), local(start, &key)),
                (StoreKind::KeyValue, key.clone(), key.clone()),
            ] {
                prop_assert_eq!(to_local_key(kind, &in_log, &mut out), Ok(()));
                prop_assert_eq!(&out, &in_store);
                prop_assert_eq!(to_changelog_key(kind, &in_store, &mut out), Ok(()));
                prop_assert_eq!(&out, &in_log);
            }
        }

        #[test]
        fn local_keys_are_ordered_by_window_then_key(a: i64, b: i64, x: Vec<u8>, y: Vec<u8>) {
            prop_assert_eq!(local(a, &x).cmp(&local(b, &y)), (a, &x).cmp(&(b, &y)));
        }

        #[test]
        fn any_bytes_as_a_changelog_key_give_a_key_or_an_error(bytes: Vec<u8>) {
            if let Ok((start, key)) = split_window_changelog_key(&bytes) {
                prop_assert_eq!(changelog(start.0, key), bytes);
            }
        }

        #[test]
        fn commit_records_come_back(record in commit_record()) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(CommitRecord::decode(&bytes).unwrap(), record);
        }

        #[test]
        fn a_commit_record_cut_off_or_too_long_is_refused(record in commit_record(), cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert!(CommitRecord::decode(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert!(CommitRecord::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_as_a_commit_record_give_a_record_or_an_error(bytes: Vec<u8>) {
            drop(CommitRecord::decode(&bytes));
        }
    }
}
