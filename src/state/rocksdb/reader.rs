//! Reads for threads that do not own the stores.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use ::rocksdb::{DB, ReadOptions};
use riacho_topology::StoreIndex;

use super::RocksStores;
use super::failure::failure;
use super::keys::{PREFIX_BYTES, end_of, full_key};
use crate::ports::{Look, ReadError, StateReader};

impl RocksStores {
    /// Reads for other threads. They do not keep the database open.
    #[must_use]
    pub fn reader(&self) -> RocksReader {
        RocksReader { db: Arc::downgrade(&self.db), path: self.path.clone() }
    }
}

/// Reads what a task has committed, from any thread, until the task closes its stores.
#[derive(Debug)]
pub struct RocksReader {
    db: Weak<DB>,
    path: PathBuf,
}

impl RocksReader {
    fn db(&self) -> Result<Arc<DB>, ReadError> {
        self.db.upgrade().ok_or(ReadError::Closed)
    }
}

impl StateReader for RocksReader {
    fn is_open(&self) -> bool {
        self.db.strong_count() > 0
    }

    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let mut full = Vec::with_capacity(PREFIX_BYTES + key.len());
        full_key(store, key, &mut full);
        Ok(self.db()?.get(&full).map_err(|error| failure(&self.path, "read", error))?)
    }

    fn scan(
        &self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Look<'_>,
    ) -> Result<(), ReadError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let db = self.db()?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(match to {
            Some(to) => [&store.0.to_be_bytes(), to].concat(),
            None => end_of(store),
        });
        let mut full = Vec::with_capacity(PREFIX_BYTES + from.len());
        full_key(store, from, &mut full);
        let mut entries = db.raw_iterator_opt(options);
        entries.seek(&full);
        while let Some((key, value)) = entries.item() {
            if visit(key.get(PREFIX_BYTES..).unwrap_or_default(), value).is_break() {
                return Ok(());
            }
            entries.next();
        }
        Ok(entries.status().map_err(|error| failure(&self.path, "read", error))?)
    }
}
