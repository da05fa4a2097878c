//! What a long changelog leaves behind, compared with all of it applied one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::prelude::*;
use riacho_topology::store::memory::MemoryStores;
use riacho_topology::store::{TaskStores, Visit};
use riacho_topology::{Headers, StoreError, TimeWindows};

use super::*;
use crate::ports::OnEntry;
use crate::state::StoreStatistics;

const TASK: TaskId = TaskId { subtopology: 0, partition: 3 };
const STORE: StoreIndex = StoreIndex(0);
const WINDOWS: &str = "totals-changelog";
const PROFILES: &str = "profiles-changelog";
const SIZE_MS: i64 = 100;
const GRACE_MS: i64 = 50;
const RECORDS_PER_POLL: usize = 10_000;

fn windows() -> TimeWindows {
    let (size, grace) = (Duration::from_millis(SIZE_MS as u64), Duration::from_millis(GRACE_MS as u64));
    TimeWindows::of_size_and_grace(size, grace).expect("a window")
}

fn of_task(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, TASK.partition)
}

/// A changelog with one partition. What is missing between the offsets reaches nobody: markers, aborted transactions.
#[derive(Default)]
struct Changelog {
    entries: BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)>,
    end: i64,
    /// Where a transaction is still open, if there is one: the reader waits there.
    open_at: Option<i64>,
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

    fn poll(&mut self, topic: &str, records_max: usize, on_entry: &mut OnEntry<'_>) {
        let limit = self.open_at.unwrap_or(i64::MAX).max(self.position);
        let mut rest = self.entries.range(self.position..limit);
        for (&offset, (key, value)) in rest.by_ref().take(records_max) {
            let entry = Incoming {
                topic,
                partition: TASK.partition,
                offset,
                timestamp: Timestamp(0),
                key: Some(key),
                value: value.as_deref(),
                headers: &Headers::EMPTY,
            };
            on_entry(&of_task(topic), &entry);
            self.position = offset + 1;
        }
        if rest.next().is_none() && self.open_at.is_none() {
            self.position = self.end;
        }
    }
}

/// The changelogs of a task by their topics, and the time that a poll takes.
#[derive(Default)]
struct Changelogs {
    logs: BTreeMap<&'static str, Changelog>,
    now: Duration,
}

impl Changelogs {
    fn of_windows(log: Changelog) -> Self {
        Changelogs { logs: BTreeMap::from([(WINDOWS, log)]), ..Changelogs::default() }
    }

    fn log(&mut self, partition: &TopicPartition) -> &mut Changelog {
        self.logs.get_mut(partition.topic.as_str()).expect("a changelog of the task")
    }

    fn windows(&mut self) -> &mut Changelog {
        self.log(&of_task(WINDOWS))
    }

    /// Begins to restore what this state lacks.
    fn begin(&mut self, state: &Kept) -> Restoring {
        let meta = state.inner().meta.clone();
        // The window store is the first.
        let kinds = [(WINDOWS, StoreKind::Window(windows())), (PROFILES, StoreKind::KeyValue)];
        let known = kinds.into_iter().filter(|(topic, _)| self.logs.contains_key(topic)).enumerate();
        let logs = known.map(|(store, (topic, kind))| {
            let from = stored_offset(&meta, store).unwrap_or(0);
            Log::new(of_task(topic), kind, from, self.logs.get(topic).expect("it is known").end)
        });
        let logs = logs.collect();
        let state = Box::new(state.clone());
        let mut restoring = Restoring::new((TASK, 1), state, meta, logs, Duration::ZERO, None);
        restoring.begin(self).expect("a reader");
        restoring
    }

