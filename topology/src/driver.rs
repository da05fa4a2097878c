//! Runs a topology in a test: no broker, no disk, no clock but the test's own.

mod inspect;
mod records;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

pub use records::{DeadLetter, SentRecord, TestInput, TestRecord};
pub use transaction::ChangelogEntry;
use transaction::{Collector, Committed, Transaction};

use crate::error::{BadRecord, BadRecordPolicy, CollectError, ProcessError};
use crate::graph::{Instance, Topology};
use crate::ids::TaskId;
use crate::plan::TopicName;
use crate::processor::{Context, Counts, TaskFrame};
use crate::record::{Headers, RawRecord};
use crate::serde::Serde;
use crate::store::memory::MemoryStores;
use crate::time::Timestamp;

/// Runs a [`Topology`] in a test, one task per sub-topology, each on one partition.
///
/// ```
/// use std::time::Duration;
/// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, TestDriver};
/// use riacho_topology::{TimeWindowed, TimeWindows, Utf8};
///
/// let per_minute = TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(10))?;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("views", Consumed::<String, String>::with(Utf8, Utf8))
///     .group_by_key(Grouped::with(Utf8, Utf8))
///     .windowed_by(per_minute)
///     .count(Materialized::named("per-minute", BigEndian))
///     .to_stream()
///     .map(|count| (format!("{}@{}", count.key.key, count.key.window.start), *count.value))
///     .to("counts", Produced::with(Utf8, BigEndian));
///
/// let mut run = TestDriver::of(builder.build()?);
/// let secs = Duration::from_secs;
/// run.input::<String, String>("views", Utf8, Utf8)
///     .at(secs(5)).send("ana", "/")
///     .at(secs(62)).send("bia", "/")
///     .at(secs(8)).send("ana", "/late/but/in/time");
/// assert_eq!(run.output::<String, u64>("counts", Utf8, BigEndian), [("ana@0", 1), ("bia@60000", 1), ("ana@0", 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every record is committed at once, so that every change of a result is seen. With
/// [`commit_every_record(false)`](Self::commit_every_record) the test says when to [`commit`](Self::commit) and when
/// to [`abort`](Self::abort), and results that change twice in between come once, as they do in production. Output
/// is seen when it is committed: other sub-topologies read it then, and so does the test.
pub struct TestDriver {
    topology: Topology,
    application_id: String,
    settings: Settings,
    tasks: Vec<TestTask>,
    /// Which task reads a topic, and with which of its sources.
    routes: BTreeMap<String, (usize, usize)>,
    repartition_topics: BTreeSet<String>,
    next_offsets: BTreeMap<String, i64>,
    /// Committed to topics that the topology reads itself, and not yet processed.
    internal: VecDeque<Input>,
    open: Transaction,
    committed: Committed,
    /// What the last abort undid.
    undone: Vec<Input>,
    now: Timestamp,
}

struct Settings {
    commit_every_record: bool,
    cache_bytes_per_store: usize,
    late_topic: Option<Rc<str>>,
    timestamp_ahead_max_ms: i64,
    record_bytes_max: usize,
    policies: BTreeMap<BadRecord, BadRecordPolicy>,
}

struct TestTask {
    instance: Instance,
    frame: TaskFrame,
    stores: MemoryStores,
    committed_stream_time: Timestamp,
}

struct Input {
    record: SentRecord,
    offset: i64,
}

