//! A question to one partition of a store, its answer, and how both travel between instances.

use std::cmp::Ordering;

use riacho_topology::store::layout;
use riacho_topology::{StoreIndex, Timestamp};

use crate::ports::{ReadError, ScanStep, StateReader};

/// What is asked. Keys are those of the task's own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The entry of one key.
    Get { key: Vec<u8> },
    /// The entries with `from <= key < to`, in the order of the keys' bytes.
    Scan { from: Vec<u8>, to: Option<Vec<u8>>, bounds: Bounds },
    /// The entries of one key in the windows that start at `from` or later, and not after `to`.
    WindowsOf { key: Vec<u8>, from: Timestamp, to: Timestamp, bounds: Bounds },
}

/// How much an answer may hold. It always holds one entry, if there is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// A key and its value, as they are stored.
pub(super) type RawEntry = (Vec<u8>, Vec<u8>);

/// What was found, in the order of the keys' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) entries: Vec<RawEntry>,
    /// Whether a bound was met before the end.
    pub(super) more: bool,
}

impl Found {
    fn takes(&self, bounds: Bounds, taken_bytes: usize) -> bool {
        self.entries.is_empty() || self.entries.len() < bounds.entries && taken_bytes < bounds.bytes
    }
}

impl Read {
    /// Answers from committed state.
    pub(super) fn answer(&self, reader: &dyn StateReader, store: StoreIndex) -> Result<Found, ReadError> {
        match self {
            Read::Get { key } => {
                let value = reader.get(store, key)?;
                Ok(Found {
                    entries: value.map(|value| (key.clone(), value)).into_iter().collect(),
                    more: false,
                })
            }
            Read::Scan { from, to, bounds } => scan(reader, store, from, to.as_deref(), *bounds),
            Read::WindowsOf { key, from, to, bounds } => {
                windows_of(reader, store, key, (*from, *to), *bounds)
            }
        }
    }

    /// The question as the parameters of an address.
    pub(super) fn to_query(&self) -> String {
        let bounded = |bounds: &Bounds| format!("limit={}&bytes={}", bounds.entries, bounds.bytes);
        match self {
            Read::Get { key } => format!("get={}", hex(key)),
            Read::Scan { from, to, bounds } => {
                let to = to.as_ref().map(|to| format!("&to={}", hex(to))).unwrap_or_default();
                format!("scan={}{to}&{}", hex(from), bounded(bounds))
            }
            Read::WindowsOf { key, from, to, bounds } => {
                format!("windows={}&from={}&to={}&{}", hex(key), from.0, to.0, bounded(bounds))
            }
        }
    }

    /// Reads what [`to_query`](Self::to_query) wrote. `parameter` tells the value of a parameter.
    pub(super) fn from_query<'q>(parameter: impl Fn(&str) -> Option<&'q str>) -> Option<Read> {
        let bounds = || {
            let entries: usize = parameter("limit")?.parse().ok()?;
            let bytes: usize = parameter("bytes")?.parse().ok()?;
            Some(Bounds { entries: entries.min(ENTRIES_MAX + 1), bytes: bytes.min(BYTES_MAX) })
        };
        let time = |name| Some(Timestamp(parameter(name)?.parse().ok()?));
        if let Some(key) = parameter("get") {
            return Some(Read::Get { key: unhex(key)? });
        }
        if let Some(from) = parameter("scan") {
            let to = match parameter("to") {
                Some(to) => Some(unhex(to)?),
                None => None,
            };
            return Some(Read::Scan { from: unhex(from)?, to, bounds: bounds()? });
        }
        let key = unhex(parameter("windows")?)?;
        Some(Read::WindowsOf { key, from: time("from")?, to: time("to")?, bounds: bounds()? })
    }
}

/// The most entries of a page.
pub(super) const ENTRIES_MAX: usize = 1000;
/// The most bytes of the entries of a page, but for the last one.
pub(super) const BYTES_MAX: usize = 1 << 20;

fn scan(
    reader: &dyn StateReader,
    store: StoreIndex,
    from: &[u8],
    to: Option<&[u8]>,
    bounds: Bounds,
) -> Result<Found, ReadError> {
    let (mut found, mut bytes) = (Found::default(), 0);
    reader.scan(store, from, to, &mut |key, value| {
        if !found.takes(bounds, bytes) {
            found.more = true;
            return ScanStep::Stop;
        }
        bytes += key.len() + value.len();
        found.entries.push((key.to_vec(), value.to_vec()));
        ScanStep::Next
    })?;
    Ok(found)
}

