//! What is told of a state store.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::families::{Series, growth, number};
use super::metrics::Families;

/// What RocksDB tells of a store. Counts are since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RocksDbStatistics {
    /// Memory in memtables.
    pub memtable_bytes: u64,
    /// Size of the SST files.
    pub sst_bytes: u64,
    /// About how much is left to compact.
    pub pending_compaction_bytes: u64,
    /// About how many entries there are.
    pub entries: u64,
    /// Errors in flushes and compactions.
    pub background_errors: u64,
}

/// The metrics of one store of one task, until the handle is dropped.
pub struct StoreMetrics {
    entries: Series<IntGaugeVec>,
    memtable: Series<IntGaugeVec>,
    sst: Series<IntGaugeVec>,
    pending: Series<IntGaugeVec>,
    errors: Series<IntCounterVec>,
    last_errors: u64,
}

impl StoreMetrics {
    pub(super) fn new(all: &Families, labels: [&str; 3]) -> Self {
        StoreMetrics {
            entries: all.store_entries.owned(labels),
            memtable: all.rocksdb_memtable.owned(labels),
            sst: all.rocksdb_sst.owned(labels),
            pending: all.rocksdb_pending.owned(labels),
            errors: all.rocksdb_errors.owned(labels),
            last_errors: 0,
        }
    }

    /// What RocksDB tells now. Asking RocksDB costs: once in some seconds is enough.
    pub fn rocksdb(&mut self, now: &RocksDbStatistics) {
        self.entries.set(number(now.entries));
        self.memtable.set(number(now.memtable_bytes));
        self.sst.set(number(now.sst_bytes));
        self.pending.set(number(now.pending_compaction_bytes));
        self.errors.inc_by(growth(self.last_errors, now.background_errors));
        self.last_errors = now.background_errors;
    }
}
