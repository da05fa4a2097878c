//! The producer of a stream thread: sends records, knows how far each changelog got, runs transactions.
//!
//! Two properties of the libraries shape this file. rdkafka's own `flush` waits in steps of 100 ms, so the queue is
//! drained here before every call that would flush. And librdkafka repeats a request to end a transaction after a lost
//! connection, while the broker cannot tell the late original from a request to end the *next* transaction; so a
//! producer whose connection broke during a transaction is replaced before the next one begins, which bumps its epoch
//! and makes the original void.

use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use riacho_topology::Outgoing;

use super::consumer::at;
use super::context::NativeContext;
use super::errors::{
    Verdict, advice, code_of, describe, error, fatal, is_refusal, plain, retry, transactional,
};
use super::records::{size, to_native, to_native_timestamp};
use super::reports::Reports;
use super::role::Role;
use super::settings::ClientSettings;
use super::settle::settle;
use super::wait::Deadline;
use crate::ports::{ChangelogSlot, ClientError, ClientErrorKind, Position, RecordSender};

const SEND: &str = "send a record";
const FLUSH: &str = "flush the producer";
const COMMIT: &str = "commit the transaction";
const ABORT: &str = "abort the transaction";

/// How long to wait for a delivery report before looking again.
const DRAIN_STEP: Duration = Duration::from_micros(300);
/// One transactional call; in between the delivery reports are served, without which none would ever finish.
const CALL_SLICE: Duration = Duration::from_millis(500);
/// What the coordinator may need beyond the transaction timeout to give up a transaction.
const COORDINATOR_SLACK: Duration = Duration::from_secs(20);
const BACK_OFF: Duration = Duration::from_millis(20);
/// How long a replacement may take before the caller gets its turn again.
const REPLACE_WAIT: Duration = Duration::from_secs(5);
/// A cluster that does not answer is left to the next call to complain of.
const SETTLE_WAIT: Duration = Duration::from_secs(3);
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// A producer and where it stands in the transaction protocol.
pub(super) struct RecordProducer {
    settings: ClientSettings,
    /// None until `init_transactions`, or after a failure that only a new one overcomes.
    producer: Option<BaseProducer<NativeContext<Reports>>>,
    initialised: bool,
    in_transaction: bool,
    /// Something was asked of a broker since the transaction began.
    busy: bool,
    /// A call of this transaction failed: it can only be aborted, also where the library would still commit it.
    doomed: bool,
    record_bytes_max: usize,
}

