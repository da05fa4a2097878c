//! How a task's database is set up.

use ::rocksdb::{BlockBasedOptions, DBCompressionType, DBRecoveryMode, LogLevel, Options};

use super::memory::Memory;
use super::{KIB, MIB};

/// How many files of flushed write buffers are merged at a time: few, so that reads have few files to ask...
pub(super) const MERGED_FILES: (&str, &str) = ("level0_file_num_compaction_trigger", "4");
/// ...and while a restore writes and nobody reads, many: each merge rewrites a good part of what is there.
pub(super) const MERGED_FILES_LOADING: (&str, &str) = ("level0_file_num_compaction_trigger", "24");

pub(super) fn options(memory: &Memory) -> Result<Options, ::rocksdb::Error> {
    // Each log names its predecessor, and a gap between them is corruption. There is no setter for it.
    let mut options = Options::default().get_options_from_string("track_and_verify_wals=true")?;
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    // What a power failure tears off the end of the log is read from the changelog again.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);

    options.set_write_buffer_manager(&memory.write_buffers);
    options.set_write_buffer_size(memory.budget.write_buffer_bytes());
    options.set_arena_block_size(memory.budget.arena_block_bytes());
    options.set_max_write_buffer_number(2);
    options.set_max_total_wal_size(2 * memory.budget.write_buffer_bytes() as u64);
    // Each open log and table being written has such a buffer, outside of the budget.
    options.set_writable_file_max_buffer_size(128 * KIB as u64);
    options.set_manifest_preallocation_size(64 * KIB);

    options.set_max_open_files(64);
    options.set_table_cache_num_shard_bits(2);
    options.set_max_file_opening_threads(1);
    options.set_skip_stats_update_on_db_open(true);
    options.set_max_background_jobs(memory.background_jobs);
    options.set_bytes_per_sync(MIB as u64);

    options.set_compression_type(DBCompressionType::Lz4);
    options.set_target_file_size_base(16 * MIB as u64);
    // The end of a restore leaves more files than these limits usually allow.
    options.set_level_zero_slowdown_writes_trigger(64);
    options.set_level_zero_stop_writes_trigger(96);
    options.set_max_bytes_for_level_base(8 * memory.budget.write_buffer_bytes() as u64);
    options.set_block_based_table_factory(&tables(memory));

    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(1);
    options.set_max_log_file_size(MIB);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok(options)
}

fn tables(memory: &Memory) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&memory.cache);
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
