//! What a test sees through the `TestDriver`: commits, failures, bad records, late records, time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riacho_topology::driver::TestRecord;
use riacho_topology::{
    BadRecord, BadRecordPolicy, BigEndian, Consumed, EmitStrategy, EventTime, Grouped, KGroupedStream,
    Materialized, Nullable, ProcessError, Produced, Record, StreamsBuilder, Tally, TestDriver, TimeWindowed,
    TimeWindows, Timestamp, Topology, Utf8, Windowed,
};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn built(describe: impl FnOnce(&StreamsBuilder)) -> Topology {
    let builder = StreamsBuilder::new();
    describe(&builder);
    builder.build().expect("a sound topology")
}

fn texts() -> Consumed<String, String> {
    Consumed::with(Utf8, Utf8)
}

fn by_key(b: &StreamsBuilder) -> KGroupedStream<String, String> {
    b.stream("views", texts()).group_by_key(Grouped::with(Utf8, Utf8))
}

fn counts() -> Topology {
    built(|b| by_key(b).count(Materialized::named("counts", BigEndian)).to_stream().to("counts", to_counts()))
}

fn to_counts() -> Produced<String, u64> {
    Produced::with(Utf8, BigEndian)
}

fn per_minute() -> TimeWindows {
    TimeWindows::of_size_and_grace(secs(60), secs(10)).expect("a minute is a window")
}

fn counts_per_minute(emit: EmitStrategy) -> Topology {
    built(|b| {
        let counts = by_key(b).windowed_by(per_minute()).emit_strategy(emit);
        let counts = counts.count(Materialized::named("counts", BigEndian)).to_stream();
        counts.map(windowed_text).to("counts", to_counts());
    })
}

/// `ana@60` for a window that is open, `ana@60!` for one that was closed.
fn windowed_text(record: &Record<'_, Windowed<String>, u64>) -> (String, u64) {
    let Windowed { key, window, closed } = record.key;
    (format!("{key}@{}{}", window.start.0 / 1_000, if *closed { "!" } else { "" }), *record.value)
}

fn views(run: &mut TestDriver) -> riacho_topology::driver::TestInput<'_, String, String> {
    run.input("views", Utf8, Utf8)
}

fn counted(run: &mut TestDriver) -> Vec<TestRecord<String, u64>> {
    run.output("counts", Utf8, BigEndian)
}

#[test]
fn a_record_comes_out_with_key_value_time_and_headers() {
    let upper = |r: &Record<'_, String, String>| r.value.to_uppercase();
    let mut run =
        TestDriver::of(built(|b| b.stream("views", texts()).map_values(upper).to("upper", texts_out())));
    views(&mut run).at(secs(5)).header("trace", "7").send("ana", "x").at(secs(3)).send("bia", "y");
    let output = run.output::<String, String>("upper", Utf8, Utf8);
    assert_eq!(output, [("ana", "X", Timestamp(5_000)), ("bia", "Y", Timestamp(3_000))]);
    let headers = output.first().map(|record| record.headers.clone()).expect("a record");
    assert_eq!(headers.last("trace").and_then(|header| header.value.clone()), Some(b"7".to_vec()));
    assert_eq!(run.output::<String, String>("upper", Utf8, Utf8), [("", ""); 0], "output is taken once");
}

fn texts_out() -> Produced<String, String> {
    Produced::with(Utf8, Utf8)
}

#[test]
fn time_and_headers_survive_a_repartition_topic() {
    let mut run = TestDriver::of(built(|b| {
        let by_page = b.stream("views", texts()).group_by(|r| r.value.clone(), Grouped::with(Utf8, Utf8));
        let seen = by_page.process_values(
            || 0,
            |_, seen: &mut u64, forward| {
                *seen += 1;
                forward.value(*seen);
                Ok(())
            },
            Materialized::named("seen", BigEndian),
        );
        seen.to("counts", to_counts());
    }));
    views(&mut run).at(secs(9)).header("trace", "7").send("ana", "/");
    let output = counted(&mut run);
    assert_eq!(output, [("/", 1, Timestamp(9_000))]);
    assert_eq!(output.first().map(|record| record.headers.len()), Some(1));
}

