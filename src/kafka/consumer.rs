//! The group member of a stream thread: hands over records and news of the group, takes and gives up partitions.
//!
//! librdkafka tells of a rebalance from inside `poll` and then waits, heartbeats going on, until somebody calls
//! `incremental_assign` or `incremental_unassign`. The hook therefore only takes the news down; the worker hears it as
//! the result of its `poll`, commits or restores in its own time, and answers by [`GroupMember::accept`] or
//! [`GroupMember::release`]. Meanwhile librdkafka delivers nothing. Only when the member is being closed does the hook
//! answer itself, since nobody else will.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use riacho_topology::TopicPartition;

use super::committer::Committer;
use super::complaints::Complaints;
use super::context::{Listener, NativeContext};
use super::errors::{advice, code_of, describe, error, fatal, is_refusal, plain, retry};
use super::records::hand_over;
use super::role::Role;
use super::settings::{ClientSettings, OffsetReset};
use super::settle::{insist, settle};
use super::wait::Deadline;
use crate::ports::{ClientError, ClientErrorKind, GroupEvent, Incoming, Position};

const POLL: &str = "poll the consumer";
const ACCEPT: &str = "take the assigned partitions";
const RELEASE: &str = "give up the revoked partitions";
const SEEK: &str = "seek";
const COMMITTED: &str = "ask for the committed offsets";
const COMMIT: &str = "commit the offsets";

/// Short, because the poll loop stands still meanwhile; the caller may ask again.
const COMMITTED_WAIT: Duration = Duration::from_secs(3);
const SEEK_WAIT: Duration = Duration::from_secs(5);
const COORDINATOR_WAIT: Duration = Duration::from_secs(1);
const LEAVE_WAIT: Duration = Duration::from_secs(5);
/// librdkafka keeps a commit for a coordinator that is away as long as a session lasts. Whoever has no answer after that
/// has been given up by the group too.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// What librdkafka tells the member in the course of a poll.
#[derive(Default)]
struct Membership {
    news: Mutex<VecDeque<GroupEvent>>,
    closing: AtomicBool,
    /// The coordinator knows that the member is gone, or never knew it.
    left: AtomicBool,
}

type MemberContext = NativeContext<Membership>;

impl Membership {
    fn take_news(&self) -> Option<GroupEvent> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Listener for Membership {
    fn hear(&self, facility: &str, message: &str) {
        if facility == "LEAVEGROUP" || (facility == "UNSUBSCRIBE" && message.contains("has joined=false")) {
            self.left.store(true, Ordering::Relaxed);
        }
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.listener.closing.load(Ordering::Relaxed) {
            answer(consumer, assigned);
            return;
        }
        let partitions = named(partitions);
        let news = match (assigned, consumer.assignment_lost()) {
            (true, _) => GroupEvent::Assigned(partitions),
            (false, false) => GroupEvent::Revoked(partitions),
            (false, true) => GroupEvent::Lost(partitions),
        };
        self.listener.news.lock().unwrap_or_else(PoisonError::into_inner).push_back(news);
    }
}

/// Answers a rebalance of a member that is going away: takes nothing, gives up everything.
fn answer(consumer: &BaseConsumer<MemberContext>, assigned: bool) {
    let answered = if assigned {
        consumer.incremental_assign(&TopicPartitionList::new())
    } else {
        consumer.assignment().and_then(|all| consumer.incremental_unassign(&all))
    };
    if let Err(failure) = answered {
        tracing::debug!("a closing consumer could not answer a rebalance: {failure}");
    }
}

/// Which call an event of the group waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    Nothing,
    Assigned,
    Revoked,
}

/// A member of the consumer group.
pub(super) struct GroupMember {
    consumer: Arc<BaseConsumer<MemberContext>>,
    /// From the first commit without a transaction on.
    committer: Option<Committer>,
    unanswered: Unanswered,
    known_topic: Option<String>,
    offset_reset: OffsetReset,
    session_timeout: Duration,
    request_timeout: Duration,
    leaves_on_close: bool,
    instance_id_is_generated: bool,
    subscribed: bool,
}

