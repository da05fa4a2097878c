//! Writing to a topic so that the caller knows what arrived: plainly, or in a transaction that the caller ends.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::record::TestRecord;
use super::wait::await_until;

const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

/// Keeps the first failed delivery.
#[derive(Default)]
struct Receipts {
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Receipts {}

impl ProducerContext for Receipts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failure = self.failure.lock().expect("no holder of the lock panics");
            failure.get_or_insert_with(|| error.clone());
        }
    }
}

pub(crate) struct Writer {
    producer: BaseProducer<Receipts>,
}

impl Writer {
    pub(crate) fn new(mut config: ClientConfig) -> Writer {
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random").set("linger.ms", "1");
        Writer {
            producer: config.create_with_context(Receipts::default()).expect("the configuration is valid"),
        }
    }

    /// Returns when every record is in the log.
    pub(crate) fn write(&self, topic: &str, records: &[TestRecord]) {
        for record in records {
            self.enqueue(topic, record);
            self.producer.poll(Duration::ZERO);
        }
        // Not `flush`, which looks only every 100 ms.
        await_until(DELIVERY_LIMIT, &format!("{topic} has taken every record"), || {
            self.producer.poll(Duration::from_millis(1));
            self.producer.in_flight_count() == 0
        });
        let failure = self.producer.context().failure.lock().expect("no holder of the lock panics").take();
        assert!(failure.is_none(), "a record was not written to {topic}: {failure:?}");
    }

    fn enqueue(&self, topic: &str, record: &TestRecord) {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut message = BaseRecord::<[u8], [u8]> {
            topic,
            partition: record.partition,
            payload: record.value.as_deref(),
            key: record.key.as_deref(),
            timestamp: record.timestamp,
            headers: Some(headers),
            delivery_opaque: (),
        };
        while let Err((error, refused)) = self.producer.send(message) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert!(error == full, "a record was not accepted for {topic}: {error}");
            self.producer.poll(Duration::from_millis(10));
            message = refused;
        }
    }
}

/// A transaction whose records are in the log and undecided; dropping it leaves them so until it times out.
#[must_use = "it blocks readers of committed records until it is decided"]
pub(crate) struct OpenTransaction {
    writer: Writer,
}

impl OpenTransaction {
    pub(crate) fn begin(mut config: ClientConfig, transactional_id: &str) -> OpenTransaction {
        let writer = Writer::new(config.set("transactional.id", transactional_id).clone());
        writer.producer.init_transactions(DELIVERY_LIMIT).expect("the coordinator answers");
        writer.producer.begin_transaction().expect("a fresh producer can begin");
        OpenTransaction { writer }
    }

    pub(crate) fn write(&self, topic: &str, records: &[TestRecord]) {
        self.writer.write(topic, records);
    }

    pub(crate) fn commit(self) {
        self.writer.producer.commit_transaction(DELIVERY_LIMIT).expect("the transaction can be committed");
    }

    pub(crate) fn abort(self) {
        self.writer.producer.abort_transaction(DELIVERY_LIMIT).expect("the transaction can be aborted");
    }
}
