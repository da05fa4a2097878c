//! A task: one sub-topology on one partition, with its inputs, its operators and its state.

mod bad_record;
mod collector;
mod input;

use riacho_topology::TopicPartition;
use riacho_topology::store::layout::{COMMIT_KEY, CommitRecord};
use riacho_topology::{Context, Counts, Instance, RawRecord, StoreIndex, TaskFrame, TaskId, Timestamp};

pub(crate) use bad_record::{BadRecords, Policies, TaskFailure};
pub(crate) use collector::Changelog;
use collector::{Collector, Counted};
use input::{Input, Waiting, choose};

use crate::ports::{
    ChangelogSlot, ClientError, ClientErrorKind, Incoming, Position, RecordSender, SentTo, TaskState,
};
use crate::state::{StateError, StoreStatistics, TaskMeta};

/// What a task did since it was last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) counts: Counts,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) sent: Vec<SentTo>,
    pub(crate) bad: BadRecords,
    /// The Kafka timestamp of the first record: what waited longest for the commit.
    pub(crate) first_timestamp: Option<Timestamp>,
    /// How much changed state there was when the last flush began.
    pub(crate) dirty_bytes: usize,
}

/// What the configuration says of every task.
#[derive(Clone, Debug)]
pub(crate) struct TaskSettings {
    pub(crate) policies: Policies,
    pub(crate) max_task_idle_ms: i64,
    pub(crate) buffered_records_max: usize,
    pub(crate) late_topic: Option<String>,
    pub(crate) timestamp_ahead_max_ms: i64,
}

/// A task that is running.
pub(crate) struct Task {
    pub(crate) id: TaskId,
    instance: Instance,
    frame: TaskFrame,
    state: Box<dyn TaskState>,
    inputs: Vec<Input>,
    changelogs: Vec<Changelog>,
    settings: TaskSettings,
    work: Work,
    progressed: bool,
}

impl Task {
    /// Makes a task of restored state. `starts` are the input partitions with the offsets to read from.
    pub(crate) fn new(
        id: TaskId,
        instance: Instance,
        state: Box<dyn TaskState>,
        starts: Vec<(usize, TopicPartition, i64)>,
        changelogs: Vec<Changelog>,
        settings: TaskSettings,
    ) -> Self {
        let mut frame = TaskFrame::new(id, usize::MAX);
        frame.stream_time = committed_stream_time(&*state);
        frame.timestamp_ahead_max_ms = settings.timestamp_ahead_max_ms;
        frame.late_topic = settings.late_topic.as_deref().map(Into::into);
        let inputs = starts
            .into_iter()
            .map(|(source, partition, start)| Input::new(partition, source, start))
            .collect();
        let work = Work::default();
        Task { id, instance, frame, state, inputs, changelogs, settings, work, progressed: false }
    }

