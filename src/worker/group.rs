//! The answers to what the group decides: tasks that come, are restored, and go.

use std::collections::BTreeSet;

use riacho_topology::{TaskId, TopicPartition};

use super::StreamThread;
use super::routes::Routes;
use crate::lifecycle::ThreadState;
use crate::ports::{
    ChangelogSlot, ClientError, ClientErrorKind, CloseReason, GroupEvent, Position, StreamClient,
};
use crate::restore::{Outcome, Request, Restored};
use crate::task::{Changelog, Task, TaskFailure};

/// A task that is ours and waits for its state.
pub(super) struct Pending {
    pub(super) attempt: u64,
    pub(super) starts: Vec<Start>,
    pub(super) slots: Vec<ChangelogSlot>,
}

/// An input of a task: its source operator, its partition, and the offset to begin at.
type Start = (usize, TopicPartition, i64);

impl<C: StreamClient> StreamThread<C> {
    pub(super) fn group_event(&mut self, event: GroupEvent) -> Result<(), TaskFailure> {
        match event {
            GroupEvent::Assigned(partitions) => {
                self.around.observer.state(ThreadState::PartitionsAssigned);
                self.around.observer.rebalanced(true);
                // The next turn begins with the answer, and repeats it where it fails.
                self.unanswered.get_or_insert_default().extend(partitions);
                Ok(())
            }
            GroupEvent::Revoked(partitions) => {
                self.around.observer.state(ThreadState::PartitionsRevoked);
                self.around.observer.rebalanced(false);
                let tasks = self.layout.tasks(&partitions);
                let touched = self.tasks.iter().any(|task| tasks.contains(&task.id) && task.has_progressed());
                let committed = if touched { self.commit() } else { Ok(()) };
                if let Err(failure) = committed {
                    tracing::warn!(%failure, "the last commit of revoked tasks failed: their next owner repeats it");
                    self.recover_transaction(failure)?;
                }
                self.give_up(&tasks, &partitions, CloseReason::Revoked)
            }
            GroupEvent::Lost(partitions) => {
                self.around.observer.state(ThreadState::PartitionsRevoked);
                self.around.observer.rebalanced(false);
                let tasks = self.layout.tasks(&partitions);
                self.abort_and_rewind()?;
                self.give_up(&tasks, &partitions, CloseReason::Lost)
            }
            GroupEvent::EndOfPartition(_) => Ok(()),
        }
    }

    /// Answers an assignment as soon as it is known where to begin. Until then the group waits for us, and the
    /// tasks that stay go on.
    pub(super) fn answer_assignment(&mut self) -> Result<(), TaskFailure> {
        let Some(assigned) = &self.unanswered else { return Ok(()) };
        let tasks: Vec<TaskId> = self.layout.tasks(assigned).into_iter().collect();
        let inputs: Vec<(TaskId, usize, TopicPartition)> = tasks
            .iter()
            .flat_map(|&task| {
                let partitions = self.layout.partitions(task).into_iter().enumerate();
                partitions.filter_map(move |(source, partition)| Some((task, source, partition?)))
            })
            .collect();
        let partitions: Vec<_> = inputs.iter().map(|(_, _, partition)| partition.clone()).collect();
        let starts = match self.starts(&partitions) {
            Err(error) if error.kind == ClientErrorKind::Retry => {
                tracing::info!(%error, "the group's offsets are not to be had yet");
                return Ok(());
            }
            starts => starts?,
        };
        let accepted: Vec<_> = partitions.into_iter().zip(starts.iter().map(|start| Some(*start))).collect();
        self.client.accept(&accepted)?;
        self.unanswered = None;
        let mut requests = Vec::new();
        for &task in &tasks {
            let starts = inputs.iter().zip(&starts).filter(|((of, _, _), _)| *of == task);
            let starts: Vec<_> =
                starts.map(|((_, source, partition), start)| (*source, partition.clone(), *start)).collect();
            let attempt = self.new_attempt();
            let request = self.request(task, attempt);
            let slots =
                request.iter().flat_map(|request| &request.changelogs).map(|_| self.new_slot()).collect();
            self.pending.insert(task, Pending { attempt, starts, slots });
            self.around.observer.restoring(task);
            requests.extend(request);
        }
        self.around.restore.request(requests);
        self.running_if_nothing_waits();
        Ok(())
    }

