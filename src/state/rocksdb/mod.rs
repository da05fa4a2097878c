//! The stores of a task in one RocksDB: no file outside of this folder names RocksDB.

mod failure;
mod keys;
mod memory;
mod options;
mod reader;
mod scan;
mod statistics;
#[cfg(test)]
mod tests;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::rocksdb::{DB, ReadOptions, WriteBatch, WriteOptions};
use riacho_topology::store::layout;
use riacho_topology::store::{StoreKind, StoreSpec, TaskStores, Visit};
use riacho_topology::{StoreError, StoreIndex, Timestamp};

use super::error::StateError;
use super::files::{self, Manifest};
use super::meta::{BadMeta, TaskMeta};
use super::staging::Staging;
use super::trail::{self, ManifestLength, Mark};
use crate::ports::ScanStep;
use failure::failure;
use keys::{IDENTITY, META, PREFIX_BYTES, RESERVED, TRAIL, end_of, full_key};
use options::{MERGED_FILES, MERGED_FILES_LOADING, options};
use scan::scan;

pub use memory::{Memory, MemoryStatistics};
pub use reader::RocksReader;
pub use statistics::StoreStatistics;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The layout of everything in the database that is not [`TaskMeta`]'s.
const IDENTITY_VERSION: u8 = 1;

/// No batch is kept larger than this from one commit to the next.
const BATCH_KEPT_BYTES_MAX: usize = 4 * MIB;

/// All stores of one task, in one database.
///
/// Writes are staged in one batch. [`commit`](Self::commit) writes it together with how far the task is; until then
/// nothing of it can be seen, and a crash loses all of it or nothing.
pub struct RocksStores {
    db: Arc<DB>,
    memory: Memory,
    path: PathBuf,
    /// What comes behind everything in `batch`.
    staging: Staging,
    batch: WriteBatch,
    meta: Option<TaskMeta>,
    last_commit: u64,
    manifest: Option<Manifest>,
    /// Whether the database holds writes that are not in its log.
    unlogged: bool,
    logged_write: WriteOptions,
    unlogged_write: WriteOptions,
    read: ReadOptions,
    key: Vec<u8>,
    bound: Vec<u8>,
    value: Vec<u8>,
}

impl RocksStores {
    /// Opens the stores in `path`, which is created if it is missing.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] and [`StateError::OtherStores`] when `path` has to be deleted and restored,
    /// [`StateError::UnknownVersion`] when a newer riacho wrote it, [`StateError::Locked`] when it is open elsewhere,
    /// [`StateError::Io`] when the disk refuses.
    pub fn open(path: &Path, stores: &[StoreSpec], memory: &Memory) -> Result<Self, StateError> {
        fs::create_dir_all(path).map_err(|error| StateError::io("create", path, error))?;
        let found = files::check(path)?;
        let failed = |error| failure(path, "open", error);
        let options = options(memory).map_err(failed)?;
        let db = Arc::new(DB::open(&options, path).map_err(failed)?);
        memory.open().push(Arc::clone(&db));
        let mut unlogged_write = WriteOptions::default();
        unlogged_write.disable_wal(true);
        let mut opened = RocksStores {
            db,
            memory: memory.clone(),
            path: path.to_owned(),
            staging: Staging::default(),
            batch: WriteBatch::default(),
            meta: None,
            last_commit: 0,
            manifest: None,
            unlogged: false,
            logged_write: WriteOptions::default(),
            unlogged_write,
            read: ReadOptions::default(),
            key: Vec::new(),
            bound: Vec::new(),
            value: Vec::new(),
        };
        opened.identify(stores)?;
        opened.read_meta(found)?;
        Ok(opened)
    }

    /// How far the state is; `None` when nothing was ever committed.
    #[must_use]
    pub fn meta(&self) -> Option<&TaskMeta> {
        self.meta.as_ref()
    }

    /// The size of what is staged.
    #[must_use]
    pub fn staged_bytes(&self) -> usize {
        self.staging.bytes() + self.batch.size_in_bytes()
    }

    /// Writes what is staged, and `meta` with it, all or nothing.
    ///
    /// The write is in RocksDB's log when this returns, and so survives the death of the process. It is not forced to
    /// the disk: the changelog is what makes state durable, and if the machine dies and the end of the log with it,
    /// the state opens as it was some commits earlier, with the offsets that belong to it, and is restored from there.
    ///
    /// # Errors
    /// When RocksDB cannot write. What was staged is lost and the database takes no more writes: drop it, open it
    /// again and restore from the offsets that it then tells.
    pub fn commit(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        if self.unlogged {
            // Logged writes over a memory buffer that was never logged would be replayed over a hole after a crash.
            self.finish_load()?;
        }
        self.write(meta, true)
    }

