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

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use compact_str::CompactString;
use riacho::{EmitStrategy, Serde, Timestamp};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::aggregate::{Aggregated, AggregatedSerde};
use super::transaction::Transaction;

/// What the application was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OracleRules {
    /// How many partitions the input topic has.
    pub(crate) partitions: usize,
    pub(crate) size_ms: i64,
    pub(crate) advance_ms: i64,
    pub(crate) grace_ms: i64,
    /// How far ahead of its reference time an event time may be.
    pub(crate) ahead_ms_max: i64,
    /// Whether the input is keyed by vendor.
    ///
    /// If not, the application repartitions it, and then nobody can know from the input which records were late: the
    /// order in which they came to their vendor's task is not in it. So none is taken for late here, and a window that
    /// misses some is counted as undecided, not as wrong. To decide it, tell the repartition topic
    /// instead and set this.
    pub(crate) keyed_by_vendor: bool,
    pub(crate) emit: EmitStrategy,
    /// Whether every record must have been written exactly once. If not, values may come again.
    pub(crate) exactly_once: bool,
}

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

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Input records, each offset once.
    pub(crate) records: u64,
    /// Of these: counted in at least one window.
    pub(crate) counted: u64,
    /// Of these: taken by no window any more.
    pub(crate) late: u64,
    /// Of these: not readable.
    pub(crate) unreadable: u64,
    /// Of these: with an event time that cannot be.
    pub(crate) misdated: u64,
    /// Of these: with another key than their vendor, or with no room in a sum.
    pub(crate) refused: u64,
    /// Output records.
    pub(crate) outputs: u64,
    /// Pairs of vendor and window that were compared.
    pub(crate) windows_checked: u64,
    /// Pairs of vendor and window that were left out since the window was open.
    pub(crate) windows_open: u64,
    /// Pairs of vendor and window that miss records that may have been late.
    pub(crate) windows_undecided: u64,
    /// How many records those miss.
    pub(crate) records_undecided: u64,
    /// Everything that is wrong.
    pub(crate) mismatches: u64,
    /// What the first of these are.
    pub(crate) examples: Vec<String>,
}

impl Report {
    const EXAMPLES_MAX: usize = 5;

    /// Whether something was compared and everything was right.
    pub(crate) fn passed(&self) -> bool {
        self.mismatches == 0 && self.windows_checked > 0
    }

