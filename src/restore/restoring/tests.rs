//! What a long changelog leaves behind, compared with all of it applied one by one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use riacho_topology::store::memory::MemoryStores;
use riacho_topology::store::{TaskStores, Visit};
use riacho_topology::{Headers, StoreError, TimeWindows};

use super::*;
use crate::ports::OnEntry;
use crate::state::StoreStatistics;

const TASK: TaskId = TaskId { subtopology: 0, partition: 3 };
const STORE: StoreIndex = StoreIndex(0);
const SIZE_MS: i64 = 100;
const GRACE_MS: i64 = 50;
const RECORDS_PER_POLL: usize = 10_000;

fn windows() -> TimeWindows {
    let (size, grace) = (Duration::from_millis(SIZE_MS as u64), Duration::from_millis(GRACE_MS as u64));
    TimeWindows::of_size_and_grace(size, grace).expect("a window")
}

fn partition() -> TopicPartition {
    TopicPartition::new("totals-changelog", TASK.partition)
}

/// A changelog with one partition. What is missing between the offsets reaches nobody: markers, aborted transactions.
#[derive(Default)]
struct Changelog {
    entries: BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)>,
    end: i64,
    position: i64,
    is_read: bool,
}

impl Changelog {
    fn put(&mut self, key: &[u8], start: i64, value: Option<&[u8]>) {
        let mut changelog_key = Vec::new();
        layout::window_changelog_key(key, Timestamp(start), &mut changelog_key);
        self.append(changelog_key, value.map(<[u8]>::to_vec));
    }

    fn append(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.entries.insert(self.end, (key, value));
        self.end += 1;
    }

    /// The end of a transaction: the commit record and the marker.
    fn commit(&mut self, transaction: u64, stream_time: i64) {
        let mut value = Vec::new();
        let stream_time = Timestamp(stream_time);
        CommitRecord { stream_time, transaction, inputs: Vec::new() }.encode(&mut value);
        self.append(COMMIT_KEY.to_vec(), Some(value));
        self.end += 1;
    }

    /// Everything in it, one entry after the other, without the windows that are closed at this time.
    fn applied(&self, stream_time: i64) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut applied = BTreeMap::new();
        let mut local_key = Vec::new();
        for (key, value) in self.entries.values().filter(|(key, _)| *key != COMMIT_KEY) {
            layout::to_local_key(StoreKind::Window(windows()), key, &mut local_key).expect("a key");
            match value {
                Some(value) => applied.insert(local_key.clone(), value.clone()),
                None => applied.remove(&local_key),
            };
        }
        applied.retain(|key, _| {
            let (start, _) = layout::split_window_key(key).expect("a key");
            !windows().is_closed(start, Timestamp(stream_time))
        });
        applied
    }

    /// What the state holds after a restore, and how many entries were put into it.
    fn restore(&mut self) -> (BTreeMap<Vec<u8>, Vec<u8>>, usize) {
        let puts = Arc::new(AtomicUsize::new(0));
        let mut restored = self.restore_into(InMemory { puts: Arc::clone(&puts), ..InMemory::default() });
        assert_eq!(restored.state.meta().expect("meta").changelogs, [(STORE, self.end)]);
        (contents(&mut *restored.state), puts.load(Ordering::Relaxed))
    }

    fn restore_into(&mut self, state: InMemory) -> Restored {
        let log = Log::new(partition(), StoreKind::Window(windows()), 0, self.end);
        let (state, meta) = (Box::new(state), TaskMeta::default());
        let mut restoring = Restoring::new((TASK, 1), state, meta, vec![log], Duration::ZERO, None);
        restoring.begin(self).expect("a reader");
        let mut local_key = Vec::new();
        loop {
            let mut apply = |_: &TopicPartition, entry: &Incoming<'_>| {
                restoring.apply(0, entry, &mut local_key);
            };
            self.poll(Duration::ZERO, RECORDS_PER_POLL, &mut apply).expect("a poll");
            if restoring.see(self).expect("a position") {
                return restoring.finish(Duration::ZERO).expect("a state");
            }
        }
    }
}

impl ChangelogReader for Changelog {
    fn bounds(&mut self, _: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        Ok(vec![(0, self.end)])
    }

    fn add(&mut self, _: &TopicPartition, from: i64) -> Result<(), ClientError> {
        assert!(!self.is_read, "it is read already");
        (self.is_read, self.position) = (true, from);
        Ok(())
    }

    fn remove(&mut self, _: &TopicPartition) -> Result<(), ClientError> {
        assert!(self.is_read, "it is not read");
        self.is_read = false;
        Ok(())
    }

    fn seek(&mut self, _: &TopicPartition, from: i64) -> Result<(), ClientError> {
        assert!(self.is_read, "it is not read");
        self.position = from;
        Ok(())
    }

