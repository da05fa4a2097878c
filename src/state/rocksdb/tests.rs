//! Promises of the stores on disk: the store contract, readers beside the owner, foreign hands, memory.

mod crashes;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use riacho_topology::store::contract::{self, CommittableStores};
use riacho_topology::store::layout::{self, CommitRecord};
use riacho_topology::store::{StoreKind, StoreSpec, TaskStores, Visit};
use riacho_topology::{StoreError, StoreIndex, TimeWindows, Timestamp, TopicPartition};
use tempfile::TempDir;

use super::super::{MemoryBudget, WipeReason};
use super::{Memory, RocksStores, StateError, TaskMeta};
use crate::ports::{ReadError, ScanStep, StateReader as _};

const MIB: usize = 1024 * 1024;
const A: StoreIndex = StoreIndex(0);
const B: StoreIndex = StoreIndex(1);

fn specs() -> Vec<StoreSpec> {
    let windows = TimeWindows::of_size_with_no_grace(Duration::from_secs(60)).unwrap();
    [("a", StoreKind::KeyValue), ("b", StoreKind::Window(windows)), ("c", StoreKind::KeyValue)]
        .map(|(name, kind)| StoreSpec { name: name.to_owned(), kind })
        .to_vec()
}

fn memory(total_bytes: usize) -> Memory {
    Memory::new(MemoryBudget::of_bytes(total_bytes), 2)
}

fn open(path: &Path) -> Result<RocksStores, StateError> {
    RocksStores::open(path, &specs(), &memory(16 * MIB))
}

fn meta(transaction: u64) -> TaskMeta {
    TaskMeta {
        changelogs: vec![(A, transaction as i64 * 10), (B, 7)],
        commit: CommitRecord {
            stream_time: Timestamp(1_700_000_000_000 + transaction as i64),
            transaction,
            inputs: vec![(TopicPartition::new("in", 3), transaction as i64 * 100)],
        },
    }
}

fn read(stores: &mut RocksStores, store: StoreIndex, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    stores.get(store, key, &mut value).unwrap().then_some(value)
}

#[test]
fn others_read_what_is_committed_for_as_long_as_the_stores_are_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = open(directory.path()).unwrap();
    let reader = stores.reader();
    let all = |from: &[u8], to: Option<&[u8]>| {
        let mut keys = Vec::new();
        reader.scan(A, from, to, &mut |key, _| {
            keys.push(key.to_vec());
            if keys.len() < 3 { ScanStep::Next } else { ScanStep::Stop }
        })?;
        Ok::<_, ReadError>(keys)
    };
    for key in [b"a", b"b", b"c", b"d"] {
        stores.put(A, key, b"1");
        stores.put(B, key, b"2");
    }
    assert_eq!(reader.get(A, b"a").unwrap(), None, "it was staged only");
    assert!(all(b"", None).unwrap().is_empty(), "it was staged only");
    stores.commit(&meta(1)).unwrap();
    stores.put(A, b"a", b"9");
    assert_eq!(reader.get(A, b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(all(b"c", None).unwrap(), [b"c", b"d"], "not beyond the store");
    assert_eq!(all(b"b", Some(b"d")).unwrap(), [b"b", b"c"]);
    assert_eq!(all(b"", None).unwrap().len(), 3, "it was told to stop");
    assert!(all(b"d", Some(b"a")).unwrap().is_empty());
    stores.abort();
    assert_eq!(reader.get(A, b"a").unwrap().as_deref(), Some(b"1".as_slice()));

    assert!(reader.is_open());
    drop(stores);
    assert!(!reader.is_open());
    assert!(matches!(reader.get(A, b"a"), Err(ReadError::Closed)));
    assert!(matches!(all(b"", None), Err(ReadError::Closed)));
    open(directory.path()).expect("a reader does not keep the database open");
}

#[test]
fn a_scan_sees_one_commit_also_where_it_jumps() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = open(directory.path()).unwrap();
    let reader = stores.reader();
    for key in [b"a", b"b", b"c", b"d"] {
        stores.put(A, key, b"1");
    }
    stores.commit(&meta(1)).unwrap();
    let mut seen = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        seen.push((key.to_vec(), value.to_vec()));
        if seen.len() == 1 {
            stores.put(A, b"c", b"2");
            stores.delete(A, b"d");
            stores.commit(&meta(2)).unwrap();
            return ScanStep::Seek(b"bb".to_vec());
        }
        ScanStep::Next
    };
    reader.scan(A, b"", None, visit).unwrap();
    assert_eq!(seen, [b"a", b"c", b"d"].map(|key| (key.to_vec(), b"1".to_vec())));
    assert_eq!(reader.get(A, b"c").unwrap().as_deref(), Some(b"2".as_slice()));
}

