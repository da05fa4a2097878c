//! `riacho topics`: what an application needs on the cluster, made or checked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use riacho::OwnTopics;
use riacho::config::Config;
use riacho::kafka::KafkaAdmin;
use riacho::ports::{ClientError, NewTopic};

use crate::Failure;
use crate::application::App;
use crate::settings::{Loaded, Settings};

/// Enough for a start, and it divides by many numbers of instances.
pub(crate) const PARTITIONS: i32 = 12;

const CREATE_EXAMPLES: &str = "\
Examples:
  riacho topics create transactions -b localhost:9092 --dry-run
  riacho topics create transactions -b k1:9092,k2:9092,k3:9092 --partitions 24 --replication-factor 3";
const CHECK_EXAMPLES: &str = "\
Examples:
  riacho topics check transactions -b localhost:9092 && riacho run transactions -b localhost:9092";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Create the topics that are missing: input, outputs, internal topics, dead letters
    Create(CreateArgs),
    /// Say which topics are missing or not as they should be
    Check(CheckArgs),
}

#[derive(clap::Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The application
    app: App,
    /// Partitions of the input topic if it is created; the outputs get as many as the input has
    #[arg(long, default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: i32,
    /// Replicas of every topic that is created [default: the brokers' default]
    #[arg(long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Only say what would be created
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The application
    app: App,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(verb: &Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Create(args) => create(args),
        Verb::Check(args) => check(args),
    }
}

/// Creates a topic that is nobody's state if it is missing; tells how many partitions it has.
///
/// # Errors
/// When the cluster refuses or does not answer.
pub(crate) fn ensure(
    admin: &KafkaAdmin,
    name: &str,
    partitions: i32,
    config: &Config,
) -> Result<i32, ClientError> {
    if let Some(partitions) = admin.partitions_of(name)? {
        return Ok(partitions);
    }
    admin.create_topics(&[plain(name, partitions, config)])?;
    eprintln!("created the topic {name} with {partitions} partitions");
    Ok(partitions)
}

fn plain(name: &str, partitions: i32, config: &Config) -> NewTopic {
    let replication_factor = config.replication_factor().and_then(|factor| i32::try_from(factor.get()).ok());
    NewTopic {
        name: name.to_owned(),
        partitions,
        replication_factor: replication_factor.unwrap_or(-1),
        config: Vec::new(),
    }
}

/// A topic that the application needs.
struct Needed {
    role: &'static str,
    topic: NewTopic,
    /// How many partitions it has, if it is there.
    found: Option<i32>,
    /// Whether it must be exactly as riacho makes it.
    is_own: bool,
}

/// Every topic that the application needs, the input first.
fn needed(loaded: &Loaded, admin: &KafkaAdmin, partitions: i32) -> Result<Vec<Needed>, Failure> {
    let Loaded { config, app } = loaded;
    let mut inputs = BTreeMap::new();
    for topic in app.inputs() {
        inputs.insert(topic.to_owned(), admin.partitions_of(topic)?.unwrap_or(partitions));
    }
    let own = OwnTopics::of(&app.topology()?, config, &inputs);
    let most = inputs.values().copied().max().unwrap_or(partitions);
    let outputs = app.outputs();
    let outputs = outputs.iter().map(|(role, name)| (*role, plain(name, most, config), false));
    let theirs = inputs.iter().map(|(name, count)| ("input", plain(name, *count, config), false));
    let theirs = theirs.chain(outputs);
    let side = own.side.into_iter().map(|topic| ("side", topic, false));
    let internal = own.internal.into_iter().map(|topic| ("internal", topic, true));
    let all = theirs.chain(side).chain(internal).map(|(role, topic, is_own)| {
        let found = admin.partitions_of(&topic.name)?;
        Ok(Needed { role, topic, found, is_own })
    });
    all.collect()
}

fn create(args: &CreateArgs) -> Result<ExitCode, Failure> {
    let mut settings = args.settings.clone();
    if let Some(factor) = args.replication_factor {
        settings.set("replication.factor", factor);
    }
    let loaded = settings.load_for_question(args.app, App::of)?;
    let admin = KafkaAdmin::new(&loaded.for_questions())?;
    let needed = needed(&loaded, &admin, args.partitions)?;
    let mut out = std::io::stdout().lock();
    let (mut missing, mut wrong) = (Vec::new(), false);
    for Needed { role, topic, found, is_own } in &needed {
        let NewTopic { name, partitions, .. } = topic;
        match found {
            Some(found) if *is_own && found != partitions => {
                wrong = true;
                writeln!(out, "wrong    {role:9} {name}: {found} partitions, and {partitions} are needed")?;
            }
            Some(found) => writeln!(out, "exists   {role:9} {name}: {found} partitions")?,
            None => {
                let verb = if args.dry_run { "missing" } else { "create" };
                writeln!(out, "{verb:8} {role:9} {name}: {partitions} partitions{}", settings_of(topic))?;
                missing.push(topic.clone());
            }
        }
    }
    if wrong {
        return Err(WRONG_INTERNAL.into());
    }
    if !args.dry_run {
        admin.create_topics(&missing)?;
    }
    Ok(ExitCode::SUCCESS)
}

