//! The latest windows as the output topic tells them: who sells most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use riacho::{Serde as _, Window};
use rustc_hash::FxHashMap;

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
        let start = written.window.start.as_millis();
        if written.closed {
            held.closed.insert(start);
        }
        let oldest = held.windows.first_key_value().map_or(i64::MIN, |(start, _)| *start);
        if held.windows.len() == WINDOWS_MAX && start < oldest {
            return;
        }
        let Aggregated { vendor, window, count, total, mean, currencies, .. } = written;
        let current = held.windows.entry(start).or_insert_with(|| Current { window, vendors: FxHashMap::default() });
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
