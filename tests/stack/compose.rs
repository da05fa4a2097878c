//! The stack of `docker-compose.yml`, started under a project name and ports of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{LastWill, Turn, await_some, await_until, free_port, get, unique};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BROKERS: [&str; 3] = ["KAFKA_PORT_1", "KAFKA_PORT_2", "KAFKA_PORT_3"];
/// What a test can have without a registry; Grafana, the console and Alertmanager are a user's.
const SERVICES: [&str; 3] = ["generator", "processor", "prometheus"];
const KAFKA_IMAGE: &str = "apache/kafka:4.1.1";
const PROMETHEUS_IMAGE: &str = "prom/prometheus:v3.5.0";
const RUNTIME_IMAGE: &str = "debian:bookworm-slim";
/// For Prometheus to see something: it looks every ten seconds, a killed broker is missed after nine, and where seven
/// JVMs share two slow cores an election takes its time.
const SEEN_LIMIT: Duration = Duration::from_secs(240);

/// A running stack; dropping it removes its containers, volumes and images.
pub(super) struct Stack {
    project: String,
    /// What the compose file asks of the environment.
    variables: Vec<(&'static str, String)>,
    prometheus: u16,
    brokers: Vec<u16>,
    _will: LastWill,
    /// Given back last, when the containers are gone.
    _turn: Turn,
}

impl Stack {
    /// Says what is missing here to run the stack, if anything is.
    pub(super) fn missing() -> Option<String> {
        if !succeeds("docker", &["version"]) {
            return Some("no Docker engine answers".to_owned());
        }
        if !compose_is_there() {
            return Some("docker has no compose plugin".to_owned());
        }
        let lacks = |image: &&&str| {
            !succeeds("docker", &["image", "inspect", image]) && !succeeds("docker", &["pull", "-q", image])
        };
        let image = [KAFKA_IMAGE, PROMETHEUS_IMAGE, RUNTIME_IMAGE].iter().find(lacks)?;
        Some(format!("docker neither has {image} nor can get it"))
    }

