//! The running application: the handle that users hold, and the one place where the parts are put together.

mod launch;
mod provider;
mod settings;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use riacho_topology::Topology;

use self::provider::RocksProvider;
use self::settings::{memory_budget, thread_client_settings, worker_settings};
use self::topics::{prepare_topics, repartition_topics};
use crate::clock::SystemClock;
use crate::config::{Config, Guarantee};
use crate::error::Error;
use crate::housekeeping::{Chores, Housekeeping};
use crate::kafka::{
    ClientSettings, KafkaAdmin, KafkaChangelogReader, KafkaOwners, KafkaStreamClient, StatisticsWatch,
};
use crate::lifecycle::{ClientState, Lifecycle, Limits};
use crate::observe::http::{Pages, Probe, TopologyFormat};
use crate::observe::metrics::{BrokerStatistics, ClientMetrics};
use crate::observe::{HttpServer, Metrics, Observer};
use crate::overview::Overview;
use crate::ports::{ClientErrorKind, Clock, StateProvider};
use crate::progress::{Progress, Snapshot};
use crate::query::{Announcer, Neighbours, Readers, Site, StoreFacts};
use crate::rebalance::TaskLayout;
use crate::restore::{RestoreThread, Restorer};
use crate::start_line::StartLine;
use crate::state::{Memory, StateDirectory};
use crate::worker::{MakeClient, StreamThread, Surroundings, WorkerSettings};

pub use launch::Launch;
pub use settings::client_settings;
pub use topics::OwnTopics;

/// An application that runs: stream threads, their state and their eyes.
///
/// ```no_run
/// use std::time::Duration;
/// use riacho::config::Config;
/// use riacho::{BigEndian, Consumed, Grouped, Materialized, Produced, Streams, StreamsBuilder, Utf8};
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("words", Consumed::<String, String>::with(Utf8, Utf8))
///     .group_by(|word| word.value.clone(), Grouped::with(Utf8, Utf8))
///     .count(Materialized::named("counts", BigEndian))
///     .to_stream()
///     .to("word-counts", Produced::with(Utf8, BigEndian));
/// let config = Config::of([("application.id", "word-count"), ("bootstrap.servers", "localhost:9092")])?;
/// let streams = Streams::start(builder.build()?, config)?;
/// streams.wait_until_running(Duration::from_secs(60));
/// streams.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it stops the threads as [`close`](Self::close) does.
pub struct Streams {
    lifecycle: Arc<Lifecycle>,
    metrics: Metrics,
    progress: Progress,
    exactly_once: bool,
    topology: Arc<Topology>,
    layout: Arc<TaskLayout>,
    http: Option<HttpServer>,
    announcer: Option<Announcer>,
    readers: Arc<Readers>,
    housekeeping: Option<Housekeeping>,
    threads: Vec<JoinHandle<()>>,
    clock: Arc<dyn Clock>,
    directory: Arc<StateDirectory>,
}

/// What the threads of an instance share.
struct Shared {
    layout: Arc<TaskLayout>,
    provider: Arc<dyn StateProvider>,
    start_line: Arc<StartLine>,
}

impl Streams {
    /// Starts the application: waits for Kafka and the input topics, makes the internal topics, starts the threads.
    ///
    /// # Errors
    /// When the state directory belongs to another process, Kafka does not answer within `task.timeout.ms`, an input
    /// topic is missing, or an internal topic is not as it should be.
    pub fn start(topology: Topology, config: Config) -> Result<Self, Error> {
        Self::start_with(topology, config, &|| false)
    }

