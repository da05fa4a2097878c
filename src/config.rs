//! The configuration of a running application: parsed once, then a type that cannot be wrong.
//!
//! [`RawConfig`] gathers what was written (defaults, a properties file, the environment, flags);
//! [`Config::try_from`] checks all of it and tells every problem at once.

mod choices;
mod client_keys;
mod key;
mod keys;
mod memory;
mod problem;
mod properties;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use riacho_topology::BadRecord;

pub use choices::{ClientRole, Guarantee, LogFormat, OffsetReset, OnBadRecord, RecordingLevel, TaskIdle};
pub use key::{Allowed, DefaultValue, KeySpec};
pub use keys::RUNTIME_KEYS;
pub use memory::Memory;
pub use problem::{ConfigErrors, Problem};
pub use raw::{RawConfig, Source};

use client_keys::Property;
use key::Value;

const HIDDEN: &str = "[hidden]";

/// A setting with its effective value, as `config show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The effective value, masked where it is a secret; `None` when the key has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// What the key does; empty for properties that pass through to librdkafka.
    pub doc: &'static str,
}

/// A configuration that was checked.
///
/// ```
/// use riacho::config::{Config, Guarantee};
/// let config = Config::of([("application.id", "transactions"), ("bootstrap.servers", "localhost:9092")])?;
/// assert_eq!(config.guarantee(), Guarantee::ExactlyOnce);
/// assert_eq!(config.dead_letter_topic(), "transactions-dead-letter");
/// let wrong = Config::of([("application.id", "transactions"), ("commit.interval.ms", "0")]).unwrap_err();
/// assert_eq!(wrong.problems().len(), 2, "{wrong}");
/// # Ok::<(), riacho::config::ConfigErrors>(())
/// ```
#[derive(Clone)]
pub struct Config {
    application_id: String,
    bootstrap_servers: String,
    client_id: String,
    state_dir: PathBuf,
    stream_threads: NonZeroUsize,
    group_instance_id: Option<String>,
    static_membership: bool,
    guarantee: Guarantee,
    commit_interval: Duration,
    commit_interval_idle: Duration,
    transaction_timeout: Duration,
    task_timeout: Duration,
    session_timeout: Duration,
    heartbeat_interval: Duration,
    poll_interval_max: Duration,
    offset_reset: OffsetReset,
    task_idle: TaskIdle,
    buffered_records_per_partition: NonZeroUsize,
    timestamp_ahead_max: Duration,
    late_topic: Option<String>,
    on_bad_record: [OnBadRecord; BadRecord::ALL.len()],
    dead_letter_topic: String,
    replication_factor: Option<NonZeroU32>,
    window_changelog_extra_retention: Duration,
    repartition_purge_interval: Duration,
    state_cleanup_delay: Duration,
    memory: Memory,
    http_address: Option<String>,
    recording_level: RecordingLevel,
    log_format: LogFormat,
    log_level: String,
    /// Every setting with a value, those of the applications included.
    values: BTreeMap<&'static str, Value>,
    /// Properties for librdkafka, by their keys with prefix.
    client: BTreeMap<String, String>,
    entries: Vec<Entry>,
    warnings: Vec<String>,
}

impl Config {
    /// A configuration from pairs, for programs that keep theirs in code.
    ///
    /// # Errors
    /// As [`Config::try_from`].
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, ConfigErrors> {
        let raw = RawConfig::new(&[]);
        Config::try_from(pairs.into_iter().fold(raw, |raw, (key, value)| raw.preset(key, value)))
    }

    /// `application.id`: the group's name and the prefix of internal topics.
    pub fn application_id(&self) -> &str {
        &self.application_id
    }

    /// `bootstrap.servers`: the brokers to ask first.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// `client.id`: the prefix of the clients' names; the application id when none is given.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `state.dir`: where state is kept.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The directory of this application below `state.dir`.
    pub fn application_dir(&self) -> PathBuf {
        self.state_dir.join(&self.application_id)
    }

