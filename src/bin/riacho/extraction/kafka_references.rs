//! References on their Kafka topic.

use std::time::Duration;

use riacho::kafka::{ClientSettings, Isolation, NewRecord, StartAt, TopicReader, TopicWriter};
use riacho::ports::ClientError;

use super::extractor::References;
use super::reference::Reference;

/// A topic that holds nothing for so long does not answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The topic of references.
pub(crate) struct KafkaReferences {
    settings: ClientSettings,
    topic: String,
    writer: TopicWriter,
}

impl KafkaReferences {
    /// # Errors
    /// When the client's settings are wrong.
    pub(crate) fn open(settings: ClientSettings, topic: &str) -> Result<KafkaReferences, ClientError> {
        Ok(KafkaReferences { writer: TopicWriter::new(&settings)?, settings, topic: topic.to_owned() })
    }
}

impl References for KafkaReferences {
    fn last(&mut self, source: &str) -> Result<Option<Reference>, ClientError> {
        let mut last: Option<Reference> = None;
        let topics = [self.topic.as_str()];
        // Also what a killed process has handed over and nobody has read yet.
        let mut reader =
            TopicReader::open(&self.settings, &topics, &StartAt::Beginning, Isolation::ReadUncommitted)?;
        reader.read_to_end(SILENCE_MAX, &mut |_, record| {
            if record.key != Some(source.as_bytes()) {
                return;
            }
            // What is no reference is the normaliser's to complain about.
            let found = record.value.and_then(|value| serde_json::from_slice::<Reference>(value).ok());
            if let Some(found) = found.filter(|found| found.source == source) {
                let is_later = last.as_ref().is_none_or(|last| found.sequence >= last.sequence);
                if is_later {
                    last = Some(found);
                }
            }
        })?;
        Ok(last)
    }

    fn tell(&mut self, reference: &Reference) -> Result<(), ClientError> {
        let value = serde_json::to_vec(reference).expect("a reference is text and numbers");
        self.writer.write(NewRecord {
            topic: &self.topic,
            key: Some(reference.source.as_bytes()),
            value: Some(&value),
            ..NewRecord::default()
        })?;
        self.writer.flush()
    }
}
