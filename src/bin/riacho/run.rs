//! `riacho run`: an application, from the start until it is told to stop.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanCount;
use riacho::config::{Config, Guarantee};
use riacho::kafka::{KafkaAdmin, KafkaChangelogReader};
use riacho::lifecycle::ClientState;
use riacho::observe::log::{self, LogSettings};
use riacho::ports::{ChangelogReader as _, ClientError, ClientErrorKind, Clock as _};
use riacho::{Error, Snapshot, Streams, SystemClock, TopicPartition, client_settings};
use serde_json::json;

use crate::cli::{App, ReportFormat};
use crate::gauge::Gauge;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;
use crate::transactions::config::TransactionsConfig;
use crate::transactions::topology::topology;
use crate::{Failure, process};

const EXAMPLES: &str = "\
Examples:
  riacho run transactions --bootstrap-server localhost:9092 --set state.dir=/var/lib/riacho
  riacho run transactions --config app.properties --set num.stream.threads=4
  RIACHO_BOOTSTRAP_SERVERS=k1:9092,k2:9092 riacho run transactions --set transactions.window.kind=hopping

SIGTERM or Ctrl-C: commits what is done, writes the state, leaves the group, and ends with 0. A second one ends at once,
with 143 or 130; nothing is lost or counted twice, but the next start has more to restore.
What it does: http://127.0.0.1:9464/metrics, /health, /ready and /topology [setting: riacho.http.address].";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application
    app: App,
    /// End once everything that was in the input at the start is committed
    #[arg(long)]
    until_caught_up: bool,
    /// Report on stdout for measuring tools
    #[arg(long, value_enum, value_name = "FORMAT")]
    report: Option<ReportFormat>,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let App::Transactions = args.app;
    let signals = Signals::listen()?;
    let clock = SystemClock::new();
    let born = process::age();
    let Loaded { config, app } = args.settings.load(&[])?;
    log::init(&LogSettings::of(&config))?;
    let topology = topology(&app)?;
    let goal = match args.until_caught_up || args.report.is_some() {
        true => match Goal::of(&config, &app, &signals)? {
            Some(goal) => Some(goal),
            None => return Ok(ExitCode::SUCCESS),
        },
        false => None,
    };
    let labels = Labels::of(&config, &app);
    let commit_interval = config.commit_interval();
    let streams = match Streams::start_with(topology, config, &|| signals.requested()) {
        Ok(streams) => streams,
        Err(Error::Stopped) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error.into()),
    };
    let mut watch = Watch {
        out: Output { json: args.report.is_some(), born, clock, labels },
        gauge: None,
        goal,
        until_caught_up: args.until_caught_up,
        commit_interval,
        running: None,
        restore: None,
        restored: 0,
        tasks_since: None,
        first: None,
        last_new: Duration::ZERO,
        records: 0,
        told: Duration::ZERO,
        asked: Duration::ZERO,
    };
    let watched = watch.until_the_end(&streams, &signals);
    let out = watch.out;
    let closing = out.clock.monotonic();
    let records = streams.progress().records;
    let closed = streams.close();
    out.closed(records, out.clock.monotonic().saturating_sub(closing))?;
    closed?;
    watched?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that was in the input at the start, and what of it was already committed.
struct Goal {
    admin: KafkaAdmin,
    group: String,
    ends: Vec<(TopicPartition, i64)>,
    records: u64,
    todo: u64,
}

