//! An independent count of the input, held against what the application wrote, window by window.
//!
//! It shares no code with the application but the reader of its output: it parses the input, cuts windows, decides what
//! is late and adds up in its own, plainest way, so that an error would have to be made twice to go unseen.
//!
//! The rules it counts by:
//! 1. Every input partition has its own stream time: the highest event time so far, including the record's own.
//! 2. A record that cannot be read, or whose event time is negative or too far ahead of its reference time (the Kafka
//!    timestamp, or the clock), is not counted and does not move stream time.
//! 3. A window takes a record unless its end plus the grace has been reached by stream time. A record that no window
//!    takes is late. Windows do not begin before the epoch.
//! 4. A record whose key is another one than its vendor, where keys are to be vendors, is refused; it has been read, so
//!    that it does move stream time. So is one that a sum has no room for, from the first window on that has none.
//!
//! Input and output may be told in any order, as long as each partition is told in its own.

mod figures;
mod reading;
mod report;
mod rows;
mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use riacho::{Serde, Timestamp};
use rustc_hash::FxHashMap;

use super::aggregate::AggregatedSerde;
use super::transaction::Transaction;
use reading::Reading;
use rows::{Row, Unsettled, WindowRows};

pub(crate) use report::Report;
pub(crate) use rules::OracleRules;

/// A record of the input topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What the event time may not be too far ahead of.
    pub(crate) reference: Timestamp,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// What to do at the end with windows that are not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenWindows {
    /// The application has read all the input: compare them too, if it writes updates.
    Compare,
    /// The application may be behind: leave them out.
    Skip,
}

/// Counts the input and compares the output with it.
///
/// Tell all that the application has committed of the input, and nothing that it has not: what is closed by what was
/// told is expected in the output.
///
/// Under exactly-once a vendor's window is forgotten as soon as it is closed and was found right, so that memory is
/// bounded by the open windows and by how far apart input and output are told. Under at-least-once a value may come
/// again, so that everything is kept to the end.
pub(crate) struct Oracle {
    rules: OracleRules,
    partitions: FxHashMap<i32, Partition>,
    windows: BTreeMap<i64, WindowRows>,
    /// The windows all of whose vendors are settled.
    finished: BTreeSet<i64>,
    report: Report,
}

struct Partition {
    offset: i64,
    stream_time: i64,
    /// The windows that begin before this have been looked through for vendors that are settled.
    swept_before: i64,
}

