//! Looks after topics and groups: creates, describes and deletes, always within a deadline.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic as NativeTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use riacho_topology::TopicPartition;

use super::consumer::{at, listed};
use super::context::NativeContext;
use super::errors::{advice, describe, error, fatal, is_refusal, plain, retry};
use super::reader::serve;
use super::settings::{ClientSettings, Role};
use super::simple::Isolation;
use super::wait::Deadline;
use crate::ports::{ClientError, ClientErrorKind, NewTopic, Position};

const CREATE: &str = "create topics";
const DESCRIBE: &str = "describe topics";
const CONFIGS: &str = "read the settings of topics";
const DELETE: &str = "delete topics";
const DELETE_RECORDS: &str = "delete records";
const OFFSETS: &str = "read the offsets of the group";
const GROUP: &str = "describe the group";

/// A created topic reaches all brokers' metadata a moment later.
const SETTLE_STEP: Duration = Duration::from_millis(20);

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

/// Creates, describes and deletes topics and reads the state of groups.
pub struct KafkaAdmin {
    client: AdminClient<NativeContext<()>>,
    /// Asks for metadata. Unlike the other it tells why it cannot connect.
    onlooker: BaseConsumer<NativeContext<()>>,
    config: ClientConfig,
    application_id: String,
    request_timeout: Duration,
}

impl KafkaAdmin {
    /// Creates the client.
    ///
    /// # Errors
    /// When librdkafka does not accept the settings.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let config = settings.config(Role::Admin)?;
        let create = |failure| plain("create the admin client", &failure);
        let context = || NativeContext::of("admin", (), None);
        Ok(KafkaAdmin {
            client: config.create_with_context(context()).map_err(create)?,
            onlooker: config.create_with_context(context()).map_err(create)?,
            config,
            application_id: settings.application_id.clone(),
            request_timeout: settings.request_timeout,
        })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.request_timeout))
            .operation_timeout(Some(self.request_timeout))
    }

    /// Runs a request of the admin client to its end.
    fn run<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, KafkaError>>,
    ) -> Result<T, ClientError> {
        // The request has its own deadline; this one is for a client that does not keep it.
        let deadline = Deadline::after(self.request_timeout + Duration::from_secs(5));
        match block_on(request, deadline) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(failure)) => Err(self.failed(operation, &failure)),
            None => Err(retry(
                operation,
                "no answer in time; check bootstrap.servers, the network and the brokers",
            )),
        }
    }

    fn failed(&self, operation: &'static str, failure: &KafkaError) -> ClientError {
        serve(&self.onlooker);
        self.onlooker.context().complaints.or_login(plain(operation, failure))
    }

    /// Creates those of the topics that do not exist yet, and waits until they can be used. Those that do exist must
    /// have the given number of partitions.
    ///
    /// # Errors
    /// When a topic cannot be created or has another number of partitions; the message says what to do.
    pub fn create_topics(&self, topics: &[NewTopic]) -> Result<(), ClientError> {
        // Asked first: topics made beforehand need no right to create any, nor a cluster that can.
        let mut missing = Vec::new();
        for topic in topics {
            if self.partitions_of(&topic.name)?.is_none() {
                missing.push(to_native(topic));
            }
        }
        if !missing.is_empty() {
            for result in self.run(CREATE, self.client.create_topics(&missing, &self.options()))? {
                let Err((topic, code)) = result else { continue };
                // Another instance may have been faster.
                if code != RDKafkaErrorCode::TopicAlreadyExists {
                    return Err(not_created(&topic, code));
                }
            }
        }
        topics.iter().try_for_each(|topic| self.wait_for(topic))
    }

    fn wait_for(&self, topic: &NewTopic) -> Result<(), ClientError> {
        let deadline = Deadline::after(self.request_timeout);
        loop {
            match self.partitions_of(&topic.name)? {
                Some(count) if count == topic.partitions => return Ok(()),
                Some(count) => {
                    let (name, wanted) = (&topic.name, topic.partitions);
                    let text = format!(
                        "topic {name} has {count} partitions but the application needs {wanted}: keys would move to \
                         other tasks. Stop the application, delete {name} (its state is rebuilt from the input), and \
                         start again, or restore the number of input partitions"
                    );
                    return Err(fatal(CREATE, text));
                }
                None if deadline.is_over() => {
                    return Err(retry(
                        CREATE,
                        format!("topic {} was created but no broker knows it yet", topic.name),
                    ));
                }
                None => std::thread::park_timeout(SETTLE_STEP),
            }
        }
    }

    /// The number of partitions of a topic; `None` when it does not exist.
    ///
    /// # Errors
    /// When no broker answers, or access is denied.
    pub fn partitions_of(&self, topic: &str) -> Result<Option<i32>, ClientError> {
        let metadata = self
            .onlooker
            .fetch_metadata(Some(topic), self.request_timeout)
            .map_err(|failure| self.failed(DESCRIBE, &failure))?;
        partition_count(&metadata, topic, DESCRIBE)
    }

    /// The names and partition counts of all topics that the principal may see.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn topics(&self) -> Result<Vec<(String, i32)>, ClientError> {
        let metadata = self
            .onlooker
            .fetch_metadata(None, self.request_timeout)
            .map_err(|failure| self.failed(DESCRIBE, &failure))?;
        let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| (topic.name().to_owned(), count(topic.partitions().len())))
            .collect())
    }

    /// The settings of a topic that have a value.
    ///
    /// # Errors
    /// When the topic does not exist, access is denied, or no broker answers.
    pub fn topic_config(&self, topic: &str) -> Result<Vec<(String, String)>, ClientError> {
        let resource = ResourceSpecifier::Topic(topic);
        let request = self.client.describe_configs([&resource], &self.options());
        let mut settings = Vec::new();
        for resource in self.run(CONFIGS, request)? {
            let resource = resource.map_err(|code| refused(CONFIGS, topic, code))?;
            for entry in resource.entries {
                settings.extend(entry.value.map(|value| (entry.name, value)));
            }
        }
        // The library answers for a topic that does not exist with an empty list.
        if settings.is_empty() && self.partitions_of(topic)?.is_none() {
            return Err(refused(CONFIGS, topic, RDKafkaErrorCode::UnknownTopicOrPartition));
        }
        Ok(settings)
    }

    /// Deletes topics. One that does not exist is fine.
    ///
    /// # Errors
    /// When a topic cannot be deleted.
    pub fn delete_topics(&self, topics: &[&str]) -> Result<(), ClientError> {
        if topics.is_empty() {
            return Ok(());
        }
        for result in self.run(DELETE, self.client.delete_topics(topics, &self.options()))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => return Err(refused(DELETE, &topic, code)),
            }
        }
        Ok(())
    }

    /// Deletes the records before each position, as is done with repartition topics once they are processed.
    ///
    /// # Errors
    /// When a partition refuses; the others have been dealt with.
    pub fn delete_records(&self, before: &[Position]) -> Result<(), ClientError> {
        if before.is_empty() {
            return Ok(());
        }
        let answer = self
            .run(DELETE_RECORDS, self.client.delete_records(&at(DELETE_RECORDS, before)?, &self.options()))?;
        for place in answer.elements() {
            if let Err(failure) = place.error() {
                let name = TopicPartition::new(place.topic(), place.partition());
                let kind = plain(DELETE_RECORDS, &failure).kind;
                return Err(error(kind, DELETE_RECORDS, format!("{name}: {}", describe(&failure, None))));
            }
        }
        Ok(())
    }

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
        committed.map_err(|failure| match super::errors::code_of(&failure) {
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

/// How many partitions the metadata gives `topic`; `None` when it does not exist.
pub(super) fn partition_count(
    metadata: &Metadata,
    topic: &str,
    operation: &'static str,
) -> Result<Option<i32>, ClientError> {
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => {
            Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)).filter(|count| *count > 0))
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(code) => Err(refused(operation, topic, code)),
    }
}

