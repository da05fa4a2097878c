//! What is told of a state store.

use std::time::Duration;

use prometheus::{CounterVec, IntCounterVec, IntGaugeVec};

use super::families::{Series, growth, growth_of, number};
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
    /// How long writes have waited for compactions.
    pub write_stall: Duration,
    /// Errors in flushes and compactions.
    pub background_errors: u64,
}

/// The metrics of one store of one task, until the handle is dropped.
pub struct StoreMetrics {
    entries: Series<IntGaugeVec>,
    iterators: Series<IntGaugeVec>,
    restore_remaining: Series<IntGaugeVec>,
    memtable: Series<IntGaugeVec>,
    sst: Series<IntGaugeVec>,
    pending: Series<IntGaugeVec>,
    stall: Series<CounterVec>,
    errors: Series<IntCounterVec>,
    last: RocksDbStatistics,
}

impl StoreMetrics {
    pub(super) fn new(all: &Families, labels: [&str; 3]) -> Self {
        StoreMetrics {
            entries: all.store_entries.owned(labels),
            iterators: all.store_iterators.owned(labels),
            restore_remaining: all.restore_remaining.owned(labels),
            memtable: all.rocksdb_memtable.owned(labels),
            sst: all.rocksdb_sst.owned(labels),
            pending: all.rocksdb_pending.owned(labels),
            stall: all.rocksdb_stall.owned(labels),
            errors: all.rocksdb_errors.owned(labels),
            last: RocksDbStatistics::default(),
        }
    }

    /// How many records are left to restore; 0 once the store is restored.
    pub fn restore_remaining(&self, records: u64) {
        self.restore_remaining.set(number(records));
    }

    /// How many iterators are open.
    pub fn open_iterators(&self, iterators: u64) {
        self.iterators.set(number(iterators));
    }

    /// What RocksDB tells now. Asking RocksDB costs: once in some seconds is enough.
    pub fn rocksdb(&mut self, now: &RocksDbStatistics) {
        self.entries.set(number(now.entries));
        self.memtable.set(number(now.memtable_bytes));
        self.sst.set(number(now.sst_bytes));
        self.pending.set(number(now.pending_compaction_bytes));
        self.stall.inc_by(growth_of(self.last.write_stall, now.write_stall));
        self.errors.inc_by(growth(self.last.background_errors, now.background_errors));
        self.last = *now;
    }
}