#[test]
fn between_two_commits_a_result_is_told_once() {
    let mut run = TestDriver::of(counts()).commit_every_record(false);
    views(&mut run).send("ana", "x").send("bia", "x").send("ana", "y");
    assert_eq!(counted(&mut run), [("", 0); 0], "nothing is committed");
    run.commit();
    assert_eq!(counted(&mut run), [("ana", 2), ("bia", 1)]);
    run.commit();
    assert_eq!(counted(&mut run), [("", 0); 0], "nothing has changed");
}

#[test]
fn an_abort_undoes_everything_since_the_last_commit() {
    let mut run = TestDriver::of(counts()).commit_every_record(false);
    views(&mut run).send("ana", "x");
    run.commit();
    views(&mut run).send("ana", "y").send("bia", "y");
    run.abort();
    run.commit();
    assert_eq!(counted(&mut run), [("ana", 1)]);
    assert_eq!(run.store::<String, u64>("counts", Utf8, BigEndian), [("ana", 1)]);
    run.replay();
    run.commit();
    assert_eq!(counted(&mut run), [("ana", 2), ("bia", 1)]);
}

/// Counts, beside those that are open, what is committed.
struct Committed {
    open: u64,
    committed: Arc<AtomicU64>,
}

impl Tally<String, String> for Committed {
    fn see(&mut self, _: &Record<'_, String, String>) {
        self.open += 1;
    }

    fn committed(&mut self) {
        self.committed.fetch_add(std::mem::take(&mut self.open), Ordering::Relaxed);
    }

    fn aborted(&mut self) {
        self.open = 0;
    }
}

#[test]
fn a_tally_has_every_accepted_record_once_whatever_is_aborted() {
    let committed = Arc::new(AtomicU64::new(0));
    let tallied = Arc::clone(&committed);
    let topology = built(|b| {
        let views = b.stream("views", texts());
        let views = views.tally(move || Committed { open: 0, committed: Arc::clone(&tallied) });
        let accept = |r: &Record<'_, String, String>| match r.value.as_str() {
            "refused" => Err(ProcessError::refused("as the test wants it")),
            value => Ok(value.to_owned()),
        };
        views.map_values_named("accept", accept).to("upper", texts_out());
    });
    let mut run =
        TestDriver::of(topology).commit_every_record(false).bad_records(BadRecordPolicy::DeadLetter);
    let seen = |expected: u64| assert_eq!(committed.load(Ordering::Relaxed), expected);
    views(&mut run).send("ana", "x").send("bia", "refused").send("ana", "y");
    seen(0);
    run.fail_commit();
    run.commit();
    seen(0);
    run.replay();
    run.commit();
    seen(2);
    views(&mut run).send("ana", "z");
    run.restart();
    run.commit();
    seen(2);
    run.replay();
    run.commit();
    seen(3);
}

#[test]
fn late_or_not_is_decided_as_before_after_a_restart() {
    let mut run = TestDriver::of(counts_per_minute(EmitStrategy::OnWindowUpdate));
    views(&mut run).at(secs(5)).send("ana", "x").at(secs(70)).send("ana", "closes the first minute");
    run.restart();
    views(&mut run).at(secs(6)).send("ana", "late").at(secs(65)).send("ana", "in time");
    assert_eq!(counted(&mut run), [("ana@0", 1), ("ana@60", 1), ("ana@60", 2)]);
    assert_eq!(run.counts().late, 1);
    assert_eq!(run.stream_time(0), Timestamp(70_000));
}