    /// Builds the images, the program in them being the one under test, and returns when every service is healthy.
    pub(super) fn start(settings: &[(&'static str, &str)]) -> Stack {
        let turn = Turn::take();
        let project = unique("riacho-test-stack");
        let mut variables: Vec<_> = settings.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        let brokers: Vec<u16> = BROKERS.iter().map(|_| free_port()).collect();
        let prometheus = free_port();
        variables.extend(BROKERS.iter().zip(&brokers).map(|(name, port)| (*name, port.to_string())));
        variables.push(("PROMETHEUS_PORT", prometheus.to_string()));
        // An image of its own: that of the user, who may have the stack, stays.
        variables.push(("RIACHO_VERSION", project.clone()));
        let file = format!("{ROOT}/docker-compose.yml");
        let script = r#"docker compose -p "$1" -f "$2" down -v -t 1; docker rmi -f "riacho:$1""#;
        let will = LastWill::new(script, &[&project, &file]);
        let stack = Stack { project, variables, prometheus, brokers, _will: will, _turn: turn };
        stack.build();
        stack.up();
        stack
    }

    /// Starts what does not run and returns when every service is healthy.
    pub(super) fn up(&self) {
        self.compose(&[&["up", "-d", "--no-build", "--wait"], SERVICES.as_slice()].concat());
    }

    fn build(&self) {
        let context = tempfile::tempdir().expect("the folder for temporary files is writable");
        let prebuilt = context.path().join("prebuilt");
        fs::create_dir(&prebuilt).expect("the folder for temporary files is writable");
        fs::copy(env!("CARGO_BIN_EXE_riacho"), prebuilt.join("riacho")).expect("the program was built");
        copy_folder(&Path::new(ROOT).join("scripts/container"), &context.path().join("scripts/container"));
        let runtime = self.variable("RUNTIME_IMAGE").unwrap_or(RUNTIME_IMAGE);
        let image = format!("riacho:{}", self.project);
        let (dockerfile, context) = (format!("{ROOT}/Dockerfile"), context.path().display().to_string());
        let runtime = format!("RUNTIME_IMAGE={runtime}");
        run(
            "docker",
            &[
                "build",
                "-q",
                "-t",
                &image,
                "-f",
                &dockerfile,
                "--build-arg",
                "PROGRAM=prebuilt",
                "--build-arg",
                &runtime,
                &context,
            ],
        );
        self.compose(&["build", "-q", "kafka-controller-1"]);
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(key, _)| *key == name)?;
        Some(&found.1)
    }

    /// Runs `docker compose` on this project and returns what it wrote.
    pub(super) fn compose(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("docker was found before");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "docker compose {arguments:?}: {said}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "-p", &self.project, "-f", &format!("{ROOT}/docker-compose.yml")]);
        // What the user has in .env is for the user's stack.
        command.args(["--env-file", "/dev/null", "--profile", "all"]).args(arguments);
        command.envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// The last lines that the containers have written, for a test that fails.
    fn log(&self) -> String {
        let output = self.command(&["logs", "--no-color", "--tail", "15"]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// The ids of a service's containers that run.
    pub(super) fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    /// Runs the program with this stack's brokers and returns its end and what it wrote.
    pub(super) fn riacho(&self, arguments: &[&str]) -> Output {
        let brokers: Vec<String> = self.brokers.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_riacho"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIACHO_")) {
            command.env_remove(name);
        }
        command.args(arguments).args(["-b", &brokers.join(",")]).env("NO_COLOR", "1").stdin(Stdio::null());
        command.output().expect("the program was built with this test")
    }

    /// The series that a query finds in the stack's Prometheus: labels and value.
    pub(super) fn series(&self, query: &str) -> Vec<(Value, f64)> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/api/v1/query?query={escaped}");
        let Some((_, body)) = get(&format!("127.0.0.1:{}", self.prometheus), &path) else { return vec![] };
        let Ok(answer) = serde_json::from_str::<Value>(&body) else { return vec![] };
        let found = answer.pointer("/data/result").and_then(Value::as_array).cloned().unwrap_or_default();
        let read = |series: Value| {
            let value = series.pointer("/value/1")?.as_str()?.parse().ok()?;
            Some((series.get("metric")?.clone(), value))
        };
        found.into_iter().filter_map(read).collect()
    }

    /// The value of a query with one answer.
    pub(super) fn value(&self, query: &str) -> Option<f64> {
        self.series(query).first().map(|(_, value)| *value)
    }

    /// Returns when Prometheus sees exactly `expected`.
    #[track_caller]
    pub(super) fn await_value(&self, query: &str, expected: f64) {
        let mut seen = None;
        let what = format!("{query} is {expected}");
        let is_seen = || {
            seen = self.value(query);
            seen.is_some_and(|value| (value - expected).abs() < 0.5)
        };
        await_until(SEEN_LIMIT, &what, is_seen);
    }

    /// The only value of `label` among the series of `query`, as soon as there is one.
    #[track_caller]
    pub(super) fn await_label(&self, query: &str, label: &str) -> String {
        await_some(SEEN_LIMIT, &format!("one series of {query}"), || {
            let mut series = self.series(query);
            let (labels, _) = series.pop().filter(|_| series.is_empty())?;
            Some(labels.get(label)?.as_str()?.to_owned())
        })
    }

    /// Returns when the processors have taken in `more` records than before.
    #[track_caller]
    pub(super) fn await_progress(&self, more: f64) {
        let consumed = "sum(kstreams_records_consumed_total)";
        let before = await_some(SEEN_LIMIT, "the processors are seen", || self.value(consumed));
        await_until(SEEN_LIMIT, &format!("{more} records more than {before} are processed"), || {
            self.value(consumed).is_some_and(|now| now >= before + more)
        });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the stack's logs end:\n{}", self.log());
        }
        // The will does the same once more, with nothing left to do; what fails here is its business.
        let _ = self.command(&["down", "-v", "-t", "1"]).output();
    }
}

pub(super) fn compose_is_there() -> bool {
    succeeds("docker", &["compose", "version"])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().is_ok_and(|end| end.status.success())
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder for temporary files is writable");
    for entry in fs::read_dir(from).expect("the folder is part of the project") {
        let entry = entry.expect("the folder can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("the folder is writable");
    }
}
