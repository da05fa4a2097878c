//! What was read of the stores, good for a while: a page asks several things at once, and several people look at it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use riacho::observe::http::Page;
use riacho::ports::Clock as _;
use riacho::query::QueryError;
use serde_json::Value;

use super::answer;
use super::board::Board;

/// Why figures are those of before, or not there yet.
pub(super) const MOVING: &str =
    "Parte do estado está sendo restaurada ou muda de instância; os números virão em seguida.";
const UNREADABLE: &str = "O estado não pode ser lido; o motivo está no registro do processo.";

struct Read<T> {
    since: Duration,
    at: i64,
    what: T,
}

/// What was read last.
pub(super) struct Kept<T> {
    board: Board,
    age_max: Duration,
    read: Mutex<Option<Read<T>>>,
}

impl<T> Kept<T> {
    /// Nothing yet; what will be read is good for `age_max`.
    pub(super) fn new(board: &Board, age_max: Duration) -> Kept<T> {
        Kept { board: board.clone(), age_max, read: Mutex::new(None) }
    }

    /// Hands what is known over to `look`, after a `read` if it is too old: what was read before, as long as the stores
    /// cannot be read. Whoever comes meanwhile waits, and sees the same.
    ///
    /// # Errors
    /// With the answer that there is instead of figures.
    pub(super) fn look<R>(
        &self,
        read: impl FnOnce() -> Result<T, QueryError>,
        look: impl FnOnce(&mut T) -> Result<R, QueryError>,
    ) -> Result<(R, AsOf), Page> {
        let mut kept = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, at) = (self.board.clock().monotonic(), self.board.now());
        let mut reason = None;
        if kept.as_ref().is_none_or(|known| now.saturating_sub(known.since) > self.age_max) {
            match read() {
                Ok(what) => *kept = Some(Read { since: now, at, what }),
                Err(QueryError::Unavailable { .. }) if kept.is_some() => reason = Some(MOVING),
                Err(error) => return Err(no_answer(at, &error)),
            }
        }
        let known = kept.as_mut().expect("it was read now, or before");
        let seen = look(&mut known.what).map_err(|error| no_answer(at, &error))?;
        Ok((seen, AsOf { at: known.at, reason }))
    }
}

/// The instant that figures are of, and why that is not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(super) at: i64,
    reason: Option<&'static str>,
}

impl AsOf {
    /// Figures of this instant, which is now.
    pub(super) fn now(at: i64) -> AsOf {
        AsOf { at, reason: None }
    }

    /// That of these figures together with others.
    pub(super) fn with(self, other: AsOf) -> AsOf {
        AsOf { at: self.at.min(other.at), ..self.because(other.reason) }
    }

    /// The same instant; if it passed for now, `reason` says why it is not.
    pub(super) fn because(self, reason: Option<&'static str>) -> AsOf {
        AsOf { reason: self.reason.or(reason), ..self }
    }

    /// The answer with these figures.
    pub(super) fn page(self, data: Value) -> Page {
        match self.reason {
            None => answer::ready(self.at, data),
            Some(reason) => answer::stale(self.at, reason, data),
        }
    }
}

/// The answer at the instant `at` when a store cannot be read.
pub(super) fn no_answer(at: i64, error: &QueryError) -> Page {
    match error {
        QueryError::Unavailable { .. } => answer::loading(at, MOVING),
        error => {
            tracing::error!(%error, "a page has no figures");
            answer::error(at, UNREADABLE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving<T>() -> Result<T, QueryError> {
        Err(QueryError::Unavailable { store: "counts".to_owned(), reason: "it moves".to_owned() })
    }

    #[test]
    fn what_is_young_enough_is_not_read_again() {
        let kept = Kept::new(&Board::new(), Duration::MAX);
        let (first, as_of) = kept.look(|| Ok(1), |seen| Ok(*seen)).unwrap();
        assert_eq!((first, as_of.reason), (1, None));
        assert_eq!(kept.look(moving, |seen| Ok(*seen)), Ok((1, as_of)));
    }

    #[test]
    fn figures_of_before_stay_with_their_time_and_the_reason_while_the_state_moves() {
        let kept = Kept::new(&Board::new(), Duration::ZERO);
        assert_eq!(kept.look(moving, |seen: &mut u8| Ok(*seen)).unwrap_err().status(), 200, "it loads");
        let (_, before) = kept.look(|| Ok(1), |seen| Ok(*seen)).unwrap();
        let (seen, as_of) = kept.look(moving, |seen| Ok(*seen)).unwrap();
        assert_eq!((seen, as_of), (1, before.because(Some(MOVING))));
        assert_eq!(kept.look(|| Ok(2), |seen| Ok(*seen)).unwrap().0, 2);
    }

    #[test]
    fn what_no_wait_mends_is_an_error() {
        let kept = Kept::<u8>::new(&Board::new(), Duration::ZERO);
        let broken = || Err(QueryError::UnknownStore { store: "a".to_owned(), known: "b".to_owned() });
        let page = kept.look(broken, |seen| Ok(*seen)).unwrap_err();
        assert_eq!(page.status(), 503);
    }

    #[test]
    fn figures_together_are_as_old_as_the_oldest_and_as_good_as_the_worst() {
        let [old, new] = [AsOf { at: 1, reason: None }, AsOf { at: 2, reason: Some("x") }];
        assert_eq!(
            (old.with(new), new.with(old)),
            (AsOf { at: 1, reason: Some("x") }, AsOf { at: 1, reason: Some("x") })
        );
    }
}
