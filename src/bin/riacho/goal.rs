//! What a run has to reach when it is to end by itself.

use std::time::Duration;

use riacho::kafka::{KafkaAdmin, KafkaChangelogReader};
use riacho::ports::{ChangelogReader as _, ClientError, ClientErrorKind};
use riacho::{Error, TopicPartition};

use crate::Failure;
use crate::settings::Loaded;
use crate::signals::Signals;

/// Everything that was in the input at the start, and what of it was already committed.
pub(crate) struct Goal {
    admin: KafkaAdmin,
    group: String,
    ends: Vec<(TopicPartition, i64)>,
    /// How many records there were.
    pub(crate) records: u64,
    /// How many of them were not committed.
    pub(crate) todo: u64,
}

impl Goal {
    /// Waits for Kafka; `None` when asked to stop meanwhile.
    ///
    /// # Errors
    /// When there is no input topic, or Kafka refuses.
    pub(crate) fn of(loaded: &Loaded, signals: &Signals) -> Result<Option<Goal>, Failure> {
        const AGAIN: Duration = Duration::from_secs(1);
        loop {
            match Goal::now(loaded) {
                Ok(Some(goal)) => return Ok(Some(goal)),
                Ok(None) => {
                    let topic = loaded.app.input_topic.clone();
                    return Err(Error::NoTopic { topic, role: "input" }.into());
                }
                Err(error) if error.kind == ClientErrorKind::Retry => {
                    tracing::warn!(%error, "waiting for Kafka at {}", loaded.config.bootstrap_servers());
                    if signals.wait(AGAIN) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn now(loaded: &Loaded) -> Result<Option<Goal>, ClientError> {
        let (settings, topic) = (loaded.for_questions(), loaded.app.input_topic.as_str());
        let admin = KafkaAdmin::new(&settings)?;
        let Some(partitions) = admin.partitions_of(topic)? else { return Ok(None) };
        let inputs: Vec<_> = (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect();
        let group = loaded.config.application_id().to_owned();
        let committed = admin.group_offsets(&group, &inputs)?;
        let bounds = KafkaChangelogReader::new(&settings)?.bounds(&inputs)?;
        let count = |from: i64, to: i64| to.saturating_sub(from).max(0).unsigned_abs();
        let records = bounds.iter().map(|(first, end)| count(*first, *end)).sum();
        let left = bounds.iter().zip(committed);
        let todo = left.map(|((first, end), committed)| count(committed.unwrap_or(*first), *end)).sum();
        // A partition without a record is never committed.
        let ends = inputs.into_iter().zip(bounds).filter(|(_, (first, end))| end > first);
        let ends = ends.map(|(partition, (_, end))| (partition, end)).collect();
        Ok(Some(Goal { admin, group, ends, records, todo }))
    }

    /// Whether the group has committed all of it. A question that gets no answer is asked again later.
    pub(crate) fn is_reached(&self) -> bool {
        let partitions: Vec<_> = self.ends.iter().map(|(partition, _)| partition.clone()).collect();
        match self.admin.group_offsets(&self.group, &partitions) {
            Ok(committed) => self
                .ends
                .iter()
                .zip(committed)
                .all(|((_, end), committed)| committed.is_some_and(|at| at >= *end)),
            Err(error) => {
                tracing::debug!(%error, "could not ask for the positions of the group");
                false
            }
        }
    }
}