    /// Runs `act` with the task's operators in their surroundings.
    fn with<R>(
        &mut self,
        sender: &mut dyn RecordSender,
        now: Timestamp,
        source: Option<RawRecord<'_>>,
        act: impl FnOnce(&mut Instance, &mut Context<'_>) -> Result<R, riacho_topology::ProcessError>,
    ) -> Result<Result<R, riacho_topology::ProcessError>, TaskFailure> {
        let mut collector = Collector {
            sender: Counted { sender, sent: &mut self.work.sent },
            changelogs: &self.changelogs,
            partition: self.id.partition,
            now,
            failure: None,
        };
        let mut ctx = Context {
            frame: &mut self.frame,
            stores: &mut *self.state,
            collector: &mut collector,
            source,
            now,
        };
        let result = act(&mut self.instance, &mut ctx);
        match collector.failure {
            Some(failure) => Err(TaskFailure::Client(failure)),
            None => Ok(result),
        }
    }

    /// Learns what committed state there is. Before the first record.
    pub(crate) fn open(&mut self, sender: &mut dyn RecordSender, now: Timestamp) -> Result<(), TaskFailure> {
        let opened = self.with(sender, now, None, |instance, ctx| instance.open(ctx))?;
        opened.map_err(|error| TaskFailure::from_process(self.id, error))
    }

    /// Takes a record of input `input`: processes it at once where there is only one input, else keeps it until its
    /// turn comes.
    pub(crate) fn take(
        &mut self,
        input: usize,
        record: &Incoming<'_>,
        sender: &mut dyn RecordSender,
        now: Timestamp,
    ) -> Result<(), TaskFailure> {
        let is_alone = self.inputs.len() == 1;
        let Some(place) = self.inputs.get_mut(input) else { return Ok(()) };
        if !place.admits(record.offset) {
            // So that it goes back with the others.
            self.progressed = true;
            return Err(TaskFailure::Client(came_again(&place.partition, record.offset)));
        }
        if is_alone {
            return self.process(input, *record, sender, now);
        }
        let event_time =
            self.instance.event_time(place.source, record, now, &self.frame).unwrap_or(Timestamp::MIN);
        place.waiting.push_back(Waiting::new(record, event_time));
        Ok(())
    }

    /// Processes waiting records as far as their order is certain. Returns whether any was processed.
    pub(crate) fn drain(
        &mut self,
        sender: &mut dyn RecordSender,
        now: Timestamp,
    ) -> Result<bool, TaskFailure> {
        let mut processed = false;
        while let Some(input) = choose(&mut self.inputs, now, self.settings.max_task_idle_ms) {
            let Some(place) = self.inputs.get_mut(input) else { break };
            let Some(waiting) = place.waiting.pop_front() else { break };
            let partition = place.partition.clone();
            self.process(input, waiting.as_raw(&partition), sender, now)?;
            processed = true;
        }
        Ok(processed)
    }

    fn process(
        &mut self,
        input: usize,
        raw: RawRecord<'_>,
        sender: &mut dyn RecordSender,
        now: Timestamp,
    ) -> Result<(), TaskFailure> {
        let Some(source) = self.inputs.get(input).map(|input| input.source) else { return Ok(()) };
        self.progressed = true;
        self.work.records += 1;
        self.work.bytes += (raw.key.map_or(0, <[u8]>::len) + raw.value.map_or(0, <[u8]>::len)) as u64;
        self.work.first_timestamp.get_or_insert(raw.timestamp);
        let result =
            self.with(sender, now, Some(raw), |instance, ctx| instance.process(source, &raw, ctx))?;
        if let Err(error) = result {
            self.bad_record(error, &raw, sender)?;
        }
        if let Some(input) = self.inputs.get_mut(input) {
            input.next_offset = raw.offset + 1;
        }
        Ok(())
    }

    fn bad_record(
        &mut self,
        error: riacho_topology::ProcessError,
        raw: &RawRecord<'_>,
        sender: &mut dyn RecordSender,
    ) -> Result<(), TaskFailure> {
        let bad = bad_record::classify(self.id, error)?;
        let mut sender = Counted { sender, sent: &mut self.work.sent };
        self.settings.policies.apply(self.id, &bad, raw, &mut sender, &mut self.work.bad)
    }

    /// Writes every change since the last commit to the changelogs, the staged batch and downstream.
    pub(crate) fn flush(&mut self, sender: &mut dyn RecordSender, now: Timestamp) -> Result<(), TaskFailure> {
        self.work.dirty_bytes = self.instance.dirty_bytes();
        let flushed = self.with(sender, now, None, |instance, ctx| instance.flush(ctx))?;
        flushed.map_err(|error| TaskFailure::from_process(self.id, error))?;
        for output in std::mem::take(&mut self.frame.bad_outputs) {
            let mut sender = Counted { sender, sent: &mut self.work.sent };
            self.settings.policies.apply_output(self.id, &output, (&mut sender, now), &mut self.work.bad)?;
        }
        Ok(())
    }

    /// Ends what [`flush`](Self::flush) wrote to each changelog with the commit record.
    pub(crate) fn mark_commit(
        &mut self,
        sender: &mut dyn RecordSender,
        now: Timestamp,
    ) -> Result<(), TaskFailure> {
        if self.changelogs.is_empty() {
            return Ok(());
        }
        let mut value = Vec::new();
        self.next_commit().encode(&mut value);
        for store in 0..self.changelogs.len() {
            let append =
                |ctx: &mut Context<'_>| ctx.collector.append(store_index(store), &COMMIT_KEY, Some(&value));
            let appended = self.with(sender, now, None, |_, ctx| Ok(append(ctx)?))?;
            appended.map_err(|error| TaskFailure::from_process(self.id, error))?;
        }
        Ok(())
    }

    /// What the changelogs and the state on disk say of the next commit.
    fn next_commit(&self) -> CommitRecord {
        CommitRecord {
            stream_time: self.frame.stream_time,
            transaction: self.state.meta().map_or(0, |meta| meta.commit.transaction) + 1,
            inputs: self.offsets(),
        }
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.inputs.iter().map(|input| (input.partition.clone(), input.next_offset)).collect()
    }

    /// How far the inputs are, for the group's offsets.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        self.offsets().into_iter().map(|(partition, next_offset)| Position { partition, next_offset })
    }

