//! What a task's database says about itself.

use ::rocksdb::DB;
use ::rocksdb::properties::{self, PropName};

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

impl StoreStatistics {
    pub(super) fn of(db: &DB) -> StoreStatistics {
        // A property that RocksDB does not know would be a bug of this file, not a reason to stop a task.
        let number = |name: &PropName| db.property_int_value(name).ok().flatten().unwrap_or_default();
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
}