impl Oracle {
    /// An oracle that has been told nothing.
    pub(crate) fn new(rules: OracleRules) -> Oracle {
        Oracle {
            rules,
            partitions: FxHashMap::default(),
            windows: BTreeMap::new(),
            finished: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Tells a record of the input. An offset that was told before is passed over.
    pub(crate) fn input(&mut self, input: &Input<'_>) {
        if !self.is_new(input.partition, input.offset) {
            return;
        }
        let readable_key =
            !self.rules.keyed_by_vendor || input.key.is_some_and(|key| std::str::from_utf8(key).is_ok());
        let Some(read) = input.value.and_then(Reading::of).filter(|_| readable_key) else {
            self.report.unreadable += 1;
            return;
        };
        let latest = i128::from(input.reference.as_millis()) + i128::from(self.rules.ahead_ms_max);
        if read.time < 0 || i128::from(read.time) > latest {
            self.report.misdated += 1;
            return;
        }
        let refused = self.rules.keyed_by_vendor && input.key != Some(read.vendor.as_bytes());
        self.observe(input.partition, &read, refused);
    }

    /// Tells a record of the application's repartition topic instead: what has got there was readable.
    pub(crate) fn repartitioned(&mut self, partition: i32, offset: i64, transaction: &Transaction) {
        if self.is_new(partition, offset) {
            let read = Reading {
                vendor: Cow::Borrowed(&transaction.vendor),
                cents: transaction.value.0,
                currency: transaction.currency.as_bytes(),
                time: transaction.time.as_millis(),
            };
            self.observe(partition, &read, false);
        }
    }

    fn is_new(&mut self, partition: i32, offset: i64) -> bool {
        let fresh = Partition { offset: -1, stream_time: i64::MIN, swept_before: i64::MIN };
        let partition = self.partitions.entry(partition).or_insert(fresh);
        let new = offset > partition.offset;
        if new {
            partition.offset = offset;
            self.report.records += 1;
        }
        new
    }

    /// Moves the partition's stream time, then counts the record unless it is refused.
    fn observe(&mut self, partition: i32, read: &Reading<'_>, refused: bool) {
        let state = self.partitions.get_mut(&partition).expect("is_new() has made it");
        let before = state.stream_time;
        state.stream_time = before.max(read.time);
        let stream_time = state.stream_time;
        if refused {
            self.report.refused += 1;
        } else {
            self.count(partition, stream_time, read);
        }
        let advance_ms = self.rules.advance_ms;
        if before == i64::MIN || before.div_euclid(advance_ms) < stream_time.div_euclid(advance_ms) {
            self.sweep(partition);
        }
    }

    fn count(&mut self, partition: i32, stream_time: i64, read: &Reading<'_>) {
        // Where vendors are in all partitions, the topic counts as one.
        let partition = if self.rules.keyed_by_vendor { partition } else { 0 };
        let (mut taken, mut refused) = (false, false);
        // Earliest first, and no further once it is refused: what is before stays counted.
        for start in self.rules.starts_of(read.time) {
            let late = self.rules.keyed_by_vendor && self.rules.deadline(start) <= stream_time;
            if !late {
                let added = match self.unsettled(start, &read.vendor) {
                    Some(row) => row.add(partition, read),
                    None => Err("a closed window takes a record"),
                };
                match added {
                    Ok(true) => taken = true,
                    Ok(false) => {
                        refused = true;
                        break;
                    }
                    Err(what) => self.report.mismatch(|| format!("{} at {start}: {what}", read.vendor)),
                }
            }
        }
        match (refused, taken) {
            (true, _) => self.report.refused += 1,
            (false, true) => self.report.counted += 1,
            (false, false) => self.report.late += 1,
        }
    }

    /// The row of a vendor in a window, made if it is not there; `None` if it is settled.
    fn unsettled(&mut self, start: i64, vendor: &str) -> Option<&mut Unsettled> {
        self.windows.entry(start).or_default().unsettled(vendor)
    }

    /// Tells a record of the output.
    pub(crate) fn output(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.report.outputs += 1;
        let shown = || key.map_or_else(|| "null".to_owned(), |key| key.escape_ascii().to_string());
        let written = match AggregatedSerde.deserialize(value) {
            Ok(written) => written,
            Err(error) => {
                return self.report.mismatch(|| format!("the record with key {}: {error}", shown()));
            }
        };
        let (start, end) = (written.window.start.0, written.window.end.0);
        let place = format!("{} at {start}", written.vendor);
        if key != Some(written.vendor.as_bytes()) {
            return self.report.mismatch(|| format!("{place}: its key is {}", shown()));
        }
        if start < 0 || start % self.rules.advance_ms != 0 || end != start + self.rules.size_ms {
            return self.report.mismatch(|| format!("{place}: there is no window from {start} to {end}"));
        }
        if !written.closed && !self.rules.emits_updates() {
            return self
                .report
                .mismatch(|| format!("{place}: a record with final=false, against the settings"));
        }
        if self.finished.contains(&start) && !self.windows.contains_key(&start) {
            return self.report.mismatch(|| format!("{place}: a record of a window that is done"));
        }
        let exactly_once = self.rules.exactly_once;
        let vendor = written.vendor.clone();
        let wrong = match self.unsettled(start, &vendor) {
            None => Some("a record after the last one"),
            Some(row) => row.write(written).filter(|_| exactly_once),
        };
        if let Some(what) = wrong {
            self.report.mismatch(|| format!("{place}: {what}"));
        }
        self.settle(start, &vendor);
    }

    /// Forgets a vendor's window if it is closed and right.
    fn settle(&mut self, start: i64, vendor: &str) {
        let rules = self.rules;
        if !rules.exactly_once || !rules.keyed_by_vendor {
            return;
        }
        let Some(window) = self.windows.get_mut(&start) else { return };
        let Some(row) = window.vendors.get_mut(vendor) else { return };
        if row.is_right_for_ever(&rules, start, &self.partitions) {
            *row = Row::Settled;
            window.unsettled -= 1;
            self.report.windows_checked += 1;
            if window.unsettled == 0 {
                self.finish_windows();
            }
        }
    }

    /// Looks through the windows that have been closed by the partition's stream time.
    fn sweep(&mut self, partition: i32) {
        let rules = self.rules;
        if !rules.exactly_once || !rules.keyed_by_vendor {
            return;
        }
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        let closed_before =
            state.stream_time.saturating_sub(rules.size_ms + rules.grace_ms).saturating_add(1);
        let swept = state.swept_before..closed_before.max(state.swept_before);
        state.swept_before = swept.end;
        let (mut settled, mut done) = (0, false);
        for (&start, window) in self.windows.range_mut(swept) {
            for row in window.vendors.values_mut() {
                if row.is_right_for_ever(&rules, start, &self.partitions) {
                    *row = Row::Settled;
                    window.unsettled -= 1;
                    settled += 1;
                    done |= window.unsettled == 0;
                }
            }
        }
        self.report.windows_checked += settled;
        if done {
            self.finish_windows();
        }
    }

    /// Forgets the windows that are closed in every partition and have only settled vendors.
    fn finish_windows(&mut self) {
        let slowest = self.partitions.values().map(|partition| partition.stream_time).min();
        let Some(slowest) = slowest.filter(|_| self.partitions.len() >= self.rules.partitions) else {
            return;
        };
        let (rules, finished) = (self.rules, &mut self.finished);
        self.windows.retain(|&start, window| {
            let done = window.unsettled == 0 && rules.deadline(start) <= slowest;
            if done {
                finished.insert(start);
            }
            !done
        });
    }

    /// What was found so far. Windows that are not settled yet are not in it.
    pub(crate) fn so_far(&self) -> &Report {
        &self.report
    }

    /// How many vendor windows are held.
    pub(crate) fn held(&self) -> usize {
        self.windows.values().map(|window| window.unsettled).sum()
    }

    /// Compares what has not been compared yet.
    pub(crate) fn finish(mut self, open: OpenWindows) -> Report {
        for (start, window) in std::mem::take(&mut self.windows) {
            let mut rows: Vec<_> = window.vendors.into_iter().collect();
            rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            for (vendor, row) in rows {
                if let Row::Unsettled(row) = row {
                    self.judge(start, &vendor, &row, open);
                }
            }
        }
        self.report
    }

    fn judge(&mut self, start: i64, vendor: &str, row: &Unsettled, open: OpenWindows) {
        let (rules, report) = (&self.rules, &mut self.report);
        let Some((partition, figures)) = &row.counted else {
            // A row without a count is there because something was written.
            if row.written.is_some() {
                report.mismatch(|| {
                    format!("{vendor} at {start}: nothing was counted, but something is written")
                });
            }
            return;
        };
        let stream_time = self.partitions.get(partition).map_or(i64::MIN, |partition| partition.stream_time);
        let closed = rules.keyed_by_vendor && rules.deadline(start) <= stream_time;
        let undecidable = !rules.keyed_by_vendor;
        let due = closed
            || (rules.emits_updates() && open == OpenWindows::Compare)
            || (undecidable && row.written.is_some());
        if !due {
            report.windows_open += 1;
            return;
        }
        report.windows_checked += 1;
        let count = figures.count;
        let Some(written) = &row.written else {
            if undecidable {
                report.windows_undecided += 1;
                report.records_undecided += count;
            } else {
                report.mismatch(|| {
                    format!("{vendor} at {start}: {count} were counted, but nothing is written")
                });
            }
            return;
        };
        if undecidable && written.count < count {
            report.windows_undecided += 1;
            report.records_undecided += count - written.count;
        } else if let Some(difference) = figures.difference(written) {
            report.mismatch(|| format!("{vendor} at {start}: {difference}"));
        }
        let closings = match (undecidable, closed) {
            (true, _) => 0..=*rules.closings().end(),
            (false, true) => rules.closings(),
            (false, false) => 0..=0,
        };
        if !closings.contains(&row.closings) {
            let (state, closings) = (if closed { "closed" } else { "open" }, row.closings);
            report.mismatch(|| {
                format!("{vendor} at {start}: {state}, but with {closings} records with final=true")
            });
        }
    }
}
