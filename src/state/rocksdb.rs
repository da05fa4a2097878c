//! The stores of a task in one RocksDB: the only file that names RocksDB.
//!
//! A key is the store's index (2 bytes, big-endian) and then the store's own key, so that a store is one range. The
//! last index is not a store's: under it stand, one byte further, [`META`], [`IDENTITY`] and the [`TRAIL`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::rocksdb::properties::{self, PropName};
use ::rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, ErrorKind, FlushOptions, LogLevel,
    LruCacheOptions, Options, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};
use riacho_topology::store::layout;
use riacho_topology::store::{StoreKind, StoreSpec, TaskStores, Visit};
use riacho_topology::{StoreError, StoreIndex, Timestamp};

use super::error::{StateError, advice};
use super::files::{self, Manifest};
use super::memory::MemoryBudget;
use super::meta::{BadMeta, TaskMeta};
use super::staging::Staging;
use super::trail::{self, ManifestLength, Mark};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const RESERVED: StoreIndex = StoreIndex(u16::MAX);
const META: &[u8] = b"m";
const IDENTITY: &[u8] = b"i";
const TRAIL: u8 = b't';

/// The layout of everything in the database that is not [`TaskMeta`]'s.
const IDENTITY_VERSION: u8 = 1;

/// How many files of flushed write buffers are merged at a time: few, so that reads have few files to ask...
const MERGED_FILES: (&str, &str) = ("level0_file_num_compaction_trigger", "4");
/// ...and while a restore writes and nobody reads, many: each merge rewrites a good part of what is there.
const MERGED_FILES_LOADING: (&str, &str) = ("level0_file_num_compaction_trigger", "24");

/// No batch is kept larger than this from one commit to the next.
const BATCH_KEPT_BYTES_MAX: usize = 4 * MIB;

/// The memory that all databases of the process share, and the threads that flush and compact for them.
#[derive(Clone)]
pub struct Memory {
    budget: MemoryBudget,
    cache: Cache,
    write_buffers: WriteBufferManager,
    background_jobs: i32,
    /// The open databases. One that is flushed on behalf of the others is flushed under the lock, so that it cannot
    /// be kept open by it after its owner has closed it.
    open: Arc<Mutex<Vec<Arc<DB>>>>,
}

/// How much of the shared memory is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStatistics {
    /// The budget.
    pub budget_bytes: usize,
    /// The block cache, with the write buffers that are charged to it.
    pub block_cache_bytes: usize,
    /// The part of the block cache that cannot be evicted now.
    pub pinned_bytes: usize,
    /// The write buffers.
    pub write_buffers_bytes: usize,
}

impl Memory {
    /// Memory within `budget`, and at most `background_jobs` flushes and compactions at a time.
    #[must_use]
    pub fn new(budget: MemoryBudget, background_jobs: u8) -> Self {
        let mut options = LruCacheOptions::default();
        options.set_capacity(budget.total_bytes());
        // Few threads read; few shards keep a shard larger than the largest filter block.
        options.set_num_shard_bits(2);
        let cache = Cache::new_lru_cache_opts(&options);
        // RocksDB's own ways to keep the limit are of no use to many databases under one thread: it flushes whichever
        // is written next, however little that frees, or stalls its writer for ever while the memory is held by
        // databases that only flush when they are written. So it only counts; `relieve` keeps the limit.
        let (backstop, allow_stall) = (budget.write_buffers_bytes() * 2, false);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(backstop, allow_stall, cache.clone());
        let background_jobs = i32::from(background_jobs.max(1));
        Memory { budget, cache, write_buffers, background_jobs, open: Arc::default() }
    }

