//! A task whose state is still held by the thread that had it before.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use riacho_topology::Timestamp;

use super::*;
use crate::ports::{OnEntry, StateProvider};
use crate::state::Stateless;

const TASK: TaskId = TaskId { subtopology: 0, partition: 1 };
const ATTEMPT: u64 = 7;

/// Empty changelogs, and state that somebody may hold; the clock is set by hand.
#[derive(Clone, Default)]
struct Held {
    is_held: Arc<AtomicBool>,
    tries: Arc<AtomicUsize>,
    millis: Arc<AtomicU64>,
}

impl Held {
    fn set(&self, held: bool) {
        self.is_held.store(held, Ordering::Relaxed);
    }

    fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }

    fn wait(&self, wait: Duration) {
        self.millis.fetch_add(wait.as_millis() as u64, Ordering::Relaxed);
    }

    /// A restorer that was asked for the state while somebody holds it.
    fn restorer_that_waits(&self) -> Restorer<Held> {
        self.set(true);
        let mut restorer = Restorer::new(self.clone(), Arc::new(self.clone()), Arc::new(self.clone()));
        let request = Request { task: TASK, attempt: ATTEMPT, stores: vec![], changelogs: vec![] };
        assert!(restorer.begin(vec![request]).is_empty());
        restorer
    }
}

impl StateProvider for Held {
    fn open(&self, task: TaskId, _: &[StoreSpec]) -> Result<Box<dyn TaskState>, StateError> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        if self.is_held.load(Ordering::Relaxed) {
            return Err(StateError::Locked { path: task.to_string().into() });
        }
        Ok(Box::new(Stateless))
    }

    fn wipe(&self, _: TaskId, _: WipeReason) -> Result<(), StateError> {
        unreachable!("what is in use is not wiped")
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
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
    for tries in 1..1000 {
        for _turn in 0..3 {
            assert!(restorer.step(Duration::ZERO).is_empty());
        }
        assert!(!restorer.is_idle(), "it tries again");
        assert_eq!(held.tries(), tries, "but not in every turn");
        held.wait(TRY_EVERY);
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
    held.wait(TRY_EVERY);
    assert!(restorer.step(Duration::ZERO).is_empty());
}