    /// `num.stream.threads`.
    pub fn stream_threads(&self) -> NonZeroUsize {
        self.stream_threads
    }

    /// `group.instance.id`; each thread adds its number.
    pub fn group_instance_id(&self) -> Option<&str> {
        self.group_instance_id.as_deref()
    }

    /// `riacho.static.membership`: whether to be a static member with an id kept in the state directory when
    /// [`group_instance_id`](Self::group_instance_id) gives none.
    pub fn static_membership(&self) -> bool {
        self.static_membership
    }

    /// `processing.guarantee`.
    pub fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    /// `commit.interval.ms`; under exactly-once never longer than [`transaction_timeout`](Self::transaction_timeout).
    pub fn commit_interval(&self) -> Duration {
        self.commit_interval
    }

    /// `riacho.commit.interval.idle.ms`: the time between commits of a thread that has caught up and has little to
    /// commit. Under load [`commit_interval`](Self::commit_interval) stands.
    pub fn commit_interval_idle(&self) -> Duration {
        self.commit_interval_idle
    }

    /// `transaction.timeout.ms`.
    pub fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// `task.timeout.ms`: how long calls to Kafka are tried again.
    pub fn task_timeout(&self) -> Duration {
        self.task_timeout
    }

    /// `session.timeout.ms`.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    /// `heartbeat.interval.ms`, shorter than the session timeout.
    pub fn heartbeat_interval(&self) -> Duration {
        self.heartbeat_interval
    }

    /// `max.poll.interval.ms`, at least the session timeout.
    pub fn poll_interval_max(&self) -> Duration {
        self.poll_interval_max
    }

    /// `auto.offset.reset`.
    pub fn offset_reset(&self) -> OffsetReset {
        self.offset_reset
    }

    /// `max.task.idle.ms`.
    pub fn task_idle(&self) -> TaskIdle {
        self.task_idle
    }

    /// `buffered.records.per.partition`.
    pub fn buffered_records_per_partition(&self) -> NonZeroUsize {
        self.buffered_records_per_partition
    }

    /// `riacho.timestamp.ahead.max.ms`: how far the event time of a record may be ahead of the clock.
    pub fn timestamp_ahead_max(&self) -> Duration {
        self.timestamp_ahead_max
    }

    /// `riacho.late.topic`.
    pub fn late_topic(&self) -> Option<&str> {
        self.late_topic.as_deref()
    }

    /// `*.exception.handler`: what to do with a bad record of this kind.
    pub fn on_bad_record(&self, kind: BadRecord) -> OnBadRecord {
        let [deserialization, timestamp, processing, production] = self.on_bad_record;
        match kind {
            BadRecord::Deserialization => deserialization,
            BadRecord::Timestamp => timestamp,
            BadRecord::Processing => processing,
            BadRecord::Production => production,
        }
    }

    /// `errors.dead.letter.queue.topic.name`.
    pub fn dead_letter_topic(&self) -> &str {
        &self.dead_letter_topic
    }

    /// Whether any kind of bad record goes to the dead-letter topic.
    pub fn uses_dead_letter_topic(&self) -> bool {
        self.on_bad_record.contains(&OnBadRecord::DeadLetter)
    }

    /// `replication.factor`; `None` leaves it to the broker.
    pub fn replication_factor(&self) -> Option<NonZeroU32> {
        self.replication_factor
    }

    /// `windowstore.changelog.additional.retention.ms`.
    pub fn window_changelog_extra_retention(&self) -> Duration {
        self.window_changelog_extra_retention
    }

    /// `repartition.purge.interval.ms`.
    pub fn repartition_purge_interval(&self) -> Duration {
        self.repartition_purge_interval
    }

    /// `state.cleanup.delay.ms`.
    pub fn state_cleanup_delay(&self) -> Duration {
        self.state_cleanup_delay
    }

    /// The memory budget and its parts.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// `riacho.http.address`, as host:port; `None` when nothing is to be served.
    pub fn http_address(&self) -> Option<&str> {
        self.http_address.as_deref()
    }

