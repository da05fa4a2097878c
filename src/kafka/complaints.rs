//! What a client reports beside its answers: errors in the background and log lines, passed on at a bounded rate.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::errors::{advice, fatal};
use super::wait::now;
use crate::ports::{ClientError, ClientErrorKind};

/// The same complaint is logged at most once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// librdkafka repeats an identical connection error at most every 30 s; a longer silence means that it went away.
const AUTHENTICATION_SILENCE_MAX: Duration = Duration::from_secs(45);
/// How long a refused login is taken for a broker that is still starting or a password that is being rotated.
const AUTHENTICATION_PATIENCE: Duration = Duration::from_secs(55);

/// The complaints of one client.
#[derive(Debug)]
pub(super) struct Complaints {
    /// Whose they are, for the log.
    client: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(RDKafkaErrorCode, String)>,
    logged: Vec<Logged>,
    authentication: Option<AuthenticationTrouble>,
}

/// What the same complaint is about.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Error(RDKafkaErrorCode),
    /// Of a log line.
    Facility(String),
}

#[derive(Debug)]
struct Logged {
    subject: Subject,
    at: Instant,
    suppressed: u64,
}

#[derive(Debug)]
struct AuthenticationTrouble {
    code: RDKafkaErrorCode,
    since: Instant,
    last: Instant,
    reason: String,
}

impl Complaints {
    pub(super) fn of(client: &'static str) -> Self {
        Complaints { client, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an error that librdkafka reports in the background.
    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        let now = now();
        let mut state = self.state();
        state.last = Some((code, reason.to_owned()));
        if matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) {
            state.authentication_failed(code, now, reason);
        }
        if let Some(suppressed) = state.may_log(Subject::Error(code), now) {
            tracing::warn!(client = self.client, code = %code, suppressed, "{reason}{}", advice(code));
        }
    }

    /// Takes a log line of librdkafka.
    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.client;
        match level {
            // Lost connections come as errors too, and those are rate-limited.
            _ if facility == "FAIL" => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", client, facility, "{message}");
            }
            // What librdkafka tries again it warns of at each try.
            RDKafkaLogLevel::Warning => {
                if let Some(suppressed) = self.state().may_log(Subject::Facility(facility.to_owned()), now())
                {
                    tracing::warn!(target: "librdkafka", client, facility, suppressed, "{message}");
                }
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", client, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
        }
    }

    /// What librdkafka said last about an error of this code.
    pub(super) fn details(&self, code: RDKafkaErrorCode) -> Option<String> {
        self.state().last.as_ref().filter(|(last, _)| *last == code).map(|(_, reason)| reason.clone())
    }

    /// What a failed call means while the broker refuses the login: the refusal, and the end if that does not change.
    /// Other failures stay as they are.
    pub(super) fn or_login(&self, failure: ClientError) -> ClientError {
        match self.state().refused_login(now()) {
            Some((kind, message)) => ClientError { kind, message, ..failure },
            None => failure,
        }
    }

    /// Fails when the login has been refused for so long that waiting is of no use; the text names the listener.
    pub(super) fn check_login(&self, operation: &'static str) -> Result<(), ClientError> {
        match self.state().refused_login(now()) {
            Some((ClientErrorKind::Fatal, message)) => Err(fatal(operation, message)),
            _ => Ok(()),
        }
    }
}

impl State {
    fn authentication_failed(&mut self, code: RDKafkaErrorCode, now: Instant, reason: &str) {
        let before = self.authentication.take();
        let lasting = before.filter(|trouble| now.duration_since(trouble.last) <= AUTHENTICATION_SILENCE_MAX);
        let since = lasting.map_or(now, |trouble| trouble.since);
        self.authentication =
            Some(AuthenticationTrouble { code, since, last: now, reason: reason.to_owned() });
    }

    fn refused_login(&self, now: Instant) -> Option<(ClientErrorKind, String)> {
        let trouble = self.authentication.as_ref()?;
        if now.duration_since(trouble.last) > AUTHENTICATION_SILENCE_MAX {
            return None;
        }
        let lasting = trouble.last.duration_since(trouble.since) >= AUTHENTICATION_PATIENCE;
        let kind = if lasting { ClientErrorKind::Fatal } else { ClientErrorKind::Retry };
        Some((kind, format!("{}{}", trouble.reason, advice(trouble.code))))
    }

    /// Whether to log a complaint about this now, and how many like it were not.
    fn may_log(&mut self, subject: Subject, now: Instant) -> Option<u64> {
        let Some(logged) = self.logged.iter_mut().find(|logged| logged.subject == subject) else {
            self.logged.push(Logged { subject, at: now, suppressed: 0 });
            return Some(0);
        };
        if now.duration_since(logged.at) < LOG_INTERVAL {
            logged.suppressed += 1;
            return None;
        }
        logged.at = now;
        Some(std::mem::take(&mut logged.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_complaint_is_logged_once_in_ten_seconds() {
        let mut state = State::default();
        let start = now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let expected = [Some(0), None, None, Some(2), None, Some(1)];
        let error = || Subject::Error(RDKafkaErrorCode::AllBrokersDown);
        let line = || Subject::Facility("GETPID".to_owned());
        for subject in [&error as &dyn Fn() -> Subject, &line] {
            let logged = [0, 1, 9, 10, 11, 25].map(|second| state.may_log(subject(), at(second)));
            assert_eq!(logged, expected);
        }
    }

    #[test]
    fn a_login_refused_for_a_minute_is_final_and_one_that_recovered_is_not() {
        let mut state = State::default();
        let start = now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let kind = |state: &State, second| state.refused_login(at(second)).map(|(kind, _)| kind);
        let password = RDKafkaErrorCode::Authentication;
        state.authentication_failed(password, at(0), "sasl://b:1");
        state.authentication_failed(password, at(31), "sasl://b:1");
        assert_eq!((kind(&state, 40), kind(&state, 90)), (Some(ClientErrorKind::Retry), None));
        state.authentication_failed(password, at(62), "sasl://b:1");
        let (kind_then, text) = state.refused_login(at(63)).unwrap();
        assert_eq!(kind_then, ClientErrorKind::Fatal);
        assert!(text.contains("sasl://b:1"), "{text}");
        state.authentication_failed(RDKafkaErrorCode::SSL, at(200), "ssl://b:1");
        let (kind_then, text) = state.refused_login(at(201)).unwrap();
        assert_eq!(kind_then, ClientErrorKind::Retry);
        assert!(text.contains("check ssl.ca.location"), "{text}");
    }
}
