//! What was written about each key, and where: defaults, file, environment and flags laid over each other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::client_keys::{self, Property, Scope};
use super::key::{DefaultValue, KeySpec};
use super::keys::RUNTIME_KEYS;
use super::prefix::{Prefix, alias_of, split_prefix};
use super::problem::Problem;
use super::properties;
use super::spelling::nearest;

/// Where a value comes from. A later one goes before an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// It is the default.
    Default,
    /// It is the default and follows from other keys.
    Derived,
    /// The application presets it.
    Application,
    /// A properties file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    Flag,
}

impl Source {
    fn rank(&self) -> u8 {
        match self {
            Source::Default | Source::Derived => 0,
            Source::Application => 1,
            Source::File { .. } => 2,
            Source::Environment { .. } => 3,
            Source::Flag => 4,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Derived => f.write_str("default, derived"),
            Source::Application => f.write_str("application"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment { variable } => f.write_str(variable),
            Source::Flag => f.write_str("flag"),
        }
    }
}

/// A value as it was written.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) source: Source,
    /// Written with a prefix such as `consumer.`: goes before the plain spelling from the same source.
    prefixed: bool,
}

/// What a key means.
enum Meaning {
    Setting(&'static KeySpec),
    /// The same setting in another spelling.
    Alias(&'static KeySpec),
    Client,
    /// A setting that riacho does not have, given at the value at which nothing differs.
    WithoutEffect(&'static str),
}

/// The layers of a configuration before they are checked. Problems are collected, not thrown one by one:
/// [`Config::try_from`](super::Config) tells all of them.
///
/// ```
/// use riacho::config::{Config, RawConfig};
/// let raw = RawConfig::new(&[])
///     .preset("application.id", "transactions")
///     .environment([("RIACHO_BOOTSTRAP_SERVERS", "localhost:9092")])
///     .flags(["commit.interval.ms=200"]);
/// let config = Config::try_from(raw)?;
/// assert_eq!(config.commit_interval().as_millis(), 200);
/// # Ok::<(), riacho::config::ConfigErrors>(())
/// ```
#[derive(Clone)]
pub struct RawConfig {
    pub(super) tables: Vec<&'static [KeySpec]>,
    pub(super) settings: BTreeMap<&'static str, Written>,
    pub(super) client: BTreeMap<String, Written>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl RawConfig {
    /// Nothing but defaults. The keys of the runtime are known, and those of `tables`, one per application.
    pub fn new(tables: &[&'static [KeySpec]]) -> Self {
        let tables = std::iter::once(RUNTIME_KEYS).chain(tables.iter().copied()).collect();
        RawConfig {
            tables,
            settings: BTreeMap::new(),
            client: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Presets a key on behalf of an application: goes before the default and behind everything else.
    #[must_use]
    pub fn preset(mut self, key: &str, value: &str) -> Self {
        self.write(key, value.to_owned(), Source::Application);
        self
    }

    /// Lays a properties file over what is there.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        let text = match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return self.unreadable(path, "the file is not UTF-8 text"),
            Err(error) => return self.unreadable(path, &format!("the file cannot be read: {error}")),
        };
        let (properties, bad_lines) = properties::parse(&text);
        let path: Arc<Path> = Arc::from(path);
        for bad in bad_lines {
            let place = Source::File { path: Arc::clone(&path), line: bad.line }.to_string();
            self.problems.push(Problem {
                key: place,
                value: None,
                place: None,
                message: bad.message.to_owned(),
            });
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut holds_secret = false;
        for property in properties {
            holds_secret |= self.is_secret(&property.key);
            if let Some(before) = seen.insert(property.key.clone(), property.line) {
                self.warnings.push(format!(
                    "{}:{}: {} was already given in line {before}; this line counts",
                    path.display(),
                    property.line,
                    property.key
                ));
            }
            let source = Source::File { path: Arc::clone(&path), line: property.line };
            self.write(&property.key, property.value, source);
        }
        if holds_secret && is_readable_by_others(&path) {
            self.warnings.push(format!(
                "{} holds a secret and every user can read it: chmod 600 {0}, or use RIACHO_..._FILE",
                path.display()
            ));
        }
        self
    }

    /// Lays environment variables over what is there: `RIACHO_COMMIT_INTERVAL_MS` is `commit.interval.ms`, and
    /// `RIACHO_SASL_PASSWORD_FILE` names a file that holds `sasl.password`. A leading `riacho.` may be left out.
    /// Other variables are ignored, and so are empty ones.
    #[must_use]
    pub fn environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in variables {
            let (name, value): (String, String) = (name.into(), value.into());
            if !value.is_empty() && is_setting(&name) {
                given.insert(name, value);
            }
        }
        for (variable, value) in &given {
            let (key, from_file) = self.key_of_variable(variable);
            let plain = variable.strip_suffix(FILE_SUFFIX).filter(|_| from_file);
            if let Some(plain) = plain.filter(|plain| given.contains_key(*plain)) {
                self.refuse_variable(variable, format!("{plain} is set too: remove one of them"));
                continue;
            }
            let value = match from_file.then(|| std::fs::read_to_string(value)) {
                None => value.clone(),
                Some(Ok(text)) => text.trim_end_matches(['\r', '\n']).to_owned(),
                Some(Err(error)) => {
                    self.refuse_variable(variable, format!("the file {value} cannot be read: {error}"));
                    continue;
                }
            };
            self.write(&key, value, Source::Environment { variable: variable.clone() });
        }
        self
    }

    /// Lays the variables of this process over what is there.
    #[must_use]
    pub fn process_environment(self) -> Self {
        let text = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        self.environment(text)
    }

    /// Lays `key=value` pairs of the command line over what is there. Secrets are refused: every user of the machine
    /// can read a command line.
    #[must_use]
    pub fn flags<S: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = S>) -> Self {
        for pair in pairs {
            let pair = pair.as_ref();
            let Some((key, value)) = pair.split_once('=') else {
                let message = "write key=value".to_owned();
                self.problems.push(Problem { key: pair.to_owned(), value: None, place: flag(), message });
                continue;
            };
            let key = key.trim();
            if self.is_secret(key) {
                let message = format!(
                    "a secret does not belong on the command line, where every user can read it: set {}_FILE to the \
                     name of a file that holds it",
                    variable_of(key)
                );
                self.problems.push(Problem { key: key.to_owned(), value: None, place: flag(), message });
                continue;
            }
            self.write(key, value.to_owned(), Source::Flag);
        }
        self
    }

    /// Every key that is known by a table, in the order of the tables.
    pub fn keys(&self) -> impl Iterator<Item = &'static KeySpec> {
        self.tables.iter().copied().flatten()
    }

    fn write(&mut self, key: &str, text: String, source: Source) {
        let (name, prefixed) = match self.meaning(key, &text) {
            Ok(Meaning::Setting(spec)) => (spec.name, false),
            Ok(Meaning::Alias(spec)) => (spec.name, true),
            Ok(Meaning::Client) => {
                let written = Written { text, source, prefixed: false };
                if self.client.get(key).is_none_or(|before| written.goes_before(before)) {
                    self.client.insert(key.to_owned(), written);
                }
                return;
            }
            Ok(Meaning::WithoutEffect(hint)) => {
                self.warnings.push(format!("{key} ({source}) has no effect: {hint}"));
                return;
            }
            Err(message) => {
                // The value is not shown: nobody knows whether an unknown key holds a secret.
                let problem =
                    Problem { key: key.to_owned(), value: None, place: Some(source.to_string()), message };
                self.problems.push(problem);
                return;
            }
        };
        let written = Written { text, source, prefixed };
        if self.settings.get(name).is_none_or(|before| written.goes_before(before)) {
            self.settings.insert(name, written);
        }
    }

    fn spec(&self, key: &str) -> Option<&'static KeySpec> {
        self.keys().find(|spec| spec.name == key)
    }

    /// What `key` means, or why it may not be set and what to do instead.
    fn meaning(&self, key: &str, text: &str) -> Result<Meaning, String> {
        if let Some(spec) = self.spec(key) {
            return Ok(Meaning::Setting(spec));
        }
        let (prefix, name) = split_prefix(key);
        let alias = alias_of(prefix, name).and_then(|name| self.spec(name));
        if let Some(spec) = alias {
            return Ok(Meaning::Alias(spec));
        }
        if let (None, Some(java)) = (prefix, client_keys::java_setting(name)) {
            return match java.same_when {
                Some(same) if same.eq_ignore_ascii_case(text.trim()) => Ok(Meaning::WithoutEffect(java.hint)),
                _ => Err(java.hint.to_owned()),
            };
        }
        match client_keys::property(name) {
            Some(Property::Passes(scope)) if prefix.is_none_or(|prefix| prefix.accepts(scope)) => {
                Ok(Meaning::Client)
            }
            Some(Property::Passes(Scope::Consumers)) => Err("only consumers have it".to_owned()),
            Some(Property::Passes(_)) => Err("only producers have it".to_owned()),
            Some(Property::Refused(hint)) => Err(hint.to_owned()),
            None => Err(match self.nearest(key, prefix) {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None => "unknown key".to_owned(),
            }),
        }
    }

    fn nearest(&self, key: &str, prefix: Option<Prefix>) -> Option<String> {
        let settings = self.keys().map(|spec| spec.name.to_owned());
        let plain = client_keys::names(Scope::Every)
            .chain(client_keys::names(Scope::Consumers))
            .chain(client_keys::names(Scope::Producers))
            .map(str::to_owned);
        let prefixed = prefix.into_iter().flat_map(|prefix| {
            client_keys::names(prefix.scope()).map(move |name| format!("{}{name}", prefix.text()))
        });
        nearest(key, settings.chain(plain).chain(prefixed))
    }

    pub(super) fn is_secret(&self, key: &str) -> bool {
        self.spec(key).map_or_else(|| client_keys::is_secret(key), |spec| spec.allowed.is_secret())
    }

    /// The key that a variable stands for, and whether the variable names a file that holds the value.
    fn key_of_variable(&self, variable: &str) -> (String, bool) {
        let known = |name: &str| {
            let key = name.to_ascii_lowercase().replace('_', ".");
            let own = format!("riacho.{key}");
            if self.meaning(&key, "").is_err() && self.spec(&own).is_some() {
                (own, true)
            } else {
                let is_known = self.meaning(&key, "").is_ok();
                (key, is_known)
            }
        };
        let name = variable.strip_prefix(VARIABLE_PREFIX).unwrap_or(variable);
        let (key, is_known) = known(name);
        // A key such as ssl.assertion.file is itself; only what is no key can be a file that holds a value.
        match name.strip_suffix(FILE_SUFFIX) {
            Some(name) if !is_known => (known(name).0, true),
            _ => (key, false),
        }
    }

    fn refuse_variable(&mut self, variable: &str, message: String) {
        self.problems.push(Problem { key: variable.to_owned(), value: None, place: None, message });
    }

    fn unreadable(mut self, path: &Path, message: &str) -> Self {
        let key = path.display().to_string();
        self.problems.push(Problem { key, value: None, place: None, message: message.to_owned() });
        self
    }

    /// The text that counts for a setting and where it was written; `None` when that is nowhere.
    pub(super) fn text_of(&self, spec: &KeySpec) -> Option<(&str, Source)> {
        match self.settings.get(spec.name) {
            Some(written) => Some((&written.text, written.source.clone())),
            None => match spec.default {
                DefaultValue::Value(text) => Some((text, Source::Default)),
                _ => None,
            },
        }
    }
}

impl Written {
    fn goes_before(&self, other: &Written) -> bool {
        (self.source.rank(), self.prefixed) >= (other.source.rank(), other.prefixed)
    }
}

const VARIABLE_PREFIX: &str = "RIACHO_";
const FILE_SUFFIX: &str = "_FILE";

/// The name of the variable that sets `key`.
pub(super) fn variable_of(key: &str) -> String {
    let name = key.strip_prefix("riacho.").unwrap_or(key);
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase().replace('.', "_"))
}

/// Whether a variable of this name is meant as a setting.
fn is_setting(variable: &str) -> bool {
    let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else { return false };
    // RIACHO_CONFIG names the properties file and RIACHO_TEST_* steers tests. Kubernetes makes the others up for a
    // Service called riacho.
    let other = name == "CONFIG"
        || name.starts_with("TEST_")
        || name.starts_with("SERVICE_HOST")
        || name.starts_with("SERVICE_PORT")
        || name == "PORT"
        || name.starts_with("PORT_");
    !other
}

fn flag() -> Option<String> {
    Some(Source::Flag.to_string())
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_stands_for_the_key_it_is_made_of() {
        let raw = RawConfig::new(&[]);
        let cases = [
            ("RIACHO_COMMIT_INTERVAL_MS", "commit.interval.ms", false),
            ("RIACHO_LATE_TOPIC", "riacho.late.topic", false),
            ("RIACHO_RIACHO_LATE_TOPIC", "riacho.late.topic", false),
            ("RIACHO_LOG_LEVEL", "riacho.log.level", false),
            ("RIACHO_SASL_PASSWORD_FILE", "sasl.password", true),
            ("RIACHO_LATE_TOPIC_FILE", "riacho.late.topic", true),
            ("RIACHO_SASL_OAUTHBEARER_ASSERTION_FILE", "sasl.oauthbearer.assertion.file", false),
            ("RIACHO_CONSUMER_FETCH_MIN_BYTES", "consumer.fetch.min.bytes", false),
        ];
        for (variable, key, from_file) in cases {
            assert_eq!(raw.key_of_variable(variable), (key.to_owned(), from_file), "{variable}");
        }
        for spec in raw.keys() {
            assert_eq!(raw.key_of_variable(&variable_of(spec.name)), (spec.name.to_owned(), false));
        }
    }
}
