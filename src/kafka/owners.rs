//! Who has which partition, as the instances tell each other through Kafka.
//!
//! The group does not tell it: librdkafka's subscription carries no data of ours, and a static member that comes back
//! at another address keeps the client id and host that the coordinator first saw. So each instance commits, in a group
//! beside the application's that nobody ever joins, an offset for each partition it has: not for the offset's sake, but
//! for its metadata, which is the instance's address. It costs no topic, and one request tells all owners.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use riacho_topology::TopicPartition;

use super::consumer::listed;
use super::context::NativeContext;
use super::errors::plain;
use super::reader::serve;
use super::role::Role;
use super::settings::ClientSettings;
use crate::ports::{ClientError, OwnerDirectory};

const CLAIM: &str = "tell which partitions are here";
const OWNERS: &str = "ask who has which partition";
/// A question that takes longer is of no use to who waits for a page.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// The owners of partitions, kept in the offsets of the group `<application.id>-owners`.
pub struct KafkaOwners {
    client: BaseConsumer<NativeContext<()>>,
    /// The time of the start stands as the offset: far beyond any record, so that no tool sees a group that lags.
    since_ms: i64,
}

impl KafkaOwners {
    /// Creates the client. Nothing is sent before the first call.
    ///
    /// # Errors
    /// When librdkafka does not accept the settings.
    pub fn new(settings: &ClientSettings, now: riacho_topology::Timestamp) -> Result<Self, ClientError> {
        let mut config = settings.config(Role::Admin)?;
        config
            .set("group.id", format!("{}-owners", settings.application_id))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_uncommitted");
        let client = config.create_with_context(NativeContext::of("owners", (), None));
        Ok(KafkaOwners { client: client.map_err(|failure| plain(CLAIM, &failure))?, since_ms: now.0.max(0) })
    }
}

impl OwnerDirectory for KafkaOwners {
    fn claim(&self, partitions: &[TopicPartition], address: &str) -> Result<(), ClientError> {
        serve(&self.client);
        if partitions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let mut place = list.add_partition(&partition.topic, partition.partition);
            place.set_metadata(address);
            place.set_offset(Offset::Offset(self.since_ms)).map_err(|failure| plain(CLAIM, &failure))?;
        }
        self.client.commit(&list, CommitMode::Sync).map_err(|failure| plain(CLAIM, &failure))
    }

    fn owners(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<String>>, ClientError> {
        serve(&self.client);
        let answer = self
            .client
            .committed_offsets(listed(partitions), ANSWER_WAIT)
            .map_err(|failure| plain(OWNERS, &failure))?;
        let owner = |partition: &TopicPartition| {
            let Some(place) = answer.find_partition(&partition.topic, partition.partition) else {
                return Ok(None);
            };
            place.error().map_err(|failure| plain(OWNERS, &failure))?;
            Ok(Some(place.metadata().to_owned()).filter(|address| !address.is_empty()))
        };
        partitions.iter().map(owner).collect()
    }
}
