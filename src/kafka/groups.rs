//! Looks after groups: their members, and what they have committed.

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use riacho_topology::TopicPartition;

use super::admin::KafkaAdmin;
use super::consumer::{at, listed};
use super::context::NativeContext;
use super::errors::{code_of, fatal, plain};
use super::simple::Isolation;
use crate::ports::{ClientError, Position};

const OFFSETS: &str = "read the offsets of the group";
const GROUP: &str = "describe the group";

/// A consumer group as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group's name.
    pub name: String,
    /// Kafka's word for its state: `Stable`, `PreparingRebalance`, `Empty`, `Dead`...
    pub state: String,
    /// The assignment strategy in use.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMemberDescription>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMemberDescription {
    /// The id that the coordinator gave it.
    pub id: String,
    /// What it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions it was assigned.
    pub partitions: Vec<TopicPartition>,
}

impl KafkaAdmin {
    /// What `group` has committed for the given partitions (`None`: nothing). Does not join the group. Waits for
    /// transactions that are about to commit other offsets.
    ///
    /// # Errors
    /// When the coordinator does not answer, access is denied, or such a transaction takes too long: one that a killed
    /// process has left open ends after `transaction.timeout.ms`.
    pub fn group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClientError> {
        self.offsets(group, partitions, Isolation::ReadCommitted)
    }

    /// As [`group_offsets`](Self::group_offsets), but does not wait for transactions: what was committed last.
    ///
    /// # Errors
    /// When the coordinator does not answer, or access is denied.
    pub fn group_offsets_so_far(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClientError> {
        self.offsets(group, partitions, Isolation::ReadUncommitted)
    }

    fn offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        isolation: Isolation,
    ) -> Result<Vec<Option<i64>>, ClientError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self
            .bystander(group, isolation)?
            .committed_offsets(listed(partitions), self.request_timeout)
            .map_err(|failure| plain(OFFSETS, &failure))?;
        partitions
            .iter()
            .map(|partition| {
                let place = answer.find_partition(&partition.topic, partition.partition);
                let Some(place) = place else { return Ok(None) };
                place.error().map_err(|failure| plain(OFFSETS, &failure))?;
                Ok(match place.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                })
            })
            .collect()
    }

    /// Sets what `group` has committed. Kafka allows it only while the group has no members.
    ///
    /// # Errors
    /// When the group has members, or the coordinator does not answer.
    pub fn set_group_offsets(&self, group: &str, positions: &[Position]) -> Result<(), ClientError> {
        const SET: &str = "set the offsets of the group";
        if positions.is_empty() {
            return Ok(());
        }
        let committed =
            self.bystander(group, Isolation::ReadCommitted)?.commit(&at(SET, positions)?, CommitMode::Sync);
        committed.map_err(|failure| match code_of(&failure) {
            Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::IllegalGeneration) => {
                fatal(SET, format!("group {group} has members: stop the application first"))
            }
            _ => plain(SET, &failure),
        })
    }

    /// A consumer that names the group but never joins it.
    fn bystander(
        &self,
        group: &str,
        isolation: Isolation,
    ) -> Result<BaseConsumer<NativeContext<()>>, ClientError> {
        let isolation = match isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let mut config = self.config.clone();
        config.set("group.id", group).set("enable.auto.commit", "false").set("isolation.level", isolation);
        config
            .create_with_context(NativeContext::of("admin", (), None))
            .map_err(|failure| plain(OFFSETS, &failure))
    }

    /// The application's own group.
    ///
    /// # Errors
    /// As [`group`](Self::group).
    pub fn own_group(&self) -> Result<Option<GroupDescription>, ClientError> {
        self.group(&self.application_id)
    }

    /// State and members of a group; `None` when no broker knows it.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn group(&self, name: &str) -> Result<Option<GroupDescription>, ClientError> {
        let list = self
            .onlooker
            .fetch_group_list(Some(name), self.request_timeout)
            .map_err(|failure| self.failed(GROUP, &failure))?;
        let described = list.groups().iter().find(|group| group.name() == name && group.state() != "Dead");
        Ok(described.map(|group| GroupDescription {
            name: group.name().to_owned(),
            state: group.state().to_owned(),
            protocol: group.protocol().to_owned(),
            members: group
                .members()
                .iter()
                .map(|member| GroupMemberDescription {
                    id: member.id().to_owned(),
                    client_id: member.client_id().to_owned(),
                    host: member.client_host().to_owned(),
                    partitions: member.assignment().and_then(assigned_partitions).unwrap_or_default(),
                })
                .collect(),
        }))
    }
}

/// Decodes what the classic group protocol calls an assignment: version, topics with partitions, user data.
fn assigned_partitions(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let (_version, rest) = bytes.split_at_checked(2)?;
    let (topics, mut rest) = read_i32(rest)?;
    let mut partitions = Vec::new();
    for _ in 0..topics {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
        let name = std::str::from_utf8(name).ok()?;
        let (count, mut after) = read_i32(after)?;
        for _ in 0..count {
            let (partition, next) = read_i32(after)?;
            partitions.push(TopicPartition::new(name, partition));
            after = next;
        }
        rest = after;
    }
    Some(partitions)
}

fn read_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    bytes.split_first_chunk::<4>().map(|(number, rest)| (i32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_decoded() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 3];
        bytes.extend(b"abc");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0]);
        let expected = vec![TopicPartition::new("abc", 0), TopicPartition::new("abc", 7)];
        assert_eq!(assigned_partitions(&bytes), Some(expected));
        assert_eq!(assigned_partitions(&bytes[..12]), None);
    }
}
