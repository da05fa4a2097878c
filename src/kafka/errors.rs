//! What librdkafka's errors mean for the caller, and what to do about them.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;

use crate::ports::{ClientError, ClientErrorKind};

pub(super) fn error(
    kind: ClientErrorKind,
    operation: &'static str,
    message: impl Into<String>,
) -> ClientError {
    ClientError { kind, operation, message: message.into() }
}

pub(super) fn fatal(operation: &'static str, message: impl Into<String>) -> ClientError {
    error(ClientErrorKind::Fatal, operation, message)
}

pub(super) fn retry(operation: &'static str, message: impl Into<String>) -> ClientError {
    error(ClientErrorKind::Retry, operation, message)
}

/// The error code inside; rdkafka's own accessor forgets some.
pub(super) fn code_of(failure: &KafkaError) -> Option<RDKafkaErrorCode> {
    match failure {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether the cluster or the client library refuses for good, so that trying again changes nothing.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::DelegationTokenAuthorizationFailed
            | Code::UnsupportedVersion
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedFeature
            | Code::InvalidTransactionTimeout
            | Code::InvalidSessionTimeout
            | Code::InvalidGroupId
            | Code::InconsistentGroupProtocol
            | Code::InvalidTopic
            | Code::InvalidArgument
            | Code::InvalidConfig
            | Code::PolicyViolation
            | Code::GroupMaxSizeReached
            | Code::FencedInstanceId
            | Code::NotConfigured
            | Code::NotImplemented
    )
}

/// What a person can do about it; empty where nothing is known.
pub(super) fn advice(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Code::TopicAuthorizationFailed => {
            "; the principal needs READ and DESCRIBE on input topics, WRITE on output topics, and CREATE, READ, WRITE, \
             DELETE on topics that begin with the application id"
        }
        Code::GroupAuthorizationFailed => {
            "; the principal needs READ on the group named like the application id"
        }
        Code::TransactionalIdAuthorizationFailed => {
            "; the principal needs WRITE and DESCRIBE on transactional ids that begin with the application id"
        }
        Code::ClusterAuthorizationFailed => "; the principal needs IDEMPOTENT_WRITE on the cluster",
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "; check the user name, the password and sasl.mechanisms"
        }
        Code::SSL => "; check ssl.ca.location, the certificates and the listener's port",
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::MessageTimedOut => "; check bootstrap.servers, the network and the brokers",
        Code::InvalidTransactionTimeout => {
            "; transaction.timeout.ms is above the broker's transaction.max.timeout.ms"
        }
        Code::InvalidSessionTimeout => {
            "; session.timeout.ms must lie between the broker's group.min.session.timeout.ms and \
             group.max.session.timeout.ms"
        }
        Code::InconsistentGroupProtocol => {
            "; another program is in this group with another assignment strategy: choose another application id"
        }
        Code::FencedInstanceId => {
            "; another process uses the same group.instance.id, or a copy of the same state.dir: each needs its own"
        }
        Code::PollExceeded => {
            "; records took longer than max.poll.interval.ms: raise it or make processing faster"
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition => "; create the topic, or check its name",
        Code::UnknownPartition => "; the topic does not exist or has fewer partitions",
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            "; raise the topic's max.message.bytes (and the producer's message.max.bytes), or lower batch.size"
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset => {
            "; the records there were deleted or never written: set auto.offset.reset, or reset the group's offsets"
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
            "; too few in-sync replicas: check the brokers"
        }
        _ => "",
    }
}

/// The text for a person: what the library says, where it says more than the code, and what to do.
pub(super) fn describe(failure: &KafkaError, details: Option<&str>) -> String {
    let code = code_of(failure);
    let text = match failure {
        KafkaError::Transaction(native) => native.to_string(),
        KafkaError::ClientConfig(result, description, key, _) => {
            return invalid_setting(*result, description, key);
        }
        KafkaError::ClientCreation(reason) => reason.clone(),
        other => code.map_or_else(|| other.to_string(), |code| code.to_string()),
    };
    let advice = code.map_or("", advice);
    match details {
        Some(details) if !details.is_empty() && !text.contains(details) => {
            format!("{text} ({details}){advice}")
        }
        _ => format!("{text}{advice}"),
    }
}

// librdkafka repeats the value in its message; a password must not get into a log that way.
fn invalid_setting(result: RDKafkaConfRes, description: &str, key: &str) -> String {
    match result {
        RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => {
            format!("librdkafka knows no setting '{key}': check its name")
        }
        _ if super::property::is_secret(key) => format!("the value of '{key}' is not valid"),
        _ => format!("the value of '{key}' is not valid: {description}"),
    }
}

/// A failure outside transactions: refusals are fatal, the rest may pass.
pub(super) fn plain(operation: &'static str, failure: &KafkaError) -> ClientError {
    let kind = match failure {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => {
            ClientErrorKind::Fatal
        }
        other if code_of(other).is_some_and(is_refusal) => ClientErrorKind::Fatal,
        _ => ClientErrorKind::Retry,
    };
    error(kind, operation, describe(failure, None))
}

/// What to do after a transactional call failed.
pub(super) enum Verdict {
    /// Call it again; the text is for the case that time runs out first.
    Again(String),
    /// Give up.
    Fail(ClientError),
}

/// Sorts a failed transactional call by the flags that librdkafka puts on it.
pub(super) fn transactional(operation: &'static str, failure: &KafkaError) -> Verdict {
    let text = describe(failure, None);
    let kind = match failure {
        // The pre-flush of rdkafka's commit timed out; nothing has happened yet.
        KafkaError::Flush(_) => return Verdict::Again(text),
        // No new producer and no further attempt gets around a refusal.
        KafkaError::Transaction(native)
            if is_refusal(native.code()) && native.code() != RDKafkaErrorCode::FencedInstanceId =>
        {
            ClientErrorKind::Fatal
        }
        // Fenced by a successor, or out of step with the broker: only a new producer starts clean.
        KafkaError::Transaction(native) if native.is_fatal() => ClientErrorKind::Fenced,
        KafkaError::Transaction(native) if native.txn_requires_abort() => ClientErrorKind::Abort,
        KafkaError::Transaction(native) if native.is_retriable() => return Verdict::Again(text),
        _ => ClientErrorKind::Fatal,
    };
    Verdict::Fail(error(kind, operation, text))
}