impl GroupMember {
    pub(super) fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let context = NativeContext::of("consumer", Membership::default(), settings.statistics.clone());
        let consumer = settings
            .config(Role::Member)?
            .create_with_context(context)
            .map_err(|failure| plain("create the consumer", &failure))?;
        Ok(GroupMember {
            consumer: Arc::new(consumer),
            committer: None,
            unanswered: Unanswered::Nothing,
            known_topic: settings.known_topic.clone(),
            offset_reset: settings.offset_reset,
            session_timeout: settings.session_timeout,
            request_timeout: settings.request_timeout,
            leaves_on_close: settings.leave_on_close || settings.group_instance_id.is_none(),
            instance_id_is_generated: settings.leave_on_close && settings.group_instance_id.is_some(),
            subscribed: false,
        })
    }

    fn complaints(&self) -> &Complaints {
        &self.consumer.client().context().complaints
    }

    fn membership(&self) -> &Membership {
        &self.consumer.client().context().listener
    }

    /// A member whose question for the coordinator was lost would come too late for its neighbours' rebalance. Asking
    /// for an offset is the only call that says whether the coordinator is known.
    pub(super) fn find_coordinator(&self) {
        let Some(topic) = &self.known_topic else { return };
        let deadline = Deadline::after(COORDINATOR_WAIT);
        settle(self.consumer.client(), topic, deadline);
        // The offset of a partition that is could be pending in a transaction, which the answer would wait for.
        let any = [TopicPartition::new(topic, i32::MAX)];
        if let Err(failure) = insist(deadline, |wait| self.consumer.committed_offsets(listed(&any), wait)) {
            tracing::debug!(%failure, "the coordinator of the group is not found yet");
        }
    }

    pub(super) fn subscribe(&mut self, topics: &[String]) -> Result<(), ClientError> {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(|failure| fatal("subscribe", describe(&failure, None)))?;
        self.subscribed = true;
        Ok(())
    }

    pub(super) fn poll(
        &mut self,
        wait: Duration,
        records_max: usize,
        mut on_record: impl FnMut(&Incoming<'_>),
    ) -> Result<Option<GroupEvent>, ClientError> {
        let mut wait = wait;
        for _ in 0..records_max {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    hand_over(&message, &mut on_record);
                    wait = Duration::ZERO;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    return Ok(Some(GroupEvent::EndOfPartition(partition)));
                }
                // One error, one turn: while brokers are down they come faster than the wait ends.
                Some(Err(failure)) => {
                    self.judge(&failure)?;
                    return Ok(self.next_news());
                }
                // Nothing came in time, or the poll took something else from the queue, news for example.
                None => return Ok(self.next_news()),
            }
        }
        Ok(None)
    }

    fn next_news(&mut self) -> Option<GroupEvent> {
        let news = self.membership().take_news();
        match news {
            Some(GroupEvent::Assigned(_)) => self.unanswered = Unanswered::Assigned,
            Some(GroupEvent::Revoked(_) | GroupEvent::Lost(_)) => self.unanswered = Unanswered::Revoked,
            Some(GroupEvent::EndOfPartition(_)) | None => {}
        }
        news
    }

    /// What an error that a poll returned means; most are librdkafka's own business.
    fn judge(&self, failure: &KafkaError) -> Result<(), ClientError> {
        use RDKafkaErrorCode as Code;
        if let (KafkaError::MessageConsumptionFatal(_), Some((code, text))) =
            (failure, self.consumer.client().fatal_error())
        {
            let kind = match code {
                // Nobody else has the id of our state directory, so it was ourselves: a request from before the
                // session ran out arrived after we had joined anew.
                RDKafkaErrorCode::FencedInstanceId if self.instance_id_is_generated => {
                    ClientErrorKind::Fenced
                }
                _ => ClientErrorKind::Fatal,
            };
            return Err(error(kind, POLL, format!("{text}{}", advice(code))));
        }
        let Some(code) = code_of(failure) else { return Ok(()) };
        let details = || describe(failure, self.complaints().details(code).as_deref());
        match code {
            Code::Authentication | Code::SSL => self.complaints().check_login(POLL),
            Code::AutoOffsetReset | Code::NoOffset | Code::LogTruncation => Err(fatal(POLL, details())),
            code if is_refusal(code) => Err(fatal(POLL, details())),
            // Told at once: what waits for the topic, or lost its partitions, should say why.
            Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::PollExceeded
            | Code::MessageSizeTooLarge => Err(retry(POLL, details())),
            // Connections come and go; the complaint is in the log and the library reconnects.
            _ => Ok(()),
        }
    }

    pub(super) fn accept(&mut self, partitions: &[(TopicPartition, Option<i64>)]) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (partition, from) in partitions {
            let offset = from.map_or(Offset::Stored, Offset::Offset);
            list.add_partition_offset(&partition.topic, partition.partition, offset)
                .map_err(|failure| plain(ACCEPT, &failure))?;
        }
        self.consumer
            .incremental_assign(&list)
            .map_err(|failure| error(ClientErrorKind::Abort, ACCEPT, describe(&failure, None)))?;
        self.unanswered = Unanswered::Nothing;
        // What is fetched between the two calls is dropped by the second.
        self.consumer.pause(&list).map_err(|failure| plain(ACCEPT, &failure))
    }

    pub(super) fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let assigned = self.consumer.assignment().map_err(|failure| plain(RELEASE, &failure))?;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            if assigned.find_partition(&partition.topic, partition.partition).is_some() {
                list.add_partition(&partition.topic, partition.partition);
            }
        }
        self.consumer
            .incremental_unassign(&list)
            .map_err(|failure| error(ClientErrorKind::Abort, RELEASE, describe(&failure, None)))?;
        self.unanswered = Unanswered::Nothing;
        Ok(())
    }

    pub(super) fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.consumer.pause(&listed(partitions)).map_err(|failure| retry("pause", describe(&failure, None)))
    }

    pub(super) fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.consumer.resume(&listed(partitions)).map_err(|failure| retry("resume", describe(&failure, None)))
    }

    pub(super) fn seek(&mut self, positions: &[Position]) -> Result<(), ClientError> {
        if positions.is_empty() {
            return Ok(());
        }
        let sought = self
            .consumer
            .seek_partitions(at(SEEK, positions)?, SEEK_WAIT)
            .map_err(|failure| retry(SEEK, describe(&failure, None)))?;
        for place in sought.elements() {
            let Err(failure) = place.error() else { continue };
            match code_of(&failure) {
                Some(RDKafkaErrorCode::State | RDKafkaErrorCode::PreviousInProgress)
                    if self.unanswered != Unanswered::Revoked =>
                {
                    self.take_again(place.topic(), place.partition(), place.offset())?;
                }
                _ => {
                    let name = TopicPartition::new(place.topic(), place.partition());
                    return Err(retry(SEEK, format!("{name}: {}", describe(&failure, None))));
                }
            }
        }
        Ok(())
    }

    /// A partition whose committed offset is still being asked for cannot seek, but it can be assigned anew. It stays
    /// paused if it was.
    fn take_again(&self, topic: &str, partition: i32, offset: Offset) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, offset)
            .and_then(|()| self.consumer.incremental_unassign(&list))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|failure| error(ClientErrorKind::Abort, SEEK, describe(&failure, None)))
    }

    pub(super) fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClientError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self
            .consumer
            .committed_offsets(listed(partitions), COMMITTED_WAIT)
            .map_err(|failure| self.complaints().or_login(plain(COMMITTED, &failure)))?;
        partitions
            .iter()
            .map(|partition| {
                let place = answer.find_partition(&partition.topic, partition.partition);
                let Some(place) = place else {
                    return Err(retry(COMMITTED, format!("no answer for {partition}")));
                };
                place.error().map_err(|failure| plain(COMMITTED, &failure))?;
                Ok(match place.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                })
            })
            .collect()
    }

    pub(super) fn reset_offset(&mut self, partition: &TopicPartition) -> Result<i64, ClientError> {
        const RESET: &str = "find the first offset to read";
        if self.offset_reset == OffsetReset::None {
            let advice = advice(RDKafkaErrorCode::AutoOffsetReset);
            return Err(fatal(RESET, format!("{partition} has no committed offset{advice}")));
        }
        let (first, end) = self
            .consumer
            .fetch_watermarks(&partition.topic, partition.partition, self.request_timeout)
            .map_err(|failure| self.complaints().or_login(plain(RESET, &failure)))?;
        Ok(if self.offset_reset == OffsetReset::Earliest { first } else { end })
    }

    pub(super) fn partitions_of(&mut self, topic: &str) -> Result<Option<i32>, ClientError> {
        const DESCRIBE: &str = "ask for a topic's partitions";
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), self.request_timeout)
            .map_err(|failure| self.complaints().or_login(plain(DESCRIBE, &failure)))?;
        super::admin::partition_count(&metadata, topic, DESCRIBE)
    }

    pub(super) fn commit(&mut self, positions: &[Position]) -> Result<(), ClientError> {
        use RDKafkaErrorCode as Code;
        if positions.is_empty() {
            return Ok(());
        }
        let offsets = at(COMMIT, positions)?;
        let committer = match &mut self.committer {
            Some(committer) => committer,
            none => none.insert(
                Committer::start(Arc::clone(&self.consumer))
                    .map_err(|failure| fatal(COMMIT, format!("no thread: {failure}")))?,
            ),
        };
        let wait = self.session_timeout + ANSWER_SLACK;
        let Some(committed) = committer.commit(offsets, wait) else {
            let text = format!("the group's coordinator has not answered for {} s", wait.as_secs());
            return Err(error(ClientErrorKind::Fenced, COMMIT, text));
        };
        committed.map_err(|failure| match code_of(&failure) {
            Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::AssignmentLost) => {
                error(ClientErrorKind::Abort, COMMIT, describe(&failure, None))
            }
            _ => plain(COMMIT, &failure),
        })
    }

    /// Proof of membership as of now, for the transaction to carry.
    pub(super) fn group_metadata(&self) -> Result<ConsumerGroupMetadata, ClientError> {
        let abort = |message: &str| error(ClientErrorKind::Abort, "prove membership of the group", message);
        if self.consumer.assignment_lost() {
            // The library may have forgotten its member id already; without one the broker would not check.
            return Err(abort("the partitions belong to somebody else by now"));
        }
        self.consumer.group_metadata().ok_or_else(|| abort("not a member of the group"))
    }

    /// Leaves the group before the client is closed. Closing alone would not do: it never sends the request for a static
    /// member, nor for one that has no partitions or is just joining, and the group would wait for their sessions.
    fn leave(&mut self) {
        self.membership().left.store(false, Ordering::Relaxed);
        self.consumer.unsubscribe();
        let deadline = Deadline::after(LEAVE_WAIT);
        while !self.membership().left.load(Ordering::Relaxed) && !deadline.is_over() {
            self.consumer.poll(Duration::from_millis(5));
        }
    }
}

impl Drop for GroupMember {
    fn drop(&mut self) {
        self.membership().closing.store(true, Ordering::Relaxed);
        if self.committer.take().is_some_and(|committer| committer.is_stuck()) {
            // Closing would wait for the same answer. Nobody polls it any more, so it leaves the group by itself, or
            // whoever joins under the same `group.instance.id` takes its place.
            self.consumer.unsubscribe();
            return;
        }
        if self.unanswered != Unanswered::Nothing {
            answer(&self.consumer, self.unanswered == Unanswered::Assigned);
        }
        while let Some(news) = self.membership().take_news() {
            answer(&self.consumer, matches!(news, GroupEvent::Assigned(_)));
        }
        if self.subscribed && self.leaves_on_close && self.consumer.client().fatal_error().is_none() {
            self.leave();
        }
    }
}

fn named(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|place| TopicPartition::new(place.topic(), place.partition())).collect()
}

pub(super) fn listed(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

pub(super) fn at(operation: &'static str, positions: &[Position]) -> Result<TopicPartitionList, ClientError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for Position { partition, next_offset } in positions {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*next_offset))
            .map_err(|failure| plain(operation, &failure))?;
    }
    Ok(list)
}
