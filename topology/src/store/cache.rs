//! The cache of decoded aggregates: one map update per record, serialisation once per commit and changed key.
//!
//! A cache is either *complete* (what it does not hold does not exist, so a miss reads nothing) or it stands over
//! committed state that is read on a miss. Changed entries stay until they are committed; unchanged ones leave by
//! the CLOCK rule (F. J. Corbató, "A Paging Experiment with the Multics System", 1968) when memory runs out.

use std::hash::Hash;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::time::Timestamp;

/// An aggregate and the highest event time that went into it.
#[derive(Debug)]
pub(crate) struct Entry<A> {
    pub(crate) value: A,
    pub(crate) timestamp: Timestamp,
    encoded_len: u32,
    dirty: bool,
    referenced: bool,
}

impl<A> Entry<A> {
    /// Whether the entry is changed and not committed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }
}

/// The place of a key's aggregate.
#[derive(Debug)]
pub(crate) enum Slot<'a, A> {
    /// There is one.
    Present(&'a mut A),
    /// There is none: what is put here becomes it.
    Absent(&'a mut Option<A>),
}

impl<A> Slot<'_, A> {
    /// Changes what is there, or what `initial` gives; a change that fails leaves nothing behind.
    pub(crate) fn change<E>(
        self,
        initial: &impl Fn() -> A,
        change: impl FnOnce(&mut A) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Slot::Present(value) => change(value),
            Slot::Absent(slot) => {
                let mut value = initial();
                change(&mut value)?;
                *slot = Some(value);
                Ok(())
            }
        }
    }
}

/// Decoded aggregates by key.
#[derive(Debug)]
pub(crate) struct AggregateCache<K, A> {
    entries: IndexMap<K, Entry<A>, FxBuildHasher>,
    dirty: Vec<usize>,
    encoded_bytes: usize,
    hand: usize,
    complete: bool,
}

impl<K: Hash + Eq + Clone, A> AggregateCache<K, A> {
    /// A cache over nothing: complete from the start.
    pub(crate) fn complete() -> Self {
        Self::new(true)
    }

    /// A cache over committed state.
    pub(crate) fn over_committed_state() -> Self {
        Self::new(false)
    }

    fn new(complete: bool) -> Self {
        AggregateCache {
            entries: IndexMap::default(),
            dirty: Vec::new(),
            encoded_bytes: 0,
            hand: 0,
            complete,
        }
    }

    /// Whether a key that is not here does not exist at all.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Changes the aggregate of `key`, which comes from `load` where it is not in memory and the cache is not
    /// complete. When `change` fails, nothing has changed. A value that `is_null` is the deletion of the entry: the
    /// next change finds nothing there, and the time begins anew with it.
    pub(crate) fn update<E>(
        &mut self,
        key: &K,
        time: Timestamp,
        is_null: impl FnOnce(&A) -> bool,
        load: impl FnOnce(&K) -> Result<Option<(A, Timestamp)>, E>,
        change: impl FnOnce(Slot<'_, A>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some((index, _, entry)) = self.entries.get_full_mut(key) {
            if is_null(&entry.value) {
                let mut value = None;
                change(Slot::Absent(&mut value))?;
                let Some(value) = value else { return Ok(()) };
                (entry.value, entry.timestamp) = (value, time);
            } else {
                change(Slot::Present(&mut entry.value))?;
                entry.timestamp = entry.timestamp.max(time);
            }
            entry.referenced = true;
            if !entry.dirty {
                entry.dirty = true;
                self.dirty.push(index);
            }
            return Ok(());
        }
        let loaded = if self.complete { None } else { load(key)? };
        let (value, timestamp) = match loaded {
            Some((mut value, before)) => {
                change(Slot::Present(&mut value))?;
                (Some(value), before.max(time))
            }
            None => {
                let mut value = None;
                change(Slot::Absent(&mut value))?;
                (value, time)
            }
        };
        if let Some(value) = value {
            let entry = Entry { value, timestamp, encoded_len: 0, dirty: true, referenced: true };
            let (index, _) = self.entries.insert_full(key.clone(), entry);
            self.dirty.push(index);
        }
        Ok(())
    }

    /// Hands the changed entries to `write` in the order in which they were first changed. `write` returns how many
    /// bytes the entry takes when encoded. The entries stay marked until [`committed`](Self::committed).
    pub(crate) fn for_each_dirty<E>(
        &mut self,
        mut write: impl FnMut(&K, &Entry<A>) -> Result<usize, E>,
    ) -> Result<(), E> {
        for &index in &self.dirty {
            let Some((key, entry)) = self.entries.get_index_mut(index) else { continue };
            let len = u32::try_from(write(key, entry)?).unwrap_or(u32::MAX);
            self.encoded_bytes = self.encoded_bytes + len as usize - entry.encoded_len as usize;
            entry.encoded_len = len;
        }
        Ok(())
    }

    /// The changed entries are committed.
    pub(crate) fn committed(&mut self) {
        for index in self.dirty.drain(..) {
            if let Some((_, entry)) = self.entries.get_index_mut(index) {
                entry.dirty = false;
            }
        }
    }

    /// The entry of `key`, if it is in memory.
    pub(crate) fn get(&self, key: &K) -> Option<&Entry<A>> {
        self.entries.get(key)
    }

    /// How many entries are in memory.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Roughly how much memory the changed entries take that are not committed. They cannot be evicted.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty.len() * Self::ENTRY_BYTES
    }

    /// Whether any entry is changed and not committed.
    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// All entries that are in memory, by value.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (K, Entry<A>)> {
        self.entries.into_iter()
    }

    /// What an entry takes in the table: key, entry, hash and its slot in the index.
    pub(crate) const ENTRY_BYTES: usize = size_of::<(K, Entry<A>)>() + 16;

    /// Roughly how much memory the cache takes: the table's slots, and as much again for what an aggregate holds on
    /// the heap as its encoding takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * Self::ENTRY_BYTES + self.encoded_bytes
    }

    /// Drops committed entries that were not used lately until about `excess` bytes are free or all were looked at
    /// twice. Returns the bytes freed. Only between a commit and the next change.
    pub(crate) fn evict(&mut self, excess: usize) -> usize {
        debug_assert!(self.dirty.is_empty(), "eviction moves entries, so none may be marked by its place");
        let before = self.bytes();
        let mut looks = 2 * self.entries.len();
        while before - self.bytes() < excess && looks > 0 && !self.entries.is_empty() {
            looks -= 1;
            self.hand %= self.entries.len();
            let Some((_, entry)) = self.entries.get_index_mut(self.hand) else { break };
            if entry.referenced {
                entry.referenced = false;
                self.hand += 1;
                continue;
            }
            self.encoded_bytes -= entry.encoded_len as usize;
            self.entries.swap_remove_index(self.hand);
            self.complete = false;
        }
        let freed = before - self.bytes();
        if freed > 0 && self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to_fit();
        }
        freed
    }
}
