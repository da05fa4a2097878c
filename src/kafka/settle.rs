//! Waits until a new client knows the brokers, so that what is asked of it next is answered at once.
//!
//! At first librdkafka talks to the address that it was given, and drops that connection as soon as it learns whose it
//! is. A question that is under way then is lost, for a coordinator for example, and asked again only after half a
//! second. A new connection is refused for a moment after the last attempt, and a call that waits for one does not ask
//! again: a timer does, once a second. So calls here are short and repeated.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;

use super::wait::Deadline;

/// The first try; each further one has twice as long, since an answer may need that.
const FIRST_TRY: Duration = Duration::from_millis(15);
const LONGEST_TRY: Duration = Duration::from_secs(1);

/// Waits until the client is connected to a broker by the name that the cluster has for it, and knows `topic`.
///
/// One that is not there would be asked for every second from then on.
pub(super) fn settle<C: ClientContext>(client: &Client<C>, topic: &str, deadline: Deadline) {
    // Only a question for metadata makes librdkafka connect. The first one is answered over the connection that goes.
    let ask = || insist(deadline, |wait| client.fetch_metadata(Some(topic), wait));
    let connected = ask().and_then(|_| ask());
    if let Err(failure) = connected {
        tracing::debug!(%failure, "the connections of a new client have not settled");
    }
}

/// Repeats a call, with more and more time for each try. One that fails before its time is over is not repeated sooner.
///
/// # Errors
/// That of the last try before the deadline.
pub(super) fn insist<T>(deadline: Deadline, call: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    let mut wait = FIRST_TRY;
    loop {
        let (wait_now, until) = (deadline.slice(wait), Deadline::after(deadline.slice(wait)));
        let outcome = call(wait_now);
        if outcome.is_ok() || deadline.is_over() {
            return outcome;
        }
        while !until.is_over() {
            std::thread::park_timeout(until.slice(wait_now));
        }
        wait = (wait * 2).min(LONGEST_TRY);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use rdkafka::error::KafkaError;

    use super::*;

    #[test]
    fn every_try_has_twice_as_long_as_the_one_before_until_one_succeeds() {
        let waits = RefCell::new(Vec::new());
        let outcome = insist(Deadline::after(Duration::from_secs(60)), |wait| {
            waits.borrow_mut().push(wait.as_millis());
            if waits.borrow().len() < 4 { Err(KafkaError::Canceled) } else { Ok("answer") }
        });
        assert_eq!(outcome, Ok("answer"));
        assert_eq!(waits.into_inner(), [15, 30, 60, 120]);
    }

    #[test]
    fn a_call_that_fails_at_once_is_not_repeated_without_a_pause() {
        let tries = Cell::new(0);
        let outcome = insist::<()>(Deadline::after(Duration::from_millis(200)), |_| {
            tries.set(tries.get() + 1);
            Err(KafkaError::Canceled)
        });
        assert_eq!(outcome, Err(KafkaError::Canceled));
        // 15, 30, 60 and what is left.
        assert!((2..=6).contains(&tries.get()), "{} tries", tries.get());
    }

    #[test]
    fn the_deadline_ends_the_tries_with_the_last_failure() {
        let outcome = insist::<()>(Deadline::after(Duration::ZERO), |_| Err(KafkaError::Canceled));
        assert_eq!(outcome, Err(KafkaError::Canceled));
    }
}
