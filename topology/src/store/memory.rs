//! The stores of a task in memory: for tests and for the `TestDriver`.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::error::StoreError;
use crate::ids::StoreIndex;
use crate::store::{TaskStores, Visit};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a commit will do, in the order in which it was staged.
#[derive(Clone, Debug)]
enum Write {
    Put(StoreIndex, Vec<u8>, Vec<u8>),
    Delete(StoreIndex, Vec<u8>),
    DeleteRange(StoreIndex, Vec<u8>, Vec<u8>),
}

/// Stores that are forgotten when they are dropped. A store exists from its first entry on.
///
/// ```
/// use riacho_topology::StoreIndex;
/// use riacho_topology::store::TaskStores;
/// use riacho_topology::store::memory::MemoryStores;
///
/// let (mut stores, mut value) = (MemoryStores::default(), Vec::new());
/// stores.put(StoreIndex(0), b"ana", b"1");
/// assert!(!stores.get(StoreIndex(0), b"ana", &mut value)?);
/// stores.commit();
/// assert!(stores.get(StoreIndex(0), b"ana", &mut value)?);
/// # Ok::<(), riacho_topology::StoreError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStores {
    committed: BTreeMap<StoreIndex, Entries>,
    staged: Vec<Write>,
}

impl MemoryStores {
    /// Makes everything that was staged visible at once.
    pub fn commit(&mut self) {
        for write in self.staged.drain(..) {
            match write {
                Write::Put(store, key, value) => {
                    self.committed.entry(store).or_default().insert(key, value);
                }
                Write::Delete(store, key) => {
                    self.committed.entry(store).or_default().remove(&key);
                }
                // A BTreeMap refuses a range that ends before it begins; to us it is empty.
                Write::DeleteRange(store, from, to) if from < to => {
                    let entries = self.committed.entry(store).or_default();
                    entries.extract_if(from..to, |_, _| true).for_each(drop);
                }
                Write::DeleteRange(..) => {}
            }
        }
    }

    /// Forgets everything that was staged.
    pub fn abort(&mut self) {
        self.staged.clear();
    }
}

impl TaskStores for MemoryStores {
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        value.clear();
        let found = self.committed.get(&store).and_then(|entries| entries.get(key));
        value.extend_from_slice(found.map_or(&[], Vec::as_slice));
        Ok(found.is_some())
    }

    fn scan(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let Some(entries) = self.committed.get(&store) else { return Ok(()) };
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        for (key, value) in entries.range::<[u8], _>(bounds) {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.committed.get(&store).and_then(|entries| entries.last_key_value());
        Ok(last.map(|(key, _)| key.clone()))
    }

    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.staged.push(Write::Put(store, key.to_vec(), value.to_vec()));
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.staged.push(Write::Delete(store, key.to_vec()));
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.staged.push(Write::DeleteRange(store, from.to_vec(), to.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{self, CommittableStores};

    impl CommittableStores for MemoryStores {
        fn commit(&mut self) -> Result<(), StoreError> {
            MemoryStores::commit(self);
            Ok(())
        }

        fn abort(&mut self) {
            MemoryStores::abort(self);
        }
    }

    #[test]
    fn memory_stores_keep_the_contract() {
        contract::run(&mut || Box::new(MemoryStores::default()));
    }
}
