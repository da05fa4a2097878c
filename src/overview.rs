//! What may be seen of a running application, from any thread and for as long as one likes.

use std::collections::BTreeMap;
use std::sync::Arc;

use riacho_topology::{TaskId, TopicPartition, Topology};

use crate::lifecycle::{ClientState, Lifecycle};
use crate::observe::Metrics;
use crate::progress::{Progress, Snapshot};
use crate::rebalance::TaskLayout;

/// A handle that sees an application and cannot change it: what pages about it are made from. Clones see the same one.
///
/// It outlives the application, and then sees how it ended.
#[derive(Clone)]
pub struct Overview {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Progress,
    pub(crate) topology: Arc<Topology>,
    pub(crate) layout: Arc<TaskLayout>,
}

impl Overview {
    /// The application's state.
    pub fn state(&self) -> ClientState {
        self.lifecycle.state()
    }

    /// Why the application failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.lifecycle.failure()
    }

    /// How far it is.
    pub fn progress(&self) -> Snapshot {
        self.progress.lock().clone()
    }

    /// The computation.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The name under which this instance's metrics are kept.
    pub fn instance(&self) -> &str {
        self.metrics.instance()
    }

    /// Every task of the application, here or in another instance, with the partitions it reads.
    pub fn tasks(&self) -> Vec<(TaskId, Vec<TopicPartition>)> {
        let of = |task| (task, self.layout.partitions(task).into_iter().flatten().collect());
        self.layout.all().into_iter().map(of).collect()
    }

    /// The bytes that each store's entries take on this instance's disk and in RocksDB's memory, about; all tasks added
    /// up, some seconds old.
    pub fn store_bytes(&self) -> BTreeMap<String, u64> {
        self.metrics.store_bytes()
    }
}
