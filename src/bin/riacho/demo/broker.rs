//! The Kafka that the demo runs on: inside this process, started for it, or somebody's.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use riacho::kafka::{ClientSettings, EmbeddedKafka, KafkaAdmin};
use riacho::ports::NewTopic;

use super::jvm::JvmKafka;

/// How long somebody's cluster may take for its first answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Where Kafka is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Embedded,
    Jvm,
    Cluster(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Place::Embedded),
            "jvm" => Ok(Place::Jvm),
            servers if servers.contains(':') => Ok(Place::Cluster(servers.to_owned())),
            _ => Err("it may be embedded, jvm or HOST:PORT".to_owned()),
        }
    }
}

/// A Kafka that answers.
pub(super) enum Broker {
    Embedded(EmbeddedKafka),
    Jvm(JvmKafka),
    Cluster(String),
}

impl Broker {
    /// Starts what is to be started.
    ///
    /// # Errors
    /// When it does not start; the message says what to do.
    pub(super) fn start(place: &Place) -> Result<Broker, Box<dyn Error>> {
        Ok(match place {
            Place::Embedded => Broker::Embedded(EmbeddedKafka::start()?),
            Place::Cluster(servers) => {
                let mut settings = ClientSettings::new(servers.as_str(), "riacho-demo");
                settings.request_timeout = ANSWER_LIMIT;
                let asked = KafkaAdmin::new(&settings)?.topics();
                asked.map_err(|error| format!("no Kafka answers at {servers}: {}", error.message))?;
                Broker::Cluster(servers.clone())
            }
            Place::Jvm => Broker::Jvm(JvmKafka::start()?),
        })
    }

    pub(super) fn bootstrap(&self) -> String {
        match self {
            Broker::Embedded(kafka) => kafka.bootstrap(),
            Broker::Jvm(kafka) => kafka.bootstrap().to_owned(),
            Broker::Cluster(servers) => servers.clone(),
        }
    }

    /// Whether it is somebody's, so that names must not collide and nothing may stay behind.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Broker::Cluster(_))
    }

    /// Whether it is the one of this process, with its limits.
    fn is_embedded(&self) -> bool {
        matches!(self, Broker::Embedded(_))
    }

    /// Settings that an application needs to work well with it.
    pub(super) fn peculiarities(&self) -> Vec<(&'static str, String)> {
        if !self.is_embedded() {
            return Vec::new();
        }
        let settings = [
            // The embedded broker keeps members that join waiting for as long as a session may be silent.
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "500"),
            // It answers a fetch that finds nothing only after this time, whatever comes meanwhile.
            ("consumer.fetch.wait.max.ms", "10"),
        ];
        settings.map(|(key, value)| (key, value.to_owned())).into()
    }

    /// What it is, in a few words.
    pub(super) fn name(&self) -> String {
        match self {
            Broker::Embedded(_) => format!("embedded Kafka {}", self.bootstrap()),
            Broker::Jvm(_) => format!("Apache Kafka {}", self.bootstrap()),
            Broker::Cluster(servers) => format!("Kafka {servers}"),
        }
    }

    /// What whoever starts the demo should know of it.
    pub(super) fn introduction(&self) -> String {
        match self {
            Broker::Embedded(kafka) => format!(
                "embedded Kafka at {}: any Kafka client may look in\n\
                 it has no real transactions, so this proves the sums, not exactly-once (--kafka jvm or HOST:PORT does)",
                kafka.bootstrap()
            ),
            Broker::Jvm(kafka) => {
                format!("Apache Kafka at {}: any Kafka client may look in", kafka.bootstrap())
            }
            Broker::Cluster(servers) => format!("Kafka at {servers}"),
        }
    }

    /// Creates topics.
    ///
    /// # Errors
    /// When Kafka refuses or does not answer.
    pub(super) fn create(
        &self,
        topics: &[NewTopic],
        settings: &ClientSettings,
    ) -> Result<(), Box<dyn Error>> {
        match self {
            Broker::Embedded(kafka) => {
                topics.iter().try_for_each(|topic| kafka.create_topic(&topic.name, topic.partitions))?;
            }
            Broker::Jvm(_) | Broker::Cluster(_) => KafkaAdmin::new(settings)?.create_topics(topics)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_word_or_an_address() {
        assert_eq!("embedded".parse(), Ok(Place::Embedded));
        assert_eq!("jvm".parse(), Ok(Place::Jvm));
        assert_eq!("localhost:29092".parse(), Ok(Place::Cluster("localhost:29092".to_owned())));
        assert!("localhost".parse::<Place>().is_err());
    }
}
