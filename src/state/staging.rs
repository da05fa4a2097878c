//! Orders what a batch writes by key before it is written.
//!
//! A write buffer is a skip list, and most of what a write costs is finding its place there. Next to the write before,
//! the place is found in a fraction of the time. Of several writes of one key only the last is kept.

/// More than this is not kept from one batch to the next.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Puts and deletes whose order among different keys does not matter.
#[derive(Debug, Default)]
pub(super) struct Staging {
    bytes: Vec<u8>,
    writes: Vec<Write>,
}

/// The place of a key in the bytes, and of the value behind it.
#[derive(Clone, Copy, Debug)]
struct Write {
    start: usize,
    key_length: usize,
    /// `None` is a delete.
    value_length: Option<usize>,
}

impl Staging {
    /// Stages a put, or with no value a delete, of the key that `key_parts` make together.
    pub(super) fn push(&mut self, key_parts: [&[u8]; 2], value: Option<&[u8]>) {
        let start = self.bytes.len();
        for part in key_parts {
            self.bytes.extend_from_slice(part);
        }
        let key_length = self.bytes.len() - start;
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.writes.push(Write { start, key_length, value_length: value.map(<[u8]>::len) });
    }

    /// How much is staged.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.writes.len() * size_of::<Write>()
    }

    /// Forgets what is staged.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.writes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.writes.shrink_to(KEPT_BYTES_MAX / size_of::<Write>());
    }

    /// Hands the last write of each key to `write`, in the order of the keys' bytes, and forgets all.
    pub(super) fn drain(&mut self, mut write: impl FnMut(&[u8], Option<&[u8]>)) {
        let bytes = self.bytes.as_slice();
        let key = |write: &Write| bytes.get(write.start..write.start + write.key_length).unwrap_or_default();
        self.writes.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(a.start.cmp(&b.start)));
        let mut writes = self.writes.iter().peekable();
        while let Some(last) = writes.next() {
            if writes.peek().is_some_and(|next| key(next) == key(last)) {
                continue;
            }
            let value_start = last.start + last.key_length;
            let value = last
                .value_length
                .map(|length| bytes.get(value_start..value_start + length).unwrap_or_default());
            write(key(last), value);
        }
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn drained(staging: &mut Staging) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut writes = Vec::new();
        staging.drain(|key, value| writes.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        writes
    }

    #[test]
    fn a_drained_or_cleared_staging_is_empty() {
        let mut staging = Staging::default();
        staging.push([b"a", b"b"], Some(b"1"));
        assert_eq!(drained(&mut staging), [(b"ab".to_vec(), Some(b"1".to_vec()))]);
        assert_eq!((staging.bytes(), drained(&mut staging)), (0, vec![]));
        staging.push([b"a", b"b"], None);
        staging.clear();
        assert_eq!(drained(&mut staging), []);
    }

    #[test]
    fn a_large_batch_is_not_kept_in_memory() {
        let mut staging = Staging::default();
        staging.push([b"a", b"b"], Some(&vec![0; 2 * KEPT_BYTES_MAX]));
        staging.drain(|_, _| {});
        assert!(staging.bytes.capacity() <= KEPT_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn the_last_write_of_each_key_comes_out_in_order(
            writes in prop::collection::vec((prop::collection::vec(0..3_u8, 0..3), any::<Option<[u8; 2]>>()), 0..40)
        ) {
            let (mut staging, mut expected) = (Staging::default(), BTreeMap::new());
            for (key, value) in writes {
                staging.push([b"s", &key], value.as_ref().map(|value| value.as_slice()));
                expected.insert([b"s", key.as_slice()].concat(), value.map(|value| value.to_vec()));
            }
            prop_assert_eq!(drained(&mut staging), Vec::from_iter(expected));
        }
    }
}