    /// Flushes the largest write buffer when all together are larger than they may be; waits for it when they are
    /// larger by a quarter.
    fn relieve(&self) {
        let limit = self.budget.write_buffers_bytes();
        let used = self.write_buffers.get_usage();
        if used <= limit {
            return;
        }
        let open = self.open();
        let active = |db: &DB| {
            db.property_int_value(properties::CUR_SIZE_ACTIVE_MEM_TABLE).ok().flatten().unwrap_or(0)
        };
        let sizes: Vec<u64> = open.iter().map(|db| active(db)).collect();
        let Some((_, largest)) = sizes.iter().zip(open.iter()).max_by_key(|(size, _)| **size) else { return };
        let pressing = used > limit + limit / 4;
        // Otherwise enough is being flushed already.
        if pressing || sizes.iter().sum::<u64>() > limit as u64 / 2 {
            let mut options = FlushOptions::default();
            options.set_wait(pressing);
            // A failure is not this task's: the owner of the database meets it with its next write.
            let _ = largest.flush_opt(&options);
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<DB>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is in use.
    #[must_use]
    pub fn statistics(&self) -> MemoryStatistics {
        MemoryStatistics {
            budget_bytes: self.budget.total_bytes(),
            block_cache_bytes: self.cache.get_usage(),
            pinned_bytes: self.cache.get_pinned_usage(),
            write_buffers_bytes: self.write_buffers.get_usage(),
        }
    }

    fn options(&self) -> Result<Options, ::rocksdb::Error> {
        // Each log names its predecessor, and a gap between them is corruption. There is no setter for it.
        let mut options = Options::default().get_options_from_string("track_and_verify_wals=true")?;
        options.create_if_missing(true);
        options.set_paranoid_checks(true);
        // What a power failure tears off the end of the log is read from the changelog again.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);

        options.set_write_buffer_manager(&self.write_buffers);
        options.set_write_buffer_size(self.budget.write_buffer_bytes());
        options.set_arena_block_size(self.budget.arena_block_bytes());
        options.set_max_write_buffer_number(2);
        options.set_max_total_wal_size(2 * self.budget.write_buffer_bytes() as u64);
        // Each open log and table being written has such a buffer, outside of the budget.
        options.set_writable_file_max_buffer_size(128 * KIB as u64);
        options.set_manifest_preallocation_size(64 * KIB);

        options.set_max_open_files(64);
        options.set_table_cache_num_shard_bits(2);
        options.set_max_file_opening_threads(1);
        options.set_skip_stats_update_on_db_open(true);
        options.set_max_background_jobs(self.background_jobs);
        options.set_bytes_per_sync(MIB as u64);

        options.set_compression_type(DBCompressionType::Lz4);
        options.set_target_file_size_base(16 * MIB as u64);
        // The end of a restore leaves more files than these limits usually allow.
        options.set_level_zero_slowdown_writes_trigger(64);
        options.set_level_zero_stop_writes_trigger(96);
        options.set_max_bytes_for_level_base(8 * self.budget.write_buffer_bytes() as u64);
        options.set_block_based_table_factory(&self.tables());

        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(1);
        options.set_max_log_file_size(MIB);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        Ok(options)
    }

    fn tables(&self) -> BlockBasedOptions {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&self.cache);
        tables.set_block_size(8 * KIB);
        // Index and filters in the cache are within the budget; those of the newest files, which every lookup asks,
        // stay there.
        tables.set_cache_index_and_filter_blocks(true);
        tables.set_cache_index_and_filter_blocks_with_high_priority(true);
        tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // A key that is new in its window is looked up before it is first written: absent keys must be cheap.
        tables.set_bloom_filter(10.0, false);
        tables.set_optimize_filters_for_memory(true);
        tables
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.statistics().fmt(f)
    }
}

/// What a task's database says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Roughly how many entries there are.
    pub keys_estimate: u64,
    /// Write buffers, those being flushed included.
    pub memtable_bytes: u64,
    /// All table files on disk.
    pub sst_bytes: u64,
    /// Memory of open tables outside of the block cache.
    pub table_readers_bytes: u64,
    /// Roughly how much a compaction would have to rewrite to reach the intended shape.
    pub pending_compaction_bytes: u64,
    /// Compactions at work.
    pub running_compactions: u64,
    /// Flushes at work.
    pub running_flushes: u64,
    /// Whether writes wait until a flush or compaction has finished.
    pub write_stopped: bool,
    /// The rate to which writes are slowed down; 0 when they are not.
    pub delayed_write_bytes_per_second: u64,
    /// Flushes and compactions that failed. After one the task has to be closed and opened again.
    pub background_errors: u64,
}

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
        let options = memory.options().map_err(failed)?;
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
        self.visit(store, &[], Some(&bound), &mut |_, _| {
            any = true;
            Ok(std::ops::ControlFlow::Break(()))
        })
        .map_err(|failure| match failure {
            ScanFailure::State(error) => error,
            ScanFailure::Visitor(error) => StateError::corrupt(&self.path, error.to_string()),
        })?;
        if any {
            self.delete_range(store, &[], &bound);
        }
        Ok(any)
    }

    /// What the database says about itself.
    #[must_use]
    pub fn statistics(&self) -> StoreStatistics {
        // A property that RocksDB does not know would be a bug of this file, not a reason to stop a task.
        let number = |name: &PropName| self.db.property_int_value(name).ok().flatten().unwrap_or_default();
        StoreStatistics {
            keys_estimate: number(properties::ESTIMATE_NUM_KEYS),
            memtable_bytes: number(properties::SIZE_ALL_MEM_TABLES),
            sst_bytes: number(properties::TOTAL_SST_FILES_SIZE),
            table_readers_bytes: number(properties::ESTIMATE_TABLE_READERS_MEM),
            pending_compaction_bytes: number(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            running_compactions: number(properties::NUM_RUNNING_COMPACTIONS),
            running_flushes: number(properties::NUM_RUNNING_FLUSHES),
            write_stopped: number(properties::IS_WRITE_STOPPED) != 0,
            delayed_write_bytes_per_second: number(properties::ACTUAL_DELAYED_WRITE_RATE),
            background_errors: number(properties::BACKGROUND_ERRORS),
        }
    }

    #[cfg(test)]
    pub(super) fn overwrite_meta_for_test(&mut self, bytes: &[u8]) {
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

    fn visit(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ScanFailure> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(match to {
            Some(to) => [&store.0.to_be_bytes(), to].concat(),
            None => end_of(store),
        });
        full_key(store, from, &mut self.key);
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek(&self.key);
        while let Some((key, value)) = entries.item() {
            let key = key.get(PREFIX_BYTES..).unwrap_or_default();
            if visit(key, value).map_err(ScanFailure::Visitor)?.is_break() {
                return Ok(());
            }
            entries.next();
        }
        entries.status().map_err(|error| ScanFailure::State(failure(&self.path, "read", error)))
    }
}

impl Drop for RocksStores {
    fn drop(&mut self) {
        self.memory.open().retain(|db| !Arc::ptr_eq(db, &self.db));
    }
}

enum ScanFailure {
    State(StateError),
    Visitor(StoreError),
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
        self.visit(store, from, to, visit).map_err(|failure| match failure {
            ScanFailure::State(error) => error.into(),
            ScanFailure::Visitor(error) => error,
        })
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

const PREFIX_BYTES: usize = size_of::<u16>();

fn full_key(store: StoreIndex, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&store.0.to_be_bytes());
    out.extend_from_slice(key);
}

/// The upper bound, exclusive, of all keys of `store`.
fn end_of(store: StoreIndex) -> Vec<u8> {
    debug_assert!(store < RESERVED, "the last index is not a store's");
    store.0.saturating_add(1).to_be_bytes().to_vec()
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

/// What follows from what RocksDB says.
fn failure(path: &Path, action: &'static str, error: ::rocksdb::Error) -> StateError {
    let message = error.to_string();
    let locked = message.contains("While lock file") || message.contains("lock hold by current process");
    match error.kind() {
        ErrorKind::IOError if locked => StateError::Locked { path: path.to_owned() },
        // A file that RocksDB counts on is gone.
        ErrorKind::IOError if message.contains("No such file or directory") => {
            StateError::corrupt(path, message)
        }
        ErrorKind::Corruption | ErrorKind::InvalidArgument => StateError::corrupt(path, message),
        _ => StateError::Io {
            action,
            path: path.to_owned(),
            advice: advice::of_text(&message),
            source: Box::new(error),
        },
    }
}
