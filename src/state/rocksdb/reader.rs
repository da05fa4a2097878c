//! Reads for threads that do not own the stores.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use ::rocksdb::DB;
use riacho_topology::StoreIndex;

use super::RocksStores;
use super::failure::failure;
use super::keys::{PREFIX_BYTES, full_key};
use super::scan::scan;
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
        let db = self.db()?;
        Ok(scan((&db, &self.path), store, from, to, visit)?)
    }
}
