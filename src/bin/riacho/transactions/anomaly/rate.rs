//! How many transactions a vendor has, and a burst of them.

use riacho::Timestamp;

use super::super::transaction::Transaction;
use super::AnomalyRules;
use super::report::{Anomaly, Reason, reported};

pub(super) const SLOTS: u32 = 5;

/// How many transactions a vendor has: in the last slots, and usually.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    /// When the newest slot begins.
    pub(super) newest: Timestamp,
    /// The transactions of the last slots, the newest first.
    pub(super) counts: [u32; SLOTS as usize],
    /// The mean number of transactions of a slot, before the last slots.
    pub(super) usual: f64,
    /// How many slots that mean is of.
    pub(super) slots: u32,
    pub(super) bursting: bool,
}

impl Default for Rate {
    fn default() -> Self {
        Rate { newest: Timestamp::MIN, counts: [0; SLOTS as usize], usual: 0.0, slots: 0, bursting: false }
    }
}

/// More transactions than there may be.
pub(super) struct TooMany {
    count: u32,
    count_max: f64,
    usual: f64,
    window_ms: i64,
}

impl Rate {
    /// From here on a new slot pushes out older ones.
    pub(super) const SLOTS_MAX: u32 = 256;
    /// How many slots must be known before a count is judged: a minute, with slots of two seconds.
    const SLOTS_MIN: u32 = 30;

    pub(super) fn observe(&mut self, time: Timestamp, rules: &AnomalyRules) -> Option<TooMany> {
        let slot_ms = (rules.burst_window_ms / i64::from(SLOTS)).max(1);
        let start = time.plus_millis(-time.as_millis().rem_euclid(slot_ms));
        if self.newest == Timestamp::MIN {
            self.newest = start;
        }
        let ahead = start.millis_since(self.newest).div_euclid(slot_ms);
        if ahead > 0 {
            self.advance(ahead.unsigned_abs(), rules);
            self.newest = start;
        }
        // A transaction that comes so late that its slot is gone tells nothing of now.
        let slot = usize::try_from(ahead.min(0).unsigned_abs()).ok();
        let count = slot.and_then(|slot| self.counts.get_mut(slot))?;
        *count = count.saturating_add(1);

        let count = self.count();
        let count_max = self.count_max(rules);
        if self.bursting {
            self.bursting = f64::from(count) > count_max / 2.0;
            return None;
        }
        if self.slots < Self::SLOTS_MIN || f64::from(count) <= count_max {
            return None;
        }
        self.bursting = true;
        Some(TooMany {
            count,
            count_max,
            usual: self.usual * f64::from(SLOTS),
            window_ms: rules.burst_window_ms,
        })
    }

    fn count(&self) -> u32 {
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    fn count_max(&self, rules: &AnomalyRules) -> f64 {
        (rules.burst_factor_max * self.usual * f64::from(SLOTS)).max(f64::from(rules.burst_count_max))
    }

    /// Moves the slots on; those that fall out at the end join what is usual.
    fn advance(&mut self, slots: u64, rules: &AnomalyRules) {
        for _ in 0..slots.min(u64::from(SLOTS)) {
            let [newest, second, third, fourth, oldest] = self.counts;
            self.counts = [0, newest, second, third, fourth];
            let counted = f64::from(oldest).min(self.count_max(rules) / f64::from(SLOTS));
            self.slots = (self.slots + 1).min(Self::SLOTS_MAX);
            self.usual += (counted - self.usual) / f64::from(self.slots);
        }
        self.pass_empty(slots.saturating_sub(u64::from(SLOTS)));
    }

    /// What `slots` slots without a transaction do to the mean, without visiting each of them.
    fn pass_empty(&mut self, slots: u64) {
        let filling = u32::try_from(slots).unwrap_or(u32::MAX).min(Self::SLOTS_MAX - self.slots);
        if filling > 0 {
            self.usual *= f64::from(self.slots) / f64::from(self.slots + filling);
            self.slots += filling;
        }
        let mut rest = slots - u64::from(filling);
        let mut factor = 1.0 - 1.0 / f64::from(Self::SLOTS_MAX);
        // By squaring, and not with powi, whose last digits are not the same everywhere.
        while rest > 0 && self.usual > 0.0 {
            if rest & 1 == 1 {
                self.usual *= factor;
            }
            factor *= factor;
            rest >>= 1;
        }
    }
}

impl TooMany {
    pub(super) fn reported(self, transaction: &Transaction) -> Anomaly {
        Anomaly {
            count: Some(self.count),
            interval_ms: Some(self.window_ms),
            ..reported(transaction, Reason::Burst, self.usual, self.count_max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_silence_is_what_that_many_empty_slots_are() {
        for (slots, silent) in [(3, 10), (3, 1000), (200, 56), (200, 57), (256, 5000)] {
            let mut once = Rate { usual: 40.0, slots, ..Rate::default() };
            let mut each = once.clone();
            once.pass_empty(silent);
            for _ in 0..silent {
                each.pass_empty(1);
            }
            assert_eq!(once.slots, each.slots);
            assert!((once.usual - each.usual).abs() < 1e-9, "{once:?} {each:?}");
        }
        let mut forever = Rate { usual: 40.0, slots: 256, ..Rate::default() };
        forever.pass_empty(u64::MAX);
        assert!(forever.usual < 1e-300);
    }
}