const WRONG_INTERNAL: &str = "an internal topic has another number of partitions than the input asks for: stop the \
     application and let `riacho reset` delete it, or restore the number of input partitions";

fn settings_of(topic: &NewTopic) -> String {
    let settings: Vec<_> = topic.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if settings.is_empty() { String::new() } else { format!(" ({})", settings.join(" ")) }
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let loaded = args.settings.load_for_question(args.app, App::of)?;
    let admin = KafkaAdmin::new(&loaded.for_questions())?;
    let mut out = std::io::stdout().lock();
    let mut sound = true;
    for Needed { role, topic, found, is_own } in needed(&loaded, &admin, PARTITIONS)? {
        let name = &topic.name;
        let Some(found) = found else {
            // What riacho makes for itself comes with the first start.
            let note = if matches!(role, "internal" | "side") { " (created at the first start)" } else { "" };
            sound &= !note.is_empty();
            writeln!(out, "missing  {role:9} {name}{note}")?;
            continue;
        };
        let mut faults = Vec::new();
        if is_own && found != topic.partitions {
            faults.push(format!("has {found} partitions, needs {}", topic.partitions));
        }
        let config: BTreeMap<_, _> = admin.topic_config(name)?.into_iter().collect();
        faults.extend(match is_own {
            true => own_faults(&topic, &config),
            false => compaction(&config),
        });
        sound &= faults.is_empty();
        match faults.is_empty() {
            true => writeln!(out, "ok       {role:9} {name}: {found} partitions")?,
            false => writeln!(out, "wrong    {role:9} {name}: {}", faults.join("; "))?,
        }
    }
    drop(out);
    if !sound {
        return Err(
            "topics are missing or wrong: `riacho topics create` makes those that are missing; settings are \
                    changed with kafka-configs, and internal topics are made anew by `riacho reset`"
                .into(),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not as riacho would make it, and matters.
fn own_faults(topic: &NewTopic, found: &BTreeMap<String, String>) -> Vec<String> {
    let fault = |(key, wanted): &(String, String)| {
        let value = found.get(key)?;
        let fits = match key.as_str() {
            "cleanup.policy" => value.split(',').collect::<BTreeSet<_>>() == wanted.split(',').collect(),
            "retention.ms" => is_kept_long_enough(value, wanted),
            "message.timestamp.type" => value == wanted,
            _ => true,
        };
        (!fits).then(|| format!("{key} is {value}, needs {wanted}"))
    };
    topic.config.iter().filter_map(fault).collect()
}

/// -1 is for ever.
fn is_kept_long_enough(found: &str, wanted: &str) -> bool {
    match (found.parse::<i64>(), wanted.parse::<i64>()) {
        (Ok(-1), _) => true,
        (Ok(_), Ok(-1)) => false,
        (Ok(found), Ok(wanted)) => found >= wanted,
        _ => false,
    }
}

/// Every record of such a topic counts, and compaction keeps only the last one of a key.
fn compaction(found: &BTreeMap<String, String>) -> Vec<String> {
    let policy = found.get("cleanup.policy").filter(|policy| policy.contains("compact"));
    policy
        .map(|policy| format!("cleanup.policy is {policy}, and records would be lost: needs delete"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_changelog_must_be_kept_and_cleaned_as_riacho_would_make_it() {
        let config = pairs(&[("cleanup.policy", "compact,delete"), ("retention.ms", "1000")]);
        let topic =
            NewTopic { name: "a-s-changelog".to_owned(), partitions: 1, replication_factor: 1, config };
        let faults = |found: &[(&str, &str)]| own_faults(&topic, &pairs(found).into_iter().collect());
        assert_eq!(
            faults(&[("cleanup.policy", "delete,compact"), ("retention.ms", "-1")]),
            Vec::<String>::new()
        );
        assert_eq!(
            faults(&[("cleanup.policy", "compact,delete"), ("retention.ms", "1001")]),
            Vec::<String>::new()
        );
        assert_eq!(faults(&[("retention.ms", "999")]), ["retention.ms is 999, needs 1000"]);
        assert_eq!(
            faults(&[("cleanup.policy", "delete")]),
            ["cleanup.policy is delete, needs compact,delete"]
        );
        assert!(!is_kept_long_enough("86400000", "-1"));
    }

    #[test]
    fn an_input_must_not_be_compacted() {
        assert_eq!(compaction(&pairs(&[("cleanup.policy", "delete")]).into_iter().collect()).len(), 0);
        assert_eq!(compaction(&pairs(&[("cleanup.policy", "compact")]).into_iter().collect()).len(), 1);
    }
}
