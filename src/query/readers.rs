//! Whose state can be read here: the tasks that run in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riacho_topology::TaskId;

use crate::ports::{ReaderRegistry, StateReader};

/// The running tasks with their state. Stream threads write a task down when it begins to run; that it has ended is seen
/// by its state being closed.
#[derive(Default)]
pub(crate) struct Readers {
    open: Mutex<Open>,
    changed: Condvar,
}

#[derive(Default)]
struct Open {
    tasks: BTreeMap<TaskId, Arc<dyn StateReader>>,
    /// Counts the tasks that began to run.
    opened: u64,
    ended: bool,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a task that runs here.
    pub(super) fn of(&self, task: TaskId) -> Option<Arc<dyn StateReader>> {
        let reader = self.lock().tasks.get(&task).cloned();
        reader.filter(|reader| reader.is_open())
    }

    /// The tasks that run here.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        let mut open = self.lock();
        open.tasks.retain(|_, reader| reader.is_open());
        open.tasks.keys().copied().collect()
    }

    /// Waits until more than `seen` tasks began to run, at most `wait`. Returns how many there were by then; none at
    /// the end.
    pub(super) fn wait(&self, seen: u64, wait: Duration) -> Option<u64> {
        let unchanged = |open: &mut Open| open.opened == seen && !open.ended;
        let waited = self.changed.wait_timeout_while(self.lock(), wait, unchanged);
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!open.ended).then_some(open.opened)
    }

    /// Ends all waiting.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

impl ReaderRegistry for Readers {
    fn opened(&self, task: TaskId, reader: Arc<dyn StateReader>) {
        let mut open = self.lock();
        open.tasks.insert(task, reader);
        open.opened += 1;
        self.changed.notify_all();
    }
}
