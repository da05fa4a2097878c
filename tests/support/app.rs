//! An application under test, run in this process or as the program that users run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use riacho::config::{Config, ConfigErrors, RawConfig};
use riacho::query::Queries;
use riacho::{Launch, Snapshot, Streams, Topology};
use tempfile::TempDir;

use crate::transactions::config::{KEYS, TransactionsConfig};
use crate::transactions::topology::topology;

use super::client::{Client, Isolation, unique};
use super::leash::leashed;
use super::ports::free_port;
use super::wait::await_until;

/// Generous, because the tests share few processors; a wait ends as soon as its condition holds.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// How an application is started: its id, its settings, and a state directory that outlives it.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) id: String,
    client: Client,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    state: Arc<TempDir>,
}

impl App {
    /// An application on the cluster of `client`, with an id and a state directory of its own.
    pub(crate) fn on(client: &Client, name: &str) -> App {
        let state = Arc::new(tempfile::tempdir().expect("the folder for temporary files is writable"));
        let (settings, environment) = (BTreeMap::new(), BTreeMap::new());
        let app = App { id: unique(name), client: client.clone(), settings, environment, state };
        // Short, so that a test sees the next commit soon; no wait for a session where a test kills.
        app.with("commit.interval.ms", "50")
            .with("riacho.http.address", "none")
            .with("riacho.memory.max.bytes", "67108864")
            .with("session.timeout.ms", "6000")
            .with("heartbeat.interval.ms", "500")
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> App {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// As [`App::with`], by a variable of the program's environment.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> App {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Another instance of the same application, on a state directory of its own.
    pub(crate) fn sibling(&self) -> App {
        let state = Arc::new(tempfile::tempdir().expect("the folder for temporary files is writable"));
        App { state, ..self.clone() }
    }

    pub(crate) fn state_dir(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn dead_letter_topic(&self) -> String {
        format!("{}-dead-letter", self.id)
    }

    fn pairs(&self) -> BTreeMap<String, String> {
        let mut pairs = self.settings.clone();
        pairs.insert("application.id".to_owned(), self.id.clone());
        pairs.entry("bootstrap.servers".to_owned()).or_insert_with(|| self.client.bootstrap().to_owned());
        pairs.insert("state.dir".to_owned(), self.state.path().display().to_string());
        pairs
    }

    fn config(&self) -> Result<Config, ConfigErrors> {
        let pairs = self.pairs();
        let raw = RawConfig::new(&[KEYS]);
        Config::try_from(pairs.iter().fold(raw, |raw, (key, value)| raw.preset(key, value)))
    }

    /// Runs `topology` in this process and returns when it is `RUNNING`.
    pub(crate) fn start(&self, topology: Topology) -> Running {
        self.start_asked(topology, Queries::new())
    }

    pub(crate) fn try_start(&self, topology: Topology) -> Result<Running, riacho::Error> {
        self.try_start_asked(topology, Queries::new())
    }

    /// As [`App::start`], answering `queries`.
    pub(crate) fn start_asked(&self, topology: Topology, queries: Queries) -> Running {
        let running = self.try_start_asked(topology, queries);
        let running = running.unwrap_or_else(|error| panic!("{} cannot start: {error}", self.id));
        assert!(running.streams.wait_until_running(LIMIT), "{}: {:?}", self.id, running.streams.failure());
        running
    }

    pub(crate) fn try_start_asked(
        &self,
        topology: Topology,
        queries: Queries,
    ) -> Result<Running, riacho::Error> {
        let launch = Launch::of(topology, self.config()?).with_queries(queries);
        Ok(Running { streams: launch.start()?, app: self.clone() })
    }

    /// The computation of `riacho run transactions` with these settings.
    pub(crate) fn transactions(&self) -> Topology {
        let config = self.config().and_then(|config| TransactionsConfig::of(&config));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        topology(&config).expect("the topology is sound")
    }

    /// Returns when the group has committed behind the last committed record of each partition of `topic`.
    pub(crate) fn await_processed(&self, topic: &str) {
        self.await_processed_while(topic, || {});
    }

    fn await_processed_while(&self, topic: &str, mut look: impl FnMut()) {
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for record in self.client.read_all(topic, Isolation::ReadCommitted) {
            ends.insert(record.partition, record.offset + 1);
        }
        await_until(LIMIT, &format!("{} has committed {topic} up to {ends:?}", self.id), || {
            look();
            let committed: BTreeMap<i32, i64> = self.client.committed(&self.id, topic).into_iter().collect();
            ends.iter().all(|(partition, end)| committed.get(partition).is_some_and(|at| at >= end))
        });
    }

    /// Starts `riacho run transactions` in a process of its own, which serves HTTP and writes its log into a file.
    pub(crate) fn spawn(&self) -> Process {
        self.spawn_with(&[])
    }

    /// As [`App::spawn`], with more arguments.
    pub(crate) fn spawn_with(&self, arguments: &[&str]) -> Process {
        self.spawn_verb("run", arguments)
    }

    /// Starts another verb of the program for this application, with these settings.
    pub(crate) fn spawn_verb(&self, verb: &str, arguments: &[&str]) -> Process {
        self.spawn_line(&[&[verb, "transactions"], arguments].concat())
    }

    /// Starts the program with this command line and these settings.
    pub(crate) fn spawn_line(&self, arguments: &[&str]) -> Process {
        let port = free_port();
        let log = self.state.path().join(format!("{port}.log"));
        let file = File::create(&log).expect("the state directory is writable");
        let mut command = leashed(env!("CARGO_BIN_EXE_riacho"));
        command.args(arguments);
        // The program takes them for settings.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIACHO_")) {
            command.env_remove(name);
        }
        command.envs(&self.environment);
        for (key, value) in &self.pairs() {
            if key != "riacho.http.address" {
                command.arg("--set").arg(format!("{key}={value}"));
            }
        }
        command.arg("--set").arg(format!("riacho.http.address=127.0.0.1:{port}"));
        command.stdout(Stdio::from(file.try_clone().expect("a file handle can be doubled")));
        command.stderr(Stdio::from(file)).env("NO_COLOR", "1");
        let child = command.spawn().expect("the program was built with this test");
        Process { child, port, log, app: self.clone(), ended: None }
    }
}

/// An application that runs in this process; dropping it stops it.
pub(crate) struct Running {
    pub(crate) streams: Streams,
    app: App,
}

impl Running {
    /// As [`App::await_processed`], failing at once when the application has failed.
    pub(crate) fn await_processed(&self, topic: &str) {
        self.app.await_processed_while(topic, || assert_eq!(self.streams.failure(), None));
    }

    pub(crate) fn progress(&self) -> Snapshot {
        self.streams.progress()
    }

    /// Stops politely and returns the last figures.
    pub(crate) fn stop(self) -> Snapshot {
        let progress = self.streams.progress();
        self.streams.close().expect("it had not failed");
        progress
    }
}

/// An application in a process of its own; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
    app: App,
    ended: Option<ExitStatus>,
}

impl Process {
    /// The answer to `GET path`: status and body; `None` while nobody listens.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&format!("127.0.0.1:{}", self.port), path)
    }

