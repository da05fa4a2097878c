//! A real Prometheus with the project's rules, and what it answers.

#![expect(clippy::indexing_slicing, reason = "a field that a JSON value lacks is null")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{await_until, free_port, leashed};

use super::files::files;
use super::tools::tool;

const START_LIMIT: Duration = Duration::from_secs(30);

/// One series of an answer, and its value now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// A recording rule or an alert.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) expression: String,
    pub(super) is_alert: bool,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// What went wrong at its last evaluation.
    pub(super) error: Option<String>,
}

/// A Prometheus of its own process; dropping it kills it and deletes what it stored.
pub(super) struct Prometheus {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Prometheus {
    /// Starts with the project's rules as `rewrite` gives them back, and a configuration made for the port it gets.
    /// `rule_files: [rules/*.yml]` finds the rules.
    pub(super) fn start(
        configuration: impl Fn(u16) -> String,
        rewrite: impl Fn(&str) -> String,
    ) -> Prometheus {
        let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
        fs::create_dir(folder.path().join("rules")).expect("the folder is writable");
        for path in files("monitoring/rules", "yml") {
            let rules = fs::read_to_string(&path).expect("a file of the project can be read");
            let name = path.file_name().expect("a file has a name");
            fs::write(folder.path().join("rules").join(name), rewrite(&rules))
                .expect("the folder is writable");
        }
        let port = free_port();
        fs::write(folder.path().join("prometheus.yml"), configuration(port)).expect("the folder is writable");
        let process = spawn(folder.path(), port);
        let mut prometheus = Prometheus { process, port, folder };
        await_until(START_LIMIT, "prometheus is ready", || {
            let end = prometheus.process.try_wait().expect("a child can be asked");
            assert!(end.is_none(), "prometheus ended with {end:?}:\n{}", prometheus.log());
            prometheus.get("/-/ready").is_some_and(|(status, _)| status == 200)
        });
        prometheus
    }

    /// The folder of its configuration.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `expression` is now.
    ///
    /// # Errors
    /// What Prometheus says is wrong with it.
    pub(super) fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let data = self.data(&format!("/api/v1/query?query={}", escaped(expression)))?;
        let result = &data["result"];
        if data["resultType"] != "vector" && data["resultType"] != "matrix" {
            return Ok(vec![Sample { labels: BTreeMap::new(), value: number(&result[1]) }]);
        }
        let samples = result.as_array().into_iter().flatten().map(|series| Sample {
            labels: strings(&series["metric"]),
            value: number(series.get("value").map_or(&series["values"][0][1], |value| &value[1])),
        });
        Ok(samples.collect())
    }

    /// The values that `label` has in the series of `selector`, or in all.
    ///
    /// # Errors
    /// What Prometheus says is wrong with it.
    pub(super) fn label_values(&self, selector: Option<&str>, label: &str) -> Result<Vec<String>, String> {
        let chosen = selector.map_or(String::new(), |selector| format!("?match[]={}", escaped(selector)));
        let data = self.data(&format!("/api/v1/label/{label}/values{chosen}"))?;
        Ok(data.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Every rule that is loaded, in the order of the files.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let data = self.data("/api/v1/rules").expect("prometheus knows its rules");
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let rule = |rule: Value| Rule {
            name: text(&rule["name"]),
            expression: text(&rule["query"]),
            is_alert: rule["type"] == "alerting",
            labels: strings(&rule["labels"]),
            annotations: strings(&rule["annotations"]),
            error: rule["lastError"].as_str().map(str::to_owned),
        };
        rules.map(rule).collect()
    }

    /// The targets of each job that do not answer, with the reason.
    pub(super) fn targets_down(&self) -> Vec<String> {
        let data = self.data("/api/v1/targets?state=active").expect("prometheus knows its targets");
        let targets = data["activeTargets"].as_array().cloned().unwrap_or_default();
        let down = targets.iter().filter(|target| target["health"] != "up");
        down.map(|target| format!("{} {}", target["scrapeUrl"], target["lastError"])).collect()
    }

    /// The names of the alerts that fire now.
    pub(super) fn firing(&self) -> Vec<String> {
        let alerts = self.query(r#"ALERTS{alertstate="firing"}"#).expect("alerts can be asked for");
        let mut names: Vec<String> =
            alerts.iter().filter_map(|alert| alert.labels.get("alertname").cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn data(&self, path: &str) -> Result<Value, String> {
        let (_, body) =
            self.get(path).ok_or_else(|| format!("prometheus does not answer:\n{}", self.log()))?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        if answer["status"] == "success" { Ok(answer["data"].take()) } else { Err(text(&answer["error"])) }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        ask(self.port, path)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().expect("a killed child ends");
        }
    }
}

fn spawn(folder: &Path, port: u16) -> Child {
    let log = File::create(folder.join("log")).expect("the folder is writable");
    let program = tool(&["prometheus"]);
    let mut command = leashed(program.to_str().expect("the folders of programs have readable names"));
    command
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::from(log.try_clone().expect("a file handle can be doubled")))
        .stderr(Stdio::from(log));
    command.spawn().expect("prometheus can be run")
}

/// The answer to `GET path` at a port of this machine. In HTTP 1.0, whose answers come in one piece.
pub(super) fn ask(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes everything");
        }
        escaped
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Prometheus writes numbers as strings, `NaN` and `+Inf` among them.
fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}
