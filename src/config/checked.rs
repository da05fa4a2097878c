//! The values while they are checked, alone and against each other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::HIDDEN;
use super::choices::Guarantee;
use super::key::{DefaultValue, Value};
use super::memory::{self, Memory};
use super::problem::Problem;
use super::raw::{self, RawConfig, Source};
use super::setting::{FromConfig, Setting};

/// Values by key while they are checked.
pub(super) struct Checked {
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) sources: BTreeMap<&'static str, Source>,
    pub(super) problems: Vec<Problem>,
}

impl Checked {
    pub(super) fn of(raw: &RawConfig) -> Checked {
        let mut checked =
            Checked { values: BTreeMap::new(), sources: BTreeMap::new(), problems: raw.problems.clone() };
        for spec in raw.keys() {
            match raw.text_of(spec) {
                None if spec.default == DefaultValue::Required => {
                    let message = format!(
                        "must be given: in the file, as {}, or with a flag. {}",
                        raw::variable_of(spec.name),
                        spec.doc
                    );
                    checked.problems.push(Problem {
                        key: spec.name.to_owned(),
                        value: None,
                        place: None,
                        message,
                    });
                }
                None => {}
                Some((text, _)) if text.trim().is_empty() && spec.default == DefaultValue::Unset => {}
                Some((text, source)) => match spec.allowed.read(text) {
                    Some(value) => {
                        checked.values.insert(spec.name, value);
                        checked.sources.insert(spec.name, source);
                    }
                    None => {
                        let value = if spec.allowed.is_secret() { HIDDEN } else { text };
                        checked.problems.push(Problem {
                            key: spec.name.to_owned(),
                            value: Some(value.to_owned()),
                            place: Some(source.to_string()),
                            message: format!("must be {}", spec.allowed),
                        });
                    }
                },
            }
        }
        checked
    }

    /// The value of a key; when it has none that is sound, `stand_in`, which no caller sees: either the key may be
    /// unset and the caller says what that means, or a problem was noted and there will be no `Config`.
    pub(super) fn value<T: FromConfig>(&self, key: &str, stand_in: T) -> T {
        T::from_config(self.values.get(key).map(Setting)).unwrap_or(stand_in)
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.value(key, String::new())
    }

    pub(super) fn millis(&self, key: &str) -> Duration {
        self.value(key, Duration::ZERO)
    }

    /// Gives a key the value that follows from others, where it was not given.
    pub(super) fn derive(&mut self, key: &'static str, value: Value) {
        if self.problems.iter().any(|problem| problem.key == key) {
            return;
        }
        self.values.entry(key).or_insert_with(|| {
            self.sources.insert(key, Source::Derived);
            value
        });
    }

    /// Notes a problem between two keys, unless one of them is already known to be wrong.
    pub(super) fn require(&mut self, holds: bool, key: &'static str, other: &'static str, must: &str) {
        let (Some(value), Some(than)) = (self.values.get(key), self.values.get(other)) else { return };
        if !holds {
            self.problems.push(Problem {
                key: key.to_owned(),
                value: Some(value.to_string()),
                place: self.sources.get(key).map(Source::to_string),
                message: format!("must {must} {other}, which is {than}"),
            });
        }
    }
}

/// Divides the budget and notes the sizes that follow.
pub(super) fn memory_of(checked: &mut Checked) -> Memory {
    let total = checked.value(memory::TOTAL, 1u64 << 28);
    let threads = checked.value("num.stream.threads", 1u64);
    let planned = Memory::plan(total, threads, |key| checked.value(key, None));
    let memory = planned.unwrap_or_else(|problem| {
        let place = checked.sources.get(memory::TOTAL).map(Source::to_string);
        checked.problems.push(Problem { place, ..problem });
        Memory { total, cache: 0, dirty: 0, block_cache: 0, write_buffers: 0, fetch: 0, send: 0 }
    });
    for (key, size) in memory.parts() {
        checked.derive(key, Value::Integer(i64::try_from(size).unwrap_or(i64::MAX)));
    }
    memory
}

/// Checks what must hold between keys.
pub(super) fn check_pairs(checked: &mut Checked, guarantee: Guarantee) {
    let session = checked.millis("session.timeout.ms");
    let is_shorter = checked.millis("heartbeat.interval.ms") < session;
    checked.require(is_shorter, "heartbeat.interval.ms", "session.timeout.ms", "be less than");
    let is_longer = checked.millis("max.poll.interval.ms") >= session;
    checked.require(is_longer, "max.poll.interval.ms", "session.timeout.ms", "be at least");
    if guarantee == Guarantee::ExactlyOnce {
        // The broker would abort each transaction before its commit is due.
        let is_in_time = checked.millis("commit.interval.ms") <= checked.millis("transaction.timeout.ms");
        checked.require(is_in_time, "commit.interval.ms", "transaction.timeout.ms", "be at most");
    }
    let is_shorter = checked.millis("riacho.commit.interval.idle.ms") <= checked.millis("commit.interval.ms");
    checked.require(is_shorter, "riacho.commit.interval.idle.ms", "commit.interval.ms", "be at most");
    let is_static = checked.text("riacho.static.membership") == "auto";
    checked.require(is_static, "riacho.static.membership", "group.instance.id", "not be off beside");
}

/// What is allowed but probably not meant.
pub(super) fn warnings_of(raw: &RawConfig, checked: &Checked) -> Vec<String> {
    let mut warnings = Vec::new();
    if checked.sources.get("state.dir") == Some(&Source::Default) {
        let dir = checked.text("state.dir");
        warnings.push(format!(
            "state.dir is {dir}: state may be deleted there and restored from Kafka; set state.dir"
        ));
    }
    let client = |name: &str| raw.client.get(name).map(|written| written.text.to_ascii_uppercase());
    let protocol = client("security.protocol").unwrap_or_default();
    if raw.client.keys().any(|key| key.starts_with("sasl.")) && !protocol.starts_with("SASL_") {
        warnings
            .push("sasl.* has no effect without security.protocol=SASL_SSL (or SASL_PLAINTEXT)".to_owned());
    }
    if protocol == "SASL_PLAINTEXT"
        && client("sasl.mechanism").or(client("sasl.mechanisms")) == Some("PLAIN".into())
    {
        warnings
            .push("security.protocol=SASL_PLAINTEXT with PLAIN sends the password in the clear".to_owned());
    }
    if client("enable.ssl.certificate.verification") == Some("FALSE".into()) {
        warnings.push("enable.ssl.certificate.verification=false: anybody can pose as the broker".to_owned());
    }
    warnings
}
