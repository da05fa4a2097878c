//! Whether, when and how often something is asked again.

use std::time::Duration;

use chrono::DateTime;
use rand::{Rng, RngExt as _};
use riacho_topology::Timestamp;

use super::settings::Patience;

/// The longest that an API may ask to be left alone: it may have meant another unit.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What a status code means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Usable,
    Again,
    Never(&'static str),
}

pub(super) fn judge(status: u16) -> Judgement {
    match status {
        200..=203 => Judgement::Usable,
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=530 => Judgement::Again,
        401 | 403 => Judgement::Never("check the token and what it allows"),
        404 | 410 => Judgement::Never("check the address and the names of the paging parameters"),
        300..=399 => Judgement::Never("redirects are not followed; give the address that it leads to"),
        _ => Judgement::Never("check the address and the paging"),
    }
}

impl Patience {
    /// How long to wait after so many failed attempts in a row.
    pub(super) fn pause_after(&self, attempt: u32, dice: &mut impl Rng) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.saturating_sub(1));
        let whole = self.pause_first.saturating_mul(doubled).min(self.pause_max);
        // Clients that failed together must not come back together.
        whole.mul_f64(dice.random_range(0.5..=1.0))
    }
}

/// How long the header `Retry-After` asks to wait, from `now` on: seconds, or a date.
pub(super) fn retry_after(header: Option<&str>, now: Timestamp) -> Option<Duration> {
    let header = header?.trim();
    let wait = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(header).ok()?.timestamp_millis();
            Duration::from_millis(until.saturating_sub(now.as_millis()).max(0).unsigned_abs())
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_are_spread() {
        let patience = Patience {
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(1),
            ..Patience::default()
        };
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(1);
        for (attempt, whole) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (200, 1000)] {
            let pauses: Vec<_> =
                (0..50).map(|_| patience.pause_after(attempt, &mut dice).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{attempt}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "all alike");
        }
    }

    #[test]
    fn what_the_api_asks_for_is_understood_in_both_ways() {
        let now = Timestamp(1_767_225_600_000);
        assert_eq!(retry_after(Some("7"), now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Thu, 01 Jan 2026 00:00:09 GMT"), now), Some(Duration::from_secs(9)));
        assert_eq!(retry_after(Some("Wed, 31 Dec 2025 00:00:09 GMT"), now), Some(Duration::ZERO));
        assert_eq!(retry_after(Some("99999999"), now), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after(Some("soon"), now), None);
        assert_eq!(retry_after(None, now), None);
    }

    #[test]
    fn only_what_may_pass_is_asked_again() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(judge(status), Judgement::Again, "{status}");
        }
        for status in [204, 301, 400, 401, 404, 501] {
            assert!(matches!(judge(status), Judgement::Never(_)), "{status}");
        }
        assert_eq!(judge(200), Judgement::Usable);
    }
}
