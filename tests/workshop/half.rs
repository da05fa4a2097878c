//! The producer or the consumer in a process of its own, whose log a test reads.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{LIMIT, await_some, await_until, free_port, get, leashed};

/// One half of the workshop; dropping it kills it.
pub(crate) struct Half {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Half {
    /// Starts `ACTION=action riacho run workshop` with these variables besides.
    pub(crate) fn start(action: &str, bootstrap: &str, variables: &[(&str, &str)]) -> Half {
        let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
        let port = free_port();
        let file = File::create(dir.path().join("log")).expect("the folder is writable");
        let mut command = leashed(env!("CARGO_BIN_EXE_riacho"));
        // The program takes them for settings.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIACHO_")) {
            command.env_remove(name);
        }
        command.args(["run", "workshop"]).env("NO_COLOR", "1");
        command.env("ACTION", action).env("BOOTSTRAP_SERVERS", bootstrap);
        command.env("RIACHO_HTTP_ADDRESS", format!("127.0.0.1:{port}"));
        command.env("RIACHO_WORKSHOP_INTERVAL_MS", "20").envs(variables.iter().copied());
        command.stdout(Stdio::from(file.try_clone().expect("a file handle can be doubled")));
        let child = command.stderr(Stdio::from(file)).spawn().expect("the program was built with this test");
        Half { child, port, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path()).unwrap_or_default()).into_owned()
    }

    /// Where its page is served.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The lines of the log that have `text`.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Returns as soon as so many lines of the log have `text`.
    pub(crate) fn await_lines(&mut self, text: &str, count: usize) {
        await_until(LIMIT, &format!("{count} lines with {text:?}"), || {
            let end = self.child.try_wait().expect("a child can be asked");
            assert!(end.is_none(), "it ended ({end:?}):\n{}", self.log());
            self.lines(text).len() >= count
        });
    }

    /// The messages in the lines of the log that have `text`.
    pub(crate) fn messages(&self, text: &str) -> Vec<Value> {
        let message = |line: &String| {
            let json = line.find('{').and_then(|start| line.get(start..)).unwrap_or_default();
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.lines(text).iter().map(message).collect()
    }

    /// The data that its page gets.
    pub(crate) fn figures(&self, path: &str) -> Value {
        let (status, body) = get(&format!("127.0.0.1:{}", self.port), path).expect("it serves its page");
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).expect("the answer is JSON");
        answer.get("data").cloned().unwrap_or_default()
    }

    /// Sends SIGTERM and returns how the process ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the process is gone:\n{}", self.log());
        self.await_end()
    }

    /// Returns how the process ended.
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        await_some(LIMIT, "the process ends", || self.child.try_wait().expect("a child can be asked"))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let (_, end) = lines.split_at(lines.len().saturating_sub(40));
            println!("--- the log ends:\n{}", end.join("\n"));
        }
        if self.child.try_wait().is_ok_and(|end| end.is_none()) {
            self.child.kill().expect("a child that was not waited for can be killed");
            self.child.wait().expect("a killed child ends");
        }
    }
}
