//! What a run has to reach when it is to end by itself.

use std::time::Duration;

use riacho::kafka::{ClientSettings, Isolation, KafkaAdmin, KafkaChangelogReader, StartAt, TopicReader};
use riacho::ports::{ChangelogReader as _, ClientError, ClientErrorKind};
use riacho::{Error, TopicName, TopicPartition, Topology};

use crate::Failure;
use crate::settings::Loaded;
use crate::signals::Signals;

/// Everything that was in the input at the start, and what of it was already committed.
pub(crate) struct Goal {
    admin: KafkaAdmin,
    settings: ClientSettings,
    /// The end of each input partition that has one.
    ends: Vec<(TopicPartition, i64)>,
    repartition_topics: Vec<String>,
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
    pub(crate) fn of(
        loaded: &Loaded,
        topology: &Topology,
        signals: &Signals,
    ) -> Result<Option<Goal>, Failure> {
        const AGAIN: Duration = Duration::from_secs(1);
        loop {
            match Goal::now(loaded, topology) {
                Ok(Ok(goal)) => return Ok(Some(goal)),
                Ok(Err(topic)) => return Err(Error::NoTopic { topic, role: "input" }.into()),
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

    /// The goal as of now, or the input topic that is not there.
    fn now(loaded: &Loaded, topology: &Topology) -> Result<Result<Goal, String>, ClientError> {
        let settings = loaded.for_questions();
        let admin = KafkaAdmin::new(&settings)?;
        let mut inputs = Vec::new();
        for topic in loaded.app.inputs() {
            let Some(partitions) = partitions_of(&admin, topic)? else { return Ok(Err(topic.to_owned())) };
            inputs.extend(partitions);
        }
        // What a killed instance has left open is over once this one starts, and no sooner.
        let committed = admin.group_offsets_so_far(&settings.application_id, &inputs)?;
        let bounds = KafkaChangelogReader::new(&settings)?.bounds(&inputs)?;
        let count = |from: i64, to: i64| to.saturating_sub(from).max(0).unsigned_abs();
        let records = bounds.iter().map(|(first, end)| count(*first, *end)).sum();
        let left = bounds.iter().zip(committed);
        let todo = left.map(|((first, end), committed)| count(committed.unwrap_or(*first), *end)).sum();
        let ends = ends_of(inputs, &bounds);
        let sources = topology.subtopologies().iter().flat_map(|subtopology| &subtopology.sources);
        let own = sources.filter(|source| matches!(source, TopicName::Repartition(_)));
        let repartition_topics = own.map(|source| source.resolve(&settings.application_id)).collect();
        Ok(Ok(Goal { admin, settings, ends, repartition_topics, records, todo }))
    }

    /// Whether the group has committed all of it, and all that followed from it in its repartition topics. A question
    /// that gets no answer is asked again later.
    pub(crate) fn is_reached(&self) -> bool {
        match self.try_is_reached() {
            Ok(reached) => reached,
            Err(error) => {
                tracing::debug!(%error, "could not ask for the positions of the group");
                false
            }
        }
    }

    fn try_is_reached(&self) -> Result<bool, ClientError> {
        if !self.are_read(&self.ends)? {
            return Ok(false);
        }
        // What follows from the input is in the repartition topics by now, since it was committed with the input.
        for topic in &self.repartition_topics {
            let Some(partitions) = partitions_of(&self.admin, topic)? else { continue };
            let bounds = KafkaChangelogReader::new(&self.settings)?.bounds(&partitions)?;
            if !self.are_read(&ends_of(partitions, &bounds))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the group has committed every record before these ends.
    fn are_read(&self, ends: &[(TopicPartition, i64)]) -> Result<bool, ClientError> {
        let partitions: Vec<_> = ends.iter().map(|(partition, _)| partition.clone()).collect();
        let committed = self.admin.group_offsets_so_far(&self.settings.application_id, &partitions)?;
        let mut behind = Vec::new();
        for ((partition, end), committed) in ends.iter().zip(committed) {
            match committed {
                Some(committed) if committed >= *end => {}
                Some(committed) => behind.push((partition.clone(), committed)),
                None => return Ok(false),
            }
        }
        Ok(behind.is_empty() || self.holds_no_record(behind, ends)?)
    }

    /// Whether there is no record from these positions to the ends, but only the marks of transactions.
    fn holds_no_record(
        &self,
        from: Vec<(TopicPartition, i64)>,
        ends: &[(TopicPartition, i64)],
    ) -> Result<bool, ClientError> {
        const WAIT: Duration = Duration::from_millis(100);
        const POLLS_MAX: usize = 20;
        let partitions: Vec<_> = from.iter().map(|(partition, _)| partition.clone()).collect();
        let is_behind = |position: i64, partition: &TopicPartition| {
            ends.iter().any(|(other, end)| other == partition && position < *end)
        };
        let mut reader =
            TopicReader::open(&self.settings, &[], &StartAt::Offsets(from), Isolation::ReadCommitted)?;
        for _ in 0..POLLS_MAX {
            let mut found = false;
            reader.poll(WAIT, 1, &mut |partition, record| found |= is_behind(record.offset, partition))?;
            if found {
                return Ok(false);
            }
            let mut all_passed = true;
            for partition in &partitions {
                all_passed &= !is_behind(reader.position(partition)?, partition);
            }
            if all_passed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn partitions_of(admin: &KafkaAdmin, topic: &str) -> Result<Option<Vec<TopicPartition>>, ClientError> {
    let count = admin.partitions_of(topic)?;
    Ok(count.map(|count| (0..count).map(|partition| TopicPartition::new(topic, partition)).collect()))
}

/// The ends of those partitions that hold something: others are never committed.
fn ends_of(partitions: Vec<TopicPartition>, bounds: &[(i64, i64)]) -> Vec<(TopicPartition, i64)> {
    let filled = partitions.into_iter().zip(bounds).filter(|(_, (first, end))| end > first);
    filled.map(|(partition, (_, end))| (partition, *end)).collect()
}