type Entries = BTreeMap<(StoreIndex, Vec<u8>), Vec<u8>>;

fn all_entries(stores: &mut RocksStores) -> Result<Entries, StoreError> {
    let mut found = Entries::new();
    for store in [A, B, StoreIndex(2)] {
        stores.scan(store, b"", None, &mut |key, value| {
            found.insert((store, key.to_vec()), value.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(found)
}

/// The directory as a crash at this moment would leave it. Nothing may be written meanwhile.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Stores in a directory of their own that commit without a caller who counts.
struct InTempDir {
    stores: RocksStores,
    transaction: u64,
    _dir: TempDir,
}

impl InTempDir {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        InTempDir { stores: open(dir.path()).unwrap(), transaction: 0, _dir: dir }
    }
}

impl TaskStores for InTempDir {
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.stores.get(store, key, value)
    }

    fn scan(
        &mut self,
        s: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.stores.scan(s, from, to, visit)
    }

    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        self.stores.last_key(store)
    }

    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.stores.put(store, key, value);
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.stores.delete(store, key);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.stores.delete_range(store, from, to);
    }
}

impl CommittableStores for InTempDir {
    fn commit(&mut self) -> Result<(), StoreError> {
        self.transaction += 1;
        Ok(self.stores.commit(&meta(self.transaction))?)
    }

    fn abort(&mut self) {
        self.stores.abort();
    }
}

#[test]
fn rocks_stores_keep_the_contract() {
    contract::run(&mut || Box::new(InTempDir::new()));
}

#[test]
fn stores_can_be_handed_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<RocksStores>();
    is_send::<Memory>();
}

#[test]
fn a_new_store_tells_that_nothing_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(open(dir.path()).unwrap().meta(), None);
    assert_eq!(open(dir.path()).unwrap().meta(), None);
}

#[test]
fn what_was_committed_comes_back_with_its_offsets_and_what_was_staged_does_not() {
    let dir = tempfile::tempdir().unwrap();
    for crash in [false, true] {
        let path = dir.path().join(crash.to_string());
        let mut stores = open(&path).unwrap();
        stores.put(A, b"ana", b"1");
        stores.commit(&meta(1)).unwrap();
        stores.put(A, b"ana", b"2");
        stores.delete(A, b"bia");
        stores.commit(&meta(2)).unwrap();
        stores.put(A, b"ana", b"3");
        assert_eq!(stores.meta(), Some(&meta(2)));
        let path = if crash {
            copy(&path, &dir.path().join("crashed"));
            dir.path().join("crashed")
        } else {
            drop(stores);
            path
        };
        let mut stores = open(&path).unwrap();
        assert_eq!(stores.meta(), Some(&meta(2)));
        assert_eq!(read(&mut stores, A, b"ana").as_deref(), Some(b"2".as_slice()));
        stores.put(A, b"caio", b"4");
        stores.commit(&meta(3)).unwrap();
        drop(stores);
        assert_eq!(open(&path).unwrap().meta(), Some(&meta(3)));
    }
}

#[test]
fn the_first_commit_after_a_restore_keeps_all_of_it() {
    for finish in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stores");
        let mut stores = open(&path).unwrap();
        stores.put(A, b"ana", b"restored");
        stores.load(&meta(1)).unwrap();
        if finish {
            stores.finish_load().unwrap();
        }
        stores.put(A, b"bia", b"processed");
        stores.commit(&meta(2)).unwrap();
        copy(&path, &dir.path().join("crashed"));
        let mut stores = open(&dir.path().join("crashed")).unwrap();
        assert_eq!(stores.meta(), Some(&meta(2)));
        assert_eq!(all_entries(&mut stores).unwrap().len(), 2);
    }
}

