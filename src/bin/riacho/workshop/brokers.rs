//! Waits for the brokers, which may be started later than this program or go away under it.

use std::time::Duration;

use riacho::kafka::{ClientSettings, KafkaAdmin};
use riacho::ports::{ClientError, ClientErrorKind, NewTopic};

use super::journal::Journal;
use crate::Failure;
use crate::signals::Signals;
use crate::topics;

/// What the page shows meanwhile.
pub(super) const WAITING: &str = "Aguardando os brokers; nova tentativa em instantes.";

/// The brokers, and who waits for them.
pub(super) struct Brokers {
    pub(super) clients: ClientSettings,
    /// Of the topic if it is created; the brokers' default otherwise.
    pub(super) replication_factor: Option<i32>,
    pub(super) topic: String,
    pub(super) journal: Journal,
    pub(super) signals: Signals,
}

impl Brokers {
    /// Waits until the topic is there, and creates it if nobody has; tells whether to go on, or to stop.
    ///
    /// # Errors
    /// When the brokers refuse for good.
    pub(super) fn wait(&self) -> Result<bool, Failure> {
        const ANSWER_WAIT: Duration = Duration::from_secs(3);
        const AGAIN: Duration = Duration::from_secs(1);
        let settings = ClientSettings { request_timeout: ANSWER_WAIT, ..self.clients.clone() };
        let addresses = &self.clients.bootstrap_servers;
        let admin = KafkaAdmin::new(&settings)?;
        while !self.signals.requested() {
            match admin.partitions_of(&self.topic) {
                Ok(Some(_)) => {
                    self.journal.goes_on();
                    return Ok(true);
                }
                Ok(None) => match self.create(&admin) {
                    Ok(()) => {
                        tracing::info!("Tópico {} criado", self.topic);
                        continue;
                    }
                    // Too few brokers for its replicas, as long as they are starting.
                    Err(error) => {
                        tracing::warn!(%error, "Aguardando brokers disponíveis para criar o tópico {}", self.topic);
                    }
                },
                Err(error) if error.kind == ClientErrorKind::Retry => {
                    tracing::warn!(%error, "Aguardando brokers disponíveis em {addresses}");
                }
                Err(error) => return Err(error.into()),
            }
            self.journal.waits(WAITING);
            self.signals.wait(AGAIN);
        }
        Ok(false)
    }

    fn create(&self, admin: &KafkaAdmin) -> Result<(), ClientError> {
        admin.create_topics(&[NewTopic {
            name: self.topic.clone(),
            partitions: topics::PARTITIONS,
            replication_factor: self.replication_factor.unwrap_or(-1),
            config: Vec::new(),
        }])
    }
}
