//! The Kafka that the demo runs on: inside this process, started for it, or somebody's.

use std::error::Error;
use std::str::FromStr;

use riacho::kafka::{ClientSettings, EmbeddedKafka, KafkaAdmin};
use riacho::ports::NewTopic;

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
            Place::Cluster(servers) => Broker::Cluster(servers.clone()),
            Place::Jvm => return Err("not yet".into()),
        })
    }

    pub(super) fn bootstrap(&self) -> String {
        match self {
            Broker::Embedded(kafka) => kafka.bootstrap(),
            Broker::Cluster(servers) => servers.clone(),
        }
    }

    /// Whether it is somebody's, so that names must not collide and nothing may stay behind.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Broker::Cluster(_))
    }

    /// What it is, in a few words.
    pub(super) fn name(&self) -> String {
        match self {
            Broker::Embedded(_) => format!("embedded Kafka {}", self.bootstrap()),
            Broker::Cluster(servers) => format!("Kafka {servers}"),
        }
    }

    /// What whoever starts the demo should know of it.
    pub(super) fn introduction(&self) -> String {
        match self {
            Broker::Embedded(kafka) => format!(
                "embedded Kafka at {}: any client may look in. It has no real transactions: this demo proves the sums, \
                 not exactly-once; --kafka jvm or HOST:PORT does",
                kafka.bootstrap()
            ),
            Broker::Cluster(servers) => format!("Kafka at {servers}"),
        }
    }

    /// Creates topics.
    ///
    /// # Errors
    /// When Kafka refuses or does not answer.
    pub(super) fn create(&self, topics: &[NewTopic], settings: &ClientSettings) -> Result<(), Box<dyn Error>> {
        match self {
            Broker::Embedded(kafka) => {
                topics.iter().try_for_each(|topic| kafka.create_topic(&topic.name, topic.partitions))?;
            }
            Broker::Cluster(_) => KafkaAdmin::new(settings)?.create_topics(topics)?,
        }
        Ok(())
    }
}
