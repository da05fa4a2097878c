//! The command line: every verb with its help.

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    Failure, completions, config_verbs, csv, demo, extract, generate, replay, reset, run, topics,
    topology_verbs, verify,
};

const EXAMPLES: &str = "\
Examples:
  riacho demo
  riacho topics create transactions -b localhost:9092
  riacho generate transactions -b localhost:9092 --rate 10000
  riacho run transactions -b localhost:9092 --set state.dir=/var/lib/riacho
  riacho verify transactions -b localhost:9092

Settings come from --set and --bootstrap-server, then from RIACHO_... variables, then from --config, \
then defaults. RIACHO_COMMIT_INTERVAL_MS is commit.interval.ms; RIACHO_SASL_PASSWORD_FILE names a file \
with the secret. `riacho config show` prints all of them with where they come from.

Exit codes: 0 done, 1 failed, 2 wrong use or settings, 130 and 143 ended by a second Ctrl-C or SIGTERM.";

/// Kafka Streams for Rust: ready applications and the tools around them.
#[derive(Parser)]
#[command(name = "riacho", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an application until it is told to stop
    Run(run::Args),
    /// Show an application at work, and prove its results
    Demo(demo::Args),
    /// Take the rows of an HTTP API into raw Parquet files, and tell of them on Kafka
    Extract(extract::Args),
    /// Print a Parquet file as CSV
    Csv(csv::Args),
    /// Write made-up input for an application
    #[command(subcommand)]
    Generate(generate::Verb),
    /// Write a file of JSON lines into a topic, in its order and at a chosen speed
    Replay(replay::Args),
    /// Count an application's input again and compare with what it wrote, window by window
    Verify(verify::Args),
    /// Look at an application's topology
    #[command(subcommand)]
    Topology(topology_verbs::Verb),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config_verbs::Verb),
    /// Create or check the topics of an application
    #[command(subcommand)]
    Topics(topics::Verb),
    /// Let an application begin anew: delete its state, its internal topics and its positions
    Reset(reset::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// What a measuring tool reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One JSON object per event, on stdout
    Json,
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Extract(args) => extract::run(&args),
            Command::Csv(args) => csv::run(&args),
            Command::Generate(verb) => generate::run(&verb),
            Command::Replay(args) => replay::run(&args),
            Command::Verify(args) => verify::run(&args),
            Command::Topology(verb) => topology_verbs::run(&verb),
            Command::Config(verb) => config_verbs::run(&verb),
            Command::Topics(verb) => topics::run(&verb),
            Command::Reset(args) => reset::run(&args),
            Command::Completions(args) => completions::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::application::App;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_flags_of_every_verb_are_read() {
        for line in [
            "run transactions -b a:1 --config x.properties --set a=b --set c=d --until-caught-up --report json",
            "run workshop -b a:1",
            "generate transactions --rate 10000 --count 5 --vendors 10 --skew 1.1 --late 0.1 --currencies BRL,USD",
            "run extraction --embedded",
            "extract --embedded --once -b a:1",
            "csv a.parquet --output a.csv",
            "generate enrolments --rate 20 --count 5 --seed 7 --duplicates 0.05",
            "run enrolments",
            "demo --rate 10 --seconds 5",
            "demo extraction --kafka jvm",
            "replay x.jsonl --topic t --speed 10x",
            "verify transactions --open compare",
            "topology describe transactions --format dot",
            "config show",
            "config show transactions --explain",
            "config check --set a=b",
            "topics create transactions --partitions 12 --replication-factor 3 --dry-run",
            "topics check transactions",
            "reset transactions --to-latest --dry-run --yes",
            "completions bash",
        ] {
            let words = std::iter::once("riacho").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn every_application_can_be_run() {
        for app in App::value_variants() {
            let words = ["riacho", "run", app.name()];
            assert!(Cli::try_parse_from(words).is_ok(), "{}", app.name());
        }
    }

    #[test]
    fn wrong_use_is_refused() {
        for line in [
            "run",
            "run other",
            "generate enrolments --vendors 5",
            "generate enrolments --duplicates 1.1",
            "reset transactions --to-latest --to-earliest",
            "replay x.jsonl",
            "verify",
            "demo other",
        ] {
            let words = std::iter::once("riacho").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
