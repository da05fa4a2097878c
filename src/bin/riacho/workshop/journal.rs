//! What this process has sent or received: counted, and the last messages kept for the page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riacho::SystemClock;
use riacho::ports::Clock as _;

use super::brokers::WAITING;
use super::message::Glance;

const ROWS_MAX: usize = 50;
/// Any text may come as a platform: so many names are counted apart.
const PLATFORMS_MAX: usize = 100;
/// Rates are means over so many seconds.
const RATE_SECONDS: i64 = 10;

/// A message that was sent or received.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Epoch milliseconds.
    pub(super) at: i64,
    /// Partition and offset, where they are known.
    pub(super) place: Option<(i32, i64)>,
    pub(super) glance: Glance,
}

/// The figures as of now.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// What the half that works waits for.
    waiting: Option<&'static str>,
    /// The brokers by their addresses, and whether they took a connection lately.
    pub(super) brokers: Vec<(String, bool)>,
    pub(super) count: u64,
    /// The newest first.
    pub(super) rows: VecDeque<Row>,
    pub(super) platforms: BTreeMap<String, u64>,
    /// Messages of platforms that are not counted apart.
    pub(super) other_platforms: u64,
    /// Messages by second.
    seconds: VecDeque<(i64, u64)>,
}

impl Entries {
    fn add(&mut self, row: Row) {
        let second = row.at / 1000;
        self.count += 1;
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        self.forget_seconds_before(second - RATE_SECONDS);
        let platform = row.glance.id_plataforma.clone().unwrap_or_default();
        if let Some(count) = self.platforms.get_mut(&platform) {
            *count += 1;
        } else if self.platforms.len() < PLATFORMS_MAX {
            self.platforms.insert(platform, 1);
        } else {
            self.other_platforms += 1;
        }
        self.rows.truncate(ROWS_MAX - 1);
        self.rows.push_front(row);
    }

    fn forget_seconds_before(&mut self, first: i64) {
        while self.seconds.front().is_some_and(|(second, _)| *second < first) {
            self.seconds.pop_front();
        }
    }

    /// What is waited for; none when all is well.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        let all_are_down = !self.brokers.is_empty() && self.brokers.iter().all(|(_, is_up)| !is_up);
        self.waiting.or(all_are_down.then_some(WAITING))
    }

    /// Messages per second, lately.
    pub(super) fn rate(&self, now: i64) -> f64 {
        // The second that is not over yet would pull the mean down.
        let last = now / 1000;
        let counted = self.seconds.iter().filter(|(second, _)| (last - RATE_SECONDS..last).contains(second));
        counted.map(|(_, count)| *count as f64).sum::<f64>() / RATE_SECONDS as f64
    }
}

/// Shared by the half that works and the pages that tell. Clones are the same journal.
#[derive(Clone)]
pub(super) struct Journal {
    clock: SystemClock,
    entries: Arc<Mutex<Entries>>,
}

impl Journal {
    pub(super) fn new(clock: SystemClock) -> Journal {
        Journal { clock, entries: Arc::default() }
    }

    /// Epoch milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is waited for.
    pub(super) fn waits(&self, reason: &'static str) {
        self.lock().waiting = Some(reason);
    }

    /// Notes that nothing is waited for any more.
    pub(super) fn goes_on(&self) {
        self.lock().waiting = None;
    }

    /// Notes which brokers are up.
    pub(super) fn sees(&self, brokers: Vec<(String, bool)>) {
        self.lock().brokers = brokers;
    }

    /// Notes a message.
    pub(super) fn add(&self, place: Option<(i32, i64)>, glance: Glance) {
        let at = self.now();
        self.lock().add(Row { at, place, glance });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, platform: &str) -> Row {
        let glance = Glance::of(Some(format!(r#"{{"id_plataforma":"{platform}"}}"#).as_bytes()));
        Row { at, place: None, glance }
    }

    #[test]
    fn a_journal_does_not_grow_without_bound() {
        let mut entries = Entries::default();
        for n in 0..10_000 {
            entries.add(row(n * 100, &format!("p{n}")));
        }
        assert_eq!((entries.rows.len(), entries.platforms.len()), (ROWS_MAX, PLATFORMS_MAX));
        assert_eq!((entries.count, entries.other_platforms), (10_000, 9_900));
        assert!(entries.seconds.len() <= 12);
        assert_eq!(entries.rows[0].at, 999_900);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut entries = Entries::default();
        for n in 0..40 {
            entries.add(row(n * 500, "Mobile"));
        }
        assert_eq!(entries.rate(20_000), 2.0);
        assert_eq!(entries.rate(25_000), 1.0);
        assert_eq!(entries.rate(99_000), 0.0);
    }
}
