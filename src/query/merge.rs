//! One page out of the answers of many partitions, and where the next one begins.

use super::read::{Bounds, Found, RawEntry, hex, unhex};

/// Where a page begins: at the first entry whose place is not before it.
///
/// As text it can be part of an address. A key that is too long for one is cut, and the next page then begins behind all
/// keys that begin in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) Vec<u8>);

/// The longest part of a key that a cursor holds, in bytes.
const CURSOR_BYTES_MAX: usize = 4096;

impl Cursor {
    /// The first place behind `key`; none where nothing can be behind it.
    pub(super) fn behind(key: &[u8]) -> Option<Cursor> {
        let Some(part) = key.get(..CURSOR_BYTES_MAX) else { return Some(Cursor([key, &[0]].concat())) };
        let last = part.iter().rposition(|&byte| byte != u8::MAX)?;
        let mut next = part.get(..=last)?.to_vec();
        if let Some(byte) = next.last_mut() {
            *byte += 1;
        }
        Some(Cursor(next))
    }

    /// The cursor that was printed as `text`; none if it is something else.
    pub fn parse(text: &str) -> Option<Cursor> {
        unhex(text).map(Cursor)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Merges what the partitions found. Of a key that is in several partitions all entries are on the same page.
pub(super) fn merge(answers: Vec<Found>, bounds: Bounds) -> (Vec<RawEntry>, Option<Cursor>) {
    // Behind the end of an answer that was cut short there may be entries that nobody has seen yet.
    let cut_short = answers.iter().filter(|found| found.more);
    let horizon = cut_short.filter_map(|found| found.entries.last()).map(|(key, _)| key.clone()).min();
    let mut more = horizon.is_some();
    let mut entries: Vec<RawEntry> = answers.into_iter().flat_map(|found| found.entries).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut page: Vec<RawEntry> = Vec::new();
    let mut bytes = 0;
    for (key, value) in entries {
        let is_twin = page.last().is_some_and(|(last, _)| *last == key);
        let is_unsure = horizon.as_ref().is_some_and(|horizon| key > *horizon);
        let is_full = !page.is_empty() && (page.len() >= bounds.entries || bytes >= bounds.bytes);
        if is_unsure || is_full && !is_twin {
            more = true;
            break;
        }
        bytes += key.len() + value.len();
        page.push((key, value));
    }
    let next = page.last().filter(|_| more).and_then(|(key, _)| Cursor::behind(key));
    (page, next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use riacho_topology::StoreIndex;

    use super::super::read::Read;
    use super::super::read::tests::Shelf;
    use super::*;

    /// All keys, read page by page from all partitions.
    fn pages(shelves: &[Shelf], bounds: Bounds) -> Vec<Vec<Vec<u8>>> {
        let (mut pages, mut from) = (Vec::new(), Some(Cursor(Vec::new())));
        while let Some(Cursor(at)) = from {
            let read = Read::Scan { from: at, to: None, bounds };
            let found = shelves.iter().map(|shelf| read.answer(shelf, StoreIndex(0)).unwrap()).collect();
            let (entries, next) = merge(found, bounds);
            assert!(next.is_none() || !entries.is_empty(), "a page without entries has no next one");
            pages.push(entries.into_iter().map(|(key, _)| key).collect());
            from = next;
        }
        pages
    }

    proptest! {
        #[test]
        fn pages_together_are_everything_once_and_in_order(
            partitions in proptest::collection::vec(
                proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 0..3), proptest::collection::vec(any::<u8>(), 0..20), 0..20),
                1..4,
            ),
            entries in 1usize..8,
            bytes in 1usize..60,
        ) {
            let mut expected: Vec<Vec<u8>> = partitions.iter().flat_map(BTreeMap::keys).cloned().collect();
            expected.sort();
            let shelves: Vec<Shelf> = partitions.into_iter().map(Shelf).collect();
            let pages = pages(&shelves, Bounds { entries, bytes });
            for page in &pages {
                let mut distinct = page.clone();
                distinct.dedup();
                prop_assert!(distinct.len() <= entries);
            }
            prop_assert_eq!(pages.concat(), expected);
        }
    }

    #[test]
    fn a_cursor_of_a_long_key_is_cut_and_goes_on_behind_it() {
        let long = [vec![b'k'; CURSOR_BYTES_MAX], vec![b'x'; 1 << 20]].concat();
        let cursor = Cursor::behind(&long).unwrap();
        assert!(cursor.0 > long && cursor.0.len() <= CURSOR_BYTES_MAX);
        assert!(cursor.0 < b"l".to_vec() && cursor.to_string().len() <= 2 * CURSOR_BYTES_MAX);
        assert_eq!(Cursor::behind(&[u8::MAX; CURSOR_BYTES_MAX]), None);
        assert_eq!(Cursor::behind(b"").map(|cursor| cursor.0), Some(vec![0]));
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        assert_eq!(Cursor::parse("x"), None);
        assert_eq!(Cursor::parse("6"), None);
        assert_eq!(Cursor::parse("é1"), None);
    }
}
