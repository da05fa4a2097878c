//! What a stream thread does about failures.

use std::time::Duration;

use riacho_topology::TaskId;

use super::StreamThread;
use super::group::Pending;
use super::routes::Routes;
use crate::lifecycle::ThreadState;
use crate::ports::{ClientError, ClientErrorKind, CloseReason, CommitOutcome, StreamClient};
use crate::state::WipeReason;
use crate::task::TaskFailure;

/// How often a thread that was fenced tries to join again before it gives up.
const RECONNECTS_MAX: u32 = 20;

/// Two that take each other's place do so several times a second; a cluster in trouble does it a few times a minute.
const REJOINS_MAX: usize = 20;
const REJOINS_PERIOD: Duration = Duration::from_secs(60);

impl<C: StreamClient> StreamThread<C> {
    /// What a failure calls for. Comes back with the failure where the thread has to end.
    pub(super) fn recover(&mut self, failure: TaskFailure) -> Result<(), TaskFailure> {
        match failure {
            TaskFailure::Client(error) => match error.kind {
                ClientErrorKind::Retry | ClientErrorKind::Abort => {
                    tracing::warn!(%error, "aborting the transaction and reading its input again");
                    match self.abort_and_rewind() {
                        Err(TaskFailure::Client(error)) if error.kind != ClientErrorKind::Fatal => {
                            self.rejoin(&error)
                        }
                        other => other,
                    }
                }
                ClientErrorKind::Fenced => self.rejoin(&error),
                ClientErrorKind::Refused | ClientErrorKind::Fatal => Err(TaskFailure::Client(error)),
            },
            TaskFailure::Store { task, message } if self.tasks.iter().any(|running| running.id == task) => {
                self.rebuild(task, &message)
            }
            other => Err(other),
        }
    }

    /// Gives up everything without committing; the next steps join the group again with a new client.
    fn rejoin(&mut self, error: &ClientError) -> Result<(), TaskFailure> {
        let now = self.around.clock.monotonic();
        self.rejoins.retain(|at| now.saturating_sub(*at) < REJOINS_PERIOD);
        if self.rejoins.len() >= REJOINS_MAX {
            let message = format!(
                "{}; this has happened {REJOINS_MAX} times in {} s, so something takes the place of this instance again and \
                 again: see that no copy of its state.dir is in use",
                error.message,
                REJOINS_PERIOD.as_secs()
            );
            return Err(
                ClientError { kind: ClientErrorKind::Fatal, operation: error.operation, message }.into()
            );
        }
        self.rejoins.push(now);
        tracing::warn!(%error, "another owner has taken over, or the producer is of no use: joining again");
        self.report(CommitOutcome::Fenced, Duration::ZERO);
        self.close_all(CloseReason::Lost);
        self.in_transaction = false;
        self.client.close();
        self.around.observer.state(ThreadState::PartitionsRevoked);
        self.reconnects = Some(0);
        Ok(())
    }

    /// Tries once to join the group again: whoever wants the thread to stop gets a word in between two tries.
    pub(super) fn reconnect(&mut self, tries: u32) -> Result<(), TaskFailure> {
        self.around.observer.polled();
        match Self::connect(&mut self.around, &self.layout, self.settings.exactly_once) {
            Ok(client) => {
                self.client = client;
                self.reconnects = None;
                Ok(())
            }
            // Each try waits for an answer by itself, so this is minutes, not a busy loop.
            Err(error) if error.kind == ClientErrorKind::Retry && tries + 1 < RECONNECTS_MAX => {
                tracing::warn!(%error, tries, "cannot join again yet");
                self.reconnects = Some(tries + 1);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Throws the state of a task away and restores it from its changelog.
    fn rebuild(&mut self, id: TaskId, message: &str) -> Result<(), TaskFailure> {
        tracing::error!(task = %id, message, "the state failed: wiping it and restoring from the changelog");
        self.abort_and_rewind()?;
        let Some(place) = self.tasks.iter().position(|task| task.id == id) else { return Ok(()) };
        let task = self.tasks.remove(place);
        self.routes = Routes::of(&self.tasks);
        let partitions: Vec<_> = task.partitions().cloned().collect();
        let starts = task
            .positions()
            .zip(task.sources())
            .map(|(position, source)| (source, position.partition, position.next_offset));
        let pending = Pending { attempt: 0, starts: starts.collect(), slots: task.slots().collect() };
        drop(task);
        self.around.observer.closed(id, CloseReason::Corrupted);
        self.around.provider.wipe(id, WipeReason::Corrupt)?;
        self.client.pause(&partitions)?;
        self.pending.insert(id, pending);
        self.around.observer.restoring(id);
        self.restore_again(id);
        Ok(())
    }

    pub(super) fn recover_transaction(&mut self, failure: TaskFailure) -> Result<(), TaskFailure> {
        match failure {
            TaskFailure::Client(error)
                if matches!(error.kind, ClientErrorKind::Retry | ClientErrorKind::Abort) =>
            {
                self.abort_and_rewind()
            }
            other => Err(other),
        }
    }
}
