//! Windowed aggregations against a naive oracle: whatever the order of the records, the commits, the failures and the
//! memory, results and state are those of a program that has all records in one list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use riacho_topology::store::{StoreKind, layout};
use riacho_topology::{
    BadRecord, BigEndian, Consumed, EmitStrategy, Grouped, Materialized, Nullable, Produced, StreamsBuilder,
    TestDriver, TimeWindows, Timestamp, Topology, Utf8,
};

use crate::script::{Event, Input, Totals, cache_bytes, fold, play, script, totals_serde};

#[derive(Clone, Copy, Debug)]
struct Setup {
    size: i64,
    advance: i64,
    grace: i64,
    emit: EmitStrategy,
    /// Whether the aggregation is behind a repartition topic.
    regrouped: bool,
    cache_bytes: usize,
}

fn setup() -> impl Strategy<Value = Setup> {
    let emit = prop_oneof![
        Just(EmitStrategy::OnWindowUpdate),
        Just(EmitStrategy::OnWindowClose),
        Just(EmitStrategy::OnWindowUpdateAndClose)
    ];
    let windows = prop_oneof![Just(5i64), Just(10), Just(20), 1..25i64]
        .prop_flat_map(|size| (Just(size), prop_oneof![Just(size), 1..=size]));
    let grace = prop_oneof![Just(0i64), Just(5), 0..20i64];
    (windows, grace, emit, any::<bool>(), cache_bytes()).prop_map(
        |((size, advance), grace, emit, regrouped, cache_bytes)| Setup {
            size,
            advance,
            grace,
            emit,
            regrouped,
            cache_bytes,
        },
    )
}

impl Setup {
    fn windows(&self) -> TimeWindows {
        let millis = |millis: i64| Duration::from_millis(millis.unsigned_abs());
        TimeWindows::of_size_and_grace(millis(self.size), millis(self.grace))
            .and_then(|windows| windows.advance_by(millis(self.advance)))
            .expect("sound windows")
    }

    fn topology(&self) -> Topology {
        let b = StreamsBuilder::new();
        let stream = b.stream("input", Consumed::<Option<String>, i64>::with(Nullable(Utf8), BigEndian));
        let stream = if self.regrouped { stream.select_key(|r| r.key.clone()) } else { stream };
        stream
            .group_by_key(Grouped::with(Nullable(Utf8), BigEndian))
            .windowed_by(self.windows())
            .emit_strategy(self.emit)
            .aggregate(
                || None,
                |_, value, totals| fold(*value, totals),
                Materialized::named("totals", totals_serde()),
            )
            .to_stream()
            .map(|r| {
                let (key, window) = (r.key.key.as_deref().unwrap_or("none"), r.key.window.start);
                (format!("{window}/{key}/{}", r.key.closed), *r.value)
            })
            .to("output", Produced::with(Utf8, totals_serde()));
        b.build().expect("a sound topology")
    }
}

/// A result: `start/key/closed`, the aggregate, the timestamp.
type Line = (String, Option<Totals>, i64);

#[derive(Clone, Debug)]
struct Kept {
    totals: Option<Totals>,
    time: i64,
    changed: bool,
}

/// The program with one list.
struct Oracle {
    setup: Setup,
    stream_time: i64,
    open: BTreeMap<(i64, String), Kept>,
    /// What the next commit shows: what closed in the meantime, in order.
    lines: Vec<Line>,
    late: u64,
    null: u64,
    refused: u64,
    deleted: bool,
    closed: BTreeSet<i64>,
}

impl Oracle {
    fn new(setup: Setup) -> Self {
        Oracle {
            setup,
            stream_time: i64::MIN,
            open: BTreeMap::new(),
            lines: Vec::new(),
            late: 0,
            null: 0,
            refused: 0,
            deleted: false,
            closed: BTreeSet::new(),
        }
    }

    fn is_closed(&self, start: i64) -> bool {
        start + self.setup.size + self.setup.grace <= self.stream_time
    }

    fn record(&mut self, Input { key, value, time }: Input) {
        if key.is_none() && self.setup.regrouped {
            // It never gets behind the repartition topic.
            self.null += 1;
            return;
        }
        self.stream_time = self.stream_time.max(time);
        let Some(key) = key else {
            self.null += 1;
            self.close();
            return;
        };
        let starts =
            (0..=time).filter(|start| start % self.setup.advance == 0 && start + self.setup.size > time);
        let starts: Vec<_> = starts.filter(|&start| !self.is_closed(start)).collect();
        self.late += u64::from(starts.is_empty());
        self.refused += u64::from(!starts.is_empty() && fold(value, &mut None).is_err());
        for start in starts {
            let before = self.open.get(&(start, key.clone())).filter(|kept| kept.totals.is_some());
            let mut totals = before.and_then(|kept| kept.totals);
            let time = before.map_or(time, |kept| kept.time.max(time));
            if fold(value, &mut totals).is_ok() {
                self.deleted |= totals.is_none();
                self.open.insert((start, key.clone()), Kept { totals, time, changed: true });
            }
        }
        self.close();
    }

