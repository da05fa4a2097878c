//! The demo of `workshop`: its producer, its consumer, and what both have logged.

use std::collections::BTreeSet;

use indicatif::HumanCount;
use serde_json::Value;

use super::child::Child;
use super::play::Play;
use super::site::{Site, number};
use super::stage::Stage;
use super::verdict::Verdict;
use crate::Failure;

const INTERVAL_MS: &str = "100";
const SENT: &str = "Mensagem enviada";
const CONSUMED: &str = "Mensagem consumida";
const SUMMARY: &str = "workshop/summary";

pub(super) struct Workshop {
    producer: Child,
    consumer: Child,
    producers: Site,
    consumers: Site,
}

impl Workshop {
    /// Starts both halves.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn begin(stage: &mut Stage<'_>) -> Result<Workshop, Failure> {
        let (topic, group, servers) = (stage.name("my-topic"), stage.name("workshop"), stage.bootstrap());
        stage.create_topic(&topic)?;
        let start = |action: &str| -> Result<(Child, Site), Failure> {
            let (mut settings, site) = stage.settings()?;
            // The variable says it, as in the original.
            settings.retain(|(key, _)| *key != "bootstrap.servers");
            settings.push(("workshop.interval.ms", INTERVAL_MS.to_owned()));
            let variables = [
                ("ACTION", action),
                ("TOPIC", &topic),
                ("CONSUMER_GROUP", &group),
                ("BOOTSTRAP_SERVERS", &servers),
            ];
            Ok((stage.start(action, &["run", "workshop"], &settings, &variables)?, site))
        };
        let (consumer, consumers) = start("consumer")?;
        let (producer, producers) = start("producer")?;
        Ok(Workshop { producer, consumer, producers, consumers })
    }
}

impl Play for Workshop {
    fn differences(&self) -> String {
        format!(
            "a message every {INTERVAL_MS} ms, where the original rests for a second; the producer's own page is at \
             http://{}/workshop",
            self.producers.address()
        )
    }

    fn page(&self) -> (&Site, &'static str) {
        (&self.consumers, "workshop")
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.producer.check()?;
        self.consumer.check()
    }

    fn figures(&self) -> Option<String> {
        let (producer, consumer) = (self.producers.figures(SUMMARY)?, self.consumers.figures(SUMMARY)?);
        let (sent, received) = (number(&producer, "sent"), number(&consumer, "received"));
        Some(format!("{} messages sent, {} received", HumanCount(sent), HumanCount(received)))
    }

    fn end_input(&mut self) -> Result<(), Failure> {
        self.producer.stop()
    }

    fn compare(&mut self) -> Result<Verdict, Failure> {
        self.consumer.check()?;
        let sent = messages(&self.producer.log(), SENT);
        let consumed = messages(&self.consumer.log(), CONSUMED);
        let shown = self.consumers.figures(SUMMARY).unwrap_or_default();
        Ok(compared(&sent, &consumed, number(&shown, "received")))
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.consumer.stop()
    }
}

/// The ids of the transactions, each of which is one message, in the lines of a log that have `text`.
fn messages(log: &str, text: &str) -> Vec<String> {
    let id = |line: &str| {
        let json = line.get(line.find('{')?..)?;
        let message: Value = serde_json::from_str(json).ok()?;
        Some(message.get("id_transacao")?.as_str()?.to_owned())
    };
    log.lines().filter(|line| line.contains(text)).filter_map(id).collect()
}

fn compared(sent: &[String], consumed: &[String], received: u64) -> Verdict {
    let distinct: BTreeSet<&String> = consumed.iter().collect();
    let arrived = sent.iter().filter(|id| distinct.contains(id)).count();
    let mut verdict = Verdict::default();
    let sent = ("sent and acknowledged", sent.len() as u64);
    verdict.claim("messages", sent, ("of them logged by the consumer", arrived as u64));
    let logged = ("logged by the consumer", consumed.len() as u64);
    verdict.claim("messages, each time it came", logged, ("received by the page", received));
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-20T10:00:00Z  INFO Mensagem enviada: {\"id_sequencia\":\"1\",\"id_transacao\":\"a\"}
2026-11-20T10:00:00Z  INFO Mensagem enviada: {\"id_sequencia\":\"2\",\"id_transacao\":\"b\"}
2026-11-20T10:00:00Z  INFO Producer fechado: 2 mensagens enviadas
";

    #[test]
    fn a_message_that_was_sent_and_not_logged_fails() {
        let sent = messages(LOG, SENT);
        assert_eq!(sent, ["a", "b"]);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert!(compared(&sent, &ids(&["b", "a"]), 2).passed());
        assert!(compared(&sent, &ids(&["b", "a", "a"]), 3).passed(), "at least once");
        assert!(!compared(&sent, &ids(&["b", "b"]), 2).passed());
        assert!(!compared(&sent, &ids(&["a", "b"]), 1).passed());
        assert!(!compared(&[], &[], 0).passed());
    }
}