impl RecordProducer {
    /// A transactional producer connects only in [`init_transactions`](Self::init_transactions).
    pub(super) fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let mut producer = RecordProducer {
            settings: settings.clone(),
            producer: None,
            initialised: false,
            in_transaction: false,
            busy: false,
            doomed: false,
            record_bytes_max: settings.record_bytes_max(),
        };
        if !producer.is_transactional() {
            producer.producer = Some(producer.create()?);
        }
        Ok(producer)
    }

    fn is_transactional(&self) -> bool {
        self.settings.transactional_id.is_some()
    }

    fn create(&self) -> Result<BaseProducer<NativeContext<Reports>>, ClientError> {
        let context = NativeContext::of("producer", Reports::default(), self.settings.statistics.clone());
        let config = self.settings.config(Role::Producer)?;
        config.create_with_context(context).map_err(|failure| plain("create the producer", &failure))
    }

    fn active(&self, operation: &'static str) -> Result<&BaseProducer<NativeContext<Reports>>, ClientError> {
        self.producer.as_ref().ok_or_else(|| fatal(operation, "the producer is closed or not initialised"))
    }

    fn transactional(
        &self,
        operation: &'static str,
    ) -> Result<&BaseProducer<NativeContext<Reports>>, ClientError> {
        if !self.is_transactional() {
            return Err(fatal(operation, "the producer has no transactional id: it runs at least once"));
        }
        self.active(operation)
    }

    /// Longer than any transaction lives at the coordinator.
    fn transaction_deadline(&self) -> Deadline {
        Deadline::after(self.settings.transaction_timeout + COORDINATOR_SLACK)
    }

    pub(super) fn init_transactions(&mut self) -> Result<(), ClientError> {
        self.initialise_within(self.settings.request_timeout)
    }

    fn initialise_within(&mut self, wait: Duration) -> Result<(), ClientError> {
        const INITIALISE: &str = "initialise transactions";
        if !self.is_transactional() {
            return Err(fatal(INITIALISE, "the producer has no transactional id: it runs at least once"));
        }
        let replaces = self.initialised;
        if self.initialised {
            self.producer = None;
            self.initialised = false;
            self.in_transaction = false;
        }
        if self.producer.is_none() {
            self.producer = Some(self.create()?);
        }
        let producer = self.active(INITIALISE)?;
        if let Some(topic) = self.settings.known_topic.as_ref().filter(|_| !replaces) {
            // One that takes the place of another is needed where brokers are just failing.
            settle(producer.client(), topic, Deadline::after(wait.min(SETTLE_WAIT)));
        }
        let initialised =
            repeat(producer, INITIALISE, Deadline::after(wait), ClientErrorKind::Retry, |wait| {
                producer.init_transactions(wait)
            });
        if let Err(failure) = initialised {
            // One that timed out goes on where it was when it is called again; any other is of no use any more.
            if failure.kind != ClientErrorKind::Retry {
                self.producer = None;
            }
            return Err(failure);
        }
        self.initialised = true;
        self.hear_complaints();
        self.active(INITIALISE)?.context().listener.forget_taint();
        Ok(())
    }

    pub(super) fn begin(&mut self) -> Result<(), ClientError> {
        const BEGIN: &str = "begin a transaction";
        let tainted = self.producer.as_ref().is_some_and(|it| it.context().listener.is_tainted());
        if self.initialised && tainted {
            tracing::info!("a connection broke during the last transaction: the producer is replaced");
        }
        // Not initialised: the last attempt to replace it came to nothing.
        if tainted || !self.initialised {
            self.initialise_within(REPLACE_WAIT)?;
        }
        let producer = self.active(BEGIN)?;
        producer.context().listener.begin();
        producer.begin_transaction().map_err(|failure| match transactional(BEGIN, &failure) {
            Verdict::Again(text) => retry(BEGIN, text),
            Verdict::Fail(error) => error,
        })?;
        self.in_transaction = true;
        self.busy = false;
        self.doomed = false;
        Ok(())
    }

    /// From the first request of a transaction on, a connection that is given up for its silence may carry one.
    fn set_busy(&mut self) {
        if !self.busy
            && let Some(producer) = &self.producer
        {
            producer.context().listener.asked();
            self.busy = true;
        }
    }

    fn hand_over(&self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError> {
        let producer = self.active(SEND)?;
        let bytes = size(record.key, record.value, record.headers);
        if bytes > self.record_bytes_max {
            let limit = self.record_bytes_max;
            let advice = advice(RDKafkaErrorCode::MessageSizeTooLarge);
            let text = format!(
                "a record of {bytes} bytes for topic {} is above the limit of {limit}{advice}",
                record.topic
            );
            return Err(error(ClientErrorKind::Refused, SEND, text));
        }
        let timestamp = to_native_timestamp(record.timestamp).map_err(|text| {
            error(ClientErrorKind::Refused, SEND, format!("a record for topic {}: {text}", record.topic))
        })?;
        let mut pending = BaseRecord {
            topic: record.topic,
            partition: record.partition,
            payload: record.value,
            key: record.key,
            timestamp: Some(timestamp),
            headers: to_native(record.headers),
            delivery_opaque: slot.map_or(0, |ChangelogSlot(slot)| slot + 1),
        };
        let mut deadline = None;
        loop {
            let (failure, returned) = match producer.send(pending) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if code_of(&failure) != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.not_taken(&failure, record.topic));
            }
            // Back-pressure: the queue empties as fast as the broker acknowledges.
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(self.settings.request_timeout));
            if deadline.is_over() {
                return Err(retry(
                    SEND,
                    "the producer's queue has been full for too long: no broker acknowledges",
                ));
            }
            pending = returned;
            serve_or_wait(producer);
        }
    }

    #[cold]
    fn not_taken(&self, failure: &KafkaError, topic: &str) -> ClientError {
        use RDKafkaErrorCode as Code;
        let kind = match code_of(failure) {
            Some(Code::MessageSizeTooLarge) => ClientErrorKind::Refused,
            // A record was lost or the broker said no earlier: the transaction takes no more.
            Some(Code::State) if self.in_transaction => ClientErrorKind::Abort,
            Some(Code::Fatal | Code::Fenced) => ClientErrorKind::Fenced,
            _ => ClientErrorKind::Fatal,
        };
        error(kind, SEND, format!("a record for topic {topic}: {}", describe(failure, None)))
    }

    pub(super) fn serve(&mut self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ClientError> {
        let flushed = self.wait_for_reports();
        self.doomed |= flushed.as_ref().is_err_and(|failure| failure.kind != ClientErrorKind::Retry);
        flushed
    }

    fn wait_for_reports(&self) -> Result<(), ClientError> {
        let producer = self.active(FLUSH)?;
        if !drain(producer, Deadline::after(self.settings.request_timeout)) {
            let left = producer.in_flight_count();
            let late = retry(FLUSH, format!("{left} records are not acknowledged yet"));
            return Err(producer.context().complaints.or_login(late));
        }
        self.check_delivery(FLUSH)
    }

    /// Fails if a record was not delivered.
    fn check_delivery(&self, operation: &'static str) -> Result<(), ClientError> {
        use RDKafkaErrorCode as Code;
        let producer = self.active(operation)?;
        let Some((code, text, others)) = producer.context().listener.take_failure() else { return Ok(()) };
        if let Some((code, text)) = producer.client().fatal_error() {
            let kind = if is_refusal(code) { ClientErrorKind::Fatal } else { ClientErrorKind::Fenced };
            return Err(error(kind, operation, format!("{text}{}", advice(code))));
        }
        let kind = match code {
            Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidTimestamp => ClientErrorKind::Refused,
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                ClientErrorKind::Fatal
            }
            code if is_refusal(code) => ClientErrorKind::Fatal,
            _ => ClientErrorKind::Abort,
        };
        let text = if others == 0 { text } else { format!("{text} (and {others} more records)") };
        Err(error(kind, operation, text))
    }

    pub(super) fn appended(&mut self, ChangelogSlot(slot): ChangelogSlot) -> Option<i64> {
        self.producer.as_ref()?.context().listener.take_end(slot)
    }

    /// Lets the transaction end only in an abort.
    pub(super) fn doom(&mut self) {
        self.doomed = true;
    }

    pub(super) fn send_offsets(
        &mut self,
        positions: &[Position],
        membership: &ConsumerGroupMetadata,
    ) -> Result<(), ClientError> {
        const OFFSETS: &str = "send the offsets to the transaction";
        self.set_busy();
        let producer = self.transactional(OFFSETS)?;
        let offsets = at(OFFSETS, positions)?;
        repeat(producer, OFFSETS, self.transaction_deadline(), ClientErrorKind::Abort, |wait| {
            producer.send_offsets_to_transaction(&offsets, membership, wait)
        })
    }

    pub(super) fn commit(&mut self) -> Result<(), ClientError> {
        let producer = self.transactional(COMMIT)?;
        if self.doomed {
            return Err(error(ClientErrorKind::Abort, COMMIT, "an earlier call of the transaction failed"));
        }
        let deadline = self.transaction_deadline();
        if !drain(producer, deadline) {
            return Err(error(ClientErrorKind::Abort, COMMIT, "records are not acknowledged"));
        }
        self.check_delivery(COMMIT)?;
        // When time runs out nobody knows whether the transaction is committed. A new producer with this id makes the
        // coordinator decide, and the group's offsets then tell.
        repeat(producer, COMMIT, deadline, ClientErrorKind::Fenced, |wait| {
            producer.commit_transaction(wait)
        })?;
        self.in_transaction = false;
        self.hear_complaints();
        Ok(())
    }

    pub(super) fn abort(&mut self) -> Result<(), ClientError> {
        self.abort_within(self.settings.transaction_timeout + COORDINATOR_SLACK)
    }

    fn abort_within(&mut self, wait: Duration) -> Result<(), ClientError> {
        if !self.in_transaction {
            return Ok(());
        }
        let producer = self.transactional(ABORT)?;
        let deadline = Deadline::after(wait);
        // What is under way has to arrive before the transaction can end. What still waits in the queue is dropped by
        // the call itself, which then needs its reports served: hence the repetition.
        drain(producer, Deadline::after(Duration::from_secs(1).min(wait)));
        let aborted = repeat(producer, ABORT, deadline, ClientErrorKind::Fenced, |wait| {
            producer.abort_transaction(wait.min(CALL_SLICE))
        });
        self.in_transaction = false;
        self.hear_complaints();
        self.active(ABORT)?.context().listener.begin();
        aborted
    }

    /// Serves what is in the queue, so that the loss of a connection during the transaction is known before the next.
    fn hear_complaints(&self) {
        let Some(producer) = &self.producer else { return };
        let deadline = Deadline::after(CALL_SLICE);
        while producer.in_flight_count() > 0 && !deadline.is_over() {
            producer.poll(Duration::ZERO);
        }
    }
}