/// Setting it up.
impl TestDriver {
    /// Runs `topology` from nothing, under the application id `test`, with the wall clock at 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn of(topology: Topology) -> Self {
        let application_id = "test".to_owned();
        let settings = Settings {
            commit_every_record: true,
            cache_bytes_per_store: usize::MAX,
            late_topic: None,
            timestamp_ahead_max_ms: i64::MAX,
            record_bytes_max: usize::MAX,
            policies: BTreeMap::new(),
        };
        let (mut routes, mut repartition_topics) = (BTreeMap::new(), BTreeSet::new());
        for (task, subtopology) in topology.subtopologies().iter().enumerate() {
            for (source, topic) in subtopology.sources.iter().enumerate() {
                let name = topic.resolve(&application_id);
                if matches!(topic, TopicName::Repartition(_)) {
                    repartition_topics.insert(name.clone());
                }
                routes.insert(name, (task, source));
            }
        }
        let mut driver = TestDriver {
            topology,
            application_id,
            settings,
            tasks: Vec::new(),
            routes,
            repartition_topics,
            next_offsets: BTreeMap::new(),
            internal: VecDeque::new(),
            open: Transaction::default(),
            committed: Committed::default(),
            undone: Vec::new(),
            now: Timestamp(0),
        };
        driver.restart();
        driver
    }

    /// Whether to commit after every record, which is the default, or when the test says [`commit`](Self::commit).
    #[must_use]
    pub fn commit_every_record(mut self, every_record: bool) -> Self {
        self.settings.commit_every_record = every_record;
        self
    }

    /// How many bytes of decoded state each store may keep in memory after a commit. By default all.
    #[must_use]
    pub fn cache_bytes_per_store(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes_per_store = bytes;
        self.apply_settings()
    }

    /// Sends late records to `topic` too.
    #[must_use]
    pub fn late_topic(mut self, topic: &str) -> Self {
        self.settings.late_topic = Some(topic.into());
        self.apply_settings()
    }

    /// How far ahead of the wall clock a record may be. By default any time.
    #[must_use]
    pub fn timestamp_ahead_max(mut self, ahead: Duration) -> Self {
        self.settings.timestamp_ahead_max_ms = Timestamp::from(ahead).0;
        self.apply_settings()
    }

    /// The producer refuses records with more bytes of key and value than this. By default none.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.record_bytes_max = bytes;
        self
    }

    /// What is done with bad records of all kinds. By default they fail the test, so that none goes unnoticed; the
    /// dead letters are kept for [`dead_letters`](Self::dead_letters).
    #[must_use]
    pub fn bad_records(mut self, policy: BadRecordPolicy) -> Self {
        self.settings.policies.extend(BadRecord::ALL.map(|kind| (kind, policy)));
        self
    }

    /// What is done with bad records of one kind.
    #[must_use]
    pub fn bad_records_of(mut self, kind: BadRecord, policy: BadRecordPolicy) -> Self {
        self.settings.policies.insert(kind, policy);
        self
    }

    fn apply_settings(mut self) -> Self {
        for task in &mut self.tasks {
            self.settings.apply(&mut task.frame);
        }
        self
    }
}

impl Settings {
    fn apply(&self, frame: &mut TaskFrame) {
        frame.cache_bytes_per_store = self.cache_bytes_per_store;
        frame.dirty_bytes_per_store = self.cache_bytes_per_store;
        frame.late_topic.clone_from(&self.late_topic);
        frame.timestamp_ahead_max_ms = self.timestamp_ahead_max_ms;
    }

    fn policy(&self, kind: BadRecord) -> BadRecordPolicy {
        self.policies.get(&kind).copied().unwrap_or(BadRecordPolicy::Fail)
    }
}