    /// [`start`](Self::start), giving up with [`Error::Stopped`] as soon as `stop` says so.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(topology: Topology, config: Config, stop: &dyn Fn() -> bool) -> Result<Self, Error> {
        Launch::of(topology, config).start_unless(stop)
    }

    fn launch(launch: Launch, stop: &dyn Fn() -> bool) -> Result<Self, Error> {
        let Launch { topology, config, pages, queries, objection } = launch;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let topology = Arc::new(topology);
        let directory = Arc::new(StateDirectory::open(config.state_dir(), config.application_id())?);
        let base = client_settings(&config);
        base.check()?;
        let admin = KafkaAdmin::new(&base)?;
        let layout = Arc::new(prepare_topics(&topology, &config, &admin, stop)?);

        let lifecycle = Lifecycle::new(config.client_id(), config.stream_threads(), Limits::of(&config));
        let instance = instance_name(&config, &directory.process_id().to_string());
        let metrics = Metrics::new(config.application_id(), &instance, config.recording_level())
            .map_err(|error| Error::Failed(error.to_string()))?;
        let stores = StoreFacts::all(&topology, &layout);
        queries.check(&stores).map_err(Error::Failed)?;
        let pages = if queries.are_wanted() { pages.merge(queries.pages()) } else { pages };
        let (probe_clock, described) = (Arc::clone(&clock), Arc::clone(&topology));
        let probe = Probe {
            lifecycle: Arc::clone(&lifecycle),
            metrics: metrics.clone(),
            now: Arc::new(move || probe_clock.monotonic()),
            objection,
        };
        let http = serve(&config, probe, described, pages)?;
        let neighbours = match http.as_ref().filter(|_| queries.are_wanted()) {
            Some(http) => neighbours(&config, &base, http, clock.as_ref())?,
            None => None,
        };
        let readers = Arc::new(Readers::default());
        let site = Arc::new(Site::new(
            stores,
            Arc::clone(&readers),
            neighbours,
            Arc::clone(&lifecycle),
            Arc::clone(&clock),
        ));
        queries.bind(Arc::clone(&site)).map_err(Error::Failed)?;
        let announcer = site.neighbours.is_some().then(|| Announcer::start(site)).transpose();
        let announcer = announcer.map_err(|error| Error::Thread(error.to_string()))?;
        let base = ClientSettings { statistics: Some(watch_clients(&metrics)), ..base };
        let memory = Memory::new(memory_budget(&config), 2);
        let progress = Progress::default();
        let housekeeping = Housekeeping::start(Chores {
            admin,
            reader: KafkaChangelogReader::new(&base)?,
            progress: progress.clone(),
            tell_ends: Box::new({
                let metrics = metrics.clone();
                move |ends| metrics.ends(ends)
            }),
            tell_memory: Box::new({
                let (metrics, memory) = (metrics.clone(), memory.clone());
                move || metrics.block_cache(memory.statistics().block_cache_bytes as u64)
            }),
            directory: Arc::clone(&directory),
            clock: Arc::clone(&clock),
            repartition_topics: repartition_topics(&topology, &config),
            purge_interval: config.repartition_purge_interval(),
            cleanup_delay: config.state_cleanup_delay(),
        })
        .map_err(|error| Error::Thread(error.to_string()))?;

        let provider: Arc<dyn StateProvider> =
            Arc::new(RocksProvider { directory: Arc::clone(&directory), memory });
        lifecycle.start()?;
        let mut streams = Streams {
            lifecycle,
            metrics,
            progress,
            exactly_once: config.guarantee() == Guarantee::ExactlyOnce,
            topology,
            layout: Arc::clone(&layout),
            http,
            announcer,
            readers,
            housekeeping: Some(housekeeping),
            threads: Vec::new(),
            clock,
            directory,
        };
        let start_line = Arc::new(StartLine::new(config.stream_threads().get()));
        for number in 1..=config.stream_threads().get() {
            let shared = Shared {
                layout: Arc::clone(&layout),
                provider: Arc::clone(&provider),
                start_line: Arc::clone(&start_line),
            };
            let thread = streams.start_thread(number, &config, &base, shared)?;
            streams.threads.push(thread);
        }
        Ok(streams)
    }

    fn start_thread(
        &self,
        number: usize,
        config: &Config,
        base: &ClientSettings,
        shared: Shared,
    ) -> Result<JoinHandle<()>, Error> {
        let name = format!("{}-StreamThread-{number}", config.client_id());
        let process = self.directory.process_id().to_string();
        let settings = thread_client_settings(config, base, &shared.layout, (&process, number));
        let observer = Observer::new(
            &self.metrics,
            self.lifecycle.thread(number),
            self.progress.clone(),
            Arc::clone(&self.clock),
            self.exactly_once,
        );
        let worker = worker_settings(config);
        let Shared { layout, provider, start_line } = shared;
        let (topology, clock) = (Arc::clone(&self.topology), Arc::clone(&self.clock));
        let (lifecycle, readers) = (Arc::clone(&self.lifecycle), Arc::clone(&self.readers));
        let body = move || {
            let reader_settings = settings.clone();
            let (reader_provider, reader_clock) = (Arc::clone(&provider), Arc::clone(&clock));
            let restore = RestoreThread::start(format!("restore-{number}"), move || {
                let reader = KafkaChangelogReader::new(&reader_settings)?;
                Ok(Restorer::new(reader, reader_provider, reader_clock))
            });
            let restore = match restore {
                Ok(restore) => Box::new(restore),
                Err(error) => return lifecycle.fail(format!("no thread for restoring state: {error}")),
            };
            let make_client: MakeClient<KafkaStreamClient> =
                Box::new(move || KafkaStreamClient::new(&settings));
            let observer = Box::new(observer);
            let around =
                Surroundings { make_client, restore, provider, observer, readers, clock, start_line };
            run_thread(&lifecycle, topology, layout, worker, around);
        };
        let spawned = std::thread::Builder::new().name(name).spawn(body);
        spawned.map_err(|error| Error::Thread(error.to_string()))
    }

    /// The application's state.
    pub fn state(&self) -> ClientState {
        self.lifecycle.state()
    }

    /// Why the application failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.lifecycle.failure()
    }

    /// Waits until the application is `RUNNING` or has ended, at most `timeout`. Returns whether it is `RUNNING`.
    pub fn wait_until_running(&self, timeout: Duration) -> bool {
        let wanted = |state: ClientState| state == ClientState::Running || state.has_ended();
        self.lifecycle.wait_until(timeout, wanted) == ClientState::Running
    }

    /// Waits until the application has ended, at most `timeout`. Returns whether it has.
    pub fn wait_until_ended(&self, timeout: Duration) -> bool {
        self.lifecycle.wait_until(timeout, ClientState::has_ended).has_ended()
    }

    /// What the application counts and measures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How far it is.
    pub fn progress(&self) -> Snapshot {
        self.progress.lock().clone()
    }

    /// A handle that sees all this, for pages and other threads.
    pub fn overview(&self) -> Overview {
        Overview {
            lifecycle: Arc::clone(&self.lifecycle),
            metrics: self.metrics.clone(),
            progress: self.progress.clone(),
            topology: Arc::clone(&self.topology),
            layout: Arc::clone(&self.layout),
        }
    }

    /// The computation that runs.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Where `/metrics`, `/health`, `/ready` and `/topology` are served, if they are.
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.http.as_ref().map(HttpServer::local_addr)
    }

    /// Stops: every thread commits what it has done, writes its state and leaves the group.
    ///
    /// # Errors
    /// [`Error::Failed`] when a thread had failed before.
    pub fn close(mut self) -> Result<(), Error> {
        self.stop();
        self.failure().map_or(Ok(()), |reason| Err(Error::Failed(reason)))
    }

    fn stop(&mut self) {
        self.lifecycle.shut_down();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.lifecycle
                    .fail("a stream thread panicked: this is a bug in riacho or in the topology's functions");
            }
        }
        self.announcer = None;
        self.housekeeping = None;
        self.http = None;
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What tells this instance's series from those of the others. By default every instance has the same client id.
fn instance_name(config: &Config, process: &str) -> String {
    if config.client_id() != config.application_id() {
        return config.client_id().to_owned();
    }
    format!("{}-{}", config.client_id(), process.get(..8).unwrap_or(process))
}

