//! The state of tasks in RocksDB, as the stream threads ask for it.

use std::sync::Arc;

use riacho_topology::TaskId;
use riacho_topology::store::StoreSpec;

use crate::ports::{StateProvider, StateReader, TaskState};
use crate::state::{Memory, RocksStores, StateDirectory, StateError, Stateless, WipeReason};

/// Opens the RocksDB of tasks below the state directory.
pub(super) struct RocksProvider {
    pub(super) directory: Arc<StateDirectory>,
    pub(super) memory: Memory,
}

impl StateProvider for RocksProvider {
    fn open(&self, task: TaskId, stores: &[StoreSpec]) -> Result<Box<dyn TaskState>, StateError> {
        if stores.is_empty() {
            return Ok(Box::new(Stateless));
        }
        Ok(Box::new(RocksStores::open(&self.directory.stores_path(task), stores, &self.memory)?))
    }

    fn wipe(&self, task: TaskId, reason: WipeReason) -> Result<(), StateError> {
        self.directory.wipe(task, reason)
    }
}

impl TaskState for RocksStores {
    fn meta(&self) -> Option<&crate::state::TaskMeta> {
        self.meta()
    }

    fn commit(&mut self, meta: &crate::state::TaskMeta) -> Result<(), StateError> {
        self.commit(meta)
    }

    fn load(&mut self, meta: &crate::state::TaskMeta) -> Result<(), StateError> {
        self.load(meta)
    }

    fn finish_load(&mut self) -> Result<(), StateError> {
        self.finish_load()
    }

    fn abort(&mut self) {
        self.abort();
    }

    fn purge_windows_before(
        &mut self,
        store: riacho_topology::StoreIndex,
        start: riacho_topology::Timestamp,
    ) -> Result<bool, StateError> {
        self.purge_windows_before(store, start)
    }

    fn statistics(&self) -> crate::state::StoreStatistics {
        self.statistics()
    }

    fn reader(&self) -> Option<Arc<dyn StateReader>> {
        Some(Arc::new(self.reader()))
    }
}
