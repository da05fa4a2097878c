//! Reads changelogs for a restore.

use std::time::Duration;

use riacho_topology::TopicPartition;

use super::reader::PartitionReader;
use super::role::Role;
use super::settings::ClientSettings;
use crate::ports::{ChangelogReader, ClientError, OnEntry};

/// [`ChangelogReader`] on librdkafka: a consumer that reads committed records and is assigned by hand, and a second one
/// that asks for high watermarks. The consumer's own would stop before a transaction that is still open.
pub struct KafkaChangelogReader(PartitionReader);

impl KafkaChangelogReader {
    /// Creates the clients.
    ///
    /// # Errors
    /// When librdkafka does not accept the settings.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        PartitionReader::new(settings, Role::Restore).map(KafkaChangelogReader)
    }
}

impl ChangelogReader for KafkaChangelogReader {
    fn bounds(&mut self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, ClientError> {
        self.0.bounds(partitions)
    }

    fn add(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        self.0.add(partition, from)
    }

    fn remove(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        self.0.remove(partition)
    }

    fn seek(&mut self, partition: &TopicPartition, from: i64) -> Result<(), ClientError> {
        self.0.seek(partition, from)
    }

    fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<(), ClientError> {
        self.0.poll(wait, records_max, on_entry).map(drop)
    }

    fn position(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        self.0.position(partition)
    }
}
