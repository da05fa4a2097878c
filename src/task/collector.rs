//! Carries what a task writes to the thread's producer.

use riacho_topology::{CollectError, Headers, Outgoing, RecordCollector, StoreIndex, Timestamp};

use crate::ports::{ChangelogSlot, ClientError, ClientErrorKind, RecordSender, SentTo};

/// A changelog partition of a task.
#[derive(Clone, Debug)]
pub(crate) struct Changelog {
    /// The topic.
    pub(crate) topic: String,
    /// Where the client keeps the offset of the last record.
    pub(crate) slot: ChangelogSlot,
}

/// Counts what the producer takes, by topic. A task writes to few topics: a list is the quickest map.
pub(crate) struct Counted<'a> {
    pub(crate) sender: &'a mut dyn RecordSender,
    pub(crate) sent: &'a mut Vec<SentTo>,
}

impl RecordSender for Counted<'_> {
    fn send(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), ClientError> {
        self.sender.send(record, slot)?;
        let bytes = (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
        match self.sent.iter_mut().find(|sent| sent.topic == record.topic) {
            Some(sent) => {
                sent.records += 1;
                sent.bytes += bytes;
            }
            None => self.sent.push(SentTo { topic: record.topic.to_owned(), records: 1, bytes }),
        }
        Ok(())
    }
}

/// A task's way to the producer, for one record or one flush.
pub(crate) struct Collector<'a> {
    pub(crate) sender: Counted<'a>,
    pub(crate) changelogs: &'a [Changelog],
    pub(crate) partition: i32,
    /// Changelog records carry the time of writing, not event time: the broker deletes a windowed changelog by these
    /// timestamps, and in a replay of old input event time would delete what is still needed.
    pub(crate) now: Timestamp,
    /// Why the producer failed, when it did: the caller decides by its kind.
    pub(crate) failure: Option<ClientError>,
}

impl Collector<'_> {
    fn hand_over(&mut self, record: Outgoing<'_>, slot: Option<ChangelogSlot>) -> Result<(), CollectError> {
        self.sender.send(record, slot).map_err(|error| match error.kind {
            ClientErrorKind::Refused => {
                CollectError::Refused { topic: record.topic.to_owned(), reason: error.message }
            }
            _ => {
                let message = error.to_string();
                self.failure = Some(error);
                CollectError::Failed(message)
            }
        })
    }
}

impl RecordCollector for Collector<'_> {
    fn send(&mut self, record: Outgoing<'_>) -> Result<(), CollectError> {
        self.hand_over(record, None)
    }

    fn append(&mut self, store: StoreIndex, key: &[u8], value: Option<&[u8]>) -> Result<(), CollectError> {
        let Some(changelog) = self.changelogs.get(usize::from(store.0)) else { return Ok(()) };
        let record = Outgoing {
            topic: &changelog.topic,
            partition: Some(self.partition),
            key: Some(key),
            value,
            timestamp: self.now,
            headers: &Headers::EMPTY,
        };
        self.hand_over(record, Some(changelog.slot))
    }
}
