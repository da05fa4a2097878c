//! One Kafka server in a JVM of its own: a process that a test may stop, kill or freeze.

use std::fmt;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::client::Client;
use super::jars::jars;
use super::leash::leashed;
use super::wait::await_until;

const LOGGING: &str = include_str!("kafka-jars/log4j2.properties");
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The id by which Kafka knows a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// What a server does in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Broker,
    Controller,
    Both,
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    /// Where clients connect; a controller's is the quorum's own.
    port: u16,
    dir: PathBuf,
    heap_mib: u32,
    jvm_options: Vec<String>,
    process: Option<Child>,
}

impl Node {
    /// A server that keeps everything in `dir` and does not run yet; [`Node::format`] comes first.
    pub(crate) fn new(id: NodeId, role: Role, port: u16, dir: PathBuf, settings: &[(&str, String)]) -> Node {
        fs::create_dir_all(&dir).expect("the folder of the test is writable");
        let log_dirs = ("log.dirs", dir.join("data").display().to_string());
        let lines = settings.iter().chain([&log_dirs]).map(|(name, value)| format!("{name}={value}\n"));
        fs::write(dir.join("server.properties"), lines.collect::<String>()).expect("the folder is writable");
        fs::write(dir.join("log4j2.properties"), LOGGING).expect("the folder is writable");
        let heap_mib = if role == Role::Controller { 200 } else { 400 };
        Node { id, role, port, dir, heap_mib, jvm_options: vec![], process: None }
    }

    /// The same server with more options for its JVM, an agent for example.
    pub(crate) fn with_jvm_options(mut self, jvm_options: Vec<String>) -> Node {
        self.jvm_options = jvm_options;
        self
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Begins to write the files of an empty server; the caller awaits the end with [`Formatting::done`].
    pub(crate) fn format(&self) -> Formatting {
        let mut command = self.java(&[], "kafka.tools.StorageTool", 128);
        let command = command.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(self.properties());
        Formatting { process: command.spawn().expect("java can be run"), log: self.log() }
    }

    /// Begins to run; [`Node::await_serving`] awaits the end of the start.
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.id);
        let mut command = self.java(&self.jvm_options, "kafka.Kafka", self.heap_mib);
        self.process = Some(command.arg(self.properties()).spawn().expect("java can be run"));
    }

    /// Awaits that the node does its work: a broker is a member of its cluster, a controller takes connections.
    pub(crate) fn await_serving(&mut self) {
        let (id, role, address) = (self.id, self.role, self.address());
        let client = Client::new(&address);
        await_until(START_LIMIT, &format!("{id} serves at {address}"), || {
            self.assert_alive();
            match role {
                Role::Controller => TcpStream::connect(&address).is_ok(),
                Role::Broker | Role::Both => client.brokers().is_ok_and(|brokers| brokers.contains(&id)),
            }
        });
    }

    /// Kills the process as a power failure does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap_or_else(|| panic!("{} does not run", self.id));
        process.kill().expect("a child that was not waited for can be killed");
        process.wait().expect("a killed child ends");
    }

    /// Lets the server hand over its partitions and end.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let process = self.process.as_mut().expect("signal() found it running");
        await_until(STOP_LIMIT, "a stopped server ends", || {
            process.try_wait().is_ok_and(|end| end.is_some())
        });
        self.process = None;
    }

    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.id));
        let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be sent {name}", self.id);
    }

    fn assert_alive(&mut self) {
        let process = self.process.as_mut().unwrap_or_else(|| panic!("{} does not run", self.id));
        let end = process.try_wait().expect("a child can be asked");
        assert!(end.is_none(), "{} ended with {end:?}; its log ends:\n{}", self.id, tail(&self.log()));
    }

    fn java(&self, options: &[String], class: &str, heap_mib: u32) -> Command {
        let log = File::options().create(true).append(true).open(self.log()).expect("the folder is writable");
        let errors = log.try_clone().expect("a file handle can be doubled");
        let logging = self.dir.join("log4j2.properties");
        let mut command = leashed("java");
        // The first compiler and the plain collector: a start costs half the processor time, and tests are mostly starts.
        command
            .args([
                &format!("-Xmx{heap_mib}m"),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Djava.awt.headless=true",
            ])
            .args(options)
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-cp", &format!("{}/*", jars().display()), class])
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors));
        command
    }

    fn properties(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
    }
}

/// A server's files being written.
pub(crate) struct Formatting {
    process: Child,
    log: PathBuf,
}

impl Formatting {
    pub(crate) fn done(mut self) {
        let mut end = None;
        await_until(START_LIMIT, "the storage tool ends", || {
            end = self.process.try_wait().expect("a child can be asked");
            end.is_some()
        });
        assert!(end.is_some_and(|end| end.success()), "kafka cannot be formatted:\n{}", tail(&self.log));
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.split_at(lines.len().saturating_sub(30)).1.join("\n")
}
