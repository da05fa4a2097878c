//! Where in the database an entry stands: the store's index (2 bytes, big-endian), then the store's own key.

use riacho_topology::StoreIndex;

/// No store has this index: under it stand, one byte further, [`META`], [`IDENTITY`] and the [`TRAIL`].
pub(super) const RESERVED: StoreIndex = StoreIndex(u16::MAX);
pub(super) const META: &[u8] = b"m";
pub(super) const IDENTITY: &[u8] = b"i";
pub(super) const TRAIL: u8 = b't';

pub(super) const PREFIX_BYTES: usize = size_of::<u16>();

pub(super) fn full_key(store: StoreIndex, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&store.0.to_be_bytes());
    out.extend_from_slice(key);
}

/// The upper bound, exclusive, of all keys of `store`.
pub(super) fn end_of(store: StoreIndex) -> Vec<u8> {
    debug_assert!(store < RESERVED, "the last index is not a store's");
    store.0.saturating_add(1).to_be_bytes().to_vec()
}