#[test]
fn late_records_go_to_the_late_topic_as_they_came() {
    let mut run = TestDriver::of(counts_per_minute(EmitStrategy::OnWindowUpdate)).late_topic("late");
    views(&mut run).at(secs(100)).send("ana", "x").at(secs(5)).header("trace", "7").send("ana", "too late");
    let sent = run.take_sent();
    let late = sent.iter().find(|record| record.topic == "late").expect("a late record");
    assert_eq!((late.key.as_deref(), late.value.as_deref()), (Some(&b"ana"[..]), Some(&b"too late"[..])));
    assert_eq!(late.timestamp, Timestamp(5_000));
    for (header, value) in [
        ("trace", "7"),
        ("riacho.late.topic", "views"),
        ("riacho.late.partition", "0"),
        ("riacho.late.offset", "1"),
        ("riacho.late.stream-time", "100000"),
    ] {
        assert_eq!(late.header(header).as_deref(), Some(value), "{header}");
    }
}

#[test]
fn final_results_come_once_and_updates_only_until_then() {
    let mut run = TestDriver::of(counts_per_minute(EmitStrategy::OnWindowUpdateAndClose));
    views(&mut run).at(secs(5)).send("ana", "x").at(secs(6)).send("ana", "y").at(secs(500)).send("bia", "z");
    assert_eq!(counted(&mut run), [("ana@0", 1), ("ana@0", 2), ("ana@0!", 2), ("bia@480", 1)]);

    let mut run = TestDriver::of(counts_per_minute(EmitStrategy::OnWindowClose));
    views(&mut run).at(secs(5)).send("ana", "x").at(secs(6)).send("ana", "y").at(secs(500)).send("bia", "z");
    assert_eq!(counted(&mut run), [("ana@0!", 2)]);
    assert_eq!(run.counts().windows_closed, 1);
    assert_eq!(run.open_windows(), 1);
}

#[test]
fn a_window_that_is_new_is_not_looked_up_in_the_store() {
    let mut run = TestDriver::of(counts_per_minute(EmitStrategy::OnWindowClose)).commit_every_record(false);
    for minute in 0..10 {
        views(&mut run).at(secs(60 * minute)).send("ana", "x").send("bia", "x").send("ana", "x");
        run.commit();
    }
    assert_eq!(run.counts().store_reads, 0);
}

#[test]
fn a_bad_record_fails_the_run_continues_it_or_becomes_a_dead_letter() {
    let mut run = TestDriver::of(counts());
    let failed = views(&mut run).try_send_bytes(Some(b"ana"), Some(&[0xff]));
    let message = failed.expect_err("not UTF-8").to_string();
    assert!(message.contains("value") && message.contains("UTF-8"), "{message}");

    let mut run = TestDriver::of(counts()).bad_records(BadRecordPolicy::Continue);
    views(&mut run).send("ana", "x").send_bytes(Some(b"ana"), None).send("ana", "y");
    assert_eq!(counted(&mut run), [("ana", 1), ("ana", 2)]);
    assert_eq!(run.bad_record_count(BadRecord::Deserialization), 1);
    assert_eq!(run.dead_letters(), []);

    let policy = BadRecordPolicy::DeadLetter;
    let mut run = TestDriver::of(counts()).bad_records_of(BadRecord::Deserialization, policy);
    views(&mut run).send("ana", "x").at(secs(3)).send_bytes(None, Some(b"y")).send("ana", "z");
    assert_eq!(counted(&mut run), [("ana", 1), ("ana", 2)]);
    let letters = run.dead_letters();
    let letter = letters.first().expect("a dead letter");
    assert_eq!((letters.len(), letter.kind), (1, BadRecord::Deserialization));
    let record = letter.record.as_ref().expect("the record itself");
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (None, Some(&b"y"[..])));
    assert_eq!(record.timestamp, Timestamp(3_000));
}

#[test]
fn a_bad_record_that_fails_the_run_aborts_the_transaction() {
    let mut run = TestDriver::of(counts()).commit_every_record(false);
    views(&mut run).send("ana", "x");
    views(&mut run).try_send_bytes(Some(b"ana"), None).expect_err("null is no text");
    run.commit();
    assert_eq!(counted(&mut run), [("", 0); 0]);
}

