//! What a stream thread does about failures that no real part can be made to have at the right moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use riacho_topology::store::StoreSpec;
use riacho_topology::{
    Consumed, Headers, Outgoing, Produced, StreamsBuilder, TaskId, Timestamp, TopicPartition, Utf8,
};

use super::*;
use crate::ports::{ChangelogSlot, Incoming, OnRecord, RecordSender, StateReader, TaskState};
use crate::restore::{Failed, Request, Restored};
use crate::state::{StateError, Stateless, WipeReason};
use crate::task::Policies;

/// What a poll finds: how long it waits, the partition of a record, news.
type Polled = (Duration, Option<i32>, Result<Option<GroupEvent>, ClientErrorKind>);

/// What the thread finds around it, and what it did there.
#[derive(Default)]
struct World {
    now: Duration,
    polls: VecDeque<Polled>,
    /// Calls that fail once, by their names.
    failing: Vec<(&'static str, ClientErrorKind)>,
    calls: Vec<&'static str>,
    /// How long each poll was ready to wait.
    waits: Vec<Duration>,
    outcomes: Vec<Outcome>,
    requests: Vec<Request>,
    states: Vec<ThreadState>,
    running: Vec<TaskId>,
    times: ThreadTimes,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn call(&self, name: &'static str) -> Result<(), ClientError> {
        let mut world = self.lock();
        world.calls.push(name);
        let Some(at) = world.failing.iter().position(|(failing, _)| *failing == name) else { return Ok(()) };
        let (_, kind) = world.failing.remove(at);
        Err(failed(kind))
    }

    fn calls(&self, name: &str) -> usize {
        self.lock().calls.iter().filter(|call| **call == name).count()
    }

    /// Lets the next poll bring this news.
    fn news(&self, event: GroupEvent) {
        self.lock().polls.push_back((Duration::ZERO, None, Ok(Some(event))));
    }

    /// The restore has the state that was asked for last of a task.
    fn restored(&self, partition: i32) {
        let mut world = self.lock();
        let wanted = |request: &&Request| request.task.partition == partition;
        let Request { task, attempt, .. } = *world.requests.iter().rev().find(wanted).unwrap();
        world.outcomes.push(Ok(Restored {
            task,
            attempt,
            state: Box::new(Stateless),
            records: 0,
            took: Duration::ZERO,
            wiped: None,
        }));
    }
}

fn failed(kind: ClientErrorKind) -> ClientError {
    ClientError { kind, operation: "test", message: "as the test wants it".to_owned() }
}

impl RecordSender for Shared {
    fn send(&mut self, _: Outgoing<'_>, _: Option<ChangelogSlot>) -> Result<(), ClientError> {
        Ok(())
    }
}

impl StreamClient for Shared {
    fn subscribe(&mut self, _: &[String]) -> Result<(), ClientError> {
        self.call("subscribe")
    }

    fn poll(
        &mut self,
        wait_max: Duration,
        _: usize,
        on_record: &mut OnRecord<'_>,
    ) -> Result<Option<GroupEvent>, ClientError> {
        self.lock().waits.push(wait_max);
        let (wait, record, polled) =
            self.lock().polls.pop_front().unwrap_or((Duration::ZERO, None, Ok(None)));
        self.lock().now += wait;
        if let Some(partition) = record {
            let (timestamp, headers) = (Timestamp(0), &Headers::EMPTY);
            let (key, value) = (Some(&b"k"[..]), Some(&b"v"[..]));
            let record = Incoming { topic: "in", partition, offset: 0, timestamp, key, value, headers };
            on_record(&record, self);
        }
        polled.map_err(failed)
    }

    fn accept(&mut self, _: &[(TopicPartition, Option<i64>)]) -> Result<(), ClientError> {
        self.call("accept")
    }

    fn release(&mut self, _: &[TopicPartition]) -> Result<(), ClientError> {
        self.call("release")
    }

    fn pause(&mut self, _: &[TopicPartition]) -> Result<(), ClientError> {
        self.call("pause")
    }

    fn resume(&mut self, _: &[TopicPartition]) -> Result<(), ClientError> {
        self.call("resume")
    }

