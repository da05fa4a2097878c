//! `riacho extract`: the rows of an HTTP API into raw files, told of on Kafka; and the same beside `riacho run extraction`.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use riacho::config::Config;
use riacho::connect::http_api::HttpApi;
use riacho::kafka::KafkaAdmin;
use riacho::observe::HttpServer;
use riacho::ports::Clock as _;
use riacho::{SystemClock, client_settings};

use crate::application::{App, RunOptions};
use crate::beside::{Beside, Worker};
use crate::extraction::api::Api;
use crate::extraction::config::ExtractionConfig;
use crate::extraction::extractor::{ExtractError, Extracted, Extractor};
use crate::extraction::kafka_references::KafkaReferences;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;
use crate::{Failure, topics};

const EXAMPLES: &str = "\
Examples:
  riacho extract -b localhost:9092 --set extraction.api.url=https://example.org/api/items \\
    --set extraction.api.rows.path=items --set extraction.source=items
  RIACHO_EXTRACTION_API_TOKEN_FILE=/run/secrets/api riacho extract --config items.properties
  riacho extract -b localhost:9092 --embedded --once --set extraction.embedded.rows=100000 \\
    --set extraction.embedded.rows.per.second=0

It may be killed at any moment: the next start goes on where files and topic say. One process extracts a \
source at a time. `riacho run extraction` makes normalised files of what it tells of.";

/// After a failure, when nobody waits for the end.
const AGAIN: Duration = Duration::from_secs(5);
/// After a failure that mostly passes at once: a topic that is new has no leader yet.
const SOON: Duration = Duration::from_secs(1);
/// So many failures in a row do not pass.
const FAILURES_MAX: u32 = 30;
const SEED: u64 = 0x7269_6163_686f;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Serve an API with made-up rows and extract from it
    #[arg(long)]
    embedded: bool,
    /// End when the API has no more rows
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let mut loaded: Loaded<ExtractionConfig> =
        args.settings.load_for_tool(App::Extraction, |_, config| ExtractionConfig::of(config))?;
    let server = if args.embedded { Some(serve(&mut loaded.app)?) } else { None };
    let clock = SystemClock::new();
    let mut work = Work::begin(&loaded.app, &loaded.config)?;
    let done = work.extract(args.once, &mut |time| signals.wait(time))?;
    let seconds = clock.monotonic().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{} rows in {} files, {}, in {seconds:.1} s: {} rows/s",
        HumanCount(done.rows),
        HumanCount(done.files),
        HumanBytes(done.bytes),
        HumanCount((done.rows as f64 / seconds.max(1e-3)) as u64)
    )?;
    drop(server);
    Ok(ExitCode::SUCCESS)
}

/// Serves the embedded API and lets the configuration lead to it.
fn serve(app: &mut ExtractionConfig) -> Result<HttpServer, Failure> {
    let api = Api::new(app.embedded, Arc::new(SystemClock::new()));
    let server = HttpServer::start("127.0.0.1:0", api.pages())?;
    app.use_embedded(server.local_addr());
    Ok(server)
}

/// What was extracted.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    files: u64,
    rows: u64,
    bytes: u64,
}

/// An extraction of one source.
struct Work {
    extractor: Extractor<KafkaReferences>,
    poll_interval: Duration,
    /// Held, so that nobody extracts the same source at the same time.
    _lock: File,
}

impl Work {
    fn begin(app: &ExtractionConfig, config: &Config) -> Result<Work, Failure> {
        let settings = client_settings(config);
        let folders = app.folders();
        folders.prepare()?;
        let lock = app.dir.join(format!(".{}.extractor", app.source));
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", lock.display());
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(|error| told(&error))?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                format!(
                    "another process extracts the source {}: end it, or choose another extraction.source",
                    app.source
                )
            }
            std::fs::TryLockError::Error(error) => told(&error),
        })?;
        topics::ensure(&KafkaAdmin::new(&settings)?, &app.files_topic, topics::PARTITIONS, config)?;
        let clock = Arc::new(SystemClock::new());
        let extractor = Extractor {
            api: HttpApi::new(app.needed_api()?, clock.clone(), SEED ^ u64::from(std::process::id())),
            references: KafkaReferences::open(settings, &app.files_topic)?,
            folders,
            source: app.source.clone(),
            limits: app.limits,
            clock,
        };
        Ok(Work { extractor, poll_interval: app.poll_interval, _lock: file })
    }

    /// Extracts until `pause` says to stop, or with `once` until the API has no more rows. What fails is tried again, with
    /// `once` only where that mostly helps.
    fn extract(&mut self, once: bool, pause: &mut dyn FnMut(Duration) -> bool) -> Result<Done, ExtractError> {
        let mut done = Done::default();
        let mut failures = 0;
        loop {
            let files = done.files;
            let error = match self.pass(&mut done, once, pause) {
                Ok(()) => return Ok(done),
                Err(error) => error,
            };
            failures = if done.files > files { 1 } else { failures + 1 };
            if error.is_final() || (once && !(error.may_pass() && failures < FAILURES_MAX)) {
                return Err(error);
            }
            tracing::warn!(%error, "the extraction has failed and is tried again");
            if pause(if error.may_pass() { SOON } else { AGAIN }) {
                return Ok(done);
            }
        }
    }

    fn pass(
        &mut self,
        done: &mut Done,
        once: bool,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<(), ExtractError> {
        let mut progress = self.extractor.resume()?;
        tracing::info!(files = progress.sequence, rows = progress.rows, "extracting from here on");
        loop {
            let is_end = match self.extractor.next_file(&mut progress, pause)? {
                Extracted::Nothing => true,
                Extracted::File { reference, is_end } => {
                    tracing::info!(file = reference.path, rows = reference.rows, "extracted");
                    done.files += 1;
                    done.rows += reference.rows;
                    done.bytes += reference.bytes;
                    is_end
                }
            };
            let wait = if is_end { self.poll_interval } else { Duration::ZERO };
            if (once && is_end) || pause(wait) {
                return Ok(());
            }
        }
    }
}

/// What `riacho run extraction` does before and beside its topology.
///
/// # Errors
/// When the folders cannot be made; with `--embedded` also when topics cannot be created.
pub(crate) fn prepare(
    app: &mut ExtractionConfig,
    config: &Config,
    options: RunOptions<'_>,
) -> Result<Option<Beside>, Failure> {
    app.folders().prepare()?;
    if !options.embedded {
        return Ok(None);
    }
    let server = serve(app)?;
    topics::ensure(
        &KafkaAdmin::new(&client_settings(config))?,
        &app.normalised_topic,
        topics::PARTITIONS,
        config,
    )?;
    let mut work = Work::begin(app, config)?;
    if options.until_caught_up {
        work.extract(true, &mut |time| options.signals.wait(time))?;
        return Ok(None);
    }
    Ok(Some(Beside::of(Running::start(work, server)?)))
}

/// An extraction on a thread of its own. Fields are dropped in their order: the server after the thread that asks it.
struct Running {
    _worker: Worker,
    _server: HttpServer,
}

impl Running {
    fn start(mut work: Work, server: HttpServer) -> std::io::Result<Running> {
        let worker = Worker::start("extraction", move |wait| {
            if let Err(error) = work.extract(false, &mut |time| wait(time)) {
                tracing::error!(%error, "the extraction has ended");
            }
        })?;
        Ok(Running { _worker: worker, _server: server })
    }
}