    /// `metrics.recording.level`.
    pub fn recording_level(&self) -> RecordingLevel {
        self.recording_level
    }

    /// `riacho.log.format`.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// `riacho.log.level`: the filter of log lines when `RUST_LOG` gives none.
    pub fn log_level(&self) -> &str {
        &self.log_level
    }

    /// The value of an application's own key, or of any other.
    ///
    /// # Errors
    /// When the key is in no table given to [`RawConfig::new`], has no value, or not one of this type: mistakes of the
    /// program, not of its user. Ask for an `Option` where the key may be unset.
    pub fn get<T: FromConfig>(&self, key: &str) -> Result<T, ConfigErrors> {
        let value = self.values.get(key);
        T::from_config(value.map(Setting)).ok_or_else(|| {
            let is_known = self.entries.iter().any(|entry| entry.key == key);
            let message = match (value, is_known) {
                (Some(_), _) => "the program reads it as a value of another type",
                (None, true) => "has no value, and the program needs one",
                (None, false) => "the program reads a key that none of its tables has",
            };
            ConfigErrors::from(Problem {
                key: key.to_owned(),
                value: None,
                place: None,
                message: message.to_owned(),
            })
        })
    }

    /// The properties that pass through to librdkafka for a client; none of them is one that riacho itself sets. Later
    /// layers are laid over earlier ones: plain properties, those with `consumer.`, those with `main.consumer.` or
    /// `restore.consumer.`.
    pub fn client_properties(&self, role: ClientRole) -> ClientProperties {
        let mut properties = BTreeMap::new();
        let mut layers: Vec<(usize, &str, &str)> = self
            .client
            .iter()
            .filter_map(|(key, value)| {
                let (prefix, name) = raw::split_prefix(key);
                let Some(Property::Passes(scope)) = client_keys::property(name) else { return None };
                let concerns = prefix.map_or_else(|| scope.includes(role), |prefix| prefix.includes(role));
                // The longer the prefix, the narrower what it is for.
                concerns.then_some((key.len() - name.len(), name, value.as_str()))
            })
            .collect();
        layers.sort_by_key(|(prefix, _, _)| *prefix);
        for (_, name, value) in layers {
            properties.insert(name.to_owned(), value.to_owned());
        }
        ClientProperties(properties)
    }

    /// Every key with its effective value and where that comes from: first the runtime's, then the applications', then
    /// what passes through to librdkafka. Secrets are masked.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is allowed but probably not meant; for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// In the format of a properties file, with the sources as comments; secrets are masked.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            match &entry.value {
                Some(value) => {
                    writeln!(f, "# {}\n{}={}", entry.source, entry.key, properties::escape(value))?
                }
                None => writeln!(f, "# not set\n#{}=", entry.key)?,
            }
        }
        Ok(())
    }
}

/// Secrets are masked.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|entry| (&entry.key, &entry.value))).finish()
    }
}

/// Properties for one librdkafka client. They may hold secrets: `Debug` masks them.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientProperties(BTreeMap<String, String>);

impl ClientProperties {
    /// The properties in the order of their names, secrets in the clear.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| if client_keys::is_secret(name) { (name, HIDDEN) } else { (name, value) };
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

/// A checked value on its way to the type that a program reads it as.
#[derive(Clone, Copy)]
pub struct Setting<'a>(&'a Value);

/// A type that a setting can be read as: text, numbers, `bool`, `Duration` (of milliseconds), and `Option` of these.
pub trait FromConfig: Sized {
    /// Reads the value; `None` when there is none or it is of another type.
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self>;
}

impl FromConfig for String {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromConfig for bool {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Boolean(yes) => Some(*yes),
            _ => None,
        }
    }
}

impl FromConfig for f64 {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Decimal(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromConfig for i64 {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting?.0 {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl FromConfig for $integer {
            fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
                i64::from_config(setting)?.try_into().ok()
            }
        }
    )*};
}
from_integer!(u16, u32, u64, usize, i32);