    /// One turn; whether the task is done.
    fn turn(&mut self, restoring: &mut Restoring) -> bool {
        let mut local_key = Vec::new();
        let mut apply = |partition: &TopicPartition, entry: &Incoming<'_>| {
            let log = restoring.log_of(partition).expect("a changelog of the task");
            restoring.apply(log, entry, &mut local_key);
        };
        self.poll(Duration::ZERO, RECORDS_PER_POLL, &mut apply).expect("a poll");
        self.now += Duration::from_millis(20);
        restoring.see(self, self.now).expect("a position")
    }

    /// Restores all that this state lacks.
    fn restore_into(&mut self, state: &Kept) {
        let mut restoring = self.begin(state);
        while !self.turn(&mut restoring) {}
        restoring.finish(self.now).expect("a state");
        let ends: Vec<_> = self.logs.values().map(|log| log.end).collect();
        let stored: Vec<_> = state.inner().meta.changelogs.iter().map(|(_, next)| *next).collect();
        assert_eq!(BTreeSet::from_iter(stored), BTreeSet::from_iter(ends));
    }

    /// What the window store holds after a restore from nothing, and how many entries were put into it.
    fn restore(&mut self) -> (BTreeMap<Vec<u8>, Vec<u8>>, usize) {
        let state = Kept::default();
        self.restore_into(&state);
        (state.contents(STORE), state.puts())
    }
}

impl ChangelogReader for Changelogs {
    fn bounds(&mut self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        Ok(partitions.iter().map(|partition| (0, self.log(partition).end)).collect())
    }

    fn add(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        let log = self.log(partition);
        assert!(!log.is_read, "it is read already");
        (log.is_read, log.position) = (true, from);
        Ok(())
    }

    fn remove(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        let log = self.log(partition);
        assert!(log.is_read, "it is not read");
        log.is_read = false;
        Ok(())
    }

    fn seek(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        let log = self.log(partition);
        assert!(log.is_read, "it is not read");
        log.position = from;
        Ok(())
    }

    fn poll(
        &mut self,
        _: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<(), ClientError> {
        for (topic, log) in self.logs.iter_mut().filter(|(_, log)| log.is_read) {
            log.poll(topic, records_max, on_entry);
        }
        Ok(())
    }

    fn position(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        let log = self.log(partition);
        assert!(log.is_read, "it is not read");
        Ok(log.position)
    }
}

#[derive(Default)]
struct InMemory {
    stores: MemoryStores,
    meta: TaskMeta,
    puts: usize,
}

/// State that outlives whoever restores it, and counts what is put into it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<InMemory>>);

impl Kept {
    fn inner(&self) -> MutexGuard<'_, InMemory> {
        self.0.lock().expect("state")
    }

    fn puts(&self) -> usize {
        self.inner().puts
    }

    fn contents(&self, store: StoreIndex) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut contents = BTreeMap::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            contents.insert(key.to_vec(), value.to_vec());
            Ok(ControlFlow::Continue(()))
        };
        self.inner().stores.scan(store, &[], None, &mut visit).expect("a scan");
        contents
    }
}

impl TaskStores for Kept {
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.inner().stores.get(store, key, value)
    }

    fn scan(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.inner().stores.scan(store, from, to, visit)
    }

    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner().stores.last_key(store)
    }

    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        let mut inner = self.inner();
        inner.puts += 1;
        inner.stores.put(store, key, value);
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.inner().stores.delete(store, key);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.inner().stores.delete_range(store, from, to);
    }
}

impl TaskState for Kept {
    fn meta(&self) -> Option<&TaskMeta> {
        None
    }

    fn commit(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        self.load(meta)
    }

    fn load(&mut self, meta: &TaskMeta) -> Result<(), StateError> {
        let mut inner = self.inner();
        inner.stores.commit();
        inner.meta = meta.clone();
        Ok(())
    }

