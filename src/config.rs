//! The configuration of a running application: parsed once, then a type that cannot be wrong.
//!
//! [`RawConfig`] gathers what was written (defaults, a properties file, the environment, flags);
//! [`Config::try_from`] checks all of it and tells every problem at once.

mod checked;
mod choices;
mod client_keys;
mod client_properties;
mod entry;
mod key;
mod keys;
mod memory;
mod prefix;
mod problem;
mod properties;
mod raw;
mod setting;
mod spelling;

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use riacho_topology::BadRecord;

pub use choices::{ClientRole, Guarantee, LogFormat, OffsetReset, OnBadRecord, RecordingLevel, TaskIdle};
pub use client_properties::ClientProperties;
pub use entry::Entry;
pub use key::{Allowed, DefaultValue, KeySpec};
pub use keys::RUNTIME_KEYS;
pub use memory::Memory;
pub use problem::{ConfigErrors, Problem};
pub use raw::{RawConfig, Source};
pub use setting::{FromConfig, Setting};

use checked::{Checked, check_pairs, memory_of, warnings_of};
use entry::entries_of;
use key::Value;

const HIDDEN: &str = "[hidden]";

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
    poll_records_max: NonZeroUsize,
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
    advertised_address: Option<String>,
    http_token: Option<String>,
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

    /// `max.poll.records`.
    pub fn poll_records_max(&self) -> NonZeroUsize {
        self.poll_records_max
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

    /// `riacho.advertised.address`: where other instances reach [`http_address`](Self::http_address), if it is not there.
    pub fn advertised_address(&self) -> Option<&str> {
        self.advertised_address.as_deref()
    }

    /// `riacho.http.token`: what those must send who read more than signs of life.
    pub fn http_token(&self) -> Option<&str> {
        self.http_token.as_deref()
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
        ClientProperties::of(&self.client, role)
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
            (Guarantee::ExactlyOnce, interval) => (interval / 2).max(1),
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
            poll_records_max: checked.value("max.poll.records", NonZeroUsize::MIN),
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
            advertised_address: checked.value("riacho.advertised.address", None),
            http_token: checked.value("riacho.http.token", None),
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

#[cfg(test)]
mod tests;