impl Goal {
    /// Waits for Kafka; `None` when asked to stop meanwhile.
    fn of(config: &Config, app: &TransactionsConfig, signals: &Signals) -> Result<Option<Goal>, Failure> {
        const AGAIN: Duration = Duration::from_secs(1);
        loop {
            match Goal::now(config, app) {
                Ok(Some(goal)) => return Ok(Some(goal)),
                Ok(None) => {
                    let topic = app.input_topic.clone();
                    return Err(Error::NoTopic { topic, role: "input" }.into());
                }
                Err(error) if error.kind == ClientErrorKind::Retry => {
                    tracing::warn!(%error, "waiting for Kafka at {}", config.bootstrap_servers());
                    if signals.wait(AGAIN) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn now(config: &Config, app: &TransactionsConfig) -> Result<Option<Goal>, ClientError> {
        let settings = client_settings(config);
        let admin = KafkaAdmin::new(&settings)?;
        let Some(partitions) = admin.partitions_of(&app.input_topic)? else { return Ok(None) };
        let inputs: Vec<_> =
            (0..partitions).map(|partition| TopicPartition::new(app.input_topic.as_str(), partition)).collect();
        let group = config.application_id().to_owned();
        let committed = admin.group_offsets(&group, &inputs)?;
        let bounds = KafkaChangelogReader::new(&settings)?.bounds(&inputs)?;
        let count = |from: i64, to: i64| to.saturating_sub(from).max(0).unsigned_abs();
        let records = bounds.iter().map(|(first, end)| count(*first, *end)).sum();
        let left = bounds.iter().zip(committed);
        let todo = left.map(|((first, end), committed)| count(committed.unwrap_or(*first), *end)).sum();
        // A partition without a record is never committed.
        let ends = inputs.into_iter().zip(bounds).filter(|(_, (first, end))| end > first);
        let ends = ends.map(|(partition, (_, end))| (partition, end)).collect();
        Ok(Some(Goal { admin, group, ends, records, todo }))
    }

    /// Whether the group has committed all of it. A question that gets no answer is asked again later.
    fn is_reached(&self) -> bool {
        let partitions: Vec<_> = self.ends.iter().map(|(partition, _)| partition.clone()).collect();
        match self.admin.group_offsets(&self.group, &partitions) {
            Ok(committed) => {
                self.ends.iter().zip(committed).all(|((_, end), committed)| committed.is_some_and(|at| at >= *end))
            }
            Err(error) => {
                tracing::debug!(%error, "could not ask for the positions of the group");
                false
            }
        }
    }
}

/// What a report says of the run as a whole.
struct Labels {
    app: String,
    guarantee: &'static str,
    emit: String,
    threads: usize,
}

impl Labels {
    fn of(config: &Config, app: &TransactionsConfig) -> Labels {
        Labels {
            app: config.application_id().to_owned(),
            guarantee: match config.guarantee() {
                Guarantee::ExactlyOnce => "eos",
                Guarantee::AtLeastOnce => "alos",
            },
            emit: format!("{:?}", app.emit),
            threads: config.stream_threads().get(),
        }
    }
}

/// Tells what happens: JSON for tools, lines for people. The same events in the same shape as the peers tell theirs.
struct Output {
    json: bool,
    /// How old the process was when the clock began.
    born: Duration,
    clock: SystemClock,
    labels: Labels,
}

impl Output {
    fn since_start(&self, at: Duration) -> f64 {
        rounded((self.born + at).as_secs_f64())
    }

    fn event(&self, event: &serde_json::Value) -> Result<(), Failure> {
        if self.json {
            writeln!(std::io::stdout(), "{event}")?;
        }
        Ok(())
    }

    fn line(&self, at: Duration, text: &str) -> Result<(), Failure> {
        if self.json {
            writeln!(std::io::stdout(), "[{:.2}] {text}", (self.born + at).as_secs_f64())?;
        }
        Ok(())
    }

    fn caught_up(&self, facts: &CaughtUp) -> Result<(), Failure> {
        let CaughtUp { consumed, records, seconds, at, restored } = *facts;
        let per_second = if seconds > 0.0 { consumed as f64 / seconds } else { 0.0 };
        let (cpu, memory) = (process::cpu_time().as_secs_f64(), process::peak_memory_mib());
        if !self.json {
            let (consumed, rate) = (HumanCount(consumed), HumanCount(per_second as u64));
            writeln!(
                std::io::stdout(),
                "caught up: {consumed} records in {seconds:.2} s, {rate} records/s; {cpu:.2} s of processor time, at \
                 most {memory} MiB"
            )?;
        }
        let labels = &self.labels;
        self.event(&json!({
            "riacho": "caught_up",
            "app": labels.app,
            "guarantee": labels.guarantee,
            "store": "rocksdb",
            "emit": labels.emit,
            "threads": labels.threads,
            "consumed": consumed,
            "aggregated": records,
            "seconds": rounded(seconds),
            "records_per_s": per_second.round(),
            "since_process_start_s": self.since_start(at),
            "process_cpu_s": rounded(cpu),
            "cpu_s_per_million": rounded(cpu * 1e6 / consumed.max(1) as f64),
            "peak_rss_mib": memory,
            "restored": restored,
        }))
    }

    fn closed(&self, records: u64, took: Duration) -> Result<(), Failure> {
        self.event(&json!({
            "riacho": "closed",
            "aggregated": records,
            "process_cpu_s": rounded(process::cpu_time().as_secs_f64()),
            "peak_rss_mib": process::peak_memory_mib(),
            "close_s": rounded(took.as_secs_f64()),
        }))
    }
}

struct CaughtUp {
    consumed: u64,
    records: u64,
    seconds: f64,
    at: Duration,
    restored: u64,
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Watches an application. All times are the clock's.
struct Watch {
    out: Output,
    gauge: Option<Gauge>,
    goal: Option<Goal>,
    until_caught_up: bool,
    commit_interval: Duration,
    running: Option<Duration>,
    /// When the restore was first and last seen at work.
    restore: Option<(Duration, Duration)>,
    restored: u64,
    tasks_since: Option<Duration>,
    first: Option<Duration>,
    last_new: Duration,
    records: u64,
    told: Duration,
    /// When the group was last asked whether it has caught up.
    asked: Duration,
}

impl Watch {
    const STEP: Duration = Duration::from_millis(10);
    const STEP_UNMEASURED: Duration = Duration::from_millis(200);
    /// No new records for so long: it may have caught up.
    const QUIET: Duration = Duration::from_millis(300);
    const LINE_INTERVAL: Duration = Duration::from_secs(2);
    const LOG_INTERVAL: Duration = Duration::from_secs(60);

    fn until_the_end(&mut self, streams: &Streams, signals: &Signals) -> Result<(), Failure> {
        let step = if self.goal.is_some() { Self::STEP } else { Self::STEP_UNMEASURED };
        loop {
            if streams.wait_until_ended(step) {
                return Ok(());
            }
            if signals.requested() {
                tracing::info!("stopping: committing and leaving the group; once more to stop at once");
                return Ok(());
            }
            let now = self.out.clock.monotonic();
            let progress = streams.progress();
            self.see_restore(now, &progress, streams.state())?;
            self.see_records(now, &progress)?;
            if self.has_caught_up(now, &progress)? {
                return Ok(());
            }
        }
    }

    fn see_restore(&mut self, now: Duration, progress: &Snapshot, state: ClientState) -> Result<(), Failure> {
        if progress.tasks > 0 {
            self.tasks_since.get_or_insert(now);
        }
        if progress.active.len() > progress.tasks {
            self.restore.get_or_insert((now, now)).1 = now;
            let gauge = self.gauge.get_or_insert_with(|| Gauge::new("restoring tasks", Some(0)));
            gauge.of(progress.active.len() as u64);
            gauge.at(progress.tasks as u64);
            gauge.remark(format!("{} records", HumanCount(progress.restored)));
        } else {
            self.gauge = None;
        }
        if progress.restored > self.restored {
            self.restored = progress.restored;
            self.restore.get_or_insert((now, now)).1 = now;
        }
        if self.running.is_none() && state == ClientState::Running {
            self.running = Some(now);
            let took = self.restore.filter(|_| self.restored > 0).map_or(Duration::ZERO, |(from, to)| to - from);
            self.out.line(now, "RUNNING")?;
            self.out.event(&json!({
                "riacho": "running",
                "after_process_start_s": self.out.since_start(now),
                "restored_records": progress.restored,
                "restore_s": rounded(took.as_secs_f64()),
            }))?;
        }
        Ok(())
    }

    fn see_records(&mut self, now: Duration, progress: &Snapshot) -> Result<(), Failure> {
        if progress.records != self.records {
            self.records = progress.records;
            self.last_new = now;
            if self.first.is_none() {
                // Figures come with commits: what this one brings was begun a commit interval before it.
                let begun = now.saturating_sub(self.commit_interval + progress.last_commit);
                self.first = Some(begun.max(self.tasks_since.unwrap_or(begun)));
                self.out.line(now, "first record aggregated")?;
            }
        }
        let interval = if self.out.json { Self::LINE_INTERVAL } else { Self::LOG_INTERVAL };
        if now.saturating_sub(self.told) >= interval {
            self.told = now;
            self.out.line(now, &format!("{} aggregated", progress.records))?;
            if !self.out.json {
                let Snapshot { records, late, commits, tasks, .. } = progress;
                tracing::info!(records, late, commits, tasks, lag = progress.lag(), "processed since the start");
            }
        }
        Ok(())
    }

    fn has_caught_up(&mut self, now: Duration, progress: &Snapshot) -> Result<bool, Failure> {
        let Some(goal) = self.goal.as_ref().filter(|_| self.until_caught_up && self.running.is_some()) else {
            return Ok(false);
        };
        let quiet_since = self.last_new.max(self.asked);
        if goal.todo > 0 && now.saturating_sub(quiet_since) < Self::QUIET {
            return Ok(false);
        }
        self.asked = now;
        if !goal.is_reached() {
            return Ok(false);
        }
        let seconds = self.first.map_or(0.0, |first| self.last_new.saturating_sub(first).as_secs_f64());
        tracing::info!(records = goal.records, "everything that was in the input at the start is committed");
        self.out.caught_up(&CaughtUp {
            consumed: goal.todo,
            records: progress.records,
            seconds,
            at: self.last_new,
            restored: progress.restored,
        })?;
        Ok(true)
    }
}