    /// Writes what is staged, and `meta` with it, without the log: for the bulk of a restore.
    ///
    /// A crash goes back to the `meta` of an earlier load and the state that belongs to it. The first
    /// [`commit`](Self::commit) finishes the load.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn load(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        if !self.unlogged {
            self.set_option(MERGED_FILES_LOADING)?;
            self.unlogged = true;
        }
        self.write(meta, false)
    }

    /// Makes everything that was loaded survive a crash. Takes as long as one write buffer takes to be flushed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn finish_load(&mut self) -> Result<(), StateError> {
        self.db.flush().map_err(|error| failure(&self.path, "flush", error))?;
        self.set_option(MERGED_FILES)?;
        self.unlogged = false;
        Ok(())
    }

    /// Forgets what is staged.
    pub fn abort(&mut self) {
        self.staging.clear();
        self.batch.clear();
    }

    /// Stages the removal of all windows of the window store `store` that start before `start`, if any is committed.
    /// Returns whether there is one.
    ///
    /// # Errors
    /// When RocksDB cannot read.
    pub fn purge_windows_before(&mut self, store: StoreIndex, start: Timestamp) -> Result<bool, StateError> {
        let (bound, _) = layout::window_bounds(start);
        let mut any = false;
        // A range delete is not free even where it deletes nothing: every later read has to look at it.
        scan((&self.db, &self.path), store, &[], Some(&bound), &mut |_, _| {
            any = true;
            ScanStep::Stop
        })?;
        if any {
            self.delete_range(store, &[], &bound);
        }
        Ok(any)
    }

    /// What the database says about itself.
    #[must_use]
    pub fn statistics(&self) -> StoreStatistics {
        StoreStatistics::of(&self.db)
    }

    #[cfg(test)]
    fn overwrite_meta_for_test(&mut self, bytes: &[u8]) {
        full_key(RESERVED, META, &mut self.key);
        self.db.put(&self.key, bytes).expect("a test's database takes writes");
    }

    /// A range delete comes after what was staged before it and before what is staged after it.
    fn write_staging_to_batch(&mut self) {
        let batch = &mut self.batch;
        self.staging.drain(|key, value| match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        });
    }

    fn write(&mut self, meta: &TaskMeta, logged: bool) -> Result<(), StateError> {
        self.write_staging_to_batch();
        self.value.clear();
        meta.encode(&mut self.value);
        full_key(RESERVED, META, &mut self.key);
        self.batch.put(&self.key, &self.value);
        let mark = Mark { commit: self.last_commit + 1, manifest: self.manifest_length()? };
        full_key(RESERVED, &[TRAIL, mark.slot()], &mut self.key);
        self.batch.put(&self.key, mark.encode());

        let kept = WriteBatch::with_capacity_bytes(self.batch.size_in_bytes().min(BATCH_KEPT_BYTES_MAX));
        let batch = std::mem::replace(&mut self.batch, kept);
        let options = if logged { &self.logged_write } else { &self.unlogged_write };
        self.db.write_opt(batch, options).map_err(|error| failure(&self.path, "write", error))?;
        self.memory.relieve();
        self.last_commit = mark.commit;
        match &mut self.meta {
            Some(known) => known.clone_from(meta),
            none => *none = Some(meta.clone()),
        }
        Ok(())
    }

    fn set_option(&self, option: (&str, &str)) -> Result<(), StateError> {
        self.db.set_options(&[option]).map_err(|error| failure(&self.path, "configure", error))
    }

    fn manifest_length(&mut self) -> Result<ManifestLength, StateError> {
        if let Some(length) = self.manifest.as_ref().map(Manifest::length).transpose()?.flatten() {
            return Ok(length);
        }
        // The first commit, or RocksDB has started a new MANIFEST.
        let manifest = self.manifest.insert(Manifest::current(&self.path)?);
        manifest.length()?.ok_or_else(|| StateError::corrupt(&self.path, "the MANIFEST is missing"))
    }

    /// Checks that the database is of these stores, or writes down that it is.
    fn identify(&mut self, stores: &[StoreSpec]) -> Result<(), StateError> {
        let expected = identity(stores);
        match self.read_reserved(IDENTITY)? {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(match found.split_first() {
                Some((&IDENTITY_VERSION, names)) => StateError::OtherStores {
                    path: self.path.clone(),
                    found: String::from_utf8_lossy(names).into_owned(),
                    expected: String::from_utf8_lossy(expected.get(1..).unwrap_or_default()).into_owned(),
                },
                Some((&version, _)) => {
                    StateError::UnknownVersion { path: self.path.clone(), version, known: IDENTITY_VERSION }
                }
                None => StateError::corrupt(&self.path, "it does not say which stores it holds"),
            }),
            None => {
                if self.db.iterator(::rocksdb::IteratorMode::Start).next().is_some() {
                    return Err(StateError::corrupt(&self.path, "it does not say which stores it holds"));
                }
                full_key(RESERVED, IDENTITY, &mut self.key);
                self.db.put(&self.key, expected).map_err(|error| failure(&self.path, "write", error))
            }
        }
    }

    fn read_meta(&mut self, found: ManifestLength) -> Result<(), StateError> {
        let mut marks = Vec::new();
        for slot in 0..trail::MARKS {
            if let Some(bytes) = self.read_reserved(&[TRAIL, slot as u8])? {
                let mark = Mark::decode(&bytes);
                marks.push(
                    mark.ok_or_else(|| StateError::corrupt(&self.path, "the trail of commits is garbled"))?,
                );
            }
        }
        self.last_commit =
            trail::verify(&marks, found).map_err(|what| StateError::corrupt(&self.path, what))?;
        let meta = self.read_reserved(META)?.map(|bytes| TaskMeta::decode(&bytes)).transpose();
        self.meta = meta.map_err(|error| match error {
            BadMeta::UnknownVersion(version) => {
                StateError::UnknownVersion { path: self.path.clone(), version, known: TaskMeta::VERSION }
            }
            BadMeta::Damaged(error) => StateError::corrupt(&self.path, format!("how far it is: {error}")),
        })?;
        if self.meta.is_some() != (self.last_commit > 0) {
            return Err(StateError::corrupt(&self.path, "the trail of commits does not belong to the state"));
        }
        Ok(())
    }

    fn read_reserved(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        full_key(RESERVED, key, &mut self.key);
        self.db.get_opt(&self.key, &self.read).map_err(|error| failure(&self.path, "read", error))
    }
}