    fn mismatch(&mut self, example: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.examples.len() < Self::EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passed(), self.mismatches) {
            (true, _) => "PASS",
            (false, 0) => "FAIL (nothing to compare)",
            (false, _) => "FAIL",
        };
        write!(f, "{verdict}: {} vendor windows compared, {} wrong", self.windows_checked, self.mismatches)?;
        if self.windows_open > 0 {
            write!(f, ", {} still open", self.windows_open)?;
        }
        if self.windows_undecided > 0 {
            let (windows, records) = (self.windows_undecided, self.records_undecided);
            write!(f, ", {windows} undecided (they miss {records} records, which may have been late)")?;
        }
        write!(f, "; {} records in, {} counted, {} late", self.records, self.counted, self.late)?;
        for (count, what) in
            [(self.unreadable, "unreadable"), (self.misdated, "misdated"), (self.refused, "refused")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, "; {} records out", self.outputs)?;
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        let more = self.mismatches - self.examples.len() as u64;
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
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

#[derive(Default)]
struct WindowRows {
    vendors: FxHashMap<CompactString, Row>,
    unsettled: usize,
}

/// What is known of a vendor in a window.
enum Row {
    Unsettled(Box<Unsettled>),
    /// Closed and right: nothing may follow.
    Settled,
}

#[derive(Default)]
struct Unsettled {
    /// What was counted, and in which partition.
    counted: Option<(i32, Figures)>,
    /// The last record of it.
    written: Option<Aggregated>,
    /// How many records said that the window is closed.
    closings: u32,
}

/// What there is to count. A sum beyond 64 bits is refused, so that 64 bits hold it.
#[derive(Debug)]
struct Figures {
    count: u64,
    total: i64,
    min: i64,
    max: i64,
    currencies: SmallVec<[([u8; 3], u64, i64); 4]>,
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
        let Some(read) = input.value.and_then(Read::of).filter(|_| readable_key) else {
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
            let read = Read {
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
    fn observe(&mut self, partition: i32, read: &Read<'_>, refused: bool) {
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

    fn count(&mut self, partition: i32, stream_time: i64, read: &Read<'_>) {
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
        let window = self.windows.entry(start).or_default();
        if !window.vendors.contains_key(vendor) {
            window.vendors.insert(CompactString::new(vendor), Row::Unsettled(Box::default()));
            window.unsettled += 1;
        }
        match window.vendors.get_mut(vendor)? {
            Row::Unsettled(row) => Some(row),
            Row::Settled => None,
        }
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

impl OracleRules {
    fn emits_updates(&self) -> bool {
        self.emit != EmitStrategy::OnWindowClose
    }

    /// Whether the last record of every window says that it is closed. Where only updates are written it may say so too,
    /// if it is written when the window closes.
    fn emits_close(&self) -> bool {
        self.emit != EmitStrategy::OnWindowUpdate
    }

    /// How many records of a closed window may say so.
    fn closings(&self) -> RangeInclusive<u32> {
        u32::from(self.emits_close())..=if self.exactly_once { 1 } else { u32::MAX }
    }

    /// The starts of the windows that hold `time`, earliest first.
    fn starts_of(&self, time: i64) -> impl Iterator<Item = i64> + use<> {
        let advance_ms = self.advance_ms;
        let first = (time - self.size_ms).div_euclid(advance_ms) + 1;
        (first.max(0)..=time.div_euclid(advance_ms)).map(move |number| number * advance_ms)
    }

    /// The stream time from which on the window takes nothing.
    fn deadline(&self, start: i64) -> i64 {
        start.saturating_add(self.size_ms).saturating_add(self.grace_ms)
    }
}

impl Row {
    /// Whether the window is closed and what is written last is right, and last.
    fn is_right_for_ever(
        &self,
        rules: &OracleRules,
        start: i64,
        partitions: &FxHashMap<i32, Partition>,
    ) -> bool {
        let Row::Unsettled(row) = self else { return false };
        let (Some((partition, figures)), Some(written)) = (&row.counted, &row.written) else { return false };
        let closed =
            partitions.get(partition).is_some_and(|state| rules.deadline(start) <= state.stream_time);
        closed
            && rules.closings().contains(&row.closings)
            && (written.closed || !rules.emits_close())
            && figures.difference(written).is_none()
    }
}

impl Unsettled {
    /// Counts a record: `Ok(false)` if a sum has no room for it.
    fn add(&mut self, partition: i32, read: &Read<'_>) -> Result<bool, &'static str> {
        match &mut self.counted {
            None => {
                let currencies = SmallVec::from_iter([(read.currency, 1, read.cents)]);
                let (total, min, max) = (read.cents, read.cents, read.cents);
                self.counted = Some((partition, Figures { count: 1, total, min, max, currencies }));
                Ok(true)
            }
            Some((first, figures)) if *first == partition => Ok(figures.add(read)),
            Some(_) => Err("the vendor is in two partitions, so that the topic is not keyed by vendor"),
        }
    }

    /// Takes a record of the output, and says what is wrong with it if records come exactly once.
    fn write(&mut self, written: Aggregated) -> Option<&'static str> {
        let wrong = match &self.written {
            Some(before) if before.closed && written.closed => Some("a second record with final=true"),
            Some(before) if before.closed => Some("an update after the record with final=true"),
            Some(before) if before.count > written.count => Some("its count has gone back"),
            _ => None,
        };
        self.closings = self.closings.saturating_add(u32::from(written.closed));
        self.written = Some(written);
        wrong
    }
}

impl Figures {
    /// As many currencies as a window may have.
    const CURRENCIES_MAX: usize = 200;

    fn add(&mut self, read: &Read<'_>) -> bool {
        let sum = |total: i64| i64::try_from(i128::from(total) + i128::from(read.cents)).ok();
        let Some(total) = sum(self.total) else { return false };
        let full = self.currencies.len() == Self::CURRENCIES_MAX;
        match self.currencies.iter_mut().find(|(code, ..)| *code == read.currency) {
            Some((_, count, total)) => match sum(*total) {
                Some(sum) => {
                    *count += 1;
                    *total = sum;
                }
                None => return false,
            },
            None if full => return false,
            None => self.currencies.push((read.currency, 1, read.cents)),
        }
        self.count += 1;
        self.total = total;
        self.min = self.min.min(read.cents);
        self.max = self.max.max(read.cents);
        true
    }

    /// The first difference between what was counted and what is written.
    fn difference(&self, written: &Aggregated) -> Option<String> {
        if self.count != written.count {
            return Some(format!("{} were counted, but numero_transacoes is {}", self.count, written.count));
        }
        for (name, counted, written) in [
            ("valor_total_por_vendedor", self.total, written.total),
            ("valor_minimo", self.min, written.min),
            ("valor_maximo", self.max, written.max),
            ("valor_medio", self.mean(), written.mean),
        ] {
            if counted != written.0 {
                return Some(format!("{counted} cents were counted, but {name} is {written}"));
            }
        }
        let found = |code: &[u8; 3]| {
            let entry = written.currencies.iter().find(|entry| entry.currency().as_bytes() == *code);
            entry.map(|entry| (entry.count(), entry.total().0))
        };
        let different =
            self.currencies.iter().find(|(code, count, total)| found(code) != Some((*count, *total)));
        if let Some((code, count, total)) = different {
            let (code, found) = (code.escape_ascii(), found(code));
            return Some(format!(
                "{count} in {code} for {total} cents were counted, but written is {found:?}"
            ));
        }
        let (counted, written) = (self.currencies.len(), written.currencies.len());
        (counted != written).then(|| format!("{counted} currencies were counted, but {written} are written"))
    }

    /// The mean to the cent, a half to the even one.
    fn mean(&self) -> i64 {
        let (total, count) = (i128::from(self.total), i128::from(self.count));
        let doubled = 2 * total;
        // The nearest integers around the mean, from the one below it.
        let mut best = total.div_euclid(count);
        let above = best + 1;
        let (to_best, to_above) = (doubled - 2 * count * best, 2 * count * above - doubled);
        if to_above < to_best || (to_above == to_best && above % 2 == 0) {
            best = above;
        }
        i64::try_from(best).unwrap_or_default()
    }
}

/// What is read of an input record.
struct Read<'a> {
    vendor: Cow<'a, str>,
    cents: i64,
    currency: [u8; 3],
    time: i64,
}

#[derive(Deserialize)]
struct InputJson<'a> {
    #[serde(borrow)]
    id_transacao: Cow<'a, str>,
    #[serde(borrow)]
    id_vendedor: Cow<'a, str>,
    #[serde(borrow)]
    valor: &'a RawValue,
    hora_transacao: i64,
    #[serde(borrow)]
    moeda: Cow<'a, str>,
    #[serde(default, rename = "tipo_transacao")]
    _kind: Cow<'a, str>,
    #[serde(default, rename = "metodo_pagamento")]
    _method: Cow<'a, str>,
}

impl<'a> Read<'a> {
    fn of(value: &'a [u8]) -> Option<Read<'a>> {
        let text = std::str::from_utf8(value).ok()?;
        // Without this, serde would take an array of the fields' values too.
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let json: InputJson<'a> = serde_json::from_str(text).ok()?;
        let currency = <[u8; 3]>::try_from(json.moeda.as_bytes()).ok()?;
        let valid = (1..=48).contains(&json.id_transacao.len())
            && (1..=256).contains(&json.id_vendedor.len())
            && currency.iter().all(u8::is_ascii_uppercase);
        let cents = cents_of(json.valor.get()).filter(|_| valid)?;
        Some(Read { vendor: json.id_vendedor, cents, currency, time: json.hora_transacao })
    }
}

/// A JSON number as cents, worked out on its digits, if it is a whole number of them and at most ten trillion.
fn cents_of(number: &str) -> Option<i64> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, number),
    };
    if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    let zeros = all.len() - significant.len();
    let digits = significant.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let exponent: i128 = exponent.parse().ok()?;
    let power = exponent + zeros as i128 - fraction.len() as i128 + 2;
    let power = u32::try_from(power).ok().filter(|&power| power <= 15)?;
    let cents = digits.parse::<i128>().ok()?.checked_mul(10i128.pow(power))?;
    i64::try_from(sign * cents).ok().filter(|cents| cents.abs() <= 1_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riacho::Windowed;

    use super::super::aggregate::{CURRENCIES_MAX, SellerTotals};
    use super::super::money::Cents;
    use super::super::transaction::TransactionSerde;
    use super::super::transaction::tests::{USUAL, any_transaction};
    use super::*;

    const RULES: OracleRules = OracleRules {
        partitions: 1,
        size_ms: 60_000,
        advance_ms: 60_000,
        grace_ms: 10_000,
        ahead_ms_max: 86_400_000,
        keyed_by_vendor: true,
        emit: EmitStrategy::OnWindowUpdateAndClose,
        exactly_once: true,
    };
    const NOW: Timestamp = Timestamp(1_000_000);

    fn transaction(vendor: &str, valor: &str, time: i64) -> String {
        format!(
            r#"{{"id_transacao":"t","id_vendedor":"{vendor}","valor":{valor},"hora_transacao":{time},"moeda":"BRL"}}"#
        )
    }

    /// One partition's input and the output, told in turns.
    struct Told {
        oracle: Oracle,
        offset: i64,
    }

    impl Told {
        fn under(rules: OracleRules) -> Told {
            Told { oracle: Oracle::new(rules), offset: 0 }
        }

        fn input_raw(mut self, partition: i32, key: &str, value: &str) -> Told {
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            self.oracle.input(&Input { partition, offset: self.offset, reference: NOW, key, value });
            self.offset += 1;
            self
        }

        fn input(self, vendor: &str, valor: &str, time: i64) -> Told {
            self.input_raw(0, vendor, &transaction(vendor, valor, time))
        }

        fn output(mut self, vendor: &str, start: i64, closed: bool, cents: &[i64]) -> Told {
            let value = aggregated(vendor, start, self.oracle.rules.size_ms, closed, cents);
            self.oracle.output(Some(vendor.as_bytes()), Some(value.as_bytes()));
            self
        }

        fn report(self) -> Report {
            self.oracle.finish(OpenWindows::Compare)
        }
    }

    fn aggregated(vendor: &str, start: i64, size_ms: i64, closed: bool, cents: &[i64]) -> String {
        let (total, count) = (cents.iter().sum::<i64>(), cents.len() as i64);
        let money = |cents: i64| Cents(cents).to_string();
        let mean = money((2 * total + count) / (2 * count));
        format!(
            concat!(
                r#"{{"id_vendedor":"{}","numero_transacoes":{},"valor_total_por_vendedor":{},"valor_minimo":{},"#,
                r#""valor_maximo":{},"valor_medio":{},"janela_inicio":{},"janela_fim":{},"final":{},"#,
                r#""totais_por_moeda":{{"BRL":{{"total":{},"quantidade":{}}}}}}}"#,
            ),
            vendor,
            count,
            money(total),
            money(*cents.iter().min().unwrap()),
            money(*cents.iter().max().unwrap()),
            mean,
            start,
            start + size_ms,
            closed,
            money(total),
            count,
        )
    }

    #[test]
    fn right_output_passes_and_is_forgotten() {
        let told = Told::under(RULES)
            .input("a", "1.00", 5_000)
            .input("b", "2", 6_000)
            .output("a", 0, false, &[100])
            .input("a", "3.50", 59_999)
            .input("a", "1", 60_000)
            .input("a", "9", 129_999)
            .output("a", 0, true, &[100, 350])
            .output("b", 0, false, &[200])
            .output("b", 0, true, &[200])
            .output("a", 60_000, false, &[100])
            .output("a", 120_000, false, &[900]);
        assert_eq!(told.oracle.held(), 2, "only what is open");
        let report = told.report();
        assert!(report.passed(), "{report}");
        assert_eq!((report.records, report.counted, report.windows_checked, report.outputs), (5, 5, 4, 6));
        let text = "PASS: 4 vendor windows compared, 0 wrong; 5 records in, 5 counted, 0 late; 6 records out";
        assert_eq!(report.to_string(), text);
    }

    #[test]
    fn a_record_is_late_once_stream_time_has_reached_the_end_and_the_grace() {
        let until =
            |time| Told::under(RULES).input("a", "1", 0).input("b", "1", time).input("a", "1", 59_999);
        assert_eq!(until(69_999).report().late, 0);
        let told = until(70_000).output("a", 0, true, &[100]).output("b", 60_000, false, &[100]);
        let report = told.report();
        assert_eq!((report.late, report.counted), (1, 2));
        assert!(report.passed(), "{report}");
        let other_partition = Told::under(RULES)
            .input_raw(0, "b", &transaction("b", "1", 500_000))
            .input_raw(1, "a", &transaction("a", "1", 0));
        assert_eq!(other_partition.report().late, 0, "each partition has its own time");
    }

    #[test]
    fn hopping_windows_take_a_record_wherever_they_are_open() {
        let rules = OracleRules { size_ms: 20_000, advance_ms: 10_000, grace_ms: 0, ..RULES };
        let report = Told::under(rules)
            .input("a", "1", 5_000)
            .input("a", "2", 25_000)
            .input("a", "4", 15_000)
            .output("a", 0, true, &[100])
            .output("a", 10_000, false, &[200, 400])
            .output("a", 20_000, false, &[200])
            .report();
        assert!(report.passed(), "{report}");
        assert_eq!((report.counted, report.late, report.windows_checked), (3, 0, 3));
    }

    #[test]
    fn each_kind_of_wrong_output_is_found() {
        let closed =
            || Told::under(RULES).input("a", "1.00", 0).input("a", "2.00", 1).input("z", "1", 200_000);
        let right = |told: Told| told.output("a", 0, true, &[100, 200]).output("z", 180_000, false, &[100]);
        assert!(right(closed()).report().passed());
        for (told, what) in [
            (closed().output("z", 180_000, false, &[100]), "a at 0: 2 were counted, but nothing is written"),
            (right(closed()).output("b", 0, true, &[1]), "b at 0: a record of a window that is done"),
            (
                right(closed()).output("b", 180_000, false, &[1]),
                "b at 180000: nothing was counted, but something is",
            ),
            (closed().output("a", 0, true, &[100]), "a at 0: 2 were counted, but numero_transacoes is 1"),
            (
                closed().output("a", 0, true, &[100, 201]),
                "300 cents were counted, but valor_total_por_vendedor is 3.01",
            ),
            (closed().output("a", 0, true, &[50, 250]), "100 cents were counted, but valor_minimo is 0.50"),
            (
                closed().output("a", 0, false, &[100, 200]),
                "a at 0: closed, but with 0 records with final=true",
            ),
            (right(closed()).output("a", 0, true, &[100, 200]), "a at 0: a record of a window that is done"),
            (
                right(closed()).output("z", 180_000, true, &[100]),
                "z at 180000: open, but with 1 records with final=true",
            ),
            (
                closed().output("a", 0, true, &[100]).output("a", 0, true, &[100, 200]),
                "a at 0: a second record with final=true",
            ),
            (
                closed().output("a", 0, true, &[100]).output("a", 0, false, &[100, 200]),
                "a at 0: an update after the record with final=true",
            ),
            (
                closed().output("a", 0, false, &[100, 200]).output("a", 0, false, &[100]),
                "a at 0: its count has gone back",
            ),
            (right(closed()).output("a", 1, true, &[1]), "a at 1: there is no window from 1 to 60001"),
        ] {
            let report = told.report();
            assert!(!report.passed());
            assert!(
                report.examples.iter().any(|example| example.contains(what)),
                "{what} expected:\n{report}"
            );
        }
    }

    #[test]
    fn a_currency_that_is_wrong_is_found_although_the_sums_are_right() {
        for (from, to, what) in [
            ("BRL", "USD", "2 in BRL for 300 cents were counted, but written is None"),
            ("\"total\":3.00", "\"total\":2.00", "but written is Some((2, 200))"),
            (
                "{\"BRL\"",
                "{\"EUR\":{\"total\":0.00,\"quantidade\":0},\"BRL\"",
                "1 currencies were counted, but 2",
            ),
        ] {
            let mut told = Told::under(RULES).input("a", "1", 0).input("a", "2", 1).input("z", "1", 200_000);
            let value = aggregated("a", 0, 60_000, true, &[100, 200]).replace(from, to);
            told.oracle.output(Some(b"a"), Some(value.as_bytes()));
            let report = told.report();
            assert!(report.to_string().contains(what), "{what} expected:\n{report}");
        }
    }

    #[test]
    fn output_that_cannot_be_read_or_has_another_key_is_wrong() {
        let mut oracle = Oracle::new(RULES);
        let value = aggregated("a", 0, 60_000, true, &[100]);
        oracle.output(Some(b"b\xff"), Some(value.as_bytes()));
        oracle.output(None, Some(value.as_bytes()));
        oracle.output(Some(b"a"), Some(b"{}"));
        oracle.output(Some(b"a"), None);
        let report = oracle.finish(OpenWindows::Skip);
        assert_eq!((report.mismatches, report.outputs), (4, 4));
        assert!(report.examples[0].contains(r"its key is b\xff"), "{report}");
        assert!(report.examples[1].contains("its key is null"), "{report}");
        assert!(report.examples[2].contains("missing field"), "{report}");
    }

    #[test]
    fn the_emit_strategy_decides_what_may_be_written() {
        let under =
            |emit| Told::under(OracleRules { emit, ..RULES }).input("a", "1", 0).input("z", "1", 200_000);
        let closing_only = under(EmitStrategy::OnWindowClose).output("a", 0, true, &[100]);
        let report = closing_only.report();
        assert!(report.passed() && report.windows_open == 1, "{report}");
        let update = under(EmitStrategy::OnWindowClose).output("a", 0, false, &[100]).report();
        assert!(update.to_string().contains("final=false, against the settings"), "{update}");
        let updates = || under(EmitStrategy::OnWindowUpdate).output("z", 180_000, false, &[100]);
        assert!(updates().output("a", 0, false, &[100]).report().passed());
        assert!(
            updates().output("a", 0, true, &[100]).report().passed(),
            "it may say that the window is closed"
        );
        let early = under(EmitStrategy::OnWindowUpdate).output("z", 180_000, true, &[100]).report();
        assert!(early.to_string().contains("open, but with 1 records with final=true"), "{early}");
    }

    #[test]
    fn open_windows_are_left_out_when_the_application_may_be_behind() {
        let told =
            Told::under(RULES).input("a", "1", 0).input("z", "1", 200_000).output("a", 0, true, &[100]);
        let report = told.oracle.finish(OpenWindows::Skip);
        assert!(report.passed() && report.windows_open == 1, "{report}");
        assert!(report.to_string().contains(", 1 still open;"));
        let nothing = Oracle::new(RULES).finish(OpenWindows::Compare);
        assert!(!nothing.passed() && nothing.to_string().starts_with("FAIL (nothing to compare)"));
    }

    #[test]
    fn at_least_once_may_write_again_but_must_end_right() {
        let rules = OracleRules { exactly_once: false, ..RULES };
        let told = || Told::under(rules).input("a", "1", 0).input("a", "2", 1).input("z", "1", 200_000);
        let again = told()
            .output("a", 0, true, &[100, 200])
            .output("a", 0, false, &[100])
            .output("a", 0, true, &[100, 200])
            .output("z", 180_000, false, &[100]);
        assert!(again.report().passed());
        let wrong = told().output("a", 0, true, &[100, 200]).output("a", 0, true, &[100]).output(
            "z",
            180_000,
            false,
            &[100],
        );
        assert_eq!(wrong.report().mismatches, 1);
    }

    #[test]
    fn bad_records_are_not_counted_and_only_refused_ones_move_time() {
        let ahead = NOW.0 + RULES.ahead_ms_max;
        let report = Told::under(RULES)
            .input("a", "1", 0)
            .input_raw(0, "a", "{")
            .input("a", "1.234", 400_000)
            .input("a", "1", -1)
            .input("a", "1", ahead + 1)
            .input_raw(0, "b", &transaction("a", "1", 60_000))
            .input("a", "1", 69_999)
            .input("a", "2", 1)
            .output("a", 0, false, &[100, 200])
            .output("a", 60_000, false, &[100])
            .report();
        assert!(report.passed(), "{report}");
        assert_eq!((report.records, report.counted, report.late), (8, 3, 0));
        assert_eq!((report.unreadable, report.misdated, report.refused), (2, 2, 1));
        assert!(
            report.to_string().contains("3 counted, 0 late, 2 unreadable, 2 misdated, 1 refused"),
            "{report}"
        );
        let moved = Told::under(RULES).input_raw(0, "b", &transaction("a", "1", 70_000)).input("a", "1", 1);
        assert_eq!(moved.report().late, 1);
    }

    #[test]
    fn a_repartition_topic_may_be_told_instead_of_the_input() {
        let mut told = Told::under(RULES);
        let read = |valor, time| {
            TransactionSerde.deserialize(Some(transaction("a", valor, time).as_bytes())).unwrap()
        };
        for (offset, transaction) in [read("1", 0), read("2", 70_000), read("4", 1)].iter().enumerate() {
            told.oracle.repartitioned(0, offset as i64, transaction);
        }
        let report = told.output("a", 0, true, &[100]).output("a", 60_000, false, &[200]).report();
        assert!(report.passed() && report.late == 1, "{report}");
    }

    #[test]
    fn an_offset_that_was_told_before_is_passed_over() {
        let mut oracle = Oracle::new(RULES);
        let value = transaction("a", "1", 0);
        let (key, value) = (Some(b"a".as_slice()), Some(value.as_bytes()));
        for offset in [5, 5, 4, 9] {
            oracle.input(&Input { partition: 0, offset, reference: NOW, key, value });
        }
        assert_eq!(oracle.finish(OpenWindows::Skip).records, 2);
    }

    #[test]
    fn a_vendor_in_two_partitions_is_reported() {
        let told = Told::under(RULES).input("a", "1", 0).input_raw(1, "a", &transaction("a", "1", 0));
        assert!(told.report().to_string().contains("the vendor is in two partitions"));
    }

    #[test]
    fn a_sum_without_room_is_refused() {
        let rules = OracleRules { emit: EmitStrategy::OnWindowClose, ..RULES };
        let told = (0..9224).fold(Told::under(rules), |told, _| told.input("a", "10000000000000", 0));
        assert_eq!(told.report().refused, 1, "9223 times ten trillion fit into 64 bits");
        assert_eq!(Figures::CURRENCIES_MAX, CURRENCIES_MAX);
    }

    #[test]
    fn input_that_is_not_keyed_leaves_late_records_undecided() {
        let rules = OracleRules { keyed_by_vendor: false, ..RULES };
        let told = || {
            Told::under(rules)
                .input_raw(0, "x", &transaction("a", "1", 0))
                .input_raw(0, "y", &transaction("b", "1", 500_000))
                .input_raw(1, "z", &transaction("a", "2", 1))
                .output("b", 480_000, false, &[100])
        };
        assert!(told().output("a", 0, true, &[100, 200]).report().windows_undecided == 0);
        let report = told().output("a", 0, true, &[100]).report();
        assert!(report.passed(), "{report}");
        assert_eq!((report.windows_undecided, report.records_undecided), (1, 1));
        assert!(!told().output("a", 0, true, &[100, 100]).report().passed());
        assert!(!told().output("a", 0, true, &[100, 200, 1]).report().passed());
    }

    proptest! {
        /// The application's parts and the oracle, each on its own, on the same transactions.
        #[test]
        fn the_application_and_the_oracle_agree(
            records in prop::collection::vec(
                (0..3i32, 0..4usize, -100_000i64..100_000, 0i64..400_000, "(BRL|USD|EUR)"), 1..120),
            hopping: bool, told_together: bool,
        ) {
            let advance_ms = if hopping { 20_000 } else { 60_000 };
            let rules = OracleRules { partitions: 3, advance_ms, ..RULES };
            let mut oracle = Oracle::new(rules);
            let mut times = [i64::MIN; 3];
            let mut state: BTreeMap<(i64, i32, usize), SellerTotals> = BTreeMap::new();
            let mut outputs = Vec::new();
            let written = |start: i64, vendor: &str, closed: bool, totals: &SellerTotals| {
                let window = riacho_topology::Window { start: Timestamp(start), end: Timestamp(start + 60_000) };
                let windowed = Windowed { key: vendor.into(), window, closed };
                let mut out = Vec::new();
                AggregatedSerde.serialize(&Aggregated::of(&windowed, totals), &mut out).unwrap();
                out
            };
            for (offset, (partition, vendor, cents, time, currency)) in records.iter().enumerate() {
                let name = format!("v{partition}-{vendor}");
                let json = transaction(&name, &Cents(*cents).to_string(), *time).replace("BRL", currency);
                let read = TransactionSerde.deserialize(Some(json.as_bytes())).unwrap();
                let (key, value) = (Some(name.as_bytes()), Some(json.as_bytes()));
                oracle.input(&Input { partition: *partition, offset: offset as i64, reference: NOW, key, value });
                let now = &mut times[*partition as usize];
                *now = (*now).max(*time);
                for start in (0..=*time / advance_ms).map(|n| n * advance_ms).filter(|start| start + 60_000 > *time) {
                    if start + 70_000 > *now {
                        let totals = state.entry((start, *partition, *vendor)).or_default();
                        totals.add(&read).unwrap();
                        outputs.push((name.clone(), written(start, &name, false, totals)));
                    }
                }
                state.retain(|&(start, of, vendor), totals| {
                    let closed = of == *partition && start + 70_000 <= *now;
                    if closed {
                        let name = format!("v{of}-{vendor}");
                        outputs.push((name.clone(), written(start, &name, true, totals)));
                    }
                    !closed
                });
                if told_together {
                    for (key, value) in outputs.drain(..) {
                        oracle.output(Some(key.as_bytes()), Some(&value));
                    }
                }
            }
            for (key, value) in outputs.drain(..) {
                oracle.output(Some(key.as_bytes()), Some(&value));
            }
            prop_assert_eq!(oracle.held(), state.len(), "what is closed is forgotten");
            let report = oracle.finish(OpenWindows::Compare);
            prop_assert!(report.passed() || records.len() as u64 == report.late, "{}", report);
            prop_assert_eq!(report.counted + report.late, records.len() as u64);
        }

        #[test]
        fn both_read_the_same_numbers(text in "-?[0-9]{1,20}(\\.[0-9]{1,5})?([eE][-+]?[0-9]{1,3})?") {
            let text = text.as_str();
            let valid = serde_json::from_str::<&RawValue>(text).is_ok();
            if valid {
                prop_assert_eq!(cents_of(text), Cents::parse_amount(text).ok().map(|cents| cents.0), "{}", text);
            }
        }

        #[test]
        fn both_read_the_same_records(
            transaction in any_transaction(),
            changes in prop::collection::vec((0usize..300, "[\"\\\\{}:,0-9e.\\- a-zA-Z\n\\[\\]]{0,2}"), 0..3), usual: bool,
        ) {
            let mut out = Vec::new();
            TransactionSerde.serialize(&transaction, &mut out).unwrap();
            let text = if usual { USUAL.to_owned() } else { String::from_utf8(out).unwrap() };
            let mut chars: Vec<String> = text.chars().map(String::from).collect();
            for (at, change) in changes {
                if let Some(place) = chars.get_mut(at) {
                    *place = change;
                }
            }
            let text = chars.concat();
            let read = Read::of(text.as_bytes());
            let other = TransactionSerde.deserialize(Some(text.as_bytes())).ok();
            prop_assert_eq!(read.is_some(), other.is_some(), "{}", text);
            if let (Some(read), Some(other)) = (read, other) {
                prop_assert_eq!((read.vendor.as_ref(), read.cents), (other.vendor.as_str(), other.value.0));
                prop_assert_eq!((read.currency, read.time), (other.currency.as_bytes(), other.time.0));
            }
        }
    }
}