    /// The transaction is committed: state, changelog offsets, input offsets and stream time go to disk in one
    /// batch. A crash before this line is made good by the changelog.
    pub(crate) fn committed(
        &mut self,
        mut appended: impl FnMut(ChangelogSlot) -> Option<i64>,
    ) -> Result<(), StateError> {
        for input in &mut self.inputs {
            input.committed = input.next_offset;
        }
        self.progressed = false;
        self.frame.commit_requested = false;
        if !self.changelogs.is_empty() {
            let before = self.state.meta().map_or(&[][..], |meta| &meta.changelogs);
            let next_offset = |(store, changelog): (usize, &Changelog)| {
                let store = store_index(store);
                let known = || before.iter().find(|(index, _)| *index == store).map(|(_, next)| *next);
                Some((store, appended(changelog.slot).or_else(known)?))
            };
            let changelogs = self.changelogs.iter().enumerate().filter_map(next_offset).collect();
            self.state.commit(&TaskMeta { changelogs, commit: self.next_commit() })?;
        }
        self.instance.committed(&self.frame);
        Ok(())
    }

    /// The transaction is aborted: everything that is not committed is forgotten, the inputs go back to where the
    /// last commit left them.
    pub(crate) fn aborted(
        &mut self,
        sender: &mut dyn RecordSender,
        now: Timestamp,
    ) -> Result<(), TaskFailure> {
        self.instance.aborted();
        self.state.abort();
        for input in &mut self.inputs {
            input.rewind();
        }
        self.frame.stream_time = committed_stream_time(&*self.state);
        self.frame.commit_requested = false;
        self.frame.bad_outputs.clear();
        self.frame.counts = Counts::default();
        self.work = Work::default();
        self.progressed = false;
        self.open(sender, now)
    }

    /// Whether there is anything to commit.
    pub(crate) fn has_progressed(&self) -> bool {
        self.progressed
    }

    /// Whether the task holds so much unwritten state that it should commit now.
    pub(crate) fn wants_commit(&self) -> bool {
        self.frame.commit_requested
    }

    /// The source operators of the inputs, in the order of their places.
    pub(crate) fn sources(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().map(|input| input.source)
    }

    /// The input partitions in the order of their places.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.inputs.iter().map(|input| &input.partition)
    }

    /// Input partitions whose delivery should stop, because enough waits, or start again.
    pub(crate) fn backpressure(&mut self) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        let max = self.settings.buffered_records_max;
        for input in &mut self.inputs {
            if !input.paused && input.waiting.len() >= max {
                input.paused = true;
                pause.push(input.partition.clone());
            } else if input.paused && input.waiting.len() <= max / 2 {
                input.paused = false;
                resume.push(input.partition.clone());
            }
        }
        (pause, resume)
    }

    /// Whether records wait for their turn.
    pub(crate) fn has_waiting(&self) -> bool {
        self.inputs.iter().any(|input| !input.waiting.is_empty())
    }

    /// Sets how many bytes of decoded state, and how many of changed state, each store may hold.
    pub(crate) fn set_cache_bytes(&mut self, cache_per_store: usize, dirty_per_store: usize) {
        self.frame.cache_bytes_per_store = cache_per_store;
        self.frame.dirty_bytes_per_store = dirty_per_store;
    }

    /// How many stores the task has.
    pub(crate) fn stores(&self) -> usize {
        self.changelogs.len()
    }

    /// The highest event time seen.
    pub(crate) fn stream_time(&self) -> Timestamp {
        self.frame.stream_time
    }

    /// How many windows are open in memory, and how many bytes the decoded state takes.
    pub(crate) fn state_size(&self) -> (usize, usize) {
        (self.instance.open_windows(), self.instance.cached_bytes())
    }

    /// What the storage engine says about itself, where the task keeps state.
    pub(crate) fn store_statistics(&self) -> Option<StoreStatistics> {
        (!self.changelogs.is_empty()).then(|| self.state.statistics())
    }

    /// The slots of its changelogs.
    pub(crate) fn slots(&self) -> impl Iterator<Item = ChangelogSlot> {
        self.changelogs.iter().map(|changelog| changelog.slot)
    }

    /// What was done since the last call.
    pub(crate) fn take_work(&mut self) -> Work {
        let mut work = std::mem::take(&mut self.work);
        work.counts = std::mem::take(&mut self.frame.counts);
        work
    }
}

#[cold]
fn came_again(partition: &TopicPartition, offset: i64) -> ClientError {
    ClientError {
        kind: ClientErrorKind::Abort,
        operation: "take a record",
        message: format!("the one at offset {offset} of {partition} came before"),
    }
}

fn store_index(store: usize) -> StoreIndex {
    StoreIndex(u16::try_from(store).unwrap_or(u16::MAX))
}

fn committed_stream_time(state: &dyn TaskState) -> Timestamp {
    state.meta().map_or(Timestamp::MIN, |meta| meta.commit.stream_time)
}
