//! The lifecycle from outside, with its threads.

use super::*;

const LIMITS: Limits = Limits { poll_age_max: secs(300), commit_age_max: secs(60) };

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn started(threads: usize) -> (Arc<Lifecycle>, Vec<ThreadLifecycle>) {
    let lifecycle = Lifecycle::new("app-1", NonZeroUsize::new(threads).unwrap(), LIMITS);
    lifecycle.start().unwrap();
    let threads: Vec<_> = (1..=threads).map(|number| lifecycle.thread(number)).collect();
    threads.iter().for_each(|thread| enter(thread, &[ThreadState::Starting]));
    (lifecycle, threads)
}

fn enter(thread: &ThreadLifecycle, states: &[ThreadState]) {
    for state in states {
        assert_eq!(thread.enter(*state, secs(0)), Ok(Entered::Yes), "{state}");
    }
}

const TO_RUNNING: [ThreadState; 2] = [ThreadState::PartitionsAssigned, ThreadState::Running];
const TO_DEAD: [ThreadState; 2] = [ThreadState::PendingShutdown, ThreadState::Dead];

#[test]
fn clients_move_along_the_arrows_of_kafka_streams_only() {
    // As in KafkaStreams.State: the ordinals of the states that may follow.
    let arrows: [&[usize]; 7] = [&[1, 3], &[2, 3, 5], &[1, 3, 5], &[4], &[], &[6], &[]];
    for (from, allowed) in ClientState::ALL.into_iter().zip(arrows) {
        for (ordinal, to) in ClientState::ALL.into_iter().enumerate() {
            assert_eq!(from.may_become(to), allowed.contains(&ordinal), "{from} to {to}");
        }
    }
}

#[test]
fn threads_move_along_the_arrows_of_kafka_streams_only() {
    // As in StreamThread.State.
    let arrows: [&[usize]; 7] = [&[1, 5], &[2, 3, 5], &[2, 3, 5], &[2, 3, 4, 5], &[2, 3, 4, 5], &[6], &[]];
    for (from, allowed) in ThreadState::ALL.into_iter().zip(arrows) {
        for (ordinal, to) in ThreadState::ALL.into_iter().enumerate() {
            assert_eq!(from.may_become(to), allowed.contains(&ordinal), "{from} to {to}");
        }
    }
}

#[test]
fn the_application_runs_when_every_thread_does() {
    let (lifecycle, threads) = started(2);
    let mut seen = Vec::new();
    for thread in &threads {
        enter(thread, &TO_RUNNING);
        seen.push(lifecycle.state());
    }
    enter(&threads[0], &[ThreadState::PartitionsRevoked]);
    seen.push(lifecycle.state());
    enter(&threads[0], &TO_RUNNING);
    seen.push(lifecycle.state());
    use ClientState::{Rebalancing, Running};
    assert_eq!(seen, [Rebalancing, Running, Rebalancing, Running]);
}

#[test]
fn a_shutdown_ends_when_the_last_thread_has_left() {
    let (lifecycle, threads) = started(2);
    let changes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&changes);
    lifecycle.on_change(Box::new(move |from, to| noted.lock().unwrap().push((from, to))));
    threads.iter().for_each(|thread| enter(thread, &TO_RUNNING));
    assert!(!lifecycle.stop_requested());
    lifecycle.shut_down();
    lifecycle.shut_down();
    assert!(threads[0].stop_requested());
    // A rebalance that arrives now changes nothing.
    let late = threads[0].enter(ThreadState::PartitionsAssigned, secs(0));
    assert_eq!((late, lifecycle.state()), (Ok(Entered::Yes), ClientState::PendingShutdown));
    threads.iter().for_each(|thread| enter(thread, &TO_DEAD));
    use ClientState::{NotRunning, PendingShutdown, Rebalancing, Running};
    let expected = [(Rebalancing, Running), (Running, PendingShutdown), (PendingShutdown, NotRunning)];
    assert_eq!(*changes.lock().unwrap(), expected);
    assert_eq!(lifecycle.failure(), None);
}

#[test]
fn an_application_that_never_started_stops_at_once() {
    let lifecycle = Lifecycle::new("app-1", NonZeroUsize::MIN, LIMITS);
    let thread = lifecycle.thread(1);
    lifecycle.shut_down();
    assert_eq!(lifecycle.state(), ClientState::NotRunning);
    assert_eq!(thread.enter(ThreadState::Starting, secs(0)), Ok(Entered::Refused));
    assert!(lifecycle.start().is_err());
}

