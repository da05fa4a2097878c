//! Apache Kafka as its users run it: the official image in a Docker engine.

use std::borrow::Cow;
use std::thread;

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, Image, ImageExt};

use super::client::unique;
use super::jars::{KAFKA_VERSION, answers};
use super::leash::LastWill;
use super::ports::free_port;
use super::settings::settings;

const IMAGE: &str = "apache/kafka";
const CLIENT_PORT: u16 = 9092;

/// Says whether a Docker engine answers and has the image or can get it.
pub(crate) fn available() -> bool {
    let image = format!("{IMAGE}:{KAFKA_VERSION}");
    answers("docker", &["version"])
        && (answers("docker", &["image", "inspect", &image]) || answers("docker", &["pull", "-q", &image]))
}

/// A single broker, removed with its data when dropped or when the test process ends.
pub(crate) struct KafkaContainer {
    pub(crate) bootstrap: String,
    _container: Container<KafkaImage>,
    _will: LastWill,
}

impl KafkaContainer {
    /// Begins to run; it serves when a client finds a broker at `bootstrap`.
    pub(crate) fn start() -> KafkaContainer {
        let name = unique("riacho-test-kafka");
        let host_port = free_port();
        // The will stands before there is anything to inherit, so no moment is left in which a kill leaks a container.
        let will = LastWill::new(r#"docker rm -f -v "$1""#, &[&name]);
        let request = ContainerRequest::from(KafkaImage { host_port })
            .with_mapped_port(host_port, CLIENT_PORT.tcp())
            .with_container_name(name);
        // On a thread of its own, because the caller's may already be inside an async runtime.
        let started = thread::spawn(|| request.start()).join().expect("testcontainers does not panic");
        let container =
            started.unwrap_or_else(|error| panic!("docker cannot run {IMAGE}:{KAFKA_VERSION}: {error}"));
        KafkaContainer { bootstrap: format!("127.0.0.1:{host_port}"), _container: container, _will: will }
    }
}

/// The official image as one broker that tells its clients to come to `host_port`.
struct KafkaImage {
    host_port: u16,
}

impl Image for KafkaImage {
    fn name(&self) -> &str {
        IMAGE
    }

    fn tag(&self) -> &str {
        KAFKA_VERSION
    }

    // A client that finds the broker proves more than a line in its log.
    fn ready_conditions(&self) -> Vec<WaitFor> {
        vec![]
    }

    fn env_vars(&self) -> impl IntoIterator<Item = (impl Into<Cow<'_, str>>, impl Into<Cow<'_, str>>)> {
        let mut settings = settings(1);
        settings.extend([
            ("node.id", "1".to_owned()),
            ("process.roles", "broker,controller".to_owned()),
            ("controller.quorum.voters", "1@localhost:9093".to_owned()),
            (
                "listeners",
                format!(
                    "CLIENT://0.0.0.0:{CLIENT_PORT},INTERNAL://localhost:9094,CONTROLLER://localhost:9093"
                ),
            ),
            (
                "advertised.listeners",
                format!("CLIENT://127.0.0.1:{},INTERNAL://localhost:9094", self.host_port),
            ),
        ]);
        let of_image = |name: &str| format!("KAFKA_{}", name.to_uppercase().replace('.', "_"));
        let heap = ("KAFKA_HEAP_OPTS".to_owned(), "-Xmx400m".to_owned());
        settings.into_iter().map(move |(name, value)| (of_image(name), value)).chain([heap])
    }
}
