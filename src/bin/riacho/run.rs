//! `riacho run`: an application, from the start until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanCount;
use riacho::lifecycle::ClientState;
use riacho::observe::log::{self, LogSettings};
use riacho::ports::Clock as _;
use riacho::query::Queries;
use riacho::{Error, Launch, Snapshot, Streams, SystemClock};

use crate::application::{RunOptions, Runnable};
use crate::beside::Beside;
use crate::cli::ReportFormat;
use crate::gauge::Gauge;
use crate::goal::Goal;
use crate::report::{CaughtUp, Labels, Output};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::web::{self, Board, Facts, PageSettings};
use crate::{Failure, WrongUse, process, workshop};

const EXAMPLES: &str = "\
Examples:
  riacho run transactions --bootstrap-server localhost:9092 --set state.dir=/var/lib/riacho
  riacho run transactions --config app.properties --set num.stream.threads=4
  riacho run transactions --config app.properties --set transactions.window.kind=hopping
  riacho run extraction --embedded -b localhost:9092
  riacho run sales -b localhost:9092 --set sales.postgres.url=postgres://postgres@localhost/sales_db
  ACTION=producer TOPIC=my-topic BOOTSTRAP_SERVERS=localhost:9092 riacho run workshop

SIGTERM or Ctrl-C: commits what is done, writes the state, leaves the group, and ends with 0. A second \
one ends at once, with 143 or 130; nothing is lost or counted twice, but the next start may have more \
to restore.

What it does is shown at http://127.0.0.1:9464/, and served at /metrics, /health, /ready and /topology \
[setting: riacho.http.address].";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application
    app: Runnable,
    /// End once everything that was in the input at the start is committed
    #[arg(long)]
    until_caught_up: bool,
    /// Serve the application a source with made-up input too
    #[arg(long)]
    embedded: bool,
    /// Report on stdout for measuring tools
    #[arg(long, value_enum, value_name = "FORMAT")]
    report: Option<ReportFormat>,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let app = match args.app {
        Runnable::Streams(app) => app,
        Runnable::Workshop if args.until_caught_up || args.embedded || args.report.is_some() => {
            let flags = "--until-caught-up, --embedded and --report";
            return Err(WrongUse(format!("the workshop has no topology: {flags} are not for it")).into());
        }
        Runnable::Workshop => return workshop::run(&args.settings),
    };
    let signals = Signals::listen()?;
    let clock = SystemClock::new();
    let born = process::age();
    let mut loaded = args.settings.load(app, &[])?;
    log::init(&LogSettings::of(&loaded.config))?;
    let Args { embedded, until_caught_up, .. } = *args;
    let options = RunOptions { embedded, until_caught_up, signals: &signals };
    let mut beside = loaded.app.prepare(&loaded.config, options)?;
    let (topology, own_metrics) = loaded.app.measured()?;
    let goal = if args.until_caught_up { Goal::of(&loaded, &topology, &signals)? } else { None };
    let labels = Labels::of(&loaded.config, loaded.app.emits());
    let commit_interval = loaded.config.commit_interval();
    let board = Board::new();
    let facts = Facts::of(&loaded.config);
    let queries = Queries::new();
    let own_pages = loaded.app.pages(&loaded.config, &queries, &board)?;
    let pages = web::pages(&PageSettings::of(&loaded.config)?, &board, app.name()).merge(own_pages);
    let mut launch = Launch::of(topology, loaded.config).with_queries(queries).with_pages(pages);
    if let Some(Beside { objection, .. }) = &beside {
        launch = launch.ready_unless(Arc::clone(objection));
    }
    let streams = match launch.start_unless(&|| signals.requested()) {
        Ok(streams) => streams,
        Err(Error::Stopped) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error.into()),
    };
    streams.metrics().add(own_metrics)?;
    if let Some(Beside { metrics, .. }) = &mut beside {
        streams.metrics().add(std::mem::take(metrics))?;
    }
    board.show(app.name(), facts, streams.overview());
    let mut watch = Watch {
        out: Output { json: args.report.is_some(), born, clock, labels },
        gauge: None,
        goal,
        commit_interval,
        running: None,
        restore: None,
        restored: 0,
        tasks_since: None,
        first: None,
        last_new: Duration::ZERO,
        records: 0,
        told: Duration::ZERO,
        asked: None,
    };
    let watched = watch.until_the_end(&streams, &signals);
    let out = watch.out;
    drop(beside);
    let closing = out.clock.monotonic();
    let records = streams.progress().records;
    let closed = streams.close();
    out.closed(records, closing)?;
    closed?;
    watched?;
    Ok(ExitCode::SUCCESS)
}

/// Watches an application. All times are the clock's.
struct Watch {
    out: Output,
    gauge: Option<Gauge>,
    goal: Option<Goal>,
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
    asked: Option<Duration>,
}

impl Watch {
    const STEP: Duration = Duration::from_millis(10);
    const STEP_UNMEASURED: Duration = Duration::from_millis(200);
    /// No new records for so long: it may have caught up.
    const QUIET: Duration = Duration::from_millis(300);
    const LINE_INTERVAL: Duration = Duration::from_secs(2);
    const LOG_INTERVAL: Duration = Duration::from_secs(60);

    fn until_the_end(&mut self, streams: &Streams, signals: &Signals) -> Result<(), Failure> {
        let step = if self.goal.is_some() || self.out.json { Self::STEP } else { Self::STEP_UNMEASURED };
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
            let took =
                self.restore.filter(|_| self.restored > 0).map_or(Duration::ZERO, |(from, to)| to - from);
            self.out.running(now, progress.restored, took)?;
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
                tracing::info!(
                    records,
                    late,
                    commits,
                    tasks,
                    lag = progress.lag(),
                    "processed since the start"
                );
            }
        }
        Ok(())
    }

    fn has_caught_up(&mut self, now: Duration, progress: &Snapshot) -> Result<bool, Failure> {
        let Some(goal) = self.goal.as_ref().filter(|_| self.running.is_some()) else { return Ok(false) };
        let quiet_since = self.asked.max(Some(self.last_new)).unwrap_or_default();
        let is_quiet = now.saturating_sub(quiet_since) >= Self::QUIET;
        let is_first = goal.todo == 0 && self.asked.is_none();
        if !is_quiet && !is_first {
            return Ok(false);
        }
        self.asked = Some(now);
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