fn to_native(topic: &NewTopic) -> NativeTopic<'_> {
    let replication = TopicReplication::Fixed(topic.replication_factor);
    topic
        .config
        .iter()
        .fold(NativeTopic::new(&topic.name, topic.partitions, replication), |native, (name, value)| {
            native.set(name, value)
        })
}

fn refused(operation: &'static str, topic: &str, code: RDKafkaErrorCode) -> ClientError {
    let kind = if is_refusal(code) || code == RDKafkaErrorCode::UnknownTopicOrPartition {
        ClientErrorKind::Fatal
    } else {
        ClientErrorKind::Retry
    };
    error(kind, operation, format!("topic {topic}: {code}{}", advice(code)))
}

fn not_created(topic: &str, code: RDKafkaErrorCode) -> ClientError {
    let advice = match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            "; the cluster has fewer brokers than replication.factor: lower it, or -1 for the brokers' default"
        }
        RDKafkaErrorCode::PolicyViolation => "; a policy of the cluster forbids it: create the topic by hand",
        code => advice(code),
    };
    let kind = match code {
        RDKafkaErrorCode::InvalidReplicationFactor | RDKafkaErrorCode::InvalidPartitions => {
            ClientErrorKind::Fatal
        }
        code => refused(CREATE, topic, code).kind,
    };
    error(kind, CREATE, format!("topic {topic}: {code}{advice}"))
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

/// Wakes the thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for `future` on this thread; `None` when the deadline comes first.
fn block_on<F: Future>(future: F, deadline: Deadline) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    while !deadline.is_over() {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => std::thread::park_timeout(deadline.slice(Duration::from_secs(1))),
        }
    }
    None
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

    #[test]
    fn waiting_for_a_future_ends_with_its_answer_or_its_deadline() {
        let soon = Deadline::after(Duration::from_millis(5));
        assert_eq!(block_on(std::future::ready(7), Deadline::after(Duration::from_secs(1))), Some(7));
        assert_eq!(block_on(std::future::pending::<()>(), soon), None);
    }
}
