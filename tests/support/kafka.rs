//! The one Kafka that all tests of a process share, and the choice of where it runs.

use std::any::Any;
use std::env;
use std::sync::LazyLock;
use std::time::Duration;

use super::client::Client;
use super::cluster::{Cluster, Shape};
use super::container::{self, KafkaContainer};
use super::jars;
use super::leash::LastWill;
use super::wait::await_until;

const CHOICE: &str = "RIACHO_TEST_KAFKA";
const SERVING_LIMIT: Duration = Duration::from_secs(90);

/// A single Apache Kafka that lives as long as the test process.
pub(crate) struct Kafka {
    client: Client,
    /// Ends the broker when dropped.
    _keeper: Box<dyn Any + Send + Sync>,
}

impl Kafka {
    /// The Kafka of this test process, started by the first call.
    ///
    /// `RIACHO_TEST_KAFKA=docker|jvm|HOST:PORT` chooses it; unset, Docker is taken before the JVM.
    ///
    /// # Panics
    /// When there is none and none can be started; the message says what to install.
    pub(crate) fn shared() -> &'static Kafka {
        static SHARED: LazyLock<Kafka> = LazyLock::new(Kafka::chosen);
        &SHARED
    }

    pub(crate) fn bootstrap(&self) -> &str {
        self.client.bootstrap()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn chosen() -> Kafka {
        let choice = env::var(CHOICE).unwrap_or_default();
        match choice.as_str() {
            "docker" => Kafka::in_docker(),
            "jvm" => Kafka::in_jvm(),
            "" if container::available() => Kafka::in_docker(),
            "" if jars::available() => Kafka::in_jvm(),
            "" => panic!(
                "no Kafka to test with: start a Docker engine that has or can pull apache/kafka:{version}, \
                 or install Java 17 and Maven (Debian: apt-get install default-jdk-headless maven), \
                 or set {CHOICE}=HOST:PORT",
                version = jars::KAFKA_VERSION
            ),
            address if address.contains(':') => Kafka::serving(address, ()),
            other => panic!("{CHOICE} is {other}; it may be docker, jvm or HOST:PORT"),
        }
    }

    fn in_docker() -> Kafka {
        let container = KafkaContainer::start();
        let bootstrap = container.bootstrap.clone();
        Kafka::serving(&bootstrap, container)
    }

    fn in_jvm() -> Kafka {
        let folder = tempfile::Builder::new().prefix("riacho-kafka-").disable_cleanup(true).tempdir();
        let folder = folder.expect("the folder for temporary files is writable");
        let path = folder.path().to_str().expect("the folder for temporary files has a readable name");
        // The broker is killed at the same moment and may still write, so one attempt can fail.
        let will = LastWill::new(r#"for i in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done"#, &[path]);
        let cluster = Cluster::start(Shape::Single, folder.path());
        let bootstrap = cluster.bootstrap().to_owned();
        Kafka::serving(&bootstrap, (cluster, will))
    }

    fn serving(bootstrap: &str, keeper: impl Any + Send + Sync) -> Kafka {
        let client = Client::new(bootstrap);
        await_until(SERVING_LIMIT, &format!("a Kafka broker answers at {bootstrap}"), || {
            client.brokers().is_ok()
        });
        Kafka { client, _keeper: Box::new(keeper) }
    }
}
