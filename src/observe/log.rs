//! Writes log lines to stderr, as text for people or as JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error(
        "{key} = {filter}: {reason}. Write a level (error, warn, info, debug, trace) or target=level, by commas"
    )]
    Filter {
        /// Where the filter comes from: a key or a variable.
        key: &'static str,
        /// The filter.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else in this process already writes the log.
    #[error("the log is already set up: {0}")]
    AlreadySetUp(String),
}

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    format: LogFormat,
    filter: String,
    /// Where the filter comes from.
    key: &'static str,
    colour: bool,
}

impl LogSettings {
    /// The settings that follow from a configuration and the process: `RUST_LOG` goes before `riacho.log.level`, and
    /// there is colour on a terminal unless `NO_COLOR` is set.
    pub fn of(config: &Config) -> LogSettings {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_terminal = std::io::stderr().is_terminal();
        LogSettings::new(config, variable("RUST_LOG"), is_terminal && variable("NO_COLOR").is_none())
    }

    fn new(config: &Config, rust_log: Option<String>, colour: bool) -> LogSettings {
        let (key, filter) = match rust_log {
            Some(filter) => ("RUST_LOG", filter),
            None => ("riacho.log.level", config.log_level().to_owned()),
        };
        LogSettings { format: config.log_format(), filter, key, colour }
    }
}

/// Writes the log of this process to stderr from now on.
///
/// # Errors
/// When the filter is not understood, or the log is already set up.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let subscriber = subscriber(settings, std::io::stderr)?;
    subscriber.try_init().map_err(|error| LogError::AlreadySetUp(error.to_string()))
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.filter).map_err(|error| LogError::Filter {
        key: settings.key,
        filter: settings.filter.clone(),
        reason: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Box::new(builder.with_ansi(settings.colour).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_thread_names(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn settings(pairs: &[(&str, &str)], rust_log: Option<&str>, colour: bool) -> LogSettings {
        let needed = [("application.id", "app"), ("bootstrap.servers", "localhost:9092")];
        let config = Config::of(needed.into_iter().chain(pairs.iter().copied())).unwrap();
        LogSettings::new(&config, rust_log.map(str::to_owned), colour)
    }

    fn written(settings: &LogSettings) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(settings, move || writer.clone()).unwrap(), || {
            tracing::info!(client = "app-1", "State transition from REBALANCING to RUNNING");
            tracing::debug!("detail");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_for_people_and_has_colour_only_where_wanted() {
        let plain = written(&settings(&[], None, false));
        assert!(plain.contains("State transition from REBALANCING to RUNNING client=\"app-1\""), "{plain}");
        assert!(!plain.contains('\x1b') && !plain.contains("detail"), "{plain}");
        assert!(written(&settings(&[], None, true)).contains('\x1b'));
    }

    #[test]
    fn json_is_one_object_per_line() {
        let text = written(&settings(&[("riacho.log.format", "json")], None, true));
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "State transition from REBALANCING to RUNNING");
        assert_eq!((&line["level"], &line["client"]), (&"INFO".into(), &"app-1".into()));
    }

    #[test]
    fn rust_log_goes_before_the_configuration() {
        assert!(
            written(&settings(&[("riacho.log.level", "error")], Some("debug"), false)).contains("detail")
        );
        assert_eq!(written(&settings(&[("riacho.log.level", "error")], None, false)), "");
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused_with_its_key() {
        let told = |settings: &LogSettings| subscriber(settings, std::io::sink).err().unwrap().to_string();
        let by_key = told(&settings(&[("riacho.log.level", "riacho=loud")], None, false));
        assert!(by_key.starts_with("riacho.log.level = riacho=loud: "), "{by_key}");
        assert!(told(&settings(&[], Some("=="), false)).starts_with("RUST_LOG = ==: "));
    }
}
