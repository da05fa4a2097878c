//! The memory that all databases of the process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::rocksdb::properties;
use ::rocksdb::{Cache, DB, FlushOptions, LruCacheOptions, WriteBufferManager};

use super::super::memory::MemoryBudget;

/// The memory that all databases of the process share, and the threads that flush and compact for them.
#[derive(Clone)]
pub struct Memory {
    pub(super) budget: MemoryBudget,
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    pub(super) background_jobs: i32,
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
    pub(super) fn relieve(&self) {
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

    pub(super) fn open(&self) -> MutexGuard<'_, Vec<Arc<DB>>> {
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
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.statistics().fmt(f)
    }
}