impl RecordSender for RecordProducer {
    fn send(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError> {
        self.set_busy();
        self.hand_over(record, slot)
    }
}

impl Drop for RecordProducer {
    fn drop(&mut self) {
        if self.in_transaction
            && let Err(failure) = self.abort_within(CLOSE_WAIT)
        {
            tracing::debug!("the coordinator will abort the open transaction: {failure}");
        }
    }
}

/// Serves reports and events until none is left and every record is answered for; false when time runs out first.
fn drain(producer: &BaseProducer<NativeContext<Reports>>, deadline: Deadline) -> bool {
    // The count includes events that wait to be served.
    while producer.in_flight_count() > 0 {
        if deadline.is_over() {
            return false;
        }
        serve_or_wait(producer);
    }
    true
}

/// Serves one event, or waits a moment. A poll with a timeout is no good here: rdkafka counts whole milliseconds and
/// spins through the last one, which in a commit of a few milliseconds takes the core from the library's own threads.
fn serve_or_wait(producer: &BaseProducer<NativeContext<Reports>>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::park_timeout(DRAIN_STEP);
    }
}

/// Repeats a call as long as librdkafka calls its failure retriable; `late` is what it means if that does not end.
fn repeat(
    producer: &BaseProducer<NativeContext<Reports>>,
    operation: &'static str,
    deadline: Deadline,
    late: ClientErrorKind,
    call: impl Fn(Duration) -> KafkaResult<()>,
) -> Result<(), ClientError> {
    loop {
        let Err(failure) = call(deadline.slice(Duration::from_secs(5))) else { return Ok(()) };
        let text = match transactional(operation, &failure) {
            Verdict::Fail(error) => return Err(error),
            Verdict::Again(text) => text,
        };
        // Serves the reports that the call may be waiting for, and is the back-off where none come.
        producer.poll(BACK_OFF);
        producer.context().complaints.check_login(operation)?;
        if deadline.is_over() {
            let late = error(late, operation, text);
            let waits = late.kind == ClientErrorKind::Retry;
            return Err(if waits { producer.context().complaints.or_login(late) } else { late });
        }
    }
}