/// Goes from window to window: of each only the key's place is read.
fn windows_of(
    reader: &dyn StateReader,
    store: StoreIndex,
    key: &[u8],
    (from, to): (Timestamp, Timestamp),
    bounds: Bounds,
) -> Result<Found, ReadError> {
    let (mut found, mut bytes) = (Found::default(), 0);
    let place = |start| {
        let mut place = Vec::new();
        layout::window_key(start, key, &mut place);
        place
    };
    let (_, end) = layout::window_bounds(to);
    reader.scan(store, &place(from), Some(&end), &mut |at, value| {
        let Ok((start, stands_here)) = layout::split_window_key(at) else { return ScanStep::Stop };
        match stands_here.cmp(key) {
            Ordering::Less => return ScanStep::Seek(place(start)),
            Ordering::Equal if !found.takes(bounds, bytes) => {
                found.more = true;
                return ScanStep::Stop;
            }
            Ordering::Equal => {
                bytes += at.len() + value.len();
                found.entries.push((at.to_vec(), value.to_vec()));
            }
            Ordering::Greater => {}
        }
        ScanStep::Seek(place(start.plus_millis(1)))
    })?;
    Ok(found)
}

impl Found {
    /// Whether there is more, then length and bytes of each key and value.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.more)];
        for part in self.entries.iter().flat_map(|(key, value)| [key, value]) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; none if it is something else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Found> {
        let (more, mut rest) = match bytes {
            [0, rest @ ..] => (false, rest),
            [1, rest @ ..] => (true, rest),
            _ => return None,
        };
        let mut part = || -> Option<Option<Vec<u8>>> {
            if rest.is_empty() {
                return Some(None);
            }
            let (length, behind) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
            let (part, behind) = behind.split_at_checked(length)?;
            rest = behind;
            Some(Some(part.to_vec()))
        };
        let mut entries = Vec::new();
        while let Some(key) = part()? {
            entries.push((key, part()??));
        }
        Some(Found { entries, more })
    }
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What [`hex`] wrote; none if it is something else.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::ops::Bound;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::ports::Look;

    /// A store in memory.
    pub(in crate::query) struct Shelf(pub(in crate::query) BTreeMap<Vec<u8>, Vec<u8>>);

    impl StateReader for Shelf {
        fn get(&self, _: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
            Ok(self.0.get(key).cloned())
        }

        fn scan(
            &self,
            _: StoreIndex,
            from: &[u8],
            to: Option<&[u8]>,
            visit: &mut Look<'_>,
        ) -> Result<(), ReadError> {
            let first = |from: Bound<&[u8]>| self.0.range::<[u8], _>((from, Bound::Unbounded)).next();
            let mut next = first(Bound::Included(from));
            while let Some((key, value)) = next.filter(|(key, _)| to.is_none_or(|to| key.as_slice() < to)) {
                next = match visit(key, value) {
                    ScanStep::Next => first(Bound::Excluded(key)),
                    ScanStep::Seek(place) => first(Bound::Included(&place)),
                    ScanStep::Stop => None,
                };
            }
            Ok(())
        }
    }

