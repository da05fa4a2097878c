//! The consumer: a member of the group that logs each message, then commits it.

use std::collections::BTreeMap;
use std::time::Duration;

use riacho::TopicPartition;
use riacho::kafka::KafkaStreamClient;
use riacho::ports::{ClientError, ClientErrorKind, GroupEvent, Position, StreamClient as _};

use super::brokers::{Brokers, WAITING};
use super::journal::Journal;
use super::message::Glance;
use crate::Failure;

/// How soon a wish to stop is heard.
const POLL_WAIT: Duration = Duration::from_millis(200);
/// How many messages are logged between two commits.
const MESSAGES_MAX: usize = 100;
const AGAIN: Duration = Duration::from_secs(1);

/// Reads until it is told to stop.
///
/// # Errors
/// When the brokers refuse for good.
pub(super) fn run(brokers: &Brokers) -> Result<(), Failure> {
    tracing::info!("Configurando o consumer: verificando se os brokers estão disponíveis");
    if !brokers.wait()? {
        return Ok(());
    }
    let Brokers { topic, clients, journal, signals, .. } = brokers;
    tracing::info!("Brokers disponíveis: pronto para consumir mensagens do tópico {topic}");
    let mut client = KafkaStreamClient::new(clients)?;
    client.subscribe(std::slice::from_ref(topic))?;
    let mut consumer = Consumer { client, journal: journal.clone(), topic, logged: BTreeMap::new() };
    while !signals.requested() {
        if !consumer.step()? {
            signals.wait(AGAIN);
        }
    }
    consumer.commit()?;
    consumer.client.close();
    tracing::info!("Consumer fechado: {} mensagens consumidas", journal.lock().count);
    Ok(())
}

struct Consumer<'b> {
    client: KafkaStreamClient,
    journal: Journal,
    topic: &'b str,
    /// By partition the offset after the last message logged, where that is not committed yet.
    logged: BTreeMap<i32, i64>,
}

impl Consumer<'_> {
    /// Logs what is there and commits it; tells whether all went well.
    fn step(&mut self) -> Result<bool, ClientError> {
        let Consumer { client, journal, logged, .. } = self;
        let news = client.poll(POLL_WAIT, MESSAGES_MAX, &mut |record, _| {
            let glance = Glance::of(record.value);
            let (partition, offset) = (record.partition, record.offset);
            tracing::info!("Mensagem consumida: partição {partition}, offset {offset}: {}", glance.line());
            journal.add(Some((partition, offset)), glance);
            logged.insert(partition, offset + 1);
        });
        let heard = match news {
            Ok(None) => Ok(()),
            Ok(Some(event)) => self.hear(event),
            Err(error) => Err(error),
        };
        Ok(self.passes(heard)? && self.commit()?)
    }

    fn hear(&mut self, event: GroupEvent) -> Result<(), ClientError> {
        match event {
            GroupEvent::Assigned(partitions) => {
                tracing::info!("Partições atribuídas: {}", numbers(&partitions));
                let from: Vec<_> = partitions.iter().map(|partition| (partition.clone(), None)).collect();
                self.client.accept(&from)?;
                self.client.resume(&partitions)
            }
            GroupEvent::Revoked(partitions) => {
                tracing::info!("Partições devolvidas: {}", numbers(&partitions));
                self.commit()?;
                self.give_up(&partitions)
            }
            GroupEvent::Lost(partitions) => {
                tracing::warn!("Partições perdidas: {}", numbers(&partitions));
                self.give_up(&partitions)
            }
            GroupEvent::EndOfPartition(_) => Ok(()),
        }
    }

    /// Forgets what is not committed yet: to commit it later would set back whoever has the partitions then.
    fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        for place in partitions {
            self.logged.remove(&place.partition);
        }
        self.client.release(partitions)
    }

    /// Commits what is logged; tells whether it went well. What could not be committed is tried again.
    fn commit(&mut self) -> Result<bool, ClientError> {
        if self.logged.is_empty() {
            return Ok(true);
        }
        let position = |(partition, next_offset): (&i32, &i64)| Position {
            partition: TopicPartition::new(self.topic, *partition),
            next_offset: *next_offset,
        };
        let positions: Vec<Position> = self.logged.iter().map(position).collect();
        let committed = self.client.commit_offsets(&positions);
        let is_over = committed.as_ref().err().is_none_or(|error| error.kind == ClientErrorKind::Abort);
        let went_well = self.passes(committed)?;
        // Whoever has the partitions after an abort reads these messages again.
        if is_over {
            self.logged.clear();
        }
        Ok(went_well)
    }

    /// Whether a call went well; what may go well later is told.
    fn passes(&self, outcome: Result<(), ClientError>) -> Result<bool, ClientError> {
        match outcome {
            Ok(()) => {
                self.journal.goes_on();
                Ok(true)
            }
            Err(error) if matches!(error.kind, ClientErrorKind::Retry | ClientErrorKind::Abort) => {
                tracing::warn!(%error, "Aguardando brokers disponíveis");
                self.journal.waits(WAITING);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn numbers(partitions: &[TopicPartition]) -> String {
    let numbers: Vec<String> = partitions.iter().map(|place| place.partition.to_string()).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use riacho::SystemClock;
    use riacho::config::{Config, RawConfig};

    use super::*;

    #[test]
    fn what_is_given_up_is_not_committed_any_more() {
        let raw =
            RawConfig::new(&[]).preset("application.id", "a").preset("bootstrap.servers", "127.0.0.1:1");
        let settings = riacho::client_settings(&Config::try_from(raw).unwrap());
        let mut client = KafkaStreamClient::new(&settings).unwrap();
        client.subscribe(&["t".to_owned()]).unwrap();
        let journal = Journal::new(SystemClock::new());
        let logged = BTreeMap::from([(0, 5), (1, 7), (2, 9)]);
        let mut consumer = Consumer { client, journal, topic: "t", logged };
        for (gone, left) in [(1, [(0, 5), (2, 9)].as_slice()), (2, &[(0, 5)])] {
            // Nobody has assigned it: that is the client's to say.
            consumer.give_up(&[TopicPartition::new("t", gone)]).ok();
            assert_eq!(consumer.logged, left.iter().copied().collect());
        }
    }
}