/// Hands what the clients tell of themselves to the metrics. A client that takes the place of another has its name.
fn watch_clients(metrics: &Metrics) -> StatisticsWatch {
    let (metrics, clients) = (metrics.clone(), Mutex::new(BTreeMap::<String, ClientMetrics>::new()));
    StatisticsWatch::new(move |told| {
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(told.client.clone()).or_insert_with(|| metrics.client(&told.client));
        let brokers = told.connections.iter().map(|connection| BrokerStatistics {
            broker: &connection.broker,
            round_trip: connection.round_trip,
            throttle: connection.throttle,
            request_timeouts: connection.request_timeouts,
            disconnects: connection.disconnects,
            retries: connection.retries,
        });
        client.statistics(told.queue_records, told.queue_bytes, brokers);
    })
}

fn run_thread(
    lifecycle: &Lifecycle,
    topology: Arc<Topology>,
    layout: Arc<TaskLayout>,
    settings: WorkerSettings,
    around: Surroundings<KafkaStreamClient>,
) {
    let mut around = Some(around);
    let mut thread = loop {
        let Some(surroundings) = around.take() else { return };
        let joined =
            StreamThread::join(Arc::clone(&topology), Arc::clone(&layout), settings.clone(), surroundings);
        let (error, surroundings) = match joined {
            Ok(thread) => break thread,
            Err(refused) => *refused,
        };
        if error.kind != ClientErrorKind::Retry || lifecycle.stop_requested() {
            return lifecycle.fail(error);
        }
        tracing::warn!(%error, "cannot join the group yet");
        around = Some(surroundings);
    };
    while !lifecycle.stop_requested() {
        if let Err(failure) = thread.step() {
            tracing::error!(%failure, "the stream thread stops");
            lifecycle.fail(&failure);
            return thread.shut_down(false);
        }
    }
    thread.shut_down(true);
}

fn serve(
    config: &Config,
    probe: Probe,
    topology: Arc<Topology>,
    pages: Pages,
) -> Result<Option<HttpServer>, Error> {
    let Some(address) = config.http_address() else { return Ok(None) };
    let text_of = move |format| {
        Some(match format {
            TopologyFormat::Text => topology.describe(),
            TopologyFormat::Dot => topology.to_dot(),
            TopologyFormat::Json => topology.to_json().to_string(),
        })
    };
    let pages = probe.pages(text_of, serde_json::Map::new()).merge(pages);
    let pages = pages.with_token(config.http_token().map(str::to_owned));
    HttpServer::start(address, pages).map(Some).map_err(|error| Error::Http(error.to_string()))
}

/// How this instance reaches others, and they it; none where its own address is a wildcard that says nothing to them.
fn neighbours(
    config: &Config,
    base: &ClientSettings,
    http: &HttpServer,
    clock: &dyn Clock,
) -> Result<Option<Neighbours>, Error> {
    let local = http.local_addr();
    let own = (!local.ip().is_unspecified()).then(|| local.to_string());
    let Some(address) = config.advertised_address().map(str::to_owned).or(own) else {
        tracing::warn!(
            "riacho.http.address is a wildcard: other instances cannot ask this one, nor it them, until \
             riacho.advertised.address says where they reach it"
        );
        return Ok(None);
    };
    let directory = Box::new(KafkaOwners::new(base, clock.now())?);
    Ok(Some(Neighbours { directory, address, token: config.http_token().map(str::to_owned) }))
}
