//! `riacho config`: the effective settings with where they come from, and whether they are sound.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use riacho::client_settings;
use riacho::config::{Config, Source};

use crate::Failure;
use crate::application::App;
use crate::settings::Settings;

const SHOW_EXAMPLES: &str = "\
Examples:
  riacho config show --config app.properties
  riacho config show --changed -b localhost:9092
  riacho config show --explain -b localhost:9092

What is printed can be read again with --config.";
const CHECK_EXAMPLES: &str = "\
Examples:
  riacho config check --config app.properties && riacho run transactions --config app.properties";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Print every setting with its value and where that comes from; secrets are masked
    Show(ShowArgs),
    /// Say whether the settings are sound, without asking a broker
    Check(CheckArgs),
}

#[derive(clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The application
    #[arg(default_value = App::Transactions.name())]
    app: App,
    /// Only settings that are not defaults
    #[arg(long)]
    changed: bool,
    /// With what each setting does
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The application
    #[arg(default_value = App::Transactions.name())]
    app: App,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(verb: &Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Show(args) => show(args),
        Verb::Check(args) => check(args),
    }
}

fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let loaded = args.settings.load(args.app, &[])?;
    let derived = loaded.app.derived();
    let is_default = |source: &Source| matches!(source, Source::Default | Source::Derived);
    let mut out = std::io::stdout().lock();
    for entry in loaded.config.entries() {
        let follows = derived.iter().find(|(key, _)| *key == entry.key && entry.value.is_none());
        let (value, source) = match follows {
            Some((_, value)) => (Some(value), &Source::Derived),
            None => (entry.value.as_ref(), &entry.source),
        };
        if args.changed && (is_default(source) || value.is_none()) {
            continue;
        }
        if args.explain && !entry.doc.is_empty() {
            writeln!(out, "# {}", entry.doc)?;
        }
        match value {
            // A file that is read again takes the rest of the line for the value: the source stands above.
            Some(value) => writeln!(out, "# {source}\n{}={}", entry.key, value.replace('\\', "\\\\"))?,
            None => writeln!(out, "# not set\n#{}=", entry.key)?,
        }
    }
    drop(out);
    warn(&loaded.config);
    Ok(ExitCode::SUCCESS)
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let loaded = args.settings.load(args.app, &[])?;
    client_settings(&loaded.config).check()?;
    warn(&loaded.config);
    let given = loaded.config.entries().iter().filter(|entry| {
        entry.value.is_some()
            && !matches!(entry.source, Source::Default | Source::Derived | Source::Application)
    });
    let given = given.count();
    let application = loaded.config.application_id();
    writeln!(std::io::stdout(), "The configuration of {application} is sound ({given} settings given).")?;
    Ok(ExitCode::SUCCESS)
}

fn warn(config: &Config) {
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
}