impl Drop for RocksStores {
    fn drop(&mut self) {
        self.memory.open().retain(|db| !Arc::ptr_eq(db, &self.db));
    }
}

impl TaskStores for RocksStores {
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        value.clear();
        full_key(store, key, &mut self.key);
        let found = self.db.get_pinned_opt(&self.key, &self.read);
        let found = found.map_err(|error| failure(&self.path, "read", error))?;
        value.extend_from_slice(found.as_deref().unwrap_or_default());
        Ok(found.is_some())
    }

    fn scan(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let mut refused = None;
        scan((&self.db, &self.path), store, from, to, &mut |key, value| match visit(key, value) {
            Ok(ControlFlow::Continue(())) => ScanStep::Next,
            Ok(ControlFlow::Break(())) => ScanStep::Stop,
            Err(error) => {
                refused = Some(error);
                ScanStep::Stop
            }
        })?;
        refused.map_or(Ok(()), Err)
    }

    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(store.0.to_be_bytes());
        options.set_iterate_upper_bound(end_of(store));
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek_to_last();
        if let Some(key) = entries.key() {
            return Ok(Some(key.get(PREFIX_BYTES..).unwrap_or_default().to_vec()));
        }
        entries.status().map_err(|error| failure(&self.path, "read", error))?;
        Ok(None)
    }

    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.staging.push([&store.0.to_be_bytes(), key], Some(value));
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.staging.push([&store.0.to_be_bytes(), key], None);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        // RocksDB refuses the whole batch for an inverted range; to a store it is empty.
        if from < to {
            self.write_staging_to_batch();
            full_key(store, from, &mut self.key);
            full_key(store, to, &mut self.bound);
            self.batch.delete_range(&self.key, &self.bound);
        }
    }
}

impl std::fmt::Debug for RocksStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStores")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

/// Which stores stand behind the indexes: a changed topology must not read one store's entries as another's.
fn identity(stores: &[StoreSpec]) -> Vec<u8> {
    let describe = |store: &StoreSpec| match store.kind {
        StoreKind::KeyValue => format!("{} (key-value)", store.name),
        StoreKind::Window(_) => format!("{} (window)", store.name),
    };
    let names: Vec<String> = stores.iter().map(describe).collect();
    [&[IDENTITY_VERSION], names.join(", ").as_bytes()].concat()
}
