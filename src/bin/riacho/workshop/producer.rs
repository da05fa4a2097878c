//! The producer: one message after the other, each logged once the brokers have acknowledged it.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use riacho::Timestamp;
use riacho::kafka::{ClientSettings, NewRecord, TopicWriter};
use riacho::ports::{ClientError, ClientErrorKind};

use super::brokers::{Brokers, WAITING};
use super::message::{Glance, Message};
use crate::Failure;

/// How long to wait for an acknowledgement before saying so and looking whether to stop.
const CONFIRM_WAIT: Duration = Duration::from_secs(1);
/// How many of these waits a stop leaves to the last message.
const LAST_WAITS_MAX: u32 = 10;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Acknowledged,
    /// Somebody wants the program to stop, and no broker answers.
    Unknown,
}

/// Sends until it is told to stop.
///
/// # Errors
/// When the brokers refuse for good.
pub(super) fn run(brokers: &Brokers, interval: Duration) -> Result<(), Failure> {
    tracing::info!("Configurando o producer: verificando se os brokers estão disponíveis");
    if !brokers.wait()? {
        return Ok(());
    }
    let Brokers { topic, journal, signals, .. } = brokers;
    tracing::info!("Brokers disponíveis: pronto para produzir mensagens no tópico {topic}");
    let mut writer = open(brokers)?;
    let mut random = Xoshiro256PlusPlus::from_rng(&mut rand::rng());
    let mut number = 0;
    while !signals.requested() {
        let message = Message::draw(number + 1, Timestamp(journal.now()), &mut random).to_json();
        let glance = Glance::of(Some(&message));
        let sent = match send(&mut writer, &message, brokers) {
            Ok(sent) => sent,
            Err(error) => {
                tracing::error!(%error, "Mensagem não enviada, nova tentativa: {}", glance.line());
                if !brokers.wait()? {
                    break;
                }
                writer = open(brokers)?;
                // Twice in a row is for a person to look at.
                send(&mut writer, &message, brokers)?
            }
        };
        if sent == Sent::Unknown {
            tracing::warn!("Mensagem sem confirmação dos brokers ao parar: {}", glance.line());
            break;
        }
        number += 1;
        tracing::info!("Mensagem enviada: {}", glance.line());
        journal.add(None, glance);
        signals.wait(interval);
    }
    tracing::info!("Producer fechado: {number} mensagens enviadas");
    Ok(())
}

fn open(brokers: &Brokers) -> Result<TopicWriter, ClientError> {
    TopicWriter::new(&ClientSettings { request_timeout: CONFIRM_WAIT, ..brokers.clients.clone() })
}

/// Sends a message and waits for its acknowledgement, however long the brokers are away.
fn send(writer: &mut TopicWriter, message: &[u8], brokers: &Brokers) -> Result<Sent, ClientError> {
    writer.write(NewRecord { topic: &brokers.topic, value: Some(message), ..NewRecord::default() })?;
    let mut last_waits = 0;
    loop {
        match writer.flush() {
            Ok(()) => {
                brokers.journal.goes_on();
                return Ok(Sent::Acknowledged);
            }
            Err(error) if error.kind == ClientErrorKind::Retry => {
                brokers.journal.waits(WAITING);
                if brokers.signals.requested() {
                    last_waits += 1;
                    if last_waits >= LAST_WAITS_MAX {
                        return Ok(Sent::Unknown);
                    }
                }
                tracing::warn!(%error, "Aguardando brokers disponíveis para confirmar a mensagem");
            }
            Err(error) => return Err(error),
        }
    }
}