#[test]
#[should_panic(expected = "does not read topic vues, but {\"views\"}")]
fn a_misspelt_topic_is_told() {
    TestDriver::of(counts()).input::<String, String>("vues", Utf8, Utf8).send("ana", "x");
}

#[test]
fn event_time_comes_from_where_the_source_says() {
    let by_field = EventTime::field(|r: &Record<'_, String, String>| r.value.parse().ok().map(Timestamp));
    let source = Consumed::with(Utf8, Utf8).event_time(by_field.on_invalid(BadRecordPolicy::Continue));
    let topology = built(|b| b.stream("views", source).to("copy", texts_out()));
    let mut run = TestDriver::of(topology).timestamp_ahead_max(secs(60));
    views(&mut run)
        .send("ana", "1000")
        .send("ana", "none")
        .send("ana", "-1")
        .send("ana", "60000")
        .send("ana", "60001");
    let times = |run: &mut TestDriver| {
        let copies = run.output::<String, String>("copy", Utf8, Utf8);
        copies.iter().map(|record| record.timestamp.0).collect::<Vec<_>>()
    };
    assert_eq!(times(&mut run), [1_000, 60_000]);
    assert_eq!(run.bad_record_count(BadRecord::Timestamp), 3);
    assert_eq!(run.stream_time(0), Timestamp(60_000), "a bad record does not move stream time");
    run.advance_wall_clock(secs(1));
    views(&mut run).send("ana", "60001");
    assert_eq!(times(&mut run), [60_001]);
}

#[test]
fn wall_clock_time_is_the_test_s() {
    let source = texts().event_time(EventTime::wall_clock());
    let mut run = TestDriver::of(built(|b| b.stream("views", source).to("copy", texts_out())));
    run.advance_wall_clock(secs(7));
    views(&mut run).at(secs(1)).send("ana", "x");
    assert_eq!(run.output::<String, String>("copy", Utf8, Utf8), [("ana", "x", Timestamp(7_000))]);
}

#[test]
fn a_result_that_cannot_be_written_does_not_keep_the_others_back() {
    let run = TestDriver::of(counts()).commit_every_record(false).record_bytes_max(11);
    let mut run = run.bad_records_of(BadRecord::Production, BadRecordPolicy::DeadLetter);
    views(&mut run).send("ana", "x").send("anabela", "x").send("bia", "x");
    run.commit();
    assert_eq!(counted(&mut run), [("ana", 1), ("bia", 1)]);
    let letters = run.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters.iter().all(|letter| letter.kind == BadRecord::Production && letter.record.is_none()));
    assert_eq!(run.store::<String, u64>("counts", Utf8, BigEndian), [("ana", 1), ("anabela", 1), ("bia", 1)]);
}

#[test]
fn an_operator_that_refuses_a_record_does_not_take_it_from_the_others() {
    let refuse = |r: &Record<'_, String, String>| match r.value.as_str() {
        "bad" => Err(riacho_topology::ProcessError::refused("bad")),
        value => Ok(value.to_owned()),
    };
    let mut run = TestDriver::of(built(|b| {
        let views = b.stream("views", texts());
        views.map_values_named(None, refuse).to("first", texts_out());
        views.to("second", texts_out());
        let words = views.flat_map_values(|r| r.value.split(' ').map(str::to_owned).collect::<Vec<_>>());
        words.map_values_named(None, refuse).to("words", texts_out());
    }))
    .bad_records(BadRecordPolicy::Continue);
    views(&mut run).send("ana", "bad").send("ana", "one bad two");
    assert_eq!(run.output::<String, String>("first", Utf8, Utf8), [("ana", "one bad two")]);
    assert_eq!(run.output::<String, String>("second", Utf8, Utf8), [("ana", "bad"), ("ana", "one bad two")]);
    assert_eq!(run.output::<String, String>("words", Utf8, Utf8), [("ana", "one"), ("ana", "two")]);
    assert_eq!(run.bad_record_count(BadRecord::Processing), 2, "each record is bad once");
}

