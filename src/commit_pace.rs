//! When a stream thread commits.

use std::time::Duration;

/// More than this is worth waiting for more: a commit costs the same for one record as for a thousand.
const FEW_RECORDS: usize = 1_000;
/// At most half of the time of a thread with little to do goes into its early commits.
const PERIOD_PER_COMMIT: u32 = 2;
/// The weight of the last commit in how long they usually take: one that was slow is no reason to put off the next.
const NEWS: u32 = 8;

/// Decides when the next commit is due: an interval after the last one began, or sooner where that is cheap.
///
/// Half of the interval is what a record waits on average, so a thread that has taken in all there is commits after a
/// shorter one. It does so only while there is little to commit and commits are quick: under load the interval stands,
/// and the throughput with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitPace {
    interval: Duration,
    interval_idle: Duration,
    last_began: Duration,
    usually_takes: Duration,
    records: usize,
    caught_up: bool,
}

impl CommitPace {
    /// Commits every `interval`, and every `interval_idle` where there is little to do; the first counts from `now`.
    pub(crate) fn new(interval: Duration, interval_idle: Duration, now: Duration) -> Self {
        let interval_idle = interval_idle.min(interval);
        CommitPace {
            interval,
            interval_idle,
            last_began: now,
            usually_takes: Duration::ZERO,
            records: 0,
            caught_up: true,
        }
    }

    /// A poll has handed over so many records; `caught_up` when there were no more.
    pub(crate) fn polled(&mut self, records: usize, caught_up: bool) {
        self.records += records;
        self.caught_up = caught_up;
    }

    /// Whether the last poll took in all there was.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// A commit began at `began`. The next is due from its beginning: else every commit would put the next one off by
    /// what it took.
    pub(crate) fn committed(&mut self, began: Duration, took: Duration) {
        self.usually_takes = (self.usually_takes * (NEWS - 1) + took) / NEWS;
        self.had_nothing_to_commit(began);
    }

    /// There was nothing to commit at `now`, or is nothing any more: the interval begins again.
    pub(crate) fn had_nothing_to_commit(&mut self, now: Duration) {
        self.last_began = now;
        self.records = 0;
    }

    /// When the next commit is due, if there is anything to commit.
    pub(crate) fn due(&self) -> Duration {
        let is_cheap = self.caught_up && self.records <= FEW_RECORDS;
        let early = self.interval_idle.max(self.usually_takes * PERIOD_PER_COMMIT);
        self.last_began + if is_cheap { early.min(self.interval) } else { self.interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace() -> CommitPace {
        CommitPace::new(ms(100), ms(25), ms(1_000))
    }

    #[test]
    fn a_thread_with_little_to_do_commits_early() {
        let mut pace = pace();
        pace.polled(10, true);
        assert_eq!(pace.due(), ms(1_025));
        pace.committed(ms(1_030), ms(5));
        pace.polled(1, true);
        assert_eq!(pace.due(), ms(1_055));
    }

    #[test]
    fn under_load_the_interval_stands() {
        let mut more_to_come = pace();
        more_to_come.polled(10, false);
        assert_eq!(more_to_come.due(), ms(1_100));
        let mut much_to_commit = pace();
        for _ in 0..3 {
            much_to_commit.polled(FEW_RECORDS / 2, true);
        }
        assert_eq!(much_to_commit.due(), ms(1_100));
    }

    #[test]
    fn slow_commits_are_not_made_more_often_than_they_can_bear() {
        let mut pace = pace();
        for _ in 0..100 {
            pace.committed(ms(2_000), ms(32));
        }
        assert_eq!(pace.due().as_millis(), 2_063, "almost twice 32 ms after the last began");
        for _ in 0..100 {
            pace.committed(ms(2_100), ms(80));
        }
        assert_eq!(pace.due(), ms(2_200));
    }

    #[test]
    fn one_slow_commit_does_not_put_off_the_next() {
        let mut pace = pace();
        for _ in 0..100 {
            pace.committed(ms(2_000), ms(4));
        }
        pace.committed(ms(2_100), ms(70));
        assert_eq!(pace.due(), ms(2_125));
    }

    #[test]
    fn an_idle_interval_longer_than_the_interval_changes_nothing() {
        let mut pace = CommitPace::new(ms(100), ms(500), ms(0));
        pace.polled(1, true);
        assert_eq!(pace.due(), ms(100));
    }
}
