//! `riacho reset`: lets an application begin anew, as kafka-streams-application-reset and `KafkaStreams.cleanUp` do.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use riacho::kafka::{KafkaAdmin, KafkaChangelogReader};
use riacho::ports::{ChangelogReader as _, Position};
use riacho::state::{StateDirectory, WipeReason};
use riacho::{TaskId, TopicPartition};

use crate::Failure;
use crate::application::App;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  riacho reset transactions -b localhost:9092 --dry-run
  riacho reset transactions -b localhost:9092 --to-earliest --yes
  riacho reset transactions -b localhost:9092 --to-latest --yes --set state.dir=/var/lib/riacho

Every instance must be stopped first. The state on other machines is not reached from here: run it \
there too. Input, output and dead-letter topics stay as they are: delete the output topic too if the \
old results are not wanted.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application
    app: App,
    /// Read the input from its first record [default]
    #[arg(long)]
    to_earliest: bool,
    /// Read only what comes to the input from now on
    #[arg(long, conflicts_with = "to_earliest")]
    to_latest: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    settings: Settings,
}

/// What is to be done.
struct Plan {
    topics: Vec<String>,
    positions: Vec<Position>,
    tasks: Vec<TaskId>,
    /// Held, so that no instance starts here meanwhile.
    directory: StateDirectory,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let loaded = args.settings.load_for_question(args.app, App::of)?;
    let application = loaded.config.application_id();
    let settings = loaded.for_questions();
    let admin = KafkaAdmin::new(&settings)?;
    refuse_members(&admin, application)?;
    let reader = KafkaChangelogReader::new(&settings)?;
    let plan = plan(&loaded, &admin, reader, args.to_latest)?;
    tell(&plan, application, args.to_latest)?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(application)? {
        return Err("nothing was changed".into());
    }
    refuse_members(&admin, application)?;
    // The positions come first: state without positions is restored, positions without state would be a loss.
    admin.set_group_offsets(application, &plan.positions)?;
    for task in &plan.tasks {
        plan.directory.wipe(*task, WipeReason::Requested)?;
    }
    admin.delete_topics(&plan.topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    wait_until_gone(&admin, &plan.topics)?;
    writeln!(std::io::stdout(), "{application} begins anew with its next start")?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_members(admin: &KafkaAdmin, application: &str) -> Result<(), Failure> {
    let members = admin.group(application)?.map(|group| group.members).unwrap_or_default();
    if members.is_empty() {
        return Ok(());
    }
    let names: Vec<_> =
        members.iter().map(|member| format!("{} at {}", member.client_id, member.host)).collect();
    Err(format!(
        "the group {application} has {} members ({}): stop every instance; one that was killed leaves the group after \
         session.timeout.ms",
        names.len(),
        names.join(", ")
    )
    .into())
}

fn plan(
    loaded: &Loaded,
    admin: &KafkaAdmin,
    mut reader: KafkaChangelogReader,
    latest: bool,
) -> Result<Plan, Failure> {
    let Loaded { config, app } = loaded;
    let application = config.application_id();
    let names = admin.topics()?.into_iter().map(|(name, _)| name);
    let topics = names.filter(|name| is_internal(name, application)).collect();
    let mut inputs = Vec::new();
    for topic in app.inputs() {
        let partitions = admin.partitions_of(topic)?.unwrap_or(0);
        inputs.extend((0..partitions).map(|partition| TopicPartition::new(topic, partition)));
    }
    let bounds = reader.bounds(&inputs)?;
    let positions = inputs.into_iter().zip(bounds).map(|(partition, (first, end))| Position {
        partition,
        next_offset: if latest { end } else { first },
    });
    let positions = positions.collect();
    let directory = StateDirectory::open(config.state_dir(), application)?;
    Ok(Plan { topics, positions, tasks: directory.tasks()?, directory })
}

/// Whether the application made the topic for itself. Kafka's own tool goes by the names too.
fn is_internal(topic: &str, application: &str) -> bool {
    let rest = topic.strip_prefix(application).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.ends_with("-changelog") || rest.ends_with("-repartition"))
}

fn tell(plan: &Plan, application: &str, latest: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let place = if latest { "end" } else { "beginning" };
    let mut inputs = BTreeMap::<&str, usize>::new();
    for position in &plan.positions {
        *inputs.entry(&position.partition.topic).or_default() += 1;
    }
    for (topic, count) in &inputs {
        writeln!(out, "positions  of the group {application}: the {place} of {topic}, {count} partitions")?;
    }
    if inputs.is_empty() {
        writeln!(out, "positions  stay: the input topic does not exist")?;
    }
    for topic in &plan.topics {
        writeln!(out, "delete     the topic {topic}")?;
    }
    for task in &plan.tasks {
        writeln!(out, "delete     the state of task {task} in {}", plan.directory.path().display())?;
    }
    Ok(())
}

fn confirmed(application: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err("nothing was changed: say --yes, since there is nobody to ask".into());
    }
    eprint!("Do this to {application}? [y/N] ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn wait_until_gone(admin: &KafkaAdmin, topics: &[String]) -> Result<(), Failure> {
    const STEP: Duration = Duration::from_millis(50);
    const STEPS_MAX: usize = 200;
    let signals = Signals::listen()?;
    for topic in topics {
        for _ in 0..STEPS_MAX {
            if admin.partitions_of(topic)?.is_none() || signals.wait(STEP) {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_topics_are_those_with_the_applications_name_in_front() {
        assert!(is_internal("app-by-vendor-repartition", "app"));
        assert!(is_internal("app-totals-changelog", "app"));
        assert!(!is_internal("app", "app"));
        assert!(!is_internal("app-dead-letter", "app"));
        assert!(!is_internal("application-totals-changelog", "app"));
        assert!(!is_internal("other-app-totals-changelog", "app"));
    }
}
