//! What tests do with a cluster as outsiders: create topics, fill them, read them back, ask for offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::node::NodeId;
use super::record::{Received, TestRecord};
use super::transaction::{OpenTransaction, Writer};
use super::wait::{await_some, await_until};

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadCommitted,
    ReadUncommitted,
}

/// `name` with a suffix that no other call has returned, for topics, groups and applications.
pub(crate) fn unique(name: &str) -> String {
    let id = Uuid::new_v4().simple().to_string();
    format!("{name}-{}", id.split_at(12).0)
}

/// A user of the cluster at `bootstrap`. Nothing is connected before the first call.
#[derive(Clone)]
pub(crate) struct Client {
    bootstrap: String,
    /// Kept between calls, because a new idempotent producer waits half a second for its id.
    writer: Arc<Mutex<Option<Writer>>>,
}

impl Client {
    pub(crate) fn new(bootstrap: &str) -> Client {
        Client { bootstrap: bootstrap.to_owned(), writer: Arc::default() }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The configuration with which every client of the tests begins.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("reconnect.backoff.max.ms", "500");
        // A frozen broker keeps its connections: only this ends what is asked of it (a minute by default).
        config.set("socket.timeout.ms", "6000");
        config
    }

    /// The brokers that are members of the cluster now.
    ///
    /// # Errors
    /// When no broker answers.
    pub(crate) fn brokers(&self) -> KafkaResult<Vec<NodeId>> {
        let metadata = self.asker().fetch_metadata(None, Duration::from_secs(2))?;
        Ok(metadata.brokers().iter().map(|broker| NodeId(broker.id())).collect())
    }

    /// Creates a topic with the cluster's own replication and returns when each partition has a leader.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    pub(crate) fn create_topic_with(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            self.config().create().expect("the configuration is valid");
        let topic = NewTopic {
            name,
            num_partitions: partitions,
            replication: TopicReplication::Fixed(-1),
            config: config.to_vec(),
        };
        let options =
            AdminOptions::new().operation_timeout(Some(ANSWER_LIMIT)).request_timeout(Some(ANSWER_LIMIT));
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a bare runtime needs nothing");
        let created = runtime.block_on(admin.create_topics([&topic], &options)).expect("the cluster answers");
        assert!(created.iter().all(Result::is_ok), "{name} cannot be created: {created:?}");
        let expected = usize::try_from(partitions).expect("a number of partitions is positive");
        await_until(ANSWER_LIMIT, &format!("{name} has {partitions} led partitions"), || {
            self.leaders(name).is_some_and(|leaders| leaders.len() == expected)
        });
    }

    /// The settings of a topic, defaults included.
    pub(crate) fn topic_config(&self, name: &str) -> BTreeMap<String, String> {
        let admin: AdminClient<DefaultClientContext> =
            self.config().create().expect("the configuration is valid");
        let options = AdminOptions::new().request_timeout(Some(ANSWER_LIMIT));
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a bare runtime needs nothing");
        let resource = ResourceSpecifier::Topic(name);
        let answer =
            runtime.block_on(admin.describe_configs([&resource], &options)).expect("the cluster answers");
        let topic = answer.into_iter().next().expect("one topic was asked for");
        let topic = topic.unwrap_or_else(|error| panic!("{name} cannot be described: {error}"));
        topic.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    /// The number of partitions of a topic; `None` if it does not exist.
    pub(crate) fn partition_count(&self, name: &str) -> Option<usize> {
        self.leaders(name).map(|leaders| leaders.len()).filter(|&count| count > 0)
    }

    /// Writes records and returns when every one is acknowledged. Unset partitions are chosen as Java does.
    pub(crate) fn produce(&self, topic: &str, records: &[TestRecord]) {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| {
            // What the failed test left in the queue is nobody else's business.
            let mut writer = poisoned.into_inner();
            *writer = None;
            self.writer.clear_poison();
            writer
        });
        // Above what a topic takes by default: what is refused is refused by the broker.
        let mut config = self.config();
        config.set("message.max.bytes", "4000000");
        writer.get_or_insert_with(|| Writer::new(config)).write(topic, records);
    }

    /// Writes records in a transaction and aborts it: only readers of the uncommitted see them.
    pub(crate) fn produce_aborted(&self, topic: &str, records: &[TestRecord]) {
        let transaction = self.begin_transaction();
        transaction.write(topic, records);
        transaction.abort();
    }

    /// Begins a transaction of a new transactional id.
    pub(crate) fn begin_transaction(&self) -> OpenTransaction {
        OpenTransaction::begin(self.config(), &unique("transaction"))
    }

    /// All records up to the end that the topic has now, in the order of partition and offset.
    ///
    /// Under [`Isolation::ReadCommitted`] it first awaits that every transaction begun before is decided, because a
    /// committed one becomes readable only some milliseconds after its commit has returned.
    pub(crate) fn read_all(&self, topic: &str, isolation: Isolation) -> Vec<Received> {
        let ends = self.end_offsets(topic);
        let consumer = self.reader(isolation);
        await_until(READ_LIMIT, &format!("every transaction on {topic} is decided"), || {
            ends.iter().all(|&(partition, end)| watermarks(&consumer, topic, partition).1 >= end)
        });
        read_to(&consumer, topic, &ends)
    }

    /// The committed records below the first undecided transaction, without waiting for its decision.
    pub(crate) fn read_decided(&self, topic: &str) -> Vec<Received> {
        let consumer = self.reader(Isolation::ReadCommitted);
        let ends: Vec<_> =
            self.partitions(topic).into_iter().map(|p| (p, watermarks(&consumer, topic, p).1)).collect();
        read_to(&consumer, topic, &ends)
    }

    /// The end of each partition's log, transaction markers included.
    pub(crate) fn end_offsets(&self, topic: &str) -> Vec<(i32, i64)> {
        let consumer = self.asker();
        self.partitions(topic).into_iter().map(|p| (p, watermarks(&consumer, topic, p).1)).collect()
    }

    /// The offsets that `group` has committed for `topic`; partitions without a commit are left out.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> Vec<(i32, i64)> {
        let mut config = self.config();
        let consumer: BaseConsumer =
            config.set("group.id", group).create().expect("the configuration is valid");
        let mut asked = TopicPartitionList::new();
        for partition in self.partitions(topic) {
            asked.add_partition(topic, partition);
        }
        // A broker that has just come back is not the group's coordinator yet.
        let answer = await_some(ANSWER_LIMIT, &format!("the coordinator of {group} answers"), || {
            consumer.committed_offsets(asked.clone(), ANSWER_LIMIT).ok()
        });
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        answer.elements().iter().filter_map(|at| Some((at.partition(), offset(at.offset())?))).collect()
    }

    /// The broker that leads a partition now.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> NodeId {
        await_some(ANSWER_LIMIT, &format!("{topic}-{partition} has a leader"), || {
            self.leaders(topic)?.into_iter().find(|(p, _)| *p == partition).map(|(_, leader)| leader)
        })
    }

    /// Each partition and its leader; `None` while the topic or a leader is unknown.
    fn leaders(&self, topic: &str) -> Option<Vec<(i32, NodeId)>> {
        let metadata = self.asker().fetch_metadata(Some(topic), ANSWER_LIMIT).ok()?;
        let topic = metadata.topics().first().filter(|topic| topic.error().is_none())?;
        let led = |leader: i32| (leader >= 0).then_some(NodeId(leader));
        topic.partitions().iter().map(|p| Some((p.id(), led(p.leader())?))).collect()
    }

    fn partitions(&self, topic: &str) -> Vec<i32> {
        let leaders = await_some(ANSWER_LIMIT, &format!("{topic} exists and has leaders"), || {
            self.leaders(topic).filter(|leaders| !leaders.is_empty())
        });
        let partitions: BTreeSet<i32> = leaders.into_iter().map(|(partition, _)| partition).collect();
        partitions.into_iter().collect()
    }

    /// A consumer for questions only: without a group it cannot read, and closes at once.
    fn asker(&self) -> BaseConsumer {
        self.config().set("isolation.level", "read_uncommitted").create().expect("the configuration is valid")
    }

    fn reader(&self, isolation: Isolation) -> BaseConsumer {
        let level = match isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let mut config = self.config();
        config
            .set("group.id", unique("reader"))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("isolation.level", level);
        config.create().expect("the configuration is valid")
    }
}

