//! A real Chromium without a screen, for tests of pages: what they show, what they ask for, and what they complain of.

use std::time::Duration;

use serde_json::{Value, json};

use super::wait::{await_some, await_until};
use super::webdriver::WebDriver;

/// Generous, because the tests share few processors; pages refresh every few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Keys as WebDriver writes them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Tab,
    Enter,
    Space,
}

impl Key {
    fn code(self) -> &'static str {
        match self {
            Key::Tab => "\u{e004}",
            Key::Enter => "\u{e007}",
            Key::Space => " ",
        }
    }
}

/// One tab of a Chromium of its own, which ends when this is dropped.
pub(crate) struct Browser {
    driver: WebDriver,
}

impl Browser {
    /// Starts a Chromium, 1280 pixels wide.
    pub(crate) fn start() -> Browser {
        Browser { driver: WebDriver::start() }
    }

    /// Opens an address and returns when it is loaded; figures may come later.
    pub(crate) fn open(&self, address: &str) {
        self.driver.post("url", &json!({ "url": address }));
    }

    /// What a JavaScript function body returns; a promise is awaited.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.driver.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns when a JavaScript expression is true. It may look at elements that are not there yet.
    #[track_caller]
    pub(crate) fn await_true(&self, expression: &str) {
        let script = format!("try {{ return Boolean({expression}) }} catch {{ return false }}");
        await_until(LIMIT, expression, || self.run(&script) == json!(true));
    }

    /// Returns what a JavaScript expression is as soon as that is something.
    #[track_caller]
    pub(crate) fn await_value(&self, expression: &str) -> Value {
        await_some(LIMIT, expression, || {
            let value = self.run(&format!("try {{ return {expression} }} catch {{ return null }}"));
            (!value.is_null()).then_some(value)
        })
    }

    /// Whether a JavaScript expression is true.
    pub(crate) fn is(&self, expression: &str) -> bool {
        self.run(&format!("return Boolean({expression})")) == json!(true)
    }

    /// Returns when the page has asked all its questions once more, and every answer was good.
    #[track_caller]
    pub(crate) fn await_refresh(&self) {
        let seen = self.run("return window.riacho?.refreshes ?? 0");
        self.await_true(&format!(
            "window.riacho?.refreshes > {seen} && document.body.dataset.state === 'ready'"
        ));
    }

    /// Returns when the page has asked all its questions once more, whatever the answers were.
    #[track_caller]
    pub(crate) fn await_round(&self) {
        let seen = self.run("return window.riacho?.refreshes ?? 0");
        self.await_true(&format!("window.riacho?.refreshes > {seen}"));
    }

    /// The text that the first element of a CSS selector shows; none if there is no such element.
    pub(crate) fn text(&self, selector: &str) -> Option<String> {
        let script = format!("return document.querySelector({})?.textContent ?? null", json!(selector));
        self.run(&script).as_str().map(str::to_owned)
    }

    /// The raw value of a figure of a page, `sales.transactions` for example; none as long as it has none.
    pub(crate) fn figure(&self, name: &str) -> Option<String> {
        let selector = format!("[data-figure=\"{name}\"]");
        let script = format!("return document.querySelector({})?.dataset.value || null", json!(selector));
        self.run(&script).as_str().map(str::to_owned)
    }

    /// What a chart draws: `labels` and `series`, each with `name` and `values`; null as long as it draws nothing.
    pub(crate) fn chart(&self, name: &str) -> Value {
        self.run(&format!("return window.riacho.chart({})", json!(name)))
    }

    /// The cells of a table's rows, as texts.
    pub(crate) fn rows(&self, name: &str) -> Vec<Vec<String>> {
        let script = format!(
            "return [...document.querySelectorAll('#rows-{name} tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
        );
        serde_json::from_value(self.run(&script)).expect("texts in rows in a table")
    }

    /// Clicks the first element of a CSS selector, as a person would: it must be visible.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let found = self.driver.post("element", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.expect("an element has an id");
        self.driver.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Takes hold in the middle of an element, and lets go that many pixels further.
    pub(crate) fn drag(&self, selector: &str, right: i32, down: i32) {
        let found = self.driver.post("element", &json!({ "using": "css selector", "value": selector }));
        let to = |origin: &Value, x: i32, y: i32| json!({ "type": "pointerMove", "duration": 50, "origin": origin, "x": x, "y": y });
        let steps = json!([
            to(&found, 0, 0), { "type": "pointerDown", "button": 0 },
            to(&json!("pointer"), right / 2, down / 2), to(&json!("pointer"), right - right / 2, down - down / 2),
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": steps });
        self.driver.post("actions", &json!({ "actions": [mouse] }));
    }

    /// Presses and releases a key.
    pub(crate) fn press(&self, key: Key) {
        let steps = ["keyDown", "keyUp"].map(|step| json!({ "type": step, "value": key.code() }));
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": steps }] });
        self.driver.post("actions", &actions);
    }

    /// Makes the window look like one of this width, 360 for a phone.
    pub(crate) fn widen(&self, width: u32) {
        let parameters = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &parameters);
    }

    /// Makes the system seem to want a dark or a light theme.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.driver.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// The errors and warnings that the console got since this was last asked, refusals of the content security policy
    /// among them.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser");
        let is_bad = |entry: &&Value| matches!(text_of(entry, "level"), Some("SEVERE" | "WARNING"));
        let message = |entry: &Value| text_of(entry, "message").unwrap_or_default().to_owned();
        entries.iter().filter(is_bad).map(message).collect()
    }

    /// The addresses that the page asked for since this was last asked.
    pub(crate) fn requests(&self) -> Vec<String> {
        let entries = self.log("performance");
        let address = |entry: &Value| {
            let event: Value = serde_json::from_str(text_of(entry, "message")?).ok()?;
            let event = event.get("message")?;
            let is_request = text_of(event, "method") == Some("Network.requestWillBeSent");
            let address = event.pointer("/params/request/url")?.as_str()?;
            is_request.then(|| address.to_owned())
        };
        entries.iter().filter_map(address).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.driver.post("se/log", &json!({ "type": kind }));
        log.as_array().cloned().unwrap_or_default()
    }

    /// Fails if the page complained, or asked anybody but the server at `origin`.
    #[track_caller]
    pub(crate) fn assert_quiet(&self, origin: &str) {
        assert_eq!(self.complaints(), Vec::<String>::new(), "the console of the browser");
        let requests = self.requests();
        assert!(!requests.is_empty(), "the browser's requests are not seen");
        // A new tab is an address without a host.
        let elsewhere: Vec<_> = requests
            .iter()
            .filter(|address| !address.starts_with(origin) && !address.starts_with("data:"))
            .collect();
        assert!(elsewhere.is_empty(), "other hosts were asked: {elsewhere:?}");
    }
}

fn text_of<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field)?.as_str()
}
