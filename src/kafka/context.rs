//! What librdkafka tells a client beside its answers: complaints and statistics are passed on alike for every client,
//! the rest is for the client's own listener.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, Statistics};

use super::complaints::Complaints;
use super::statistics::StatisticsWatch;

/// The context of a client with a listener of its own; `()` listens to nothing.
pub(super) struct NativeContext<L> {
    pub(super) listener: L,
    pub(super) complaints: Complaints,
    statistics: Option<StatisticsWatch>,
}

/// What a client makes of what it is told.
pub(super) trait Listener: Send + Sync {
    /// Hears a log line of librdkafka, which is passed on to the log whatever is made of it.
    fn hear(&self, _facility: &str, _message: &str) {}
}

impl Listener for () {}

impl<L> NativeContext<L> {
    /// `client` is whose complaints they are, for the log.
    pub(super) fn of(client: &'static str, listener: L, statistics: Option<StatisticsWatch>) -> Self {
        NativeContext { listener, complaints: Complaints::of(client), statistics }
    }
}

impl<L: Listener> ClientContext for NativeContext<L> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.listener.hear(facility, message);
        self.complaints.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(watch) = &self.statistics {
            watch.tell(&statistics);
        }
    }
}

impl ConsumerContext for NativeContext<()> {}
