//! What the Kafka client library tells of its connections and queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::families::{Series, growth, number};
use super::metrics::Families;

/// What a client tells of its connection to a broker. Counts are since the client was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerStatistics<'a> {
    /// The broker's name.
    pub broker: &'a str,
    /// The average round trip.
    pub round_trip: Duration,
    /// The average time that the broker throttled the client.
    pub throttle: Duration,
    /// Requests that timed out.
    pub request_timeouts: u64,
    /// Connections that were lost.
    pub disconnects: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

/// The metrics of one Kafka client, until the handle is dropped.
pub struct ClientMetrics {
    families: Arc<Families>,
    client: String,
    queue_messages: Series<IntGaugeVec>,
    queue_bytes: Series<IntGaugeVec>,
    brokers: BTreeMap<String, BrokerSeries>,
}

struct BrokerSeries {
    round_trip: Series<GaugeVec>,
    throttle: Series<GaugeVec>,
    request_timeouts: Series<IntCounterVec>,
    disconnects: Series<IntCounterVec>,
    retries: Series<IntCounterVec>,
    last_request_timeouts: u64,
    last_disconnects: u64,
    last_retries: u64,
}

impl ClientMetrics {
    pub(super) fn new(families: Arc<Families>, client: &str) -> Self {
        ClientMetrics {
            queue_messages: families.queue_messages.owned([client]),
            queue_bytes: families.queue_bytes.owned([client]),
            client: client.to_owned(),
            brokers: BTreeMap::new(),
            families,
        }
    }

    /// What the client tells now.
    pub fn statistics<'a>(
        &mut self,
        queue_messages: u64,
        queue_bytes: u64,
        brokers: impl IntoIterator<Item = BrokerStatistics<'a>>,
    ) {
        self.queue_messages.set(number(queue_messages));
        self.queue_bytes.set(number(queue_bytes));
        for now in brokers {
            self.broker(&now);
        }
    }

    fn broker(&mut self, now: &BrokerStatistics<'_>) {
        // Brokers beyond the bound are left out: their counts cannot be told apart under one name.
        if self.families.brokers.value(now.broker) != now.broker {
            return;
        }
        let series = self.brokers.entry(now.broker.to_owned()).or_insert_with(|| {
            let labels = [self.client.as_str(), now.broker];
            BrokerSeries {
                round_trip: self.families.broker_rtt.owned(labels),
                throttle: self.families.broker_throttle.owned(labels),
                request_timeouts: self.families.broker_timeouts.owned(labels),
                disconnects: self.families.broker_disconnects.owned(labels),
                retries: self.families.broker_retries.owned(labels),
                last_request_timeouts: 0,
                last_disconnects: 0,
                last_retries: 0,
            }
        });
        series.round_trip.set(now.round_trip.as_secs_f64());
        series.throttle.set(now.throttle.as_secs_f64());
        series.request_timeouts.inc_by(growth(series.last_request_timeouts, now.request_timeouts));
        series.disconnects.inc_by(growth(series.last_disconnects, now.disconnects));
        series.retries.inc_by(growth(series.last_retries, now.retries));
        series.last_request_timeouts = now.request_timeouts;
        series.last_disconnects = now.disconnects;
        series.last_retries = now.retries;
    }
}
