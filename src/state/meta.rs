//! What is stored beside a task's state, in the same atomic write.

use riacho_topology::store::layout::CommitRecord;
use riacho_topology::{SerdeError, StoreIndex, read_varint, unzigzag, write_varint, zigzag};

/// How far a task's state is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskMeta {
    /// For each changelog, the offset after the last entry that the state holds: where a restore goes on.
    pub changelogs: Vec<(StoreIndex, i64)>,
    /// The last commit that the state holds.
    pub commit: CommitRecord,
}

/// The stored bytes do not tell how far the state is.
#[derive(Debug)]
pub(super) enum BadMeta {
    UnknownVersion(u8),
    Damaged(SerdeError),
}

impl From<SerdeError> for BadMeta {
    fn from(error: SerdeError) -> Self {
        BadMeta::Damaged(error)
    }
}

impl TaskMeta {
    /// The layout that is written; it includes that of the commit record.
    pub(super) const VERSION: u8 = 1;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        write_varint(self.changelogs.len() as u64, out);
        for (store, next_offset) in &self.changelogs {
            write_varint(u64::from(store.0), out);
            write_varint(zigzag(*next_offset), out);
        }
        self.commit.encode(out);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadMeta> {
        let mut rest = match bytes {
            [Self::VERSION, rest @ ..] => rest,
            [version, ..] => return Err(BadMeta::UnknownVersion(*version)),
            [] => return Err(SerdeError::new("empty").into()),
        };
        let count = read_varint(&mut rest)?;
        let mut changelogs = Vec::new();
        for _ in 0..count {
            let store =
                u16::try_from(read_varint(&mut rest)?).map_err(|_| SerdeError::new("no store's index"))?;
            changelogs.push((StoreIndex(store), unzigzag(read_varint(&mut rest)?)));
        }
        Ok(TaskMeta { changelogs, commit: CommitRecord::decode(rest)? })
    }
}

const _: () =
    assert!(CommitRecord::VERSION == 1, "a new layout of the commit record is a new TaskMeta::VERSION");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riacho_topology::{Timestamp, TopicPartition};

    use super::*;

    fn meta() -> impl Strategy<Value = TaskMeta> {
        let changelogs = prop::collection::vec((any::<u16>().prop_map(StoreIndex), any::<i64>()), 0..4);
        let inputs = prop::collection::vec(("[a-z]{1,9}", any::<i32>(), any::<i64>()), 0..4);
        (changelogs, any::<i64>(), any::<u64>(), inputs).prop_map(
            |(changelogs, time, transaction, inputs)| TaskMeta {
                changelogs,
                commit: CommitRecord {
                    stream_time: Timestamp(time),
                    transaction,
                    inputs: inputs
                        .into_iter()
                        .map(|(topic, p, next)| (TopicPartition::new(topic, p), next))
                        .collect(),
                },
            },
        )
    }

    #[test]
    fn a_version_of_the_future_is_told_by_its_number() {
        assert!(matches!(TaskMeta::decode(&[2, 0, 0]), Err(BadMeta::UnknownVersion(2))));
    }

    proptest! {
        #[test]
        fn metas_come_back(meta in meta()) {
            let mut bytes = Vec::new();
            meta.encode(&mut bytes);
            prop_assert_eq!(TaskMeta::decode(&bytes).unwrap(), meta);
        }

        #[test]
        fn a_meta_cut_off_is_refused(meta in meta(), cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            meta.encode(&mut bytes);
            prop_assert!(TaskMeta::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
