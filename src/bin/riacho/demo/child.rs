//! A verb of this program in a process of its own, as a user would start it.

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use riacho::SystemClock;
use riacho::ports::Clock as _;

use super::leash::leashed;
use crate::Failure;

/// The end of an application may wait for its last commit.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);
const LOG_LINES: usize = 15;

/// A process of this program. Dropping it kills it, and so does the end of the demo, whichever way it comes.
pub(super) struct Child {
    /// What a user would type, in short.
    name: String,
    process: process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts the program with these `arguments` and `variables`, its output in the file `log`.
    ///
    /// # Errors
    /// When the system gives no process.
    pub(super) fn start(
        arguments: &[String],
        variables: &[(&str, &str)],
        log: PathBuf,
    ) -> Result<Child, Failure> {
        let program = env::current_exe()?;
        let program = program.to_str().ok_or("the path of this program is not UTF-8")?;
        let file = File::create(&log)?;
        let mut command = leashed(program);
        // What the demo shows does not depend on them.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RIACHO_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(variables.iter().copied());
        let process = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        let name = arguments.iter().take_while(|argument| !argument.starts_with('-'));
        let name = name.map(String::as_str).collect::<Vec<_>>().join(" ");
        Ok(Child { name, process, log })
    }

    /// Notices that it has ended.
    ///
    /// # Errors
    /// When it has, which it should only when it is told to; with the end of its log.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(end) => {
                let (name, log) = (&self.name, self.log_end());
                Err(format!("`riacho {name}` has ended ({end}); its log ends:\n{log}").into())
            }
        }
    }

    /// Asks it to end and returns when it has.
    ///
    /// # Errors
    /// When it does not, or had ended before, or fails.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        self.check()?;
        let id = self.process.id().to_string();
        if !Command::new("sh").args(["-c", "kill -TERM \"$1\"", "kill", &id]).status()?.success() {
            return Err(format!("`riacho {}` cannot be sent SIGTERM", self.name).into());
        }
        let clock = SystemClock::new();
        while clock.monotonic() < STOP_LIMIT {
            match self.process.try_wait()? {
                Some(end) if end.success() => return Ok(()),
                Some(_) => return self.check(),
                None => thread::park_timeout(STEP),
            }
        }
        Err(format!("`riacho {}` does not end; its log ends:\n{}", self.name, self.log_end()).into())
    }

    /// What it has written so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_end(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Closes its input, which ends it.
        if let Err(error) = self.process.wait() {
            tracing::warn!(%error, "`riacho {}` cannot be waited for", self.name);
        }
    }
}

/// A port that nobody listens on.
///
/// # Errors
/// When there is none.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