#[test]
fn windows_before_a_start_are_purged_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut stores = open(dir.path()).unwrap();
    let mut key = Vec::new();
    for start in [0, 60_000, 120_000] {
        layout::window_key(Timestamp(start), b"ana", &mut key);
        stores.put(B, &key, b"1");
        stores.put(A, &key, b"1");
    }
    stores.commit(&meta(1)).unwrap();
    assert!(stores.purge_windows_before(B, Timestamp(120_000)).unwrap());
    stores.commit(&meta(2)).unwrap();
    let left = all_entries(&mut stores).unwrap();
    assert_eq!(left.keys().filter(|(store, _)| *store == B).collect::<Vec<_>>(), [&(B, key)]);
    assert_eq!(left.len(), 4);
    assert!(!stores.purge_windows_before(B, Timestamp(120_000)).unwrap());
    let staged = stores.staged_bytes();
    stores.abort();
    assert_eq!(stores.staged_bytes(), staged, "nothing was staged");
}

#[test]
fn stores_of_another_topology_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let mut others = specs();
    others.swap(0, 2);
    let error = RocksStores::open(dir.path(), &others, &memory(16 * MIB)).unwrap_err();
    assert_eq!(error.wipe_reason(), Some(WipeReason::OtherStores));
    assert!(error.to_string().contains("a (key-value), b (window), c (key-value)"), "{error}");
}

#[test]
fn a_meta_of_a_newer_riacho_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut stores = open(dir.path()).unwrap();
    stores.commit(&meta(1)).unwrap();
    stores.overwrite_meta_for_test(&[9, 1, 2, 3]);
    drop(stores);
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::UnknownVersion { version: 9, known: 1, .. }), "{error}");
    assert_eq!(error.wipe_reason(), None);
}

#[test]
fn a_second_opener_is_told_that_the_stores_are_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let _open = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::Locked { .. }), "{error}");
}

#[test]
fn a_path_that_cannot_be_a_directory_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = open(&dir.path().join("file/stores")).unwrap_err();
    assert!(matches!(error, StateError::Io { .. }), "{error}");
}

#[test]
fn a_hundred_databases_stay_within_one_budget() {
    const BUDGET: usize = 32 * MIB;
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(BUDGET);
    let mut tasks: Vec<RocksStores> = (0..100)
        .map(|task| RocksStores::open(&dir.path().join(task.to_string()), &specs(), &memory).unwrap())
        .collect();
    let mut peak = 0;
    for round in 1..=30_u64 {
        for (task, stores) in tasks.iter_mut().enumerate() {
            for n in 0..100_u64 {
                let key = (round * 7919 + n * 104_729 + task as u64).to_be_bytes();
                stores.put(A, &key, &[round as u8; 200]);
            }
            stores.commit(&meta(round)).unwrap();
            read(stores, A, &round.to_be_bytes());
        }
        peak = peak.max(memory.statistics().block_cache_bytes);
        let buffers = memory.statistics().write_buffers_bytes;
        assert!(buffers <= BUDGET / 2 + BUDGET / 8, "round {round}: {buffers} bytes of write buffers");
    }
    assert!(peak <= BUDGET + BUDGET / 16, "{peak} bytes in the cache and the write buffers charged to it");
    assert!(peak > BUDGET / 8, "the budget is used: {peak}");
    for stores in &mut tasks {
        assert_eq!(stores.meta(), Some(&meta(30)));
        assert_eq!(stores.statistics().background_errors, 0);
    }
}

#[test]
fn statistics_tell_memory_disk_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(16 * MIB);
    let mut stores = RocksStores::open(dir.path(), &specs(), &memory).unwrap();
    for n in 0..1_000_u64 {
        stores.put(A, &n.to_be_bytes(), &[1; 100]);
    }
    stores.load(&meta(1)).unwrap();
    assert!(stores.statistics().memtable_bytes > 100_000);
    assert!(memory.statistics().write_buffers_bytes > 100_000);
    assert_eq!(stores.statistics().sst_bytes, 0);
    stores.finish_load().unwrap();
    read(&mut stores, A, &7_u64.to_be_bytes());
    let statistics = stores.statistics();
    assert!(statistics.sst_bytes > 1_000, "{statistics:?}");
    assert!((1_000..1_100).contains(&statistics.keys_estimate), "{statistics:?}");
    assert!(!statistics.write_stopped && statistics.background_errors == 0, "{statistics:?}");
    assert!(memory.statistics().block_cache_bytes > 0);
}
