//! The vendors that have most transactions: ten series, whose vendors change with every window.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use compact_str::CompactString;
use riacho::observe::metrics::OwnGauges;
use riacho::{EmitStrategy, Record, Tally, Timestamp};

use super::aggregate::Aggregated;
use super::money::{Cents, Currency};

/// How many vendors have series.
const VENDORS_MAX: usize = 10;

/// A vendor in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    count: u64,
    vendor: CompactString,
    currency: Currency,
    value: Cents,
}

impl Standing {
    /// More transactions first; equal ones by name, so that the same data give the same list.
    fn before(&self, other: &Standing) -> std::cmp::Ordering {
        other.count.cmp(&self.count).then_with(|| self.vendor.cmp(&other.vendor))
    }
}

/// The best of one task in its newest window that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranking {
    /// When the window begins and ends; none before there was one.
    window: Option<(Timestamp, Timestamp)>,
    standings: Vec<Standing>,
}

impl Ranking {
    /// Takes the vendor's figures if they belong to the list. Returns whether it has changed.
    fn take(&mut self, aggregated: &Aggregated) -> bool {
        let window = (aggregated.window.start, aggregated.window.end);
        match self.window {
            Some(known) if window.0 < known.0 => return false,
            Some(known) if window.0 == known.0 => {}
            _ => {
                self.window = Some(window);
                self.standings.clear();
            }
        }
        let Some(most_used) = aggregated.currencies.iter().max_by_key(|entry| entry.count()) else {
            return false;
        };
        let is_full = self.standings.len() == VENDORS_MAX;
        if is_full && self.standings.iter().all(|standing| standing.count > aggregated.count) {
            return false;
        }
        self.standings.retain(|standing| standing.vendor != aggregated.vendor);
        self.standings.push(Standing {
            count: aggregated.count,
            vendor: aggregated.vendor.clone(),
            currency: most_used.currency(),
            value: most_used.total(),
        });
        self.standings.sort_unstable_by(Standing::before);
        self.standings.truncate(VENDORS_MAX);
        true
    }
}

/// The list of an instance, made of those of its tasks. Clones share it.
#[derive(Clone)]
pub(super) struct TopVendors(Arc<Mutex<Shared>>);

struct Shared {
    count: OwnGauges<1>,
    value: OwnGauges<2>,
    next_task: u64,
    tasks: BTreeMap<u64, Ranking>,
    shown: Vec<Standing>,
}

impl TopVendors {
    pub(super) fn new(count: OwnGauges<1>, value: OwnGauges<2>) -> TopVendors {
        let (tasks, shown) = (BTreeMap::new(), Vec::new());
        TopVendors(Arc::new(Mutex::new(Shared { count, value, next_task: 0, tasks, shown })))
    }

    /// Ranks the vendors of one task. Where windows are told when they close, only those count: they are complete.
    pub(super) fn tally(&self, emit: EmitStrategy) -> VendorTally {
        let task = self.with(|shared| {
            shared.next_task += 1;
            shared.next_task
        });
        VendorTally {
            shared: self.clone(),
            task,
            only_closed: emit != EmitStrategy::OnWindowUpdate,
            seen: Ranking::default(),
            committed: Ranking::default(),
            changed: false,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Shared) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// Shows the best of all tasks. Tasks do not close a window in the same instant, so the one before the newest
    /// counts too; an older one is of a partition in which nothing happens any more.
    fn show(&mut self) {
        let newest = self.tasks.values().filter_map(|ranking| ranking.window).max();
        let is_recent =
            |ranking: &&Ranking| ranking.window.map(|(_, end)| end) >= newest.map(|(start, _)| start);
        let mut best: Vec<Standing> =
            self.tasks.values().filter(is_recent).flat_map(|ranking| &ranking.standings).cloned().collect();
        best.sort_unstable_by(Standing::before);
        best.truncate(VENDORS_MAX);
        for gone in &self.shown {
            if !best.iter().any(|standing| standing.vendor == gone.vendor) {
                self.count.remove([&gone.vendor]);
            }
            let keeps =
                |standing: &Standing| (&standing.vendor, standing.currency) == (&gone.vendor, gone.currency);
            if !best.iter().any(keeps) {
                self.value.remove([&gone.vendor, gone.currency.as_str()]);
            }
        }
        for standing in &best {
            self.count.set([&standing.vendor], standing.count as f64);
            self.value
                .set([&standing.vendor, standing.currency.as_str()], standing.value.approximately() / 100.0);
        }
        self.shown = best;
    }
}

/// Ranks the vendors of one task.
pub(super) struct VendorTally {
    shared: TopVendors,
    task: u64,
    only_closed: bool,
    seen: Ranking,
    committed: Ranking,
    changed: bool,
}

impl<K> Tally<K, Aggregated> for VendorTally {
    fn see(&mut self, record: &Record<'_, K, Aggregated>) {
        if record.value.closed || !self.only_closed {
            self.changed |= self.seen.take(record.value);
        }
    }

    fn committed(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.committed.clone_from(&self.seen);
            let (task, ranking) = (self.task, self.committed.clone());
            self.shared.with(|shared| {
                shared.tasks.insert(task, ranking);
                shared.show();
            });
        }
    }

