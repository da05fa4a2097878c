//! The latest windows as the output topic tells them: who sells most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use riacho::{Serde as _, Window};
use rustc_hash::FxHashMap;

use super::source::CLOSING;
use crate::transactions::aggregate::{Aggregated, AggregatedSerde};
use crate::transactions::money::Cents;

/// How many windows are held: the current one, and those before it that still take records.
const WINDOWS_MAX: usize = 3;

#[derive(Debug, Default)]
struct Held {
    windows: BTreeMap<i64, Current>,
    closed: BTreeSet<i64>,
    outputs: u64,
    anomalies: u64,
}

#[derive(Debug)]
struct Current {
    window: Window,
    vendors: FxHashMap<CompactString, Row>,
}

/// What is known of a vendor in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) vendor: CompactString,
    pub(super) count: u64,
    pub(super) total: Cents,
    pub(super) mean: Cents,
    pub(super) currencies: usize,
}

/// The board at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The newest window.
    pub(super) window: Option<Window>,
    /// Its vendors with the largest totals, largest first.
    pub(super) top: Vec<Row>,
    /// How many vendors it has.
    pub(super) vendors: usize,
    /// How many windows have had a record that says they are closed.
    pub(super) windows_closed: usize,
    /// How many records were read of the output.
    pub(super) outputs: u64,
    /// How many transactions were unusual.
    pub(super) anomalies: u64,
}

/// Kept by the watcher, read by who draws.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Held>);

impl Board {
    pub(super) fn new() -> Board {
        Board::default()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn anomaly(&self) {
        self.held().anomalies += 1;
    }

    /// Takes a record of the output. One that cannot be read is the proof's business.
    pub(super) fn written(&self, value: Option<&[u8]>) {
        let Ok(written) = AggregatedSerde.deserialize(value) else { return };
        let mut held = self.held();
        held.outputs += 1;
        if written.vendor.starts_with(CLOSING) {
            return;
        }
        let start = written.window.start.as_millis();
        if written.closed {
            held.closed.insert(start);
        }
        let oldest = held.windows.first_key_value().map_or(i64::MIN, |(start, _)| *start);
        if held.windows.len() == WINDOWS_MAX && start < oldest {
            return;
        }
        let Aggregated { vendor, window, count, total, mean, currencies, .. } = written;
        let current =
            held.windows.entry(start).or_insert_with(|| Current { window, vendors: FxHashMap::default() });
        let row = Row { vendor: vendor.clone(), count, total, mean, currencies: currencies.len() };
        current.vendors.insert(vendor, row);
        if held.windows.len() > WINDOWS_MAX {
            held.windows.pop_first();
        }
    }

    /// What it shows, with at most `rows` vendors.
    pub(super) fn standing(&self, rows: usize) -> Standing {
        let held = self.held();
        let mut standing = Standing {
            windows_closed: held.closed.len(),
            outputs: held.outputs,
            anomalies: held.anomalies,
            ..Standing::default()
        };
        let Some((_, newest)) = held.windows.last_key_value() else { return standing };
        let mut all: Vec<&Row> = newest.vendors.values().collect();
        all.sort_unstable_by(|one, other| {
            other.total.cmp(&one.total).then_with(|| one.vendor.cmp(&other.vendor))
        });
        standing.window = Some(newest.window);
        standing.vendors = all.len();
        standing.top = all.into_iter().take(rows).cloned().collect();
        standing
    }
}

#[cfg(test)]
mod tests {
    use riacho::{Timestamp, Written};

    use super::*;

    fn written(vendor: &str, start: i64, total: i64, closed: bool) -> Vec<u8> {
        let aggregated = Aggregated {
            vendor: vendor.into(),
            window: Window { start: Timestamp(start), end: Timestamp(start + 5_000) },
            closed,
            count: 1,
            total: Cents(total),
            min: Cents(total),
            max: Cents(total),
            mean: Cents(total),
            currencies: Default::default(),
        };
        let mut out = Vec::new();
        assert_eq!(AggregatedSerde.serialize(&aggregated, &mut out).unwrap(), Written::Bytes);
        out
    }

    #[test]
    fn the_newest_window_is_shown_with_its_largest_vendors_first() {
        let board = Board::new();
        for (vendor, start, total) in
            [("a", 0, 900), ("a", 5_000, 1), ("b", 5_000, 3), ("c", 5_000, 2), ("a", 5_000, 4)]
        {
            board.written(Some(&written(vendor, start, total, start == 0)));
        }
        board.written(Some(&written("closing_1", 50_000, 9, false)));
        let standing = board.standing(2);
        let top: Vec<_> = standing.top.iter().map(|row| (row.vendor.as_str(), row.total.0)).collect();
        assert_eq!(top, [("a", 4), ("b", 3)]);
        assert_eq!((standing.vendors, standing.windows_closed, standing.outputs), (3, 1, 6));
        assert_eq!(standing.window.map(|window| window.start), Some(Timestamp(5_000)));
    }

    #[test]
    fn old_windows_are_forgotten_and_do_not_come_back() {
        let board = Board::new();
        for start in [0, 5_000, 10_000, 15_000, 0] {
            board.written(Some(&written("a", start, 1, true)));
        }
        assert_eq!(board.held().windows.len(), WINDOWS_MAX);
        assert_eq!(board.standing(1).windows_closed, 4);
    }
}
