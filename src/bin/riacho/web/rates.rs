//! How fast an application is: what its figures grew by since they were last looked at.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use riacho::{Snapshot, TopicPartition};

/// Over so much time a rate is measured, if somebody looks often enough.
const SPAN: Duration = Duration::from_secs(3);
/// Less says nothing: figures come with commits.
const SPAN_MIN: Duration = Duration::from_millis(400);
/// An older look says how fast it was, not how fast it is.
const AGE_MAX: Duration = Duration::from_secs(15);

struct Look {
    at: Duration,
    records: u64,
    positions: BTreeMap<TopicPartition, i64>,
}

/// Earlier looks at an application, the oldest first.
#[derive(Default)]
pub(super) struct Rates {
    looks: VecDeque<Look>,
}

/// Growth per second between two looks.
pub(super) struct Pace<'r> {
    before: Option<&'r Look>,
    seconds: f64,
}

impl Rates {
    /// Takes a look at `now`, the time of a monotonic clock, and compares it with an earlier one.
    pub(super) fn look(&mut self, now: Duration, snapshot: &Snapshot) -> Pace<'_> {
        let age = |look: &Look| now.saturating_sub(look.at);
        while self.looks.front().is_some_and(|look| age(look) > AGE_MAX)
            || self.looks.get(1).is_some_and(|look| age(look) >= SPAN)
        {
            self.looks.pop_front();
        }
        if self.looks.back().is_none_or(|look| age(look) >= SPAN_MIN) {
            let positions = snapshot.positions.clone();
            self.looks.push_back(Look { at: now, records: snapshot.records, positions });
        }
        let before = self.looks.front().filter(|look| now.saturating_sub(look.at) >= SPAN_MIN);
        Pace { seconds: before.map_or(0.0, |look| now.saturating_sub(look.at).as_secs_f64()), before }
    }
}

impl Pace<'_> {
    /// All records; none as long as there is nothing to compare with.
    pub(super) fn records(&self, snapshot: &Snapshot) -> Option<f64> {
        let before = self.before?;
        Some(snapshot.records.saturating_sub(before.records) as f64 / self.seconds)
    }

    /// The records of one input partition.
    pub(super) fn partition(&self, snapshot: &Snapshot, partition: &TopicPartition) -> Option<f64> {
        let before = self.before?.positions.get(partition)?;
        let grown = snapshot.positions.get(partition)?.saturating_sub(*before).max(0);
        Some(grown as f64 / self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(records: u64) -> Snapshot {
        let position = i64::try_from(records).unwrap();
        let positions = BTreeMap::from([(TopicPartition::new("t", 0), position)]);
        Snapshot { records, positions, ..Snapshot::default() }
    }

    #[test]
    fn a_rate_is_what_was_added_since_an_earlier_look() {
        let mut rates = Rates::default();
        let millis = Duration::from_millis;
        assert_eq!(rates.look(millis(0), &at(100)).records(&at(100)), None);
        assert_eq!(rates.look(millis(100), &at(150)).records(&at(150)), None);
        let now = at(300);
        let pace = rates.look(millis(2000), &now);
        assert_eq!(pace.records(&now), Some(100.0));
        assert_eq!(pace.partition(&now, &TopicPartition::new("t", 0)), Some(100.0));
        assert_eq!(pace.partition(&now, &TopicPartition::new("t", 1)), None);
    }

    #[test]
    fn a_rate_is_of_now_and_not_of_long_ago() {
        let mut rates = Rates::default();
        let seconds = Duration::from_secs;
        for second in 0..10 {
            rates.look(seconds(second), &at(1000 * second));
        }
        // It has stopped.
        for second in 10..14 {
            rates.look(seconds(second), &at(9000));
        }
        assert_eq!(rates.look(seconds(14), &at(9000)).records(&at(9000)), Some(0.0));
        assert_eq!(rates.look(seconds(60), &at(9000)).records(&at(9000)), None);
        assert!(rates.looks.len() < 8);
    }
}
