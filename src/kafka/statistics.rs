//! What the client library tells of its connections and queues, for whoever watches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Statistics;
use riacho_topology::TopicPartition;

/// What a client tells of itself. Counts are since it was created.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientStatistics {
    /// Its client id.
    pub client: String,
    /// Records in its queues, fetched or not yet acknowledged.
    pub queue_records: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Its connections.
    pub connections: Vec<ConnectionStatistics>,
    /// For a consumer: how many records of each of its partitions are there but not handed over yet.
    pub lags: Vec<(TopicPartition, u64)>,
}

/// What a client tells of its connection to a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatistics {
    /// The broker's name.
    pub broker: String,
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

/// Who is told, from the thread that polls the client.
#[derive(Clone)]
pub struct StatisticsWatch(Arc<dyn Fn(&ClientStatistics) + Send + Sync>);

impl StatisticsWatch {
    /// Tells `watch` every few seconds.
    pub fn new(watch: impl Fn(&ClientStatistics) + Send + Sync + 'static) -> Self {
        StatisticsWatch(Arc::new(watch))
    }

    pub(super) fn tell(&self, native: &Statistics) {
        (self.0)(&from_native(native));
    }
}

impl fmt::Debug for StatisticsWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatisticsWatch")
    }
}

fn from_native(native: &Statistics) -> ClientStatistics {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let micros = |number: i64| Duration::from_micros(count(number));
    let mut statistics = ClientStatistics {
        client: native.client_id.clone(),
        queue_records: native.msg_cnt,
        queue_bytes: native.msg_size,
        ..ClientStatistics::default()
    };
    // Brokers that are only known by a bootstrap address, or as "the coordinator", are the same ones under other names.
    for broker in native.brokers.values().filter(|broker| broker.nodeid >= 0 && broker.source == "learned") {
        statistics.connections.push(ConnectionStatistics {
            broker: broker.nodename.clone(),
            round_trip: micros(broker.rtt.as_ref().map_or(0, |window| window.avg)),
            // In milliseconds, unlike the others.
            throttle: Duration::from_millis(count(broker.throttle.as_ref().map_or(0, |window| window.avg))),
            request_timeouts: broker.req_timeouts,
            disconnects: count(broker.disconnects.unwrap_or(0)),
            retries: broker.txretries,
        });
    }
    let (mut fetched_records, mut fetched_bytes) = (0, 0);
    for (name, topic) in &native.topics {
        for (&number, partition) in &topic.partitions {
            // The library keeps a partition of this number for records that have none yet.
            if number < 0 || !partition.desired {
                continue;
            }
            // All partitions share one queue, and each tells the length of it.
            fetched_records = fetched_records.max(count(partition.fetchq_cnt));
            fetched_bytes = fetched_bytes.max(partition.fetchq_size);
            // The library's own figure needs a commit that went through the consumer; ours go through the producer.
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            let at = if partition.app_offset >= 0 { partition.app_offset } else { partition.next_offset };
            if end >= 0 && at >= 0 {
                statistics.lags.push((TopicPartition::new(name, number), count(end - at)));
            }
        }
    }
    statistics.queue_records += fetched_records;
    statistics.queue_bytes += fetched_bytes;
    statistics
}