#[test]
fn the_failure_of_one_thread_stops_all_and_the_first_reason_stays() {
    let (lifecycle, threads) = started(2);
    threads.iter().for_each(|thread| enter(thread, &TO_RUNNING));
    threads[1].fail("disk full");
    threads[0].fail("disk full too");
    lifecycle.shut_down();
    assert_eq!(lifecycle.state(), ClientState::PendingError);
    assert!(lifecycle.stop_requested());
    threads.iter().for_each(|thread| enter(thread, &TO_DEAD));
    assert_eq!(lifecycle.state(), ClientState::Error);
    assert_eq!(lifecycle.failure().as_deref(), Some("thread 2: disk full"));
    assert_eq!(lifecycle.failed_threads(), 2);
    assert_eq!(lifecycle.health(secs(0)).objections, ["the state is ERROR: thread 2: disk full"]);
}

#[test]
fn a_thread_that_panics_stops_the_application() {
    let (lifecycle, mut threads) = started(1);
    let thread = threads.pop().unwrap();
    let panicked = std::thread::spawn(move || {
        enter(&thread, &TO_RUNNING);
        panic!("a bug");
    });
    assert!(panicked.join().is_err());
    assert_eq!(lifecycle.state(), ClientState::Error);
    assert_eq!(lifecycle.failure().unwrap(), "thread 1: it ended although nobody had asked it to");
    assert_eq!(lifecycle.failed_threads(), 1);
}

#[test]
fn a_thread_that_is_shutting_down_stays_so() {
    let (_lifecycle, threads) = started(1);
    enter(&threads[0], &[ThreadState::PendingShutdown]);
    assert_eq!(threads[0].enter(ThreadState::PartitionsAssigned, secs(0)), Ok(Entered::Refused));
    assert_eq!(threads[0].state(), ThreadState::PendingShutdown);
}

#[test]
fn a_transition_that_no_diagram_has_is_an_error() {
    let (_lifecycle, threads) = started(1);
    let error = threads[0].enter(ThreadState::Running, secs(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a stream thread cannot go from STARTING to RUNNING: this is a bug in riacho"
    );
}

#[test]
fn waiting_ends_with_the_state_or_with_the_time() {
    let (lifecycle, mut threads) = started(1);
    let is_running = |state| state == ClientState::Running;
    assert_eq!(lifecycle.wait_until(Duration::from_millis(1), is_running), ClientState::Rebalancing);
    let thread = threads.pop().unwrap();
    let worker = std::thread::spawn(move || {
        enter(&thread, &TO_RUNNING);
        thread
    });
    assert_eq!(lifecycle.wait_until(secs(30), is_running), ClientState::Running);
    drop(worker.join());
}

#[test]
fn a_thread_that_does_not_poll_is_not_healthy() {
    let (lifecycle, threads) = started(2);
    threads[0].polled(secs(10));
    threads[1].polled(secs(500));
    assert!(lifecycle.health(secs(310)).is_well());
    assert_eq!(
        lifecycle.health(secs(311)).objections,
        ["thread 1 has not polled for 301 s (max.poll.interval.ms allows 300 s)"]
    );
    enter(&threads[0], &[ThreadState::PendingShutdown]);
    assert!(lifecycle.health(secs(800)).is_well());
}

#[test]
fn an_application_is_ready_when_it_runs_and_commits_and_restores_nothing() {
    let (lifecycle, threads) = started(1);
    assert_eq!(lifecycle.readiness(secs(0)).objections, ["the state is REBALANCING"]);
    enter(&threads[0], &TO_RUNNING);
    assert!(lifecycle.readiness(secs(60)).is_well());
    threads[0].tasks(3, 2, 1000);
    assert_eq!(lifecycle.readiness(secs(0)).objections, ["2 tasks are being restored, 1000 records to go"]);
    threads[0].tasks(3, 0, 0);
    assert_eq!(
        lifecycle.readiness(secs(61)).objections,
        ["thread 1 has not committed for 61 s (allowed are 60 s)"]
    );
    threads[0].committed(secs(61));
    assert!(lifecycle.readiness(secs(61)).is_well());
}