    fn seek(&mut self, _: &[Position]) -> Result<(), ClientError> {
        self.call("seek")
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, ClientError> {
        Ok(vec![Some(0); partitions.len()])
    }

    fn reset_offset(&mut self, _: &TopicPartition) -> Result<i64, ClientError> {
        Ok(0)
    }

    fn partitions_of(&mut self, _: &str) -> Result<Option<i32>, ClientError> {
        Ok(Some(2))
    }

    fn find_coordinator(&mut self) {}

    fn init_transactions(&mut self) -> Result<(), ClientError> {
        self.call("init_transactions")
    }

    fn begin(&mut self) -> Result<(), ClientError> {
        self.call("begin")
    }

    fn serve(&mut self) {}

    fn flush(&mut self) -> Result<(), ClientError> {
        self.call("flush")
    }

    fn appended(&mut self, _: ChangelogSlot) -> Option<i64> {
        None
    }

    fn send_offsets(&mut self, _: &[Position]) -> Result<(), ClientError> {
        self.call("send_offsets")
    }

    fn commit(&mut self) -> Result<(), ClientError> {
        self.call("commit")
    }

    fn abort(&mut self) -> Result<(), ClientError> {
        self.call("abort")
    }

    fn commit_offsets(&mut self, _: &[Position]) -> Result<(), ClientError> {
        self.call("commit_offsets")
    }

    fn close(&mut self) {}
}

impl RestoreService for Shared {
    fn request(&mut self, requests: Vec<Request>) {
        self.lock().requests.extend(requests);
    }

    fn cancel(&mut self, _: TaskId) {}

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.lock().outcomes)
    }
}

impl StateProvider for Shared {
    fn open(&self, _: TaskId, _: &[StoreSpec]) -> Result<Box<dyn TaskState>, StateError> {
        Ok(Box::new(Stateless))
    }

    fn wipe(&self, _: TaskId, _: WipeReason) -> Result<(), StateError> {
        Ok(())
    }
}

impl ReaderRegistry for Shared {
    fn opened(&self, _: TaskId, _: Arc<dyn StateReader>) {}
}

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        Timestamp::from(self.lock().now)
    }

    fn monotonic(&self) -> Duration {
        self.lock().now
    }
}

impl ThreadObserver for Shared {
    fn state(&mut self, state: ThreadState) {
        self.lock().states.push(state);
    }

    fn polled(&mut self) {}

    fn rebalanced(&mut self, _: bool) {}

    fn restoring(&mut self, _: TaskId) {}

    fn running(&mut self, task: TaskId, _: (u64, Duration, Option<WipeReason>), _: &[Position]) {
        self.lock().running.push(task);
    }

    fn closed(&mut self, task: TaskId, _: CloseReason) {
        self.lock().running.retain(|running| *running != task);
    }

    fn idle(&mut self) {}

    fn committed(&mut self, _: CommitOutcome, _: Duration, _: &[TaskReport], times: ThreadTimes) {
        let mut world = self.lock();
        world.times.poll += times.poll;
        world.times.process += times.process;
    }

    fn exactly_once_violated(&mut self, _: TaskId) {}
}

fn settings() -> WorkerSettings {
    WorkerSettings {
        application_id: "app".to_owned(),
        exactly_once: true,
        commit_interval: Duration::from_millis(100),
        commit_interval_idle: Duration::from_millis(100),
        poll_wait_max: Duration::from_millis(100),
        poll_records_max: 10,
        cache_bytes: 1 << 20,
        dirty_bytes: 1 << 20,
        task: TaskSettings {
            policies: Policies { by_kind: BTreeMap::new(), dead_letter_topic: "dead".to_owned() },
            max_task_idle_ms: 0,
            buffered_records_max: 10,
            late_topic: None,
            timestamp_ahead_max_ms: i64::MAX,
        },
    }
}

/// A thread that copies the two partitions of `in`.
fn thread(world: &Shared) -> StreamThread<Shared> {
    let builder = StreamsBuilder::new();
    let texts = Consumed::<String, String>::with(Utf8, Utf8);
    builder.stream("in", texts).to("out", Produced::with(Utf8, Utf8));
    let topology = Arc::new(builder.build().unwrap());
    let layout = TaskLayout::new(&topology, "app", |_| Ok::<_, ()>(2)).unwrap();
    let client = world.clone();
    let around = Surroundings {
        make_client: Box::new(move || client.call("make_client").map(|()| client.clone())),
        restore: Box::new(world.clone()),
        provider: Arc::new(world.clone()),
        observer: Box::new(world.clone()),
        readers: Arc::new(world.clone()),
        clock: Arc::new(world.clone()),
        start_line: Arc::new(StartLine::new(1)),
    };
    let joined = StreamThread::join(topology, Arc::new(layout), settings(), around);
    joined.map_err(|refused| refused.0).unwrap()
}

fn both() -> Vec<TopicPartition> {
    vec![TopicPartition::new("in", 0), TopicPartition::new("in", 1)]
}

fn steps(thread: &mut StreamThread<Shared>, count: usize) {
    (0..count).for_each(|_| thread.step().unwrap());
}