    fn running_if_nothing_waits(&mut self) {
        if self.pending.is_empty() && self.unanswered.is_none() {
            self.around.observer.state(ThreadState::Running);
        }
    }

    fn new_slot(&mut self) -> ChangelogSlot {
        self.next_slot += 1;
        ChangelogSlot(self.next_slot - 1)
    }

    fn starts(&mut self, partitions: &[TopicPartition]) -> Result<Vec<i64>, ClientError> {
        let committed = self.client.committed(partitions)?;
        let mut starts = Vec::with_capacity(partitions.len());
        for (partition, committed) in partitions.iter().zip(committed) {
            starts.push(match committed {
                Some(offset) => offset,
                None => self.client.reset_offset(partition)?,
            });
        }
        Ok(starts)
    }

    fn new_attempt(&mut self) -> u64 {
        self.last_attempt += 1;
        self.last_attempt
    }

    fn request(&self, task: TaskId, attempt: u64) -> Option<Request> {
        let subtopology = self.topology.subtopologies().get(task.subtopology)?;
        let application_id = &self.settings.application_id;
        let changelog =
            |store: &riacho_topology::store::StoreSpec| format!("{application_id}-{}-changelog", store.name);
        let changelogs = subtopology.stores.iter().map(changelog).collect();
        Some(Request { task, attempt, stores: subtopology.stores.clone(), changelogs })
    }

    pub(super) fn take_outcomes(&mut self) -> Result<(), TaskFailure> {
        self.outcomes.extend(self.around.restore.outcomes());
        // One that cannot be used yet goes back, for the next turn.
        for _ in 0..self.outcomes.len() {
            let Some(outcome) = self.outcomes.pop_front() else { break };
            self.take_outcome(outcome)?;
        }
        Ok(())
    }

    fn take_outcome(&mut self, outcome: Outcome) -> Result<(), TaskFailure> {
        let (task, attempt) = outcome.as_ref().map_or_else(
            |failed| (failed.task, failed.attempt),
            |restored| (restored.task, restored.attempt),
        );
        // What an earlier request found may still come after its task was taken away and given back: it is dropped.
        if self.pending.get(&task).is_none_or(|pending| pending.attempt != attempt) {
            return Ok(());
        }
        let begun = match outcome {
            Ok(restored) => self.begin(restored),
            Err(failed) => Err(failed.failure),
        };
        match begun {
            // Nobody else would ask for it again: the task waits for its state until it has it.
            Err(TaskFailure::Client(error))
                if !matches!(error.kind, ClientErrorKind::Fenced | ClientErrorKind::Fatal) =>
            {
                tracing::warn!(%task, %error, "the task cannot begin: its state is restored once more");
                self.restore_again(task);
                Ok(())
            }
            begun => begun,
        }
    }

    /// Asks for the state of a pending task, and for no earlier answer.
    pub(super) fn restore_again(&mut self, task: TaskId) {
        let attempt = self.new_attempt();
        if let Some(pending) = self.pending.get_mut(&task) {
            pending.attempt = attempt;
        }
        self.around.restore.request(self.request(task, attempt).into_iter().collect());
    }

    /// Lets a pending task run.
    fn begin(&mut self, restored: Restored) -> Result<(), TaskFailure> {
        let id = restored.task;
        let Some(pending) = self.pending.get(&id) else { return Ok(()) };
        let (starts, slots, attempt) = (pending.starts.clone(), pending.slots.clone(), pending.attempt);
        let inputs = restored.state.meta().map(|meta| meta.commit.inputs.clone()).unwrap_or_default();
        let (starts, moved) = match self.check_offsets(id, starts, &inputs) {
            Err(TaskFailure::Client(error)) if error.kind == ClientErrorKind::Retry => {
                tracing::info!(task = %id, %error, "the group's offsets are not to be had yet");
                self.outcomes.push_back(Ok(restored));
                return Ok(());
            }
            checked => checked?,
        };
        let (Some(instance), Some(request)) = (
            self.topology.instantiate(id.subtopology, &self.settings.application_id),
            self.request(id, attempt),
        ) else {
            return Ok(());
        };
        if !moved.is_empty() {
            self.client.seek(&moved)?;
        }
        let changelogs = request.changelogs.into_iter().zip(slots);
        let changelogs = changelogs.map(|(topic, slot)| Changelog { topic, slot }).collect();
        let reader = restored.state.reader();
        let mut task =
            Task::new(id, instance, restored.state, starts, changelogs, self.settings.task.clone());
        let now = self.now();
        task.open(&mut self.client, now)?;
        let partitions: Vec<_> = task.partitions().cloned().collect();
        self.client.resume(&partitions)?;
        self.pending.remove(&id);
        let positions: Vec<_> = task.positions().collect();
        self.tasks.push(task);
        if let Some(reader) = reader {
            self.around.readers.opened(id, reader);
        }
        self.after_task_change();
        tracing::info!(task = %id, records = restored.records, took = ?restored.took, wiped = ?restored.wiped, "task running");
        self.around.observer.running(id, (restored.records, restored.took, restored.wiped), &positions);
        self.running_if_nothing_waits();
        Ok(())
    }

