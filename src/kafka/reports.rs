//! What a producer hears: which of its records were delivered, and whether a connection broke under its transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::context::{Listener, NativeContext};
use super::errors::{advice, code_of};

/// What became of the records that were sent.
#[derive(Default)]
pub(super) struct Reports {
    state: Mutex<Delivered>,
    /// A connection broke or a request timed out since this was last cleared.
    tainted: AtomicBool,
    /// Something was asked of a broker since the transaction began.
    busy: AtomicBool,
}

#[derive(Default)]
struct Delivered {
    /// Per slot the offset after the last delivered record; -1 if there was none.
    ends: Vec<i64>,
    /// The first record that was not delivered, and how many there were.
    failure: Option<(RDKafkaErrorCode, String)>,
    failures: u64,
}

impl Reports {
    fn state(&self) -> MutexGuard<'_, Delivered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what became of the records so far: a transaction begins.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.ends.fill(-1);
        state.failure = None;
        state.failures = 0;
        drop(state);
        self.busy.store(false, Ordering::Relaxed);
    }

    /// From the first request of a transaction on, a connection that is given up for its silence may carry one.
    pub(super) fn asked(&self) {
        self.busy.store(true, Ordering::Relaxed);
    }

    /// The offset after the last record of the slot that was delivered since this was last asked.
    pub(super) fn take_end(&self, slot: usize) -> Option<i64> {
        let mut state = self.state();
        let end = std::mem::replace(state.ends.get_mut(slot)?, -1);
        (end >= 0).then_some(end)
    }

    /// Why the first record was not delivered, and how many others were not.
    pub(super) fn take_failure(&self) -> Option<(RDKafkaErrorCode, String, u64)> {
        let mut state = self.state();
        let (code, text) = state.failure.take()?;
        let others = std::mem::take(&mut state.failures) - 1;
        Some((code, text, others))
    }

    /// Whether a request may be under way that nobody waits for any more.
    pub(super) fn is_tainted(&self) -> bool {
        self.tainted.load(Ordering::Relaxed)
    }

    pub(super) fn forget_taint(&self) {
        self.tainted.store(false, Ordering::Relaxed);
    }
}

impl Listener for Reports {
    fn hear(&self, facility: &str, message: &str) {
        let taints = connection_broke(facility, message)
            && (self.busy.load(Ordering::Relaxed) || !message.contains("Connection max idle time exceeded"));
        if taints {
            self.tainted.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether a log line of librdkafka tells that a request may be under way that nobody waits for any more. An attempt
/// to connect that fails sends none. (The error callback will not do: it is silent about many of these.)
fn connection_broke(facility: &str, message: &str) -> bool {
    match facility {
        "REQTMOUT" => true,
        "FAIL" => ![" in state CONNECT", " in state TRY_CONNECT", " in state INIT", " in state DOWN"]
            .iter()
            .any(|before_connected| message.contains(before_connected)),
        _ => false,
    }
}

impl ProducerContext for NativeContext<Reports> {
    /// The slot plus one; 0 is none.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        match result {
            Ok(_) if slot == 0 => {}
            Ok(message) => {
                let mut state = self.listener.state();
                if state.ends.len() < slot {
                    state.ends.resize(slot, -1);
                }
                if let Some(end) = state.ends.get_mut(slot - 1) {
                    *end = (*end).max(message.offset() + 1);
                }
            }
            Err((failure, message)) => {
                let code = code_of(failure).unwrap_or(RDKafkaErrorCode::Fail);
                let mut state = self.listener.state();
                state.failures += 1;
                // Once one record fails, the library purges the others: the first failure is the cause.
                let purged =
                    |code| matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight);
                let known = state.failure.as_ref().is_some_and(|(first, _)| !purged(*first) || purged(code));
                if !known {
                    let bytes = message.payload_len() + message.key_len();
                    let text = format!(
                        "a record of {bytes} bytes for topic {}: {code}{}",
                        message.topic(),
                        advice(code)
                    );
                    state.failure = Some((code, text));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_that_carried_requests_taints_a_transaction() {
        let broke = [
            ("FAIL", "TxnCoordinator: b:9092: Disconnected (after 3364ms in state UP) (_TRANSPORT)"),
            ("FAIL", "b:9092/1: 2 request(s) timed out: disconnect (after 61000ms in state UP) (_TIMED_OUT)"),
            (
                "REQTMOUT",
                "b:9092/1: Timed out 1 in-flight, 0 retry-queued, 0 out-queue, 0 partially-sent requests",
            ),
        ];
        let did_not = [
            (
                "FAIL",
                "b:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
            ),
            ("CONNECT", "b:9092/1: broker in state UP connecting"),
        ];
        assert!(broke.iter().all(|(facility, message)| connection_broke(facility, message)));
        assert!(!did_not.iter().any(|(facility, message)| connection_broke(facility, message)));
    }

    #[test]
    fn a_connection_given_up_for_its_silence_taints_only_where_something_was_asked() {
        let idle = "TxnCoordinator: b:9092: Connection max idle time exceeded (9000ms since last activity) \
                    (after 9001ms in state UP)";
        let reports = Reports::default();
        reports.hear("FAIL", idle);
        assert!(!reports.is_tainted());
        reports.asked();
        reports.hear("FAIL", idle);
        assert!(reports.is_tainted());
    }
}