    fn poll(
        &mut self,
        _: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<(), ClientError> {
        let mut rest = self.entries.range(self.position..);
        for (&offset, (key, value)) in rest.by_ref().take(records_max) {
            let entry = Incoming {
                topic: "totals-changelog",
                partition: TASK.partition,
                offset,
                timestamp: Timestamp(0),
                key: Some(key),
                value: value.as_deref(),
                headers: &Headers::EMPTY,
            };
            on_entry(&partition(), &entry);
            self.position = offset + 1;
        }
        if rest.next().is_none() {
            self.position = self.end;
        }
        Ok(())
    }

    fn position(&mut self, _: &TopicPartition) -> Result<i64, ClientError> {
        assert!(self.is_read, "it is not read");
        Ok(self.position)
    }
}

/// State that counts what is written to it.
#[derive(Default)]
struct InMemory {
    stores: MemoryStores,
    meta: TaskMeta,
    puts: Arc<AtomicUsize>,
}

impl TaskStores for InMemory {
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.stores.get(store, key, value)
    }

    fn scan(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.stores.scan(store, from, to, visit)
    }

    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        self.stores.last_key(store)
    }

    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.stores.put(store, key, value);
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.stores.delete(store, key);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.stores.delete_range(store, from, to);
    }
}

impl TaskState for InMemory {
    fn meta(&self) -> Option<&TaskMeta> {
        Some(&self.meta)
    }

    fn commit(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        self.load(meta)
    }

    fn load(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        self.stores.commit();
        self.meta = meta.clone();
        Ok(())
    }

    fn finish_load(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn abort(&mut self) {
        self.stores.abort();
    }

    fn purge_windows_before(&mut self, store: StoreIndex, start: Timestamp) -> Result<bool, StateError> {
        let (bound, _) = layout::window_bounds(start);
        self.stores.delete_range(store, &[], &bound);
        Ok(true)
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }
}

fn contents(state: &mut dyn TaskState) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        contents.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    state.scan(STORE, &[], None, &mut visit).expect("a scan");
    contents
}

/// A long changelog in which a window follows the other, and the stream time at its end.
fn long(transactions: u64, aborted_at_the_end: i64) -> (Changelog, i64) {
    const ENTRIES_PER_TRANSACTION: i64 = 500;
    let (mut changelog, mut stream_time) = (Changelog::default(), 0);
    for transaction in 1..=transactions {
        for entry in 0..ENTRIES_PER_TRANSACTION {
            stream_time += entry % 2;
            let start = (stream_time - entry % GRACE_MS).max(0) / SIZE_MS * SIZE_MS;
            let value = [transaction.to_be_bytes(), entry.to_be_bytes()].concat();
            let is_delete = entry % 17 == 0;
            changelog.put(&[(entry % 7) as u8], start, (!is_delete).then_some(&value));
        }
        changelog.commit(transaction, stream_time);
    }
    changelog.end += aborted_at_the_end;
    (changelog, stream_time)
}

#[test]
fn windows_that_are_closed_at_the_end_of_a_long_changelog_are_never_written() {
    let (mut changelog, stream_time) = long(100, 0);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = changelog.restore();
    assert_eq!(restored, expected);
    assert!(!expected.is_empty());
    // At most 150 ms of stream time are open, and a transaction moves it by 250 ms.
    assert!(puts <= 500, "{puts} entries of 50,000 were written");
}

#[test]
fn a_short_changelog_is_read_only_once() {
    let (mut changelog, stream_time) = long(10, 0);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = changelog.restore();
    assert_eq!(restored, expected);
    assert!(puts > 4_000, "{puts} entries of 5,000 were written");
}

#[test]
fn without_a_commit_in_sight_everything_is_restored() {
    let (mut changelog, stream_time) = long(100, 2 * LOOKED_AT);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = changelog.restore();
    assert_eq!(restored, expected);
    assert!(puts > 40_000, "{puts} entries of 50,000 were written");
}

#[test]
fn commits_out_of_order_leave_out_nothing_that_is_open() {
    let (mut changelog, stream_time) = long(100, 0);
    // The last word has the highest number, far from the end and with an earlier time.
    let mut earlier = Changelog::default();
    earlier.commit(1_000, stream_time - 5 * SIZE_MS);
    earlier.end = changelog.end;
    for (offset, entry) in std::mem::take(&mut changelog.entries) {
        earlier.entries.entry(offset).or_insert(entry);
    }
    let expected = earlier.applied(stream_time - 5 * SIZE_MS);
    let (restored, _) = earlier.restore();
    assert_eq!(restored, expected);
    assert!(expected.len() > 7, "windows are open that the end calls closed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_restore_equals_the_changelog_applied_without_its_closed_windows(
        transactions in 75..130_u64, aborted in 0..3 * LOOKED_AT
    ) {
        let (mut changelog, stream_time) = long(transactions, aborted);
        let expected = changelog.applied(stream_time);
        prop_assert_eq!(changelog.restore().0, expected);
    }
}