impl FromConfig for NonZeroUsize {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        NonZeroUsize::new(usize::from_config(setting)?)
    }
}

impl FromConfig for Duration {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        Some(Duration::from_millis(u64::from_config(setting)?))
    }
}

impl<T: FromConfig> FromConfig for Option<T> {
    fn from_config(setting: Option<Setting<'_>>) -> Option<Self> {
        match setting {
            None => Some(None),
            Some(_) => T::from_config(setting).map(Some),
        }
    }
}

/// Values by key while they are checked.
struct Checked {
    values: BTreeMap<&'static str, Value>,
    sources: BTreeMap<&'static str, Source>,
    problems: Vec<Problem>,
}

impl Checked {
    fn of(raw: &RawConfig) -> Checked {
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
    fn value<T: FromConfig>(&self, key: &str, stand_in: T) -> T {
        T::from_config(self.values.get(key).map(Setting)).unwrap_or(stand_in)
    }

    fn text(&self, key: &str) -> String {
        self.value(key, String::new())
    }

    fn millis(&self, key: &str) -> Duration {
        self.value(key, Duration::ZERO)
    }

    /// Gives a key the value that follows from others, where it was not given.
    fn derive(&mut self, key: &'static str, value: Value) {
        if self.problems.iter().any(|problem| problem.key == key) {
            return;
        }
        self.values.entry(key).or_insert_with(|| {
            self.sources.insert(key, Source::Derived);
            value
        });
    }

    /// Notes a problem between two keys, unless one of them is already known to be wrong.
    fn require(&mut self, holds: bool, key: &'static str, other: &'static str, must: &str) {
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

impl TryFrom<RawConfig> for Config {
    type Error = ConfigErrors;

    /// Checks every value, alone and against the others.
    ///
    /// # Errors
    /// Every problem: unknown keys, keys that are missing, values that are not allowed, values that do not fit
    /// together, files that cannot be read.
    fn try_from(raw: RawConfig) -> Result<Config, ConfigErrors> {
        let mut checked = Checked::of(&raw);
        let guarantee = match checked.text("processing.guarantee").as_str() {
            "at_least_once" => Guarantee::AtLeastOnce,
            _ => Guarantee::ExactlyOnce,
        };
        let application_id = checked.text("application.id");
        let commit_interval_ms = match guarantee {
            Guarantee::ExactlyOnce => 100,
            Guarantee::AtLeastOnce => 30_000,
        };
        checked.derive("commit.interval.ms", Value::Integer(commit_interval_ms));
        let idle_interval_ms = match (guarantee, checked.value("commit.interval.ms", commit_interval_ms)) {
            (Guarantee::ExactlyOnce, interval) => (interval / 4).max(1),
            (Guarantee::AtLeastOnce, interval) => interval,
        };
        checked.derive("riacho.commit.interval.idle.ms", Value::Integer(idle_interval_ms));
        let dead_letter_topic = format!("{application_id}-dead-letter");
        checked.derive("errors.dead.letter.queue.topic.name", Value::Text(dead_letter_topic));
        let memory = memory_of(&mut checked);
        check_pairs(&mut checked, guarantee);

        let handler = |kind: BadRecord| match checked.text(&format!("{kind}.exception.handler")).as_str() {
            "fail" => OnBadRecord::Fail,
            "continue" => OnBadRecord::Continue,
            _ => OnBadRecord::DeadLetter,
        };
        let offset_reset = match checked.text("auto.offset.reset").as_str() {
            "latest" => OffsetReset::Latest,
            "none" => OffsetReset::None,
            _ => OffsetReset::Earliest,
        };
        let task_idle = match checked.value("max.task.idle.ms", 0i64) {
            0 => TaskIdle::UntilFetched,
            millis => u64::try_from(millis)
                .map_or(TaskIdle::Never, |ms| TaskIdle::AtMost(Duration::from_millis(ms))),
        };
        let recording_level = match checked.text("metrics.recording.level").as_str() {
            "TRACE" => RecordingLevel::Trace,
            "DEBUG" => RecordingLevel::Debug,
            _ => RecordingLevel::Info,
        };
        let log_format = match checked.text("riacho.log.format").as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        };
        let warnings = raw.warnings.iter().cloned().chain(warnings_of(&raw, &checked)).collect();
        let config = Config {
            client_id: checked.value("client.id", application_id.clone()),
            bootstrap_servers: checked.text("bootstrap.servers"),
            state_dir: PathBuf::from(checked.text("state.dir")),
            stream_threads: checked.value("num.stream.threads", NonZeroUsize::MIN),
            group_instance_id: checked.value("group.instance.id", None),
            static_membership: checked.text("riacho.static.membership") == "auto",
            guarantee,
            commit_interval: checked.millis("commit.interval.ms"),
            commit_interval_idle: checked.millis("riacho.commit.interval.idle.ms"),
            transaction_timeout: checked.millis("transaction.timeout.ms"),
            task_timeout: checked.millis("task.timeout.ms"),
            session_timeout: checked.millis("session.timeout.ms"),
            heartbeat_interval: checked.millis("heartbeat.interval.ms"),
            poll_interval_max: checked.millis("max.poll.interval.ms"),
            offset_reset,
            task_idle,
            buffered_records_per_partition: checked
                .value("buffered.records.per.partition", NonZeroUsize::MIN),
            timestamp_ahead_max: checked.millis("riacho.timestamp.ahead.max.ms"),
            late_topic: checked.value("riacho.late.topic", None),
            on_bad_record: [
                handler(BadRecord::Deserialization),
                handler(BadRecord::Timestamp),
                handler(BadRecord::Processing),
                handler(BadRecord::Production),
            ],
            dead_letter_topic: checked.text("errors.dead.letter.queue.topic.name"),
            // -1 is no u32: the broker decides.
            replication_factor: checked.text("replication.factor").parse().ok(),
            window_changelog_extra_retention: checked.millis("windowstore.changelog.additional.retention.ms"),
            repartition_purge_interval: checked.millis("repartition.purge.interval.ms"),
            state_cleanup_delay: checked.millis("state.cleanup.delay.ms"),
            memory,
            http_address: Some(checked.text("riacho.http.address")).filter(|address| address != "none"),
            recording_level,
            log_format,
            log_level: checked.text("riacho.log.level"),
            application_id,
            entries: entries_of(&raw, &checked),
            client: raw.client.into_iter().map(|(key, written)| (key, written.text)).collect(),
            warnings,
            values: checked.values,
        };
        let mut problems = checked.problems;
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by(|a, b| a.key.cmp(&b.key));
        Err(ConfigErrors::new(problems))
    }
}

/// Divides the budget and notes the sizes that follow.
fn memory_of(checked: &mut Checked) -> Memory {
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
fn check_pairs(checked: &mut Checked, guarantee: Guarantee) {
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
fn warnings_of(raw: &RawConfig, checked: &Checked) -> Vec<String> {
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

fn entries_of(raw: &RawConfig, checked: &Checked) -> Vec<Entry> {
    let settings = raw.keys().map(|spec| {
        let value = checked.values.get(spec.name).map(Value::to_string);
        Entry {
            key: spec.name.to_owned(),
            value: value.map(|value| if spec.allowed.is_secret() { HIDDEN.to_owned() } else { value }),
            source: checked.sources.get(spec.name).cloned().unwrap_or(Source::Default),
            doc: spec.doc,
        }
    });
    let client = raw.client.iter().map(|(key, written)| Entry {
        key: key.clone(),
        value: Some(if client_keys::is_secret(key) { HIDDEN.to_owned() } else { written.text.clone() }),
        source: written.source.clone(),
        doc: "",
    });
    settings.chain(client).collect()
}

#[cfg(test)]
mod tests;
