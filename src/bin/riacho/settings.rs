//! Where the settings of a verb come from: flags, environment, file, defaults.

use std::path::PathBuf;
use std::time::Duration;

use riacho::client_settings;
use riacho::config::{Config, ConfigErrors, RawConfig};
use riacho::kafka::ClientSettings;
use riacho::observe::log::{self, LogSettings};

use crate::Failure;
use crate::transactions::config::{KEYS, TransactionsConfig};

/// The flags of every verb that has settings.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Brokers to ask first [setting: bootstrap.servers]
    #[arg(short, long, value_name = "HOST:PORT", help_heading = "Settings")]
    bootstrap_server: Option<String>,
    /// A .properties file with settings by Kafka Streams' names
    #[arg(short, long, value_name = "FILE", env = "RIACHO_CONFIG", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// A setting; goes before environment and file
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Settings")]
    set: Vec<String>,
}

/// The settings of the application `transactions`, checked.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) app: TransactionsConfig,
}

impl Loaded {
    /// For short questions, whose asker would rather know soon that there is no answer.
    pub(crate) fn for_questions(&self) -> ClientSettings {
        ClientSettings { request_timeout: Duration::from_secs(10), ..client_settings(&self.config) }
    }
}

impl Settings {
    /// A flag that stands for a setting.
    pub(crate) fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.set.push(format!("{key}={value}"));
    }

    /// All layers, `presets` lowest.
    pub(crate) fn raw(&self, presets: &[(&str, &str)]) -> RawConfig {
        let raw = RawConfig::new(&[KEYS]).preset("application.id", "transactions");
        let raw = presets.iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        let raw = self.config.iter().fold(raw, |raw, path| raw.file(path));
        let bootstrap = self.bootstrap_server.iter().map(|servers| format!("bootstrap.servers={servers}"));
        raw.process_environment().flags(bootstrap).flags(&self.set)
    }

    /// Checks everything.
    ///
    /// # Errors
    /// Every problem that there is.
    pub(crate) fn load(&self, presets: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let config = Config::try_from(self.raw(presets))?;
        let app = TransactionsConfig::of(&config)?;
        Ok(Loaded { config, app })
    }

    /// Checks everything and begins to log, for a verb that works for long and tells what is in its way.
    ///
    /// # Errors
    /// As [`load`](Self::load), or when the log filter is wrong.
    pub(crate) fn load_for_tool(&self) -> Result<Loaded, Failure> {
        self.load_with_log("warn")
    }

    /// Checks everything and begins to log, for a verb that asks something: its failure says all there is to say.
    ///
    /// # Errors
    /// As [`load`](Self::load), or when the log filter is wrong.
    pub(crate) fn load_for_question(&self) -> Result<Loaded, Failure> {
        self.load_with_log("error")
    }

    fn load_with_log(&self, level: &str) -> Result<Loaded, Failure> {
        let loaded = self.load(&[("riacho.log.level", level)])?;
        log::init(&LogSettings::of(&loaded.config))?;
        Ok(loaded)
    }
}
