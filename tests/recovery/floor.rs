//! A count of the input from below: what an application that processes at least once must have told.

use std::collections::BTreeMap;

use riacho::{EmitStrategy, Serde};
use serde_json::Value;

use crate::support::Received;
use crate::transactions::aggregate::AggregatedSerde;
use crate::transactions::oracle::OracleRules;

/// A vendor and the start of a window.
type Place = (String, i64);

#[derive(Default)]
struct Row {
    partition: i32,
    counted: u64,
    /// The most that was written of it.
    written: u64,
    closed: bool,
}

/// Counts for tumbling windows of an input that is keyed by vendor.
pub(super) struct Floor<'a> {
    rules: &'a OracleRules,
    stream_times: BTreeMap<i32, i64>,
    rows: BTreeMap<Place, Row>,
    unreadable: usize,
}

impl<'a> Floor<'a> {
    pub(super) fn new(rules: &'a OracleRules) -> Floor<'a> {
        Floor { rules, stream_times: BTreeMap::new(), rows: BTreeMap::new(), unreadable: 0 }
    }

    /// Takes the next record of a partition.
    pub(super) fn input(&mut self, record: &Received) {
        let parsed = record.value.as_deref().and_then(|value| serde_json::from_slice::<Value>(value).ok());
        let read = parsed.as_ref().and_then(|parsed| {
            Some((parsed.get("id_vendedor")?.as_str()?, parsed.get("hora_transacao")?.as_i64()?))
        });
        let Some((vendor, time)) = read else {
            self.unreadable += 1;
            return;
        };
        let stream_time = self.stream_times.entry(record.partition).or_insert(i64::MIN);
        *stream_time = time.max(*stream_time);
        let start = time - time.rem_euclid(self.rules.size_ms);
        if self.deadline(start) > self.stream_time(record.partition) {
            let row = self.rows.entry((vendor.to_owned(), start)).or_default();
            row.partition = record.partition;
            row.counted += 1;
        }
    }

    /// Takes a record of the output.
    pub(super) fn output(&mut self, record: &Received) {
        let written = AggregatedSerde.deserialize(record.value.as_deref()).expect("an aggregate can be read");
        let place = (written.vendor.to_string(), written.window.start.0);
        let row = self.rows.get_mut(&place);
        let row = row.unwrap_or_else(|| panic!("{place:?} is told, but there is nothing of it in the input"));
        row.written = row.written.max(written.count);
        row.closed |= written.closed;
    }

    /// Asserts that nothing is missing; returns how many records cannot be read.
    pub(super) fn prove(self) -> usize {
        let mut due = 0;
        for (place, row) in &self.rows {
            let closed = self.deadline(place.1) <= self.stream_time(row.partition);
            if closed || self.rules.emit != EmitStrategy::OnWindowClose {
                due += 1;
                let Row { counted, written, .. } = row;
                assert!(written >= counted, "{place:?}: {counted} in the input, {written} told");
            }
            assert!(row.closed || !closed, "{place:?} is closed, and that is not told");
        }
        assert!(due > 0, "there is something to compare");
        println!("nothing is lost in {due} of {} windows of vendors", self.rows.len());
        self.unreadable
    }

    fn stream_time(&self, partition: i32) -> i64 {
        self.stream_times.get(&partition).copied().unwrap_or(i64::MIN)
    }

    fn deadline(&self, start: i64) -> i64 {
        start + self.rules.size_ms + self.rules.grace_ms
    }
}