    fn aborted(&mut self) {
        self.seen.clone_from(&self.committed);
        self.changed = false;
    }
}

impl Drop for VendorTally {
    fn drop(&mut self) {
        self.shared.with(|shared| {
            if shared.tasks.remove(&self.task).is_some() {
                shared.show();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use riacho::observe::metrics::OwnMetrics;
    use riacho::{Headers, Window, Windowed};

    use super::super::aggregate::SellerTotals;
    use super::super::business::{TOP_COUNT, TOP_VALUE};
    use super::super::transaction::{PaymentMethod, Transaction, TransactionId, TransactionKind};
    use super::*;

    fn top_vendors() -> TopVendors {
        let mut own = OwnMetrics::default();
        TopVendors::new(own.gauges(&TOP_COUNT).unwrap(), own.gauges(&TOP_VALUE).unwrap())
    }

    fn told(tally: &mut VendorTally, vendor: &str, start: i64, count: usize, closed: bool) {
        let mut totals = SellerTotals::default();
        let vendor = CompactString::new(vendor);
        let transaction = Transaction {
            id: TransactionId::new("1").unwrap(),
            vendor: vendor.clone(),
            value: Cents(200),
            currency: Currency::BRL,
            time: Timestamp(start),
            kind: TransactionKind::Purchase,
            method: PaymentMethod::Pix,
        };
        for _ in 0..count {
            totals.add(&transaction).unwrap();
        }
        let window = Window { start: Timestamp(start), end: Timestamp(start + 60) };
        let value = Aggregated::of(&Windowed { key: vendor, window, closed }, &totals);
        let (key, timestamp, headers) = (&(), Timestamp(start), &Headers::EMPTY);
        tally.see(&Record { key, value: &value, timestamp, headers });
    }

    fn commit(tally: &mut VendorTally) {
        Tally::<(), Aggregated>::committed(tally);
    }

    fn shown(top: &TopVendors) -> Vec<(String, u64)> {
        top.with(|shared| {
            shared.shown.iter().map(|standing| (standing.vendor.to_string(), standing.count)).collect()
        })
    }

    fn listed(vendors: &[(&str, u64)]) -> Vec<(String, u64)> {
        vendors.iter().map(|(vendor, count)| ((*vendor).to_owned(), *count)).collect()
    }

    #[test]
    fn the_ten_with_most_of_all_tasks_are_shown_however_many_there_are() {
        let top = top_vendors();
        let [mut one, mut other] = [(); 2].map(|()| top.tally(EmitStrategy::OnWindowClose));
        for vendor in 1..=40 {
            let tally = if vendor % 2 == 0 { &mut one } else { &mut other };
            told(tally, &format!("v{vendor:02}"), 0, vendor, true);
        }
        commit(&mut one);
        commit(&mut other);
        let expected: Vec<_> = (31..=40).rev().map(|n| (format!("v{n}"), n)).collect();
        assert_eq!(shown(&top), expected);
        drop(one);
        let odd: Vec<_> = (0..10).map(|n| (format!("v{}", 39 - 2 * n), 39 - 2 * n)).collect();
        assert_eq!(shown(&top), odd, "the vendors of a task go with it");
    }

    #[test]
    fn only_what_is_committed_and_complete_is_shown() {
        let top = top_vendors();
        let mut tally = top.tally(EmitStrategy::OnWindowUpdateAndClose);
        told(&mut tally, "a", 0, 3, true);
        told(&mut tally, "b", 60, 9, false);
        assert_eq!(shown(&top), []);
        commit(&mut tally);
        assert_eq!(shown(&top), listed(&[("a", 3)]));
        told(&mut tally, "b", 60, 9, true);
        Tally::<(), Aggregated>::aborted(&mut tally);
        commit(&mut tally);
        assert_eq!(shown(&top), listed(&[("a", 3)]), "the closing of b was undone");
        told(&mut tally, "b", 60, 9, true);
        told(&mut tally, "c", 0, 99, true);
        commit(&mut tally);
        assert_eq!(shown(&top), listed(&[("b", 9)]), "an older window comes too late");
    }

    #[test]
    fn without_final_results_the_newest_window_counts_as_far_as_it_is() {
        let top = top_vendors();
        let mut tally = top.tally(EmitStrategy::OnWindowUpdate);
        told(&mut tally, "a", 0, 1, false);
        told(&mut tally, "b", 0, 2, false);
        told(&mut tally, "a", 0, 3, false);
        commit(&mut tally);
        assert_eq!(shown(&top), listed(&[("a", 3), ("b", 2)]));
    }

    #[test]
    fn a_partition_in_which_nothing_happens_any_more_leaves_the_list() {
        let top = top_vendors();
        let [mut quiet, mut busy] = [(); 2].map(|()| top.tally(EmitStrategy::OnWindowClose));
        told(&mut quiet, "q", 0, 9, true);
        told(&mut busy, "b", 60, 1, true);
        commit(&mut quiet);
        commit(&mut busy);
        assert_eq!(shown(&top), listed(&[("q", 9), ("b", 1)]), "its window may just not be closed yet");
        told(&mut busy, "b", 120, 2, true);
        commit(&mut busy);
        assert_eq!(shown(&top), listed(&[("b", 2)]));
    }
}