/// The first and the next offset of a partition; the next readable one for a reader of the committed.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    // A partition that has just got another leader is asked for at the old one first.
    await_some(ANSWER_LIMIT, &format!("{topic}-{partition} to tell its offsets"), || {
        consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT).ok()
    })
}

/// Reads each partition from its beginning to the end given, which the log must have reached.
fn read_to(consumer: &BaseConsumer, topic: &str, ends: &[(i32, i64)]) -> Vec<Received> {
    let mut unfinished: BTreeSet<i32> = BTreeSet::new();
    let mut assignment = TopicPartitionList::new();
    for &(partition, end) in ends {
        if watermarks(consumer, topic, partition).0 < end {
            unfinished.insert(partition);
            assignment
                .add_partition_offset(topic, partition, Offset::Beginning)
                .expect("the offset is valid");
        }
    }
    consumer.assign(&assignment).expect("the partitions exist");
    let end_of = |partition| ends.iter().find(|(p, _)| *p == partition).map_or(0, |(_, end)| *end);
    let mut found = vec![];
    await_until(READ_LIMIT, &format!("{topic} is read to {ends:?}"), || {
        // The last offsets may be markers, which are never delivered: then the end of the partition is reported.
        while let Some(polled) =
            consumer.poll(Duration::from_millis(if unfinished.is_empty() { 0 } else { 100 }))
        {
            match polled {
                Ok(message) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    if offset + 1 >= end_of(partition) {
                        unfinished.remove(&partition);
                    }
                    if offset < end_of(partition) {
                        found.push(received(&message));
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    unfinished.remove(&partition);
                }
                // A broker that dies or moves its partitions is no reason to stop.
                Err(KafkaError::MessageConsumption(_)) => {}
                Err(error) => panic!("{topic} cannot be read: {error}"),
            }
            if unfinished.is_empty() {
                break;
            }
        }
        unfinished.is_empty()
    });
    found.sort_by_key(|record: &Received| (record.partition, record.offset));
    found
}

fn received(message: &BorrowedMessage<'_>) -> Received {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Received {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}