    /// As [`await_until`], failing at once with the log's end when the process has ended.
    pub(crate) fn await_that(&mut self, what: &str, mut holds: impl FnMut(&Process) -> bool) {
        await_until(LIMIT, &format!("{}: {what}", self.app.id), || {
            if let Some(end) = self.try_wait() {
                panic!("{} ended ({end}) before {what}; its log ends:\n{}", self.app.id, self.log_end());
            }
            holds(self)
        });
    }

    /// The sum of a metric's series whose labels contain `labels`; `None` while it is not served.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics").filter(|(status, _)| *status == 200)?;
        metric(&body, name, labels)
    }

    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be asked");
        }
        self.ended
    }

    /// Sends SIGKILL and returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child that was not waited for can be killed");
        self.ended = Some(self.child.wait().expect("a killed child ends"));
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be sent {name}", self.app.id);
    }

    /// Whether every thread stands still after SIGSTOP.
    pub(crate) fn is_stopped(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        status.is_ok_and(|status| status.lines().any(|line| line.starts_with("State:\tT")))
    }

    /// Sends SIGTERM and returns how the process ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.await_end(Duration::from_secs(30))
    }

    pub(crate) fn await_end(&mut self, limit: Duration) -> ExitStatus {
        let mut end = None;
        await_until(limit, &format!("{} ends", self.app.id), || {
            end = self.try_wait();
            end.is_some()
        });
        end.expect("it was awaited")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn log_end(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(40)).1.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the log of {} ends:\n{}", self.app.id, self.log_end());
        }
        if self.try_wait().is_none() {
            self.kill();
        }
    }
}

/// The answer to `GET path` at `address`: status and body; `None` if nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    get_with(address, path, "Accept: */*")
}

/// As [`get`], with a header.
pub(crate) fn get_with(address: &str, path: &str, header: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The sum of the series of `name` whose labels contain `labels`; `None` if there is none.
pub(crate) fn metric(page: &str, name: &str, labels: &str) -> Option<f64> {
    let series = page.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
    });
    let values: Vec<f64> = series.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
