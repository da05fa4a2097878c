//! What has to be done now and then and not by a stream thread: the ends of the inputs, the memory of the block cache,
//! purging repartition topics, deleting state that nobody has used for long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use riacho_topology::TopicPartition;

use crate::kafka::{KafkaAdmin, KafkaChangelogReader};
use crate::ports::{ChangelogReader, ClientError, Clock, Position};
use crate::progress::Progress;
use crate::state::StateDirectory;

/// How often the ends of the inputs are asked for: often enough for a graph of the lag.
const ENDS_INTERVAL: Duration = Duration::from_secs(5);

/// The end of each partition of the inputs.
type Ends = BTreeMap<TopicPartition, i64>;

/// What the configuration says of it.
pub(crate) struct Chores {
    pub(crate) admin: KafkaAdmin,
    pub(crate) reader: KafkaChangelogReader,
    pub(crate) progress: Progress,
    /// Tells the ends of the inputs.
    pub(crate) tell_ends: Box<dyn Fn(&Ends) + Send>,
    /// Tells how much memory local state takes.
    pub(crate) tell_memory: Box<dyn Fn() + Send>,
    pub(crate) directory: Arc<StateDirectory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) repartition_topics: BTreeSet<String>,
    pub(crate) purge_interval: Duration,
    pub(crate) cleanup_delay: Duration,
}

/// The thread that does the chores. Ends when it is dropped.
pub(crate) struct Housekeeping {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeping {
    pub(crate) fn start(mut chores: Chores) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("housekeeping".to_owned()).spawn(move || {
            let mut purged_at = chores.clock.monotonic();
            let mut cleaned_at = purged_at;
            while stopped.recv_timeout(ENDS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = chores.clock.monotonic();
                (chores.tell_memory)();
                chores.try_to("ask for the ends of the inputs", Chores::see_ends);
                if now.saturating_sub(purged_at) >= chores.purge_interval {
                    purged_at = now;
                    chores.try_to("purge repartition topics", Chores::purge);
                }
                if now.saturating_sub(cleaned_at) >= chores.cleanup_delay {
                    cleaned_at = now;
                    chores.clean();
                }
            }
        })?;
        Ok(Housekeeping { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the housekeeping thread panicked");
        }
    }
}

impl Chores {
    fn try_to(&mut self, what: &str, chore: impl Fn(&mut Self) -> Result<(), ClientError>) {
        if let Err(error) = chore(self) {
            tracing::debug!(%error, "could not {what}; trying again later");
        }
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let progress = self.progress.lock();
        progress.positions.iter().map(|(partition, position)| (partition.clone(), *position)).collect()
    }

    fn see_ends(&mut self) -> Result<(), ClientError> {
        let partitions: Vec<_> = self.positions().into_iter().map(|(partition, _)| partition).collect();
        let bounds = self.reader.bounds(&partitions)?;
        let ends = partitions.into_iter().zip(bounds.into_iter().map(|(_, end)| end)).collect();
        (self.tell_ends)(&ends);
        self.progress.lock().ends = ends;
        Ok(())
    }

    /// A record in a repartition topic is of no use once the task that reads it has committed.
    fn purge(&mut self) -> Result<(), ClientError> {
        let own = |(partition, next_offset): (TopicPartition, i64)| {
            self.repartition_topics.contains(&partition.topic).then_some(Position { partition, next_offset })
        };
        let processed: Vec<_> = self.positions().into_iter().filter_map(own).collect();
        if processed.is_empty() { Ok(()) } else { self.admin.delete_records(&processed) }
    }

    fn clean(&self) {
        let in_use = self.progress.lock().active.clone();
        match self
            .directory
            .clean_obsolete(self.clock.now(), self.cleanup_delay, &|task| in_use.contains(&task))
        {
            Ok(cleaned) => {
                for task in cleaned {
                    tracing::info!(%task, "deleted state that was not used any more");
                }
            }
            Err(error) => tracing::warn!(%error, "could not delete old state"),
        }
    }
}
