//! What happens between two commits, and what a commit leaves.

use std::collections::BTreeMap;

use crate::driver::Input;
use crate::driver::records::{DeadLetter, SentRecord};
use crate::error::{BadRecord, CollectError};
use crate::ids::StoreIndex;
use crate::processor::{Counts, Outgoing, RecordCollector};

/// What the next commit will make visible, and an abort forgets.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) inputs: Vec<Input>,
    pub(super) sent: Vec<SentRecord>,
    pub(super) appended: Vec<(usize, StoreIndex, ChangelogEntry)>,
    pub(super) bad: BTreeMap<BadRecord, u64>,
    pub(super) dead_letters: Vec<DeadLetter>,
}

/// What is committed and the test has not read yet.
#[derive(Default)]
pub(super) struct Committed {
    pub(super) sent: Vec<SentRecord>,
    pub(super) changelogs: BTreeMap<(usize, StoreIndex), Vec<ChangelogEntry>>,
    pub(super) bad: BTreeMap<BadRecord, u64>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) counts: Counts,
}

/// An entry of a changelog: a key, and a value or a tombstone.
pub type ChangelogEntry = (Vec<u8>, Option<Vec<u8>>);

/// The producer of one task, as far as a test needs one.
pub(super) struct Collector<'t> {
    pub(super) task: usize,
    pub(super) transaction: &'t mut Transaction,
    pub(super) record_bytes_max: usize,
}

impl RecordCollector for Collector<'_> {
    fn send(&mut self, record: Outgoing<'_>) -> Result<(), CollectError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if bytes > self.record_bytes_max {
            let reason = format!("{bytes} bytes, and at most {} are allowed", self.record_bytes_max);
            return Err(CollectError::Refused { topic: record.topic.to_owned(), reason });
        }
        self.transaction.sent.push(SentRecord {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
        Ok(())
    }

    fn append(&mut self, store: StoreIndex, key: &[u8], value: Option<&[u8]>) -> Result<(), CollectError> {
        self.transaction.appended.push((self.task, store, (key.to_vec(), value.map(<[u8]>::to_vec))));
        Ok(())
    }
}
