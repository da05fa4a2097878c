//! A Kafka inside this process, for demos: real clients talk to it over TCP, but it keeps no promise of a real one.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::errors::plain;
use crate::ports::ClientError;

const BROKERS: i32 = 1;
const REPLICAS: i32 = 1;

/// librdkafka's mock cluster, listening on 127.0.0.1. Ends when it is dropped.
///
/// What it is not, as far as demos have to know:
/// - Transactions are accepted but mean nothing: every record can be read at once, and an aborted one stays. Members and
///   producers that should be shut out are not.
/// - A partition keeps about the last [`PARTITION_BYTES`](Self::PARTITION_BYTES) and drops what is before, whether it
///   was read or not.
/// - Topics come from [`create_topic`](Self::create_topic) only. Requests to create, change, describe or delete anything
///   are not answered.
/// - A member that joins a group late waits until just before the session timeout of the others.
pub struct EmbeddedKafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedKafka {
    /// How many bytes of keys and values a partition keeps.
    pub const PARTITION_BYTES: u64 = 5 * 1024 * 1024;

    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start() -> Result<Self, ClientError> {
        let cluster =
            MockCluster::new(BROKERS).map_err(|failure| plain("start the embedded Kafka", &failure))?;
        Ok(EmbeddedKafka { cluster })
    }

    /// Its address as host:port, for `bootstrap.servers` of any client.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Creates an empty topic.
    ///
    /// # Errors
    /// When it exists, or the name or the number of partitions is impossible.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), ClientError> {
        let created = self.cluster.create_topic(name, partitions, REPLICAS);
        created.map_err(|failure| plain("create a topic of the embedded Kafka", &failure))
    }
}
