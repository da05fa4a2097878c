//! The state of a task that keeps none.

use riacho_topology::store::{TaskStores, Visit};
use riacho_topology::{StoreError, StoreIndex, Timestamp};

use super::{StateError, StoreStatistics, TaskMeta};
use crate::ports::TaskState;

/// No store, no file: a sub-topology without stores costs no disk.
#[derive(Clone, Copy, Debug)]
pub struct Stateless;

impl TaskStores for Stateless {
    fn get(&mut self, _: StoreIndex, _: &[u8], _: &mut Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn scan(
        &mut self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn last_key(&mut self, _: StoreIndex) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn put(&mut self, _: StoreIndex, _: &[u8], _: &[u8]) {}

    fn delete(&mut self, _: StoreIndex, _: &[u8]) {}

    fn delete_range(&mut self, _: StoreIndex, _: &[u8], _: &[u8]) {}
}

impl TaskState for Stateless {
    fn meta(&self) -> Option<&TaskMeta> {
        None
    }

    fn commit(&mut self, _: &TaskMeta) -> Result<(), StateError> {
        Ok(())
    }

    fn load(&mut self, _: &TaskMeta) -> Result<(), StateError> {
        Ok(())
    }

    fn finish_load(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn abort(&mut self) {}

    fn purge_windows_before(&mut self, _: StoreIndex, _: Timestamp) -> Result<bool, StateError> {
        Ok(false)
    }

    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }
}
