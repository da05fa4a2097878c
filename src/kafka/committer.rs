//! Commits offsets without a transaction, and gives up where nobody answers.
//!
//! librdkafka's own call waits without a limit, and there are outages after which its answer never comes: seen where the
//! coordinator stood still for a minute, vanished from the cluster's metadata and came back. So the call is made on a
//! thread that can be spared.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;

/// The thread that waits for answers. It shares the consumer, and so keeps one alive that never gets its answer.
pub(super) struct Committer {
    /// None once an answer did not come in time: what would come then is that of an earlier commit.
    offsets: Option<Sender<TopicPartitionList>>,
    answers: Receiver<KafkaResult<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub(super) fn start<C: ConsumerContext + 'static>(
        consumer: Arc<BaseConsumer<C>>,
    ) -> std::io::Result<Self> {
        let (offsets, wanted) = channel::<TopicPartitionList>();
        let (given, answers) = channel();
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
            for offsets in wanted {
                if given.send(consumer.commit(&offsets, CommitMode::Sync)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Committer { offsets: Some(offsets), answers, thread: Some(thread) })
    }

    /// Commits `offsets`. Returns the coordinator's answer, or `None` if it does not come within `wait`, and from then on.
    pub(super) fn commit(&mut self, offsets: TopicPartitionList, wait: Duration) -> Option<KafkaResult<()>> {
        self.offsets.as_ref()?.send(offsets).ok()?;
        let answer = self.answers.recv_timeout(wait).ok();
        if answer.is_none() {
            self.offsets = None;
        }
        answer
    }

    /// Whether a commit has never been answered.
    pub(super) fn is_stuck(&self) -> bool {
        self.offsets.is_none()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if self.is_stuck() {
            return;
        }
        self.offsets = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that commits offsets panicked");
        }
    }
}
