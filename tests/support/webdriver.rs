//! The WebDriver protocol as far as the tests speak it: JSON over HTTP with a chromedriver of their own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::leash::leashed;
use super::ports::free_port;
use super::wait::await_some;

const START_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// As root and in containers Chromium has no sandbox; the rest keeps it from asking its makers for news.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=pt-BR",
    "--window-size=1280,900",
];

/// A chromedriver with one session, which is one Chromium. Both end with it.
pub(super) struct WebDriver {
    child: Child,
    address: String,
    session: String,
}

impl WebDriver {
    /// Starts both.
    ///
    /// # Panics
    /// When there is no chromedriver or no Chromium.
    pub(super) fn start() -> WebDriver {
        let port = free_port();
        let mut command = leashed("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("sh can be run");
        let mut driver = WebDriver { child, address: format!("127.0.0.1:{port}"), session: String::new() };
        await_some(
            START_LIMIT,
            "chromedriver answers (`make setup` and scripts/setup.sh test install it)",
            || {
                driver
                    .exchange("GET", "/status", None)
                    .filter(|answer| answer.pointer("/value/ready") == Some(&json!(true)))
            },
        );
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": ARGUMENTS },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let answer = driver.exchange("POST", "/session", Some(&wanted)).unwrap_or_default();
        let session = answer.pointer("/value/sessionId").and_then(Value::as_str);
        driver.session = session.unwrap_or_else(|| panic!("Chromium does not start: {answer}")).to_owned();
        driver
    }

    /// A command of the session with its parameters; returns its value.
    ///
    /// # Panics
    /// When the browser refuses; the message says why.
    #[track_caller]
    pub(super) fn post(&self, command: &str, parameters: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        Self::value(command, self.exchange("POST", &path, Some(parameters)))
    }

    #[track_caller]
    fn value(command: &str, answer: Option<Value>) -> Value {
        let mut answer = answer.unwrap_or_else(|| panic!("{command}: chromedriver does not answer"));
        if let Some(error) = answer.pointer("/value/error").and_then(Value::as_str) {
            let message = answer.pointer("/value/message").and_then(Value::as_str);
            panic!("{command}: {error}: {}", message.unwrap_or_default());
        }
        answer.get_mut("value").map(Value::take).unwrap_or_default()
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .ok()?;
        // chromedriver may keep the connection open all the same: what it has announced is all that comes.
        let mut answer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(body) = complete_body(&answer) {
                return serde_json::from_slice(body).ok();
            }
            match stream.read(&mut chunk).ok()? {
                0 => return None,
                read => answer.extend_from_slice(chunk.get(..read)?),
            }
        }
    }
}

/// The body of an HTTP answer, once all of it is there.
fn complete_body(answer: &[u8]) -> Option<&[u8]> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..head_end)?).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    answer.get(head_end + 4..)?.get(..length.trim().parse().ok()?)
}

impl Drop for WebDriver {
    fn drop(&mut self) {
        // Chromium ends with its session; the leash is for the driver, and for both when the test process dies.
        if !self.session.is_empty() {
            let _answer = self.exchange("DELETE", &format!("/session/{}", self.session), None);
        }
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
