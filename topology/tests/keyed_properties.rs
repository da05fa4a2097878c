//! Aggregations per key, states of `process_values` and an aggregation of an aggregation's changes, against naive
//! oracles, through commits, failures and evictions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use riacho_topology::{
    BadRecord, BigEndian, Consumed, Grouped, KStream, Materialized, Nullable, Produced, StreamsBuilder,
    TestDriver, Topology, Utf8,
};

use crate::script::{Event, Input, Totals, cache_bytes, fold, play, script, totals_serde};

fn topology(regrouped: bool) -> Topology {
    let b = StreamsBuilder::new();
    let stream = b.stream("input", Consumed::<Option<String>, i64>::with(Nullable(Utf8), BigEndian));
    let stream = if regrouped { stream.select_key(|r| r.key.clone()) } else { stream };
    let grouped = stream.group_by_key(Grouped::with(Nullable(Utf8), BigEndian).named("by-key"));

    let totals = Materialized::named("totals", totals_serde());
    let totals = grouped.aggregate(|| None, |_, value, totals| fold(*value, totals), totals).to_stream();
    totals.to("totals", Produced::with(Nullable(Utf8), totals_serde()));

    let changes = totals.group_by_key(Grouped::with(Nullable(Utf8), totals_serde()));
    let changes = changes.count(Materialized::named("changes", BigEndian)).to_stream();
    changes.to("changes", Produced::with(Nullable(Utf8), BigEndian));

    let steps: KStream<_, Option<Totals>> = grouped.process_values(
        || None,
        |record, state, forward| {
            forward.value(*state);
            fold(*record.value, state)?;
            forward.value(*state);
            Ok(())
        },
        Materialized::named("steps", totals_serde()),
    );
    steps.to("steps", Produced::with(Nullable(Utf8), totals_serde()));
    b.build().expect("a sound topology")
}

type Line<V> = (String, V, i64);

/// What a commit shows.
struct Outputs {
    totals: Vec<Line<Option<Totals>>>,
    changes: Vec<Line<u64>>,
    steps: Vec<Line<Option<Totals>>>,
}

#[derive(Default)]
struct Oracle {
    totals: BTreeMap<String, (Option<Totals>, i64)>,
    changes: BTreeMap<String, (u64, i64)>,
    /// The keys that have changed since the last commit, in order.
    changed: Vec<String>,
    steps: Vec<Line<Option<Totals>>>,
    null: u64,
    refused: u64,
}

impl Oracle {
    fn record(&mut self, Input { key, value, time }: Input, regrouped: bool) {
        let Some(key) = key else {
            // The filter before the repartition topic counts it once; without one, each of the two operators does.
            self.null += if regrouped { 1 } else { 2 };
            return;
        };
        let before = self.totals.get(&key).filter(|(totals, _)| totals.is_some());
        let mut totals = before.and_then(|(totals, _)| *totals);
        let latest = before.map_or(time, |(_, latest)| time.max(*latest));
        let step = totals;
        if fold(value, &mut totals).is_err() {
            self.refused += 1;
            return;
        }
        self.steps.extend([(key.clone(), step, time), (key.clone(), totals, time)]);
        self.totals.insert(key.clone(), (totals, latest));
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }

    fn commit(&mut self) -> Outputs {
        let (mut totals, mut changes) = (Vec::new(), Vec::new());
        for key in std::mem::take(&mut self.changed) {
            let (value, time) = self.totals.get(&key).copied().expect("it has changed");
            let (count, latest) = self.changes.entry(key.clone()).or_insert((0, i64::MIN));
            (*count, *latest) = (*count + 1, time.max(*latest));
            changes.push((key.clone(), *count, *latest));
            totals.push((key, value, time));
        }
        Outputs { totals, changes, steps: std::mem::take(&mut self.steps) }
    }

    fn store(&self) -> Vec<Line<Option<Totals>>> {
        let kept = self.totals.iter().filter(|(_, (totals, _))| totals.is_some());
        kept.map(|(key, (totals, time))| (key.clone(), *totals, *time)).collect()
    }
}

fn lines<V>(records: Vec<riacho_topology::driver::TestRecord<Option<String>, V>>) -> Vec<Line<V>> {
    records.into_iter().map(|r| (r.key.expect("no result without a key"), r.value, r.timestamp.0)).collect()
}

fn check_commit(run: &mut TestDriver, oracle: &mut Oracle) {
    let Outputs { totals, changes, steps } = oracle.commit();
    assert_eq!(lines(run.output("totals", Nullable(Utf8), totals_serde())), totals);
    assert_eq!(lines(run.output("changes", Nullable(Utf8), BigEndian)), changes);
    assert_eq!(lines(run.output("steps", Nullable(Utf8), totals_serde())), steps);
    for store in ["totals", "steps"] {
        let entries = lines(run.store::<_, Option<Totals>>(store, Nullable(Utf8), totals_serde()));
        assert_eq!(entries, oracle.store(), "the store {store}");
        assert_eq!(restored(run, store), run.entries(store), "what the changelog of {store} restores");
    }
}

/// What a restore makes of the changelog: the last entry of each key.
fn restored(run: &TestDriver, store: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = BTreeMap::new();
    for (key, value) in run.changelog(store) {
        entries.insert(key.clone(), value.clone());
    }
    entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

proptest! {
    #[test]
    fn aggregates_and_states_are_what_a_map_in_memory_gives(
        regrouped: bool,
        cache_bytes in cache_bytes(),
        script in script(),
    ) {
        let mut oracle = Oracle::default();
        let run = TestDriver::of(topology(regrouped)).cache_bytes_per_store(cache_bytes);
        let run = play(run, script, |run, event| match event {
            Event::Record(input) => oracle.record(input, regrouped),
            Event::Commit => {
                check_commit(run, &mut oracle);
                assert!(run.cached_bytes() <= cache_bytes.saturating_mul(3), "three stores keep to their budget");
            }
        });
        prop_assert_eq!(run.counts().null, oracle.null, "records without a key");
        prop_assert_eq!(run.bad_record_count(BadRecord::Processing), oracle.refused, "refused records");
    }
}
