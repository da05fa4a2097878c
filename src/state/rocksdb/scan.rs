//! Goes through the entries of one store, as of one commit.

use std::path::Path;

use ::rocksdb::{DB, ReadOptions};
use riacho_topology::StoreIndex;

use super::super::error::StateError;
use super::failure::failure;
use super::keys::{PREFIX_BYTES, end_of, full_key};
use crate::ports::{Look, ScanStep};

/// Visits the entries of `store` with `from <= key < to` in the order of the keys' bytes.
pub(super) fn scan(
    (db, path): (&DB, &Path),
    store: StoreIndex,
    from: &[u8],
    to: Option<&[u8]>,
    visit: &mut Look<'_>,
) -> Result<(), StateError> {
    // To RocksDB an inverted range is an error.
    if to.is_some_and(|to| to <= from) {
        return Ok(());
    }
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(match to {
        Some(to) => [&store.0.to_be_bytes(), to].concat(),
        None => end_of(store),
    });
    let mut place = Vec::with_capacity(PREFIX_BYTES + from.len());
    full_key(store, from, &mut place);
    let mut entries = db.raw_iterator_opt(options);
    entries.seek(&place);
    while let Some((key, value)) = entries.item() {
        match visit(key.get(PREFIX_BYTES..).unwrap_or_default(), value) {
            ScanStep::Next => entries.next(),
            ScanStep::Seek(key) => {
                full_key(store, &key, &mut place);
                entries.seek(&place);
            }
            ScanStep::Stop => return Ok(()),
        }
    }
    entries.status().map_err(|error| failure(path, "read", error))
}
