//! What a test can look at: stores, changelogs, counts.

use std::ops::ControlFlow;

use crate::driver::TestDriver;
use crate::driver::records::{DeadLetter, TestRecord};
use crate::driver::transaction::ChangelogEntry;
use crate::error::{BadRecord, StoreError};
use crate::ids::StoreIndex;
use crate::processor::Counts;
use crate::record::Headers;
use crate::serde::Serde;
use crate::store::{StoreKind, TaskStores, layout};
use crate::time::Timestamp;
use crate::windows::Windowed;

/// Looking into it.
impl TestDriver {
    /// The committed entries of a key-value store in the order of the keys' bytes; an entry's timestamp is the highest
    /// that went into it.
    ///
    /// # Panics
    /// When there is no such store, or it cannot be read by these serdes.
    pub fn store<K, A>(
        &mut self,
        name: &str,
        key_serde: impl Serde<K>,
        value_serde: impl Serde<A>,
    ) -> Vec<TestRecord<K, A>> {
        self.read(name, |key, value| stored_entry(key_serde.deserialize(Some(key))?, value, &value_serde))
    }

    /// The committed entries of a window store, the oldest window first, then in the order of the keys' bytes.
    ///
    /// # Panics
    /// When there is no such store, or it cannot be read by these serdes.
    pub fn window_store<K, A>(
        &mut self,
        name: &str,
        key_serde: impl Serde<K>,
        value_serde: impl Serde<A>,
    ) -> Vec<TestRecord<Windowed<K>, A>> {
        let StoreKind::Window(windows) = self.find_store(name).2 else {
            panic!("{name} is not a window store")
        };
        self.read(name, |key, value| {
            let (start, key) = layout::split_window_key(key)?;
            let key = key_serde.deserialize(Some(key))?;
            stored_entry(Windowed { key, window: windows.window(start), closed: false }, value, &value_serde)
        })
    }

    /// The committed entries of a store as bytes, in the order of their keys.
    ///
    /// # Panics
    /// When there is no such store.
    pub fn entries(&mut self, store: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (task, index, _) = self.find_store(store);
        let mut entries = Vec::new();
        let stores = self.tasks.get_mut(task).map(|task| &mut task.stores);
        let scanned = stores.map_or(Ok(()), |stores| {
            stores.scan(index, &[], None, &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            })
        });
        scanned.expect("a scan of memory fails only when its visitor does");
        entries
    }

    /// The committed entries of a store's changelog since the beginning, uncompacted.
    ///
    /// # Panics
    /// When there is no such store.
    pub fn changelog(&self, store: &str) -> &[ChangelogEntry] {
        let (task, index, _) = self.find_store(store);
        self.committed.changelogs.get(&(task, index)).map_or(&[], Vec::as_slice)
    }

    /// The highest event time that sub-topology `number` has seen.
    ///
    /// # Panics
    /// When there is no such sub-topology.
    pub fn stream_time(&self, number: usize) -> Timestamp {
        self.tasks.get(number).map(|task| task.frame.stream_time).expect("a sub-topology of the topology")
    }

    /// What all tasks counted in committed transactions: late records, and more.
    pub fn counts(&self) -> Counts {
        self.committed.counts
    }

    /// How many bad records of `kind` there were in committed transactions.
    pub fn bad_record_count(&self, kind: BadRecord) -> u64 {
        self.committed.bad.get(&kind).copied().unwrap_or_default()
    }

    /// Takes the committed dead letters since they were last taken.
    pub fn dead_letters(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.committed.dead_letters)
    }

    /// Whether an operator asks for a commit, because it holds more changed state than it may.
    pub fn commit_requested(&self) -> bool {
        self.tasks.iter().any(|task| task.frame.commit_requested)
    }

    /// How many windows are open.
    pub fn open_windows(&self) -> usize {
        self.tasks.iter().map(|task| task.instance.open_windows()).sum()
    }

    /// How many bytes of decoded state the operators hold, about.
    pub fn cached_bytes(&self) -> usize {
        self.tasks.iter().map(|task| task.instance.cached_bytes()).sum()
    }

    fn read<R>(&mut self, store: &str, entry: impl Fn(&[u8], &[u8]) -> Result<R, StoreError>) -> Vec<R> {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            entry(&key, &value).unwrap_or_else(|error| panic!("store {store}: {error}"))
        };
        self.entries(store).into_iter().map(read).collect()
    }

    fn find_store(&self, name: &str) -> (usize, StoreIndex, StoreKind) {
        for (task, subtopology) in self.topology.subtopologies().iter().enumerate() {
            let named = subtopology.stores.iter().zip(0..).find(|(store, _)| store.name == name);
            if let Some((store, index)) = named {
                return (task, StoreIndex(index), store.kind);
            }
        }
        panic!("the topology has no store {name}");
    }
}

fn stored_entry<K, A>(
    key: K,
    bytes: &[u8],
    value_serde: &impl Serde<A>,
) -> Result<TestRecord<K, A>, StoreError> {
    let (timestamp, value) = layout::split_value(bytes)?;
    let value = value_serde.deserialize(Some(value))?;
    Ok(TestRecord { key, value, timestamp, headers: Headers::EMPTY })
}