/// Running it.
impl TestDriver {
    /// Writes to an input topic.
    ///
    /// # Panics
    /// When the topology does not read `topic`.
    pub fn input<'d, K, V>(
        &'d mut self,
        topic: &str,
        key_serde: impl Serde<K> + 'd,
        value_serde: impl Serde<V> + 'd,
    ) -> TestInput<'d, K, V> {
        let topics = self.topology.external_sources();
        assert!(topics.contains(topic), "the topology does not read topic {topic}, but {topics:?}");
        TestInput {
            topic: topic.to_owned(),
            key_serde: Box::new(key_serde),
            value_serde: Box::new(value_serde),
            timestamp: self.now,
            headers: Headers::EMPTY,
            driver: self,
        }
    }

    /// Takes what was committed to an output topic since it was last taken.
    ///
    /// # Panics
    /// When the topology does not write `topic`, or a record cannot be read by these serdes.
    pub fn output<K, V>(
        &mut self,
        topic: &str,
        key_serde: impl Serde<K>,
        value_serde: impl Serde<V>,
    ) -> Vec<TestRecord<K, V>> {
        let topics = self.topology.external_sinks();
        let known = topics.contains(topic) || self.settings.late_topic.as_deref() == Some(topic);
        assert!(known, "the topology does not write topic {topic}, but {topics:?}");
        let sent = self.committed.sent.extract_if(.., |record| record.topic == topic);
        sent.map(|record| record.read(&key_serde, &value_serde)).collect()
    }

    /// Takes what was committed to all output topics since it was last taken, in the order in which it was sent.
    pub fn take_sent(&mut self) -> Vec<SentRecord> {
        std::mem::take(&mut self.committed.sent)
    }

    /// Commits, and processes what goes through repartition topics until all of it is committed.
    ///
    /// # Panics
    /// When a result cannot be written, or a record of a repartition topic is bad, and the policy is to fail.
    pub fn commit(&mut self) {
        if let Err(error) = self.try_commit() {
            panic!("the commit failed: {error}");
        }
    }

    /// Commits, and processes what goes through repartition topics until all of it is committed.
    ///
    /// # Errors
    /// When a result cannot be written, or a record of a repartition topic is bad, and the policy is to fail. Then
    /// the transaction is aborted.
    pub fn try_commit(&mut self) -> Result<(), ProcessError> {
        let committed = self.commit_and_settle();
        if committed.is_err() {
            self.abort();
        }
        committed
    }

    /// Undoes everything since the last commit, as an aborted transaction does. The application would then read its
    /// input again: see [`replay`](Self::replay).
    pub fn abort(&mut self) {
        let undone = std::mem::take(&mut self.open).inputs;
        self.undone.extend(undone);
        for task in &mut self.tasks {
            task.stores.abort();
            task.instance.aborted();
            task.frame.stream_time = task.committed_stream_time;
            task.frame.counts = Counts::default();
            task.frame.commit_requested = false;
            task.frame.bad_outputs.clear();
        }
        self.open_tasks();
    }

    /// Writes everything out as for a commit, which then fails: an [`abort`](Self::abort) at the last moment.
    ///
    /// # Panics
    /// When a result cannot be written and the policy is to fail.
    pub fn fail_commit(&mut self) {
        let flushed = self.flush();
        self.abort();
        if let Err(error) = flushed {
            panic!("the commit failed too early: {error}");
        }
    }

    /// Reads the records again that were undone by [`abort`](Self::abort) or [`restart`](Self::restart).
    ///
    /// # Panics
    /// When one of them is bad and the policy is to fail.
    pub fn replay(&mut self) {
        for input in std::mem::take(&mut self.undone) {
            if let Err(error) = self.process_and_settle(input) {
                panic!("a record that is read again: {error}");
            }
        }
    }

    /// Stops as a crash does and starts again: memory is lost, what is committed stays. The application would then
    /// read its input again: see [`replay`](Self::replay).
    pub fn restart(&mut self) {
        self.undone.extend(std::mem::take(&mut self.open).inputs);
        let before = std::mem::take(&mut self.tasks);
        let mut kept = before.into_iter().map(|task| (task.stores, task.committed_stream_time));
        for number in 0..self.topology.subtopologies().len() {
            let (mut stores, stream_time) = kept.next().unwrap_or((MemoryStores::default(), Timestamp::MIN));
            stores.abort();
            let instance = self
                .topology
                .instantiate(number, &self.application_id)
                .expect("a sub-topology of the topology can be instantiated");
            let mut frame = TaskFrame::new(TaskId { subtopology: number, partition: 0 }, usize::MAX);
            self.settings.apply(&mut frame);
            frame.stream_time = stream_time;
            self.tasks.push(TestTask { instance, frame, stores, committed_stream_time: stream_time });
        }
        self.open_tasks();
    }

    /// Moves the wall clock on.
    pub fn advance_wall_clock(&mut self, by: Duration) {
        self.now = self.now.plus_millis(Timestamp::from(by).0);
    }

    fn open_tasks(&mut self) {
        for number in 0..self.tasks.len() {
            if let Err(error) = self.with_task(number, None, Instance::open) {
                panic!("the committed state of task {number}_0 cannot be opened: {error}");
            }
        }
    }

    pub(crate) fn receive(&mut self, record: SentRecord) -> Result<(), ProcessError> {
        let input = self.stored(record);
        self.process_and_settle(input)
    }

    fn stored(&mut self, record: SentRecord) -> Input {
        let next = self.next_offsets.entry(record.topic.clone()).or_default();
        let offset = *next;
        *next += 1;
        Input { record, offset }
    }

    fn process_and_settle(&mut self, input: Input) -> Result<(), ProcessError> {
        let mut processed = self.process(input);
        if processed.is_ok() && self.settings.commit_every_record {
            processed = self.commit_and_settle();
        }
        if processed.is_err() {
            self.abort();
        }
        processed
    }

    fn commit_and_settle(&mut self) -> Result<(), ProcessError> {
        self.commit_once()?;
        while let Some(input) = self.internal.pop_front() {
            self.process(input)?;
            if self.settings.commit_every_record || self.internal.is_empty() {
                self.commit_once()?;
            }
        }
        Ok(())
    }

    fn process(&mut self, input: Input) -> Result<(), ProcessError> {
        let Some(&(task, source)) = self.routes.get(&input.record.topic) else { return Ok(()) };
        let Input { record, offset } = &input;
        let raw = RawRecord {
            topic: &record.topic,
            partition: 0,
            offset: *offset,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        let result = self.with_task(task, Some(raw), |instance, ctx| instance.process(source, &raw, ctx));
        let judged = match result {
            Err(ProcessError::BadRecord { kind, message, policy }) => {
                self.judge(kind, message, policy, Some(record.clone()))
            }
            Err(ProcessError::Collect(refused @ CollectError::Refused { .. })) => {
                self.judge(BadRecord::Production, refused.to_string(), None, Some(record.clone()))
            }
            result => result,
        };
        self.open.inputs.push(input);
        judged
    }

    fn judge(
        &mut self,
        kind: BadRecord,
        message: String,
        policy: Option<BadRecordPolicy>,
        record: Option<SentRecord>,
    ) -> Result<(), ProcessError> {
        match policy.unwrap_or_else(|| self.settings.policy(kind)) {
            BadRecordPolicy::Fail => return Err(ProcessError::BadRecord { kind, message, policy }),
            BadRecordPolicy::Continue => {}
            BadRecordPolicy::DeadLetter => self.open.dead_letters.push(DeadLetter { kind, message, record }),
        }
        *self.open.bad.entry(kind).or_default() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ProcessError> {
        for number in 0..self.tasks.len() {
            self.with_task(number, None, Instance::flush)?;
            let bad_outputs =
                self.tasks.get_mut(number).map(|task| std::mem::take(&mut task.frame.bad_outputs));
            for bad in bad_outputs.into_iter().flatten() {
                self.judge(bad.kind, bad.message, None, None)?;
            }
        }
        Ok(())
    }

    /// One transaction of all tasks.
    fn commit_once(&mut self) -> Result<(), ProcessError> {
        self.flush()?;
        for task in &mut self.tasks {
            task.stores.commit();
            task.committed_stream_time = task.frame.stream_time;
            task.frame.commit_requested = false;
            task.instance.committed(&task.frame);
            self.committed.counts += std::mem::take(&mut task.frame.counts);
        }
        let Transaction { inputs: _, sent, appended, bad, dead_letters } = std::mem::take(&mut self.open);
        for record in sent {
            if self.routes.contains_key(&record.topic) {
                let input = self.stored(record.clone());
                self.internal.push_back(input);
            }
            if !self.repartition_topics.contains(&record.topic) {
                self.committed.sent.push(record);
            }
        }
        for (task, store, entry) in appended {
            self.committed.changelogs.entry((task, store)).or_default().push(entry);
        }
        for (kind, count) in bad {
            *self.committed.bad.entry(kind).or_default() += count;
        }
        self.committed.dead_letters.extend(dead_letters);
        Ok(())
    }

    fn with_task<R>(
        &mut self,
        task: usize,
        source: Option<RawRecord<'_>>,
        act: impl FnOnce(&mut Instance, &mut Context<'_>) -> Result<R, ProcessError>,
    ) -> Result<R, ProcessError> {
        let TestDriver { tasks, open, settings, now, .. } = self;
        let TestTask { instance, frame, stores, .. } =
            tasks.get_mut(task).expect("tasks are numbered like their list");
        let mut collector =
            Collector { task, transaction: open, record_bytes_max: settings.record_bytes_max };
        act(instance, &mut Context { frame, stores, collector: &mut collector, source, now: *now })
    }
}