/// A thread that runs both tasks.
fn running(world: &Shared) -> StreamThread<Shared> {
    let mut thread = thread(world);
    world.news(GroupEvent::Assigned(both()));
    steps(&mut thread, 2);
    world.restored(0);
    world.restored(1);
    steps(&mut thread, 1);
    assert_eq!(world.lock().running.len(), 2);
    thread
}

#[test]
fn a_restore_that_failed_for_now_is_begun_once_more() {
    let world = Shared::default();
    let mut thread = thread(&world);
    world.news(GroupEvent::Assigned(both()));
    steps(&mut thread, 2);
    let asked: Vec<_> = world.lock().requests.iter().map(|request| (request.task, request.attempt)).collect();
    assert_eq!(asked.len(), 2);
    for (task, attempt) in asked {
        let failure = failed(ClientErrorKind::Retry).into();
        world.lock().outcomes.push(Err(Failed { task, attempt, failure }));
    }
    steps(&mut thread, 1);
    assert_eq!(world.lock().requests.len(), 4, "asked for again");
    world.restored(0);
    world.restored(1);
    steps(&mut thread, 1);
    assert_eq!(world.lock().running.len(), 2);
    assert_eq!(world.lock().states.last(), Some(&ThreadState::Running));
}

#[test]
fn a_task_that_cannot_begin_holds_up_no_other_and_begins_later() {
    let world = Shared::default();
    let mut thread = thread(&world);
    world.news(GroupEvent::Assigned(both()));
    steps(&mut thread, 2);
    world.restored(0);
    world.restored(1);
    world.lock().failing.push(("resume", ClientErrorKind::Retry));
    steps(&mut thread, 1);
    assert_eq!(world.lock().running.len(), 1, "the state of the other is not lost");
    world.restored(0);
    steps(&mut thread, 1);
    assert_eq!(world.lock().running.len(), 2);
}

#[test]
fn a_revocation_is_answered_also_when_the_first_answer_fails() {
    let world = Shared::default();
    let mut thread = running(&world);
    world.lock().failing.push(("release", ClientErrorKind::Abort));
    world.news(GroupEvent::Revoked(both()));
    steps(&mut thread, 2);
    assert_eq!(world.calls("release"), 2, "the group waits for the answer");
    steps(&mut thread, 2);
    assert_eq!(world.calls("release"), 2, "and one is enough");
}

#[test]
fn a_thread_that_joins_again_says_so_and_can_be_stopped_between_two_tries() {
    let world = Shared::default();
    let mut thread = running(&world);
    world.lock().polls.push_back((Duration::ZERO, None, Err(ClientErrorKind::Fenced)));
    world.lock().failing.push(("make_client", ClientErrorKind::Retry));
    steps(&mut thread, 1);
    assert_eq!(world.lock().states.last(), Some(&ThreadState::PartitionsRevoked));
    assert_eq!(world.calls("make_client"), 1);
    steps(&mut thread, 1);
    assert_eq!((world.calls("make_client"), world.calls("subscribe")), (2, 1), "one try a step");
    steps(&mut thread, 1);
    assert_eq!((world.calls("make_client"), world.calls("subscribe")), (3, 2));
    thread.shut_down(true);
}

#[test]
fn to_wait_for_records_is_not_to_process_them() {
    let world = Shared::default();
    let mut thread = running(&world);
    let wait = Duration::from_millis(90);
    world.lock().polls.push_back((wait, Some(0), Ok(None)));
    world.lock().polls.push_back((wait, None, Ok(None)));
    steps(&mut thread, 2);
    assert_eq!(world.calls("commit"), 1);
    let times = world.lock().times;
    assert_eq!((times.poll, times.process), (2 * wait, Duration::ZERO));
}

#[test]
fn a_record_that_comes_twice_aborts_the_transaction_and_its_input_is_read_again() {
    let world = Shared::default();
    let mut thread = running(&world);
    for _ in 0..2 {
        world.lock().polls.push_back((Duration::ZERO, Some(0), Ok(None)));
        steps(&mut thread, 1);
    }
    assert_eq!((world.calls("abort"), world.calls("seek")), (1, 1));
}

#[test]
fn a_poll_that_was_full_is_followed_by_one_that_does_not_wait() {
    let world = Shared::default();
    let mut thread = running(&world);
    thread.settings.poll_records_max = 1;
    world.lock().polls.push_back((Duration::ZERO, Some(0), Ok(None)));
    steps(&mut thread, 3);
    let waits = world.lock().waits.clone();
    let [.., first, after_full, after_empty] = waits.as_slice() else { panic!("three polls") };
    assert_eq!((*first, *after_full), (settings().poll_wait_max, Duration::ZERO));
    assert!(!after_empty.is_zero());
}
