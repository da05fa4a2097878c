//! A task whose state is still held by the thread that had it before.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ports::{OnEntry, StateProvider};
use crate::state::Stateless;

const TASK: TaskId = TaskId { subtopology: 0, partition: 1 };
const ATTEMPT: u64 = 7;

/// Empty changelogs, and state that somebody may hold.
#[derive(Clone, Default)]
struct Held(Arc<AtomicBool>);

impl Held {
    fn set(&self, held: bool) {
        self.0.store(held, Ordering::Relaxed);
    }

    /// A restorer that was asked for the state while somebody holds it.
    fn restorer_that_waits(&self) -> Restorer<Held> {
        self.set(true);
        let clock = Arc::new(crate::SystemClock::new());
        let mut restorer = Restorer::new(self.clone(), Arc::new(self.clone()), clock);
        let request = Request { task: TASK, attempt: ATTEMPT, stores: vec![], changelogs: vec![] };
        assert!(restorer.begin(vec![request]).is_empty());
        restorer
    }
}

impl StateProvider for Held {
    fn open(&self, task: TaskId, _: &[StoreSpec]) -> Result<Box<dyn TaskState>, StateError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StateError::Locked { path: task.to_string().into() });
        }
        Ok(Box::new(Stateless))
    }

    fn wipe(&self, _: TaskId, _: WipeReason) -> Result<(), StateError> {
        unreachable!("what is in use is not wiped")
    }
}

impl ChangelogReader for Held {
    fn bounds(&mut self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        Ok(partitions.iter().map(|_| (0, 0)).collect())
    }

    fn add(&mut self, _: &TopicPartition, _: i64) -> Result<(), ClientError> {
        Ok(())
    }

    fn remove(&mut self, _: &TopicPartition) -> Result<(), ClientError> {
        Ok(())
    }

    fn seek(&mut self, _: &TopicPartition, _: i64) -> Result<(), ClientError> {
        Ok(())
    }

    fn poll(&mut self, _: Duration, _: usize, _: &mut OnEntry<'_>) -> Result<(), ClientError> {
        Ok(())
    }

    fn position(&mut self, _: &TopicPartition) -> Result<i64, ClientError> {
        Ok(0)
    }
}

#[test]
fn a_task_waits_for_its_state_as_long_as_another_thread_holds_it() {
    let held = Held::default();
    let mut restorer = held.restorer_that_waits();
    for _ in 0..1000 {
        assert!(restorer.step(Duration::ZERO).is_empty());
        assert!(!restorer.is_idle(), "it tries again");
    }
    held.set(false);
    let outcomes = restorer.step(Duration::ZERO);
    let attempts: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().map(|done| done.attempt).ok()).collect();
    assert_eq!(attempts, [Some(ATTEMPT)]);
    assert!(restorer.is_idle());
}

#[test]
fn a_task_that_is_taken_back_waits_no_longer() {
    let held = Held::default();
    let mut restorer = held.restorer_that_waits();
    restorer.cancel(TASK);
    assert!(restorer.is_idle());
    held.set(false);
    assert!(restorer.step(Duration::ZERO).is_empty());
}
