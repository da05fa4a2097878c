//! Where a demo plays: names, topics and folders of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use riacho::config::{Config, RawConfig};
use riacho::kafka::{ClientSettings, Isolation, KafkaAdmin, StartAt, TopicReader};
use riacho::ports::{ClientErrorKind, Clock as _, NewTopic};
use riacho::{OwnTopics, SystemClock};

use super::broker::Broker;
use super::child::{Child, free_port};
use super::site::Site;
use crate::application::App;
use crate::{Failure, web};

/// Enough for several threads and instances, and few for a machine that runs it all.
const PARTITIONS: i32 = 4;
const LEADER_WAIT: Duration = Duration::from_millis(100);
const LEADER_LIMIT: Duration = Duration::from_secs(30);

/// Settings, as a user would give them.
pub(super) type Settings = Vec<(&'static str, String)>;

/// Names and places of one demo. Dropping it removes its folder, and its topics where they would stay.
pub(super) struct Stage<'b> {
    broker: &'b Broker,
    id: String,
    topics: Vec<String>,
}

impl<'b> Stage<'b> {
    /// A stage with nothing on it.
    pub(super) fn set(broker: &'b Broker) -> Stage<'b> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Stage { broker, id: id.get(..8).unwrap_or(&id).to_owned(), topics: Vec::new() }
    }

    /// A name for a topic or a group. On a cluster of somebody's nothing of theirs may have it.
    pub(super) fn name(&self, name: &str) -> String {
        if self.broker.is_shared() { format!("demo-{}-{name}", self.id) } else { name.to_owned() }
    }

    /// A place in the demo's folder, which is made when it is first asked for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn place(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.folder();
        fs::create_dir_all(&folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        Ok(folder.join(name))
    }

    fn folder(&self) -> PathBuf {
        std::env::temp_dir().join(format!("riacho-demo-{}", self.id))
    }

    pub(super) fn bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    /// How somebody connects who counts again.
    pub(super) fn clients(&self) -> ClientSettings {
        ClientSettings::new(self.bootstrap(), "riacho-demo")
    }

    /// What every application here needs to know, and a place for its page.
    ///
    /// # Errors
    /// When there is no place for its state, or no free port.
    pub(super) fn settings(&self) -> Result<(Settings, Site), Failure> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut settings = vec![
            ("bootstrap.servers", self.bootstrap()),
            ("state.dir", self.place("state")?.display().to_string()),
            ("riacho.http.address", address.clone()),
            // The state directory is gone after the demo, so that no restart could take a static member's place.
            ("riacho.static.membership", "off".to_owned()),
        ];
        settings.extend(self.broker.peculiarities());
        Ok((settings, Site::new(address)))
    }

    /// Creates all topics of an application, those that it would make itself included: the embedded broker answers no
    /// request for any.
    ///
    /// # Errors
    /// When the settings do not fit together, or Kafka refuses.
    pub(super) fn create_topics_of(&mut self, app: App, settings: &Settings) -> Result<(), Failure> {
        let raw = RawConfig::new(&[app.keys(), web::KEYS]);
        let raw = app.presets().iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        let raw = settings.iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        let config = Config::try_from(raw)?;
        let application = app.of(&config)?;
        let outputs = application.outputs();
        let outputs = outputs.iter().map(|(_, name)| plain(name));
        let external: Vec<NewTopic> = application.inputs().into_iter().map(plain).chain(outputs).collect();
        let inputs = application.inputs().into_iter().map(|name| (name.to_owned(), PARTITIONS));
        let own = OwnTopics::of(&application.topology()?, &config, &inputs.collect::<BTreeMap<_, _>>());
        self.create(external.into_iter().chain(own.internal).chain(own.side).collect())
    }

    /// Creates a topic that is nobody's state.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub(super) fn create_topic(&mut self, name: &str) -> Result<(), Failure> {
        self.create(vec![plain(name)])
    }

    fn create(&mut self, topics: Vec<NewTopic>) -> Result<(), Failure> {
        self.broker.create(&topics, &self.clients())?;
        self.topics.extend(topics.into_iter().map(|topic| topic.name));
        Ok(())
    }

    /// Starts to read topics at their beginning, as anybody would.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn read(&self, topics: &[&str]) -> Result<TopicReader, Failure> {
        let clock = SystemClock::new();
        loop {
            match TopicReader::open(&self.clients(), topics, &StartAt::Beginning, Isolation::ReadCommitted) {
                // The topics are so new that their leaders may not know of it.
                Err(error) if error.kind == ClientErrorKind::Retry && clock.monotonic() < LEADER_LIMIT => {
                    thread::park_timeout(LEADER_WAIT);
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Starts a verb of this program with settings and environment variables; `name` is that of its log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        &self,
        name: &str,
        verb: &[&str],
        settings: &Settings,
        variables: &[(&str, &str)],
    ) -> Result<Child, Failure> {
        let mut arguments: Vec<String> = verb.iter().map(|word| (*word).to_owned()).collect();
        for (key, value) in settings {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        Child::start(&arguments, variables, self.place(&format!("{name}.log"))?)
    }
}

fn plain(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: PARTITIONS, replication_factor: -1, config: Vec::new() }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let folder = self.folder();
        if let Err(error) = fs::remove_dir_all(&folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "{} could not be removed", folder.display());
        }
        if self.broker.is_shared() && !self.topics.is_empty() {
            let names: Vec<_> = self.topics.iter().map(String::as_str).collect();
            let deleted = KafkaAdmin::new(&self.clients()).and_then(|admin| admin.delete_topics(&names));
            if let Err(error) = deleted {
                tracing::warn!(%error, "the demo's topics stay");
            }
        }
    }
}
