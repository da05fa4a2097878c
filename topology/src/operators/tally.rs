//! Counts records for the world outside, in step with the commits.

use crate::error::ProcessError;
use crate::processor::{Children, Context, Process, Stateful, TaskFrame};
use crate::record::Record;

/// What is counted of a stream for somebody outside: a metric, say. Each task has its own, on the task's thread.
///
/// It is told how each transaction ended, so that it can show what is committed and nothing else: what an abort undid is
/// seen again. Two things are beyond it: a task that is given up is dropped without another word, also when its last
/// transaction was committed after all, and at least once means that records are seen again after a crash.
pub trait Tally<K, V> {
    /// A record that everything behind this step has accepted. Called for each: it should neither allocate nor lock.
    fn see(&mut self, record: &Record<'_, K, V>);

    /// What was seen since the last commit is committed.
    fn committed(&mut self);

    /// What was seen since the last commit is undone.
    fn aborted(&mut self);
}

/// `tally`: to Kafka Streams, a peek.
pub(crate) struct Tallied<T, K, V> {
    pub(crate) tally: T,
    pub(crate) children: Children<K, V>,
}

impl<K, V, T: Tally<K, V>> Process<K, V> for Tallied<T, K, V> {
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.children.forward(record, ctx)?;
        self.tally.see(&record);
        Ok(())
    }
}

impl<K, V, T: Tally<K, V>> Stateful for Tallied<T, K, V> {
    fn open(&mut self, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn flush(&mut self, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn committed(&mut self, _: &TaskFrame) {
        self.tally.committed();
    }

    fn aborted(&mut self) {
        self.tally.aborted();
    }

    fn cached_bytes(&self) -> usize {
        0
    }

    fn dirty_bytes(&self) -> usize {
        0
    }
}
