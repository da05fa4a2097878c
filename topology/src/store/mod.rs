//! State of a task: the ports that the operators use, an in-memory implementation, key layouts and the cache.

pub(crate) mod cache;
pub mod contract;
pub mod layout;
pub mod memory;

use std::ops::ControlFlow;

use crate::error::StoreError;
use crate::ids::StoreIndex;
use crate::windows::TimeWindows;

/// Visits one entry of a scan, key first; `Break` or an error ends the scan.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'v;

/// The stores of one task, as its operators see them.
///
/// Reads give committed state only. Writes are staged: they become visible all together when the task commits, or
/// not at all. Between two commits the operators keep what they changed in their caches.
pub trait TaskStores {
    /// Reads the value of `key` into `value`, which is cleared first.
    ///
    /// Returns whether there is one.
    ///
    /// # Errors
    /// When the storage engine cannot read.
    fn get(&mut self, store: StoreIndex, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError>;

    /// Visits the entries with `from <= key < to` in the order of the keys' bytes; `to = None` has no upper bound.
    ///
    /// # Errors
    /// When the storage engine cannot read, or `visit` fails.
    fn scan(
        &mut self,
        store: StoreIndex,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;

    /// The largest key of `store`, if it has any.
    ///
    /// # Errors
    /// When the storage engine cannot read.
    fn last_key(&mut self, store: StoreIndex) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stages `value` for `key`.
    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]);

    /// Stages the removal of `key`.
    fn delete(&mut self, store: StoreIndex, key: &[u8]);

    /// Stages the removal of all keys with `from <= key < to`.
    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]);
}

/// What a store holds, and so how its keys are laid out and its changelog is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// One value per key, kept until it is deleted.
    KeyValue,
    /// One value per key and window, dropped when the window closes.
    Window(TimeWindows),
}

/// A store of a sub-topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// The store's name, unique in the topology. The changelog is `<application.id>-<name>-changelog`.
    pub name: String,
    /// What it holds.
    pub kind: StoreKind,
}