    fn close(&mut self) {
        let closed =
            |(start, _): &(i64, String)| start + self.setup.size + self.setup.grace <= self.stream_time;
        for ((start, key), kept) in self.open.extract_if(.., |place, _| closed(place)) {
            self.closed.insert(start);
            let told = match self.setup.emit {
                EmitStrategy::OnWindowUpdate => kept.changed,
                EmitStrategy::OnWindowClose => kept.totals.is_some(),
                EmitStrategy::OnWindowUpdateAndClose => kept.changed || kept.totals.is_some(),
            };
            if told {
                self.lines.push((format!("{start}/{key}/true"), kept.totals, kept.time));
            }
        }
    }

    fn commit(&mut self) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.lines);
        for ((start, key), kept) in &mut self.open {
            if std::mem::take(&mut kept.changed) && self.setup.emit != EmitStrategy::OnWindowClose {
                lines.push((format!("{start}/{key}/false"), kept.totals, kept.time));
            }
        }
        lines
    }

    fn store(&self) -> Vec<(i64, String, Totals, i64)> {
        let entries = self.open.iter();
        entries
            .filter_map(|((start, key), kept)| Some((*start, key.clone(), kept.totals?, kept.time)))
            .collect()
    }
}

fn check_commit(setup: Setup, run: &mut TestDriver, oracle: &mut Oracle) {
    let output = run.output::<String, Option<Totals>>("output", Utf8, totals_serde());
    let mut lines: Vec<Line> = output.into_iter().map(|r| (r.key, r.value, r.timestamp.0)).collect();
    let mut expected = oracle.commit();
    if setup.emit != EmitStrategy::OnWindowClose {
        lines.sort();
        expected.sort();
    }
    assert_eq!(lines, expected);

    let task = usize::from(setup.regrouped);
    assert_eq!(run.stream_time(task), Timestamp(oracle.stream_time), "stream time");

    let store = run.window_store::<Option<String>, Option<Totals>>("totals", Nullable(Utf8), totals_serde());
    let entry = |key: Option<String>| key.expect("no entry without a key");
    let store: Vec<_> = store
        .into_iter()
        .map(|r| {
            (r.key.window.start.0, entry(r.key.key), r.value.expect("no entry that is null"), r.timestamp.0)
        })
        .collect();
    assert_eq!(store, oracle.store(), "the store");
    assert_eq!(restored(setup, run), run.entries("totals"), "what the changelog restores");
    assert!(run.cached_bytes() <= setup.cache_bytes, "the store keeps to its budget");
}

/// What a restore makes of the changelog: the last entry of each key, without the windows that are closed.
fn restored(setup: Setup, run: &TestDriver) -> Vec<(Vec<u8>, Vec<u8>)> {
    let windows = setup.windows();
    let mut entries = BTreeMap::new();
    for (key, value) in run.changelog("totals") {
        let (mut local, mut again) = (Vec::new(), Vec::new());
        layout::to_local_key(StoreKind::Window(windows), key, &mut local).expect("a changelog's key");
        layout::to_changelog_key(StoreKind::Window(windows), &local, &mut again).expect("a store's key");
        assert_eq!(&again, key);
        let (start, _) = layout::split_window_key(&local).expect("a store's key");
        match value {
            Some(value) if !windows.is_closed(start, run.stream_time(usize::from(setup.regrouped))) => {
                entries.insert(local, value.clone());
            }
            _ => drop(entries.remove(&local)),
        }
    }
    entries.retain(|local, _| {
        let (start, _) = layout::split_window_key(local).expect("a store's key");
        !windows.is_closed(start, run.stream_time(usize::from(setup.regrouped)))
    });
    entries.into_iter().collect()
}

proptest! {
    #[test]
    fn windows_tell_and_keep_what_a_list_of_all_records_gives(setup in setup(), script in script()) {
        let (mut oracle, mut stream_time) = (Oracle::new(setup), Timestamp::MIN);
        let run = TestDriver::of(setup.topology()).cache_bytes_per_store(setup.cache_bytes);
        let run = play(run, script, |run, event| match event {
            Event::Record(input) => {
                oracle.record(input);
                let now = run.stream_time(usize::from(setup.regrouped));
                assert!(now >= stream_time, "stream time goes back");
                stream_time = now;
            }
            Event::Commit => check_commit(setup, run, &mut oracle),
        });
        let counts = run.counts();
        prop_assert_eq!(counts.late, oracle.late, "late records");
        prop_assert_eq!(counts.null, oracle.null, "records without a key");
        prop_assert_eq!(run.bad_record_count(BadRecord::Processing), oracle.refused, "refused records");
        if !oracle.deleted {
            prop_assert_eq!(counts.windows_closed, oracle.closed.len() as u64, "closed windows");
            let open: BTreeSet<_> = oracle.open.keys().map(|(start, _)| *start).collect();
            prop_assert_eq!(run.open_windows(), open.len(), "open windows");
        }
    }
}
