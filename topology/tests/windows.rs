//! Which windows hold an instant, and when they close.

use std::time::Duration;

use proptest::prelude::*;
use riacho_topology::{TimeWindows, Timestamp};

fn windows(size: u64, advance: u64, grace: u64) -> TimeWindows {
    let millis = Duration::from_millis;
    TimeWindows::of_size_and_grace(millis(size), millis(grace))
        .and_then(|windows| windows.advance_by(millis(advance)))
        .expect("sound windows")
}

#[test]
fn numbers_that_do_not_fit_together_are_refused() {
    let minute = Duration::from_secs(60);
    assert!(TimeWindows::of_size_with_no_grace(Duration::ZERO).is_err());
    assert!(TimeWindows::of_size_with_no_grace(Duration::from_nanos(999_999)).is_err());
    assert!(TimeWindows::of_size_with_no_grace(Duration::MAX).is_err());
    assert!(TimeWindows::of_size_and_grace(minute, Duration::MAX).is_err());
    let per_minute = TimeWindows::of_size_with_no_grace(minute).expect("a minute is a window");
    assert!(per_minute.advance_by(Duration::ZERO).is_err());
    let error = per_minute.advance_by(minute * 2).expect_err("gaps between windows");
    assert_eq!(error.to_string(), "the advance is 120000 ms: it must be 1..=60000 ms, the window's size");
}

#[test]
fn the_end_of_time_is_in_no_open_window() {
    let end = Timestamp(i64::MAX);
    for windows in [windows(1, 1, 0), windows(60_000, 7, 10)] {
        for start in windows.starts_of(end) {
            assert!(windows.is_closed(start, end));
        }
    }
}

proptest! {
    #[test]
    fn the_windows_of_an_instant_are_those_that_hold_it(
        time in 0..400i64,
        size in 1..60u64,
        advance in 1..60u64,
    ) {
        let windows = windows(size, advance.min(size), 0);
        let starts = windows.starts_of(Timestamp(time));
        let (size, advance) = (windows.size_ms(), windows.advance_ms());
        let holding = (0..=time).filter(|start| start % advance == 0 && start + size > time);
        prop_assert_eq!(starts.collect::<Vec<_>>(), holding.map(Timestamp).collect::<Vec<_>>());
    }

    #[test]
    fn a_window_closes_when_stream_time_reaches_its_end_and_grace(
        start in 0..i64::MAX / 2,
        size in 1..1_000_000u64,
        grace in 0..1_000_000u64,
    ) {
        let windows = windows(size, size, grace);
        let closes = start + windows.size_ms() + windows.grace_ms();
        prop_assert!(!windows.is_closed(Timestamp(start), Timestamp(closes - 1)));
        prop_assert!(windows.is_closed(Timestamp(start), Timestamp(closes)));
        prop_assert!(!windows.is_closed(Timestamp(start), Timestamp::MIN));
    }
}
