//! `riacho topology`: what an application computes, as text, as a drawing, as JSON.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::Failure;
use crate::application::App;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  riacho topology describe transactions
  riacho topology describe transactions --format dot | dot -Tsvg > topology.svg
  riacho topology describe transactions --set transactions.input.keyed.by.vendor=false

The text is Kafka Streams' own: https://zz85.github.io/kafka-streams-viz draws it.";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Print the topology as it is configured; no broker is asked
    Describe(DescribeArgs),
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    /// The application
    app: App,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// As Kafka Streams describes topologies
    Text,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

pub(crate) fn run(verb: &Verb) -> Result<ExitCode, Failure> {
    let Verb::Describe(args) = verb;
    let loaded = args.settings.load(args.app, &[("bootstrap.servers", "localhost:9092")])?;
    let topology = loaded.app.topology()?;
    let text = match args.format {
        Format::Text => topology.describe(),
        Format::Dot => topology.to_dot(),
        Format::Json => serde_json::to_string_pretty(&topology.to_json())?,
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
