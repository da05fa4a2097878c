//! Looks after topics: creates, describes and deletes, always within a deadline. What it knows of groups is in `groups`.

use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic as NativeTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use riacho_topology::TopicPartition;

use super::consumer::at;
use super::context::NativeContext;
use super::errors::{advice, describe, error, fatal, is_refusal, plain, retry};
use super::reader::serve;
use super::role::Role;
use super::settings::ClientSettings;
use super::wait::{Deadline, block_on};
use crate::ports::{ClientError, ClientErrorKind, NewTopic, Position};

const CREATE: &str = "create topics";
const DESCRIBE: &str = "describe topics";
const CONFIGS: &str = "read the settings of topics";
const DELETE: &str = "delete topics";
const DELETE_RECORDS: &str = "delete records";

/// A created topic reaches all brokers' metadata a moment later.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// Creates, describes and deletes topics; reads the state of groups and sets their offsets.
pub struct KafkaAdmin {
    client: AdminClient<NativeContext<()>>,
    /// Asks for metadata. Unlike the other it tells why it cannot connect.
    pub(super) onlooker: BaseConsumer<NativeContext<()>>,
    pub(super) config: ClientConfig,
    pub(super) application_id: String,
    pub(super) request_timeout: Duration,
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

    pub(super) fn failed(&self, operation: &'static str, failure: &KafkaError) -> ClientError {
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