    /// State and group offsets are written in one transaction, so under exactly-once they agree. Where the group has
    /// forgotten its offsets the state knows them; where they disagree a transaction was torn or somebody moved the
    /// offsets alone, and to go on would count records twice or not at all.
    fn check_offsets(
        &mut self,
        task: TaskId,
        starts: Vec<Start>,
        inputs: &[(TopicPartition, i64)],
    ) -> Result<(Vec<Start>, Vec<Position>), TaskFailure> {
        let mut checked = Vec::new();
        let mut moved = Vec::new();
        let committed =
            self.client.committed(&starts.iter().map(|(_, tp, _)| tp.clone()).collect::<Vec<_>>())?;
        for ((source, partition, start), committed) in starts.into_iter().zip(committed) {
            let known = inputs.iter().find(|(input, _)| *input == partition).map(|(_, offset)| *offset);
            let start = match (known, committed) {
                (Some(known), None) => {
                    tracing::warn!(%task, %partition, known, "the group has no offset: going on where the state is");
                    moved.push(Position { partition: partition.clone(), next_offset: known });
                    known
                }
                (Some(known), Some(committed)) if known != committed && self.settings.exactly_once => {
                    self.around.observer.exactly_once_violated(task);
                    return Err(TaskFailure::Store {
                        task,
                        message: format!(
                            "the state stands at offset {known} of {partition} and the group at {committed}: they are \
                             written together, so somebody moved one of them. Run `riacho reset` to begin anew, or \
                             set the group's offset to {known}"
                        ),
                    });
                }
                _ => start,
            };
            checked.push((source, partition, start));
        }
        Ok((checked, moved))
    }

    fn after_task_change(&mut self) {
        self.routes = Routes::of(&self.tasks);
        let stores: usize = self.tasks.iter().map(Task::stores).sum();
        let cache = self.settings.cache_bytes / stores.max(1);
        let dirty = self.settings.dirty_bytes / stores.max(1);
        for task in &mut self.tasks {
            task.set_cache_bytes(cache, dirty);
        }
    }

    fn give_up(
        &mut self,
        tasks: &BTreeSet<TaskId>,
        assigned: &[TopicPartition],
        reason: CloseReason,
    ) -> Result<(), TaskFailure> {
        let mut partitions: BTreeSet<TopicPartition> = assigned.iter().cloned().collect();
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.retain(|partition| !assigned.contains(partition));
        }
        for &task in tasks {
            if self.pending.remove(&task).is_some() {
                self.around.restore.cancel(task);
            }
            partitions.extend(self.layout.partitions(task).into_iter().flatten());
            self.around.observer.closed(task, reason);
        }
        // Dropped before the answer: the next owner may be another thread of this process.
        self.outcomes
            .retain(|outcome| !outcome.as_ref().is_ok_and(|restored| tasks.contains(&restored.task)));
        self.tasks.retain(|task| !tasks.contains(&task.id));
        self.after_task_change();
        let partitions: Vec<_> = partitions.into_iter().collect();
        Ok(self.client.release(&partitions)?)
    }

    pub(super) fn close_all(&mut self, reason: CloseReason) {
        for task in self.tasks.drain(..) {
            self.around.observer.closed(task.id, reason);
        }
        for task in std::mem::take(&mut self.pending).into_keys() {
            self.around.restore.cancel(task);
            self.around.observer.closed(task, reason);
        }
        self.unanswered = None;
        self.news.clear();
        self.outcomes.clear();
        self.routes = Routes::default();
    }
}