    fn any_read() -> impl Strategy<Value = Read> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..6);
        let bounds = || (1..ENTRIES_MAX, 1..BYTES_MAX).prop_map(|(entries, bytes)| Bounds { entries, bytes });
        prop_oneof![
            bytes().prop_map(|key| Read::Get { key }),
            (bytes(), proptest::option::of(bytes()), bounds()).prop_map(|(from, to, bounds)| Read::Scan {
                from,
                to,
                bounds
            }),
            (bytes(), any::<i64>(), any::<i64>(), bounds()).prop_map(|(key, from, to, bounds)| {
                Read::WindowsOf { key, from: Timestamp(from), to: Timestamp(to), bounds }
            }),
        ]
    }

    proptest! {
        #[test]
        fn questions_and_answers_arrive_as_they_were_sent(
            read in any_read(),
            entries in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..4),
            more in any::<bool>(),
        ) {
            let query = read.to_query();
            let parameter = |name: &str| {
                query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            prop_assert_eq!(Read::from_query(parameter), Some(read));
            let found = Found { entries, more };
            prop_assert_eq!(Found::from_bytes(&found.to_bytes()), Some(found));
        }

        #[test]
        fn no_bytes_make_reading_an_answer_panic(bytes in any::<Vec<u8>>()) {
            let _ = Found::from_bytes(&bytes);
        }

        #[test]
        fn the_windows_of_a_key_are_those_that_a_look_at_every_entry_finds(
            entries in proptest::collection::btree_set((0i64..6, "[ab]{0,2}"), 0..30),
            key in "[ab]{0,2}",
            from in -1i64..7,
            to in -1i64..7,
            limit in 1usize..5,
        ) {
            let local = |start: i64, key: &str| {
                let mut out = Vec::new();
                layout::window_key(Timestamp(start), key.as_bytes(), &mut out);
                out
            };
            let shelf = Shelf(entries.iter().map(|(start, key)| (local(*start, key), vec![1])).collect());
            let expected: Vec<_> = entries
                .iter()
                .filter(|(start, of)| *of == key && (from..=to).contains(start))
                .map(|(start, key)| (local(*start, key), vec![1]))
                .collect();
            let read = Read::WindowsOf {
                key: key.into_bytes(),
                from: Timestamp(from),
                to: Timestamp(to),
                bounds: Bounds { entries: limit, bytes: BYTES_MAX },
            };
            let found = read.answer(&shelf, StoreIndex(0)).unwrap();
            prop_assert_eq!(found.more, expected.len() > limit);
            prop_assert_eq!(&found.entries[..], &expected[..expected.len().min(limit)]);
        }
    }

    /// Counts the scans: what two of them see may be of different commits.
    struct Counting(Shelf, AtomicUsize);

    impl StateReader for Counting {
        fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
            self.0.get(store, key)
        }

        fn scan(
            &self,
            store: StoreIndex,
            from: &[u8],
            to: Option<&[u8]>,
            visit: &mut Look<'_>,
        ) -> Result<(), ReadError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.scan(store, from, to, visit)
        }
    }

    #[test]
    fn the_windows_of_a_key_are_of_one_commit() {
        let local = |start: i64| [(start ^ i64::MIN).to_be_bytes().as_slice(), b"ana"].concat();
        let shelf = Shelf((0..3).map(|start| (local(start), vec![1])).collect());
        let reader = Counting(shelf, AtomicUsize::new(0));
        let bounds = Bounds { entries: 10, bytes: BYTES_MAX };
        let read = Read::WindowsOf { key: b"ana".to_vec(), from: Timestamp(0), to: Timestamp(9), bounds };
        assert_eq!(read.answer(&reader, StoreIndex(0)).unwrap().entries.len(), 3);
        assert_eq!(reader.1.into_inner(), 1);
    }

    #[test]
    fn an_answer_ends_at_its_bounds_but_holds_one_entry() {
        let shelf = Shelf((0u8..9).map(|n| (vec![n], vec![n; 10])).collect());
        let scan = |entries, bytes| {
            let read = Read::Scan { from: vec![2], to: Some(vec![7]), bounds: Bounds { entries, bytes } };
            let found = read.answer(&shelf, StoreIndex(0)).unwrap();
            (found.entries.iter().map(|(key, _)| key[0]).collect::<Vec<_>>(), found.more)
        };
        assert_eq!(scan(10, 1000), (vec![2, 3, 4, 5, 6], false));
        assert_eq!(scan(5, 1000), (vec![2, 3, 4, 5, 6], false));
        assert_eq!(scan(4, 1000), (vec![2, 3, 4, 5], true));
        assert_eq!(scan(10, 12), (vec![2, 3], true));
        assert_eq!(scan(0, 0), (vec![2], true));
    }

    #[test]
    fn another_instance_cannot_ask_for_more_than_is_allowed() {
        let parameter = |name: &str| {
            Some(if name == "scan" { "" } else { "999999999" }).filter(|_| name != "to" && name != "get")
        };
        let Some(Read::Scan { bounds, .. }) = Read::from_query(parameter) else { panic!("not a scan") };
        assert_eq!(bounds, Bounds { entries: ENTRIES_MAX + 1, bytes: BYTES_MAX });
    }
}