#[test]
fn each_window_takes_or_refuses_a_record_on_its_own() {
    let hopping =
        TimeWindows::of_size_with_no_grace(secs(20)).and_then(|windows| windows.advance_by(secs(10)));
    let hopping = hopping.expect("10 s are less than 20 s");
    let topology = built(|b| {
        let windowed = b.stream("amounts", Consumed::<String, u64>::with(Utf8, BigEndian));
        let windowed = windowed.group_by_key(Grouped::with(Utf8, BigEndian)).windowed_by(hopping);
        let at_most_ten = |_: &String, amount: &u64, sum: &mut u64| {
            let total = *sum + amount;
            *sum = if total > 10 {
                return Err(riacho_topology::ProcessError::refused("above 10"));
            } else {
                total
            };
            Ok(())
        };
        let sums = windowed.aggregate(|| 0, at_most_ten, Materialized::named("sums", BigEndian));
        sums.to_stream().to("sums", Produced::with(TimeWindowed::of(hopping, Utf8), BigEndian));
    });
    let mut run = TestDriver::of(topology).bad_records(BadRecordPolicy::Continue);
    let amounts = run.input::<String, u64>("amounts", Utf8, BigEndian);
    // The window at 0 s is full with 8, the one at 10 s is not.
    amounts.at(secs(5)).send("ana", 8u64).at(secs(15)).send("ana", 4u64).at(secs(12)).send("ana", 20u64);
    let sums = run.window_store::<String, u64>("sums", Utf8, BigEndian);
    let sums: Vec<_> = sums.iter().map(|sum| (sum.key.window.start.0, sum.value, sum.timestamp.0)).collect();
    assert_eq!(sums, [(0, 8, 5_000), (10_000, 4, 15_000)]);
    assert_eq!(run.bad_record_count(BadRecord::Processing), 2);
    assert_eq!(run.open_windows(), 2);
}

#[test]
fn a_record_without_a_key_has_no_group() {
    let mut run = TestDriver::of(built(|b| {
        let nullable = b.stream("views", Consumed::<Option<String>, String>::with(Nullable(Utf8), Utf8));
        let counts = nullable.group_by_key(Grouped::with(Nullable(Utf8), Utf8));
        let counts = counts.count(Materialized::named("counts", BigEndian));
        counts.to_stream().to("counts", Produced::with(Nullable(Utf8), BigEndian));
    }));
    let views = run.input::<Option<String>, String>("views", Nullable(Utf8), Utf8);
    views.send(None, "x").send("ana".to_owned(), "x").send(String::new(), "x").send(None, "x");
    let counts = run.output::<Option<String>, u64>("counts", Nullable(Utf8), BigEndian);
    assert_eq!(counts, [(Some("ana".to_owned()), 1), (Some(String::new()), 1)]);
    assert_eq!(run.counts().null, 2);
}

#[test]
fn a_topic_that_the_topology_writes_and_reads_is_seen_and_processed() {
    let mut run = TestDriver::of(built(|b| {
        b.stream("views", texts()).to("copy", texts_out());
        b.stream("copy", texts()).to("copy-of-copy", texts_out());
    }));
    views(&mut run).send("ana", "x");
    assert_eq!(run.output::<String, String>("copy", Utf8, Utf8), [("ana", "x")]);
    assert_eq!(run.output::<String, String>("copy-of-copy", Utf8, Utf8), [("ana", "x")]);
}

#[test]
fn more_changed_state_than_allowed_asks_for_a_commit() {
    let mut run = TestDriver::of(counts()).commit_every_record(false).cache_bytes_per_store(200);
    views(&mut run).send("ana", "x");
    assert!(!run.commit_requested());
    views(&mut run).send("bia", "x").send("caio", "x").send("davi", "x");
    assert!(run.commit_requested());
    run.commit();
    assert!(!run.commit_requested());
    assert!(run.cached_bytes() <= 200);
}
