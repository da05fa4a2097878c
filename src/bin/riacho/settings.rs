//! Where the settings of a verb come from: flags, environment, file, defaults.

use std::path::PathBuf;
use std::time::Duration;

use riacho::client_settings;
use riacho::config::{Config, ConfigErrors, KeySpec, RawConfig};
use riacho::kafka::ClientSettings;
use riacho::observe::log::{self, LogSettings};

use crate::application::{App, Application};
use crate::{Failure, web};

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

/// Reads an application's own settings: [`App::of`], or what a verb that is for one application only needs of them.
type Of<A> = fn(App, &Config) -> Result<A, ConfigErrors>;

/// The settings of riacho and of an application, checked.
pub(crate) struct Loaded<A = Box<dyn Application>> {
    pub(crate) config: Config,
    pub(crate) app: A,
}

impl<A> Loaded<A> {
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
    fn raw(&self, app: App, presets: &[(&str, &str)]) -> RawConfig {
        let raw = RawConfig::new(&[app.keys(), web::KEYS]).preset("application.id", app.name());
        let raw = app.presets().iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        self.layered(raw, presets)
    }

    /// The layers above what an application is.
    fn layered(&self, raw: RawConfig, presets: &[(&str, &str)]) -> RawConfig {
        let raw = presets.iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        let raw = self.config.iter().fold(raw, |raw, path| raw.file(path));
        let bootstrap = self.bootstrap_server.iter().map(|servers| format!("bootstrap.servers={servers}"));
        raw.process_environment().flags(bootstrap).flags(&self.set)
    }

    /// Checks everything.
    ///
    /// # Errors
    /// Every problem that there is.
    pub(crate) fn load(&self, app: App, presets: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let config = Config::try_from(self.raw(app, presets))?;
        let app = app.of(&config)?;
        Ok(Loaded { config, app })
    }

    /// Checks everything, for an application without a topology that has these `keys` of its own.
    ///
    /// # Errors
    /// Every problem that there is.
    pub(crate) fn load_plain(
        &self,
        keys: &'static [KeySpec],
        presets: &[(&str, &str)],
    ) -> Result<Config, ConfigErrors> {
        Config::try_from(self.layered(RawConfig::new(&[keys, web::KEYS]), presets))
    }

    /// Checks everything and begins to log, for a verb that works for long and tells what is in its way.
    ///
    /// # Errors
    /// As [`load`](Self::load), or when the log filter is wrong.
    pub(crate) fn load_for_tool<A>(&self, app: App, of: Of<A>) -> Result<Loaded<A>, Failure> {
        self.load_with_log(app, of, "warn")
    }

    /// Checks everything and begins to log, for a verb that asks something: its failure says all there is to say.
    ///
    /// # Errors
    /// As [`load`](Self::load), or when the log filter is wrong.
    pub(crate) fn load_for_question<A>(&self, app: App, of: Of<A>) -> Result<Loaded<A>, Failure> {
        self.load_with_log(app, of, "error")
    }

    fn load_with_log<A>(&self, app: App, of: Of<A>, level: &str) -> Result<Loaded<A>, Failure> {
        let config = Config::try_from(self.raw(app, &[("riacho.log.level", level)]))?;
        log::init(&LogSettings::of(&config))?;
        let app = of(app, &config)?;
        Ok(Loaded { config, app })
    }
}