    fn finish_load(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn abort(&mut self) {
        self.inner().stores.abort();
    }

    fn purge_windows_before(&mut self, store: StoreIndex, start: Timestamp) -> Result<bool, StateError> {
        let (bound, _) = layout::window_bounds(start);
        self.inner().stores.delete_range(store, &[], &bound);
        Ok(true)
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }
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
    let (changelog, stream_time) = long(100, 0);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = Changelogs::of_windows(changelog).restore();
    assert_eq!(restored, expected);
    assert!(!expected.is_empty());
    // At most 150 ms of stream time are open, and a transaction moves it by 250 ms.
    assert!(puts <= 500, "{puts} entries of 50,000 were written");
}

#[test]
fn a_short_changelog_is_read_only_once() {
    let (changelog, stream_time) = long(10, 0);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = Changelogs::of_windows(changelog).restore();
    assert_eq!(restored, expected);
    assert!((4_000..5_000).contains(&puts), "{puts} entries of 5,000 were written");
}

#[test]
fn without_a_commit_in_sight_everything_is_restored() {
    let (changelog, stream_time) = long(100, 2 * LOOKED_AT);
    let expected = changelog.applied(stream_time);
    let (restored, puts) = Changelogs::of_windows(changelog).restore();
    assert_eq!(restored, expected);
    assert!(puts > 40_000, "{puts} entries of 50,000 were written");
}

/// A changelog whose last word has the highest number, but stands far from the end and has an earlier time, and what it
/// leaves behind.
fn out_of_order() -> (Changelog, BTreeMap<Vec<u8>, Vec<u8>>) {
    let (mut changelog, stream_time) = long(100, 0);
    // More than a batch, so that something is written before the end is reached.
    for entry in 0..ENTRIES_PER_BATCH + 1_000 {
        changelog.put(&entry.to_be_bytes(), stream_time / SIZE_MS * SIZE_MS, Some(b"open"));
    }
    changelog.commit(101, stream_time);
    let mut earlier = Changelog::default();
    earlier.commit(1_000, stream_time - 5 * SIZE_MS);
    earlier.end = changelog.end;
    for (offset, entry) in std::mem::take(&mut changelog.entries) {
        earlier.entries.entry(offset).or_insert(entry);
    }
    let expected = earlier.applied(stream_time - 5 * SIZE_MS);
    assert!(expected.len() > 7, "windows are open that the end calls closed");
    (earlier, expected)
}

#[test]
fn commits_out_of_order_leave_out_nothing_that_is_open() {
    let (changelog, expected) = out_of_order();
    assert_eq!(Changelogs::of_windows(changelog).restore().0, expected);
}

#[test]
fn a_restore_that_is_cut_short_leaves_out_nothing_that_is_open() {
    for turns in 1..16 {
        let (changelog, expected) = out_of_order();
        let mut changelogs = Changelogs::of_windows(changelog);
        let state = Kept::default();
        let mut restoring = changelogs.begin(&state);
        for _turn in 0..turns {
            changelogs.turn(&mut restoring);
        }
        // As a crash would: what is staged is lost.
        state.clone().abort();
        drop(restoring);
        changelogs.windows().is_read = false;
        changelogs.restore_into(&state);
        assert_eq!(state.contents(STORE), expected, "cut short after {turns} turns");
    }
}

#[test]
fn a_look_does_not_wait_for_a_transaction_that_is_open() {
    let (mut changelog, stream_time) = long(100, 0);
    let expected = changelog.applied(stream_time);
    changelog.open_at = Some(changelog.end);
    changelog.end += 100;
    let mut changelogs = Changelogs::of_windows(changelog);
    let state = Kept::default();
    let mut restoring = changelogs.begin(&state);
    for _turn in 0..300 {
        assert!(!changelogs.turn(&mut restoring), "the transaction is open");
    }
    assert!(changelogs.windows().position > LOOK_FROM, "all the rest is read");
    assert!(state.puts() > 0, "and written");
    changelogs.windows().open_at = None;
    while !changelogs.turn(&mut restoring) {}
    restoring.finish(Duration::ZERO).expect("a state");
    assert_eq!(state.contents(STORE), expected);
    assert!(state.puts() <= 500, "{} entries of 50,000 were written", state.puts());
}

#[test]
fn a_store_of_keys_beside_the_windows_is_restored_in_full() {
    let (changelog, stream_time) = long(100, 0);
    let expected = changelog.applied(stream_time);
    let mut profiles = Changelog::default();
    for entry in 0..LOOK_FROM + 10 {
        profiles.append(entry.to_be_bytes().to_vec(), Some(b"profile".to_vec()));
    }
    profiles.commit(100, stream_time);
    let mut changelogs = Changelogs::of_windows(changelog);
    changelogs.logs.insert(PROFILES, profiles);
    let state = Kept::default();
    changelogs.restore_into(&state);
    assert_eq!(state.contents(STORE), expected);
    assert_eq!(state.contents(StoreIndex(1)).len() as i64, LOOK_FROM + 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_restore_equals_the_changelog_applied_without_its_closed_windows(
        transactions in 75..130_u64, aborted in 0..3 * LOOKED_AT
    ) {
        let (changelog, stream_time) = long(transactions, aborted);
        let expected = changelog.applied(stream_time);
        prop_assert_eq!(Changelogs::of_windows(changelog).restore().0, expected);
    }
}
