//! The JMX exporter with the project's own rules, as an agent in the JVM of a Kafka server.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::support::{Role, cache};

use super::files::{project, text};

const ARTIFACT: &str = "jmx_prometheus_javaagent";

/// The options of a JVM whose server tells its metrics at `port`.
pub(super) fn options(role: Role, port: u16) -> Vec<String> {
    let rules = match role {
        Role::Controller => "jmx-exporter/kafka-controller.yml",
        Role::Broker | Role::Both => "jmx-exporter/kafka-broker.yml",
    };
    vec![format!("-javaagent:{}=127.0.0.1:{port}:{}", jar().display(), project(rules).display())]
}

/// The agent's jar in the version that the image of the brokers has, fetched if it is not there yet.
fn jar() -> &'static PathBuf {
    static JAR: LazyLock<PathBuf> = LazyLock::new(|| {
        let image = text("jmx-exporter/Dockerfile");
        let version = image.lines().find_map(|line| line.strip_prefix("ARG JMX_EXPORTER_VERSION="));
        let version = version.expect("the image of the brokers names the version of the exporter");
        let jar = cache().join(format!("{ARTIFACT}-{version}.jar"));
        if !jar.is_file() {
            fetch(version, &jar);
        }
        jar
    });
    &JAR
}

fn fetch(version: &str, jar: &PathBuf) {
    let cache = cache();
    std::fs::create_dir_all(&cache).expect("the cache folder can be made");
    // Renamed only when complete, as the jars of Kafka are.
    let partial = tempfile::tempdir_in(&cache).expect("the cache folder is writable");
    let maven = Command::new("mvn")
        .args(["-q", "-B", "-ntp", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"])
        .arg(format!("-Dartifact=io.prometheus.jmx:{ARTIFACT}:{version}"))
        .arg(format!("-DoutputDirectory={}", partial.path().display()))
        .current_dir(partial.path())
        .stdin(Stdio::null())
        .output()
        .expect("mvn can be run: install Maven");
    let said = [maven.stdout, maven.stderr].concat();
    assert!(maven.status.success(), "mvn could not fetch {ARTIFACT}:\n{}", String::from_utf8_lossy(&said));
    let fetched = partial.path().join(format!("{ARTIFACT}-{version}.jar"));
    std::fs::rename(&fetched, jar).unwrap_or_else(|error| panic!("{}: {error}", fetched.display()));
}
