//! The demo: Kafka, a generator, the application `transactions`, a live view and the proof, all in one process.

mod board;
mod broker;
mod figures;
mod jvm;
mod lines;
mod proof;
mod scene;
mod source;
mod view;
mod watcher;

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use riacho::observe::log::{self, LogSettings};
use riacho::ports::Clock as _;
use riacho::query::Queries;
use riacho::{Launch, Snapshot, Streams, SystemClock};

use crate::application::App;
use crate::signals::Signals;
use crate::web::{self, Facts, PageSettings};

use board::Board;
use broker::{Broker, Place};
use figures::{Meter, Stage};
use lines::Lines;
use proof::{Proof, Verdict};
use scene::Scene;
use source::Source;
use view::View;
use watcher::Watcher;

/// How long the demo runs where nobody can press a key.
const SECONDS_UNATTENDED: u64 = 30;
/// What the longest start needs that is not a failure: a cluster that is busy with itself.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Runs the main job before your eyes, then proves that every closed window is right.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where Kafka is: embedded (inside this process), jvm (a real Apache Kafka, started for the demo) or HOST:PORT
    #[arg(long, value_name = "WHERE", default_value = "embedded")]
    kafka: Place,
    /// End after so many seconds [default: 30; on a terminal when q or Ctrl-C is pressed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Transactions per second, as far as the application keeps up
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(50_000).expect("not zero"))]
    rate: NonZeroU32,
    /// Different vendors
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(1_000).expect("not zero"))]
    vendors: NonZeroU32,
    /// The same seed draws the same transactions
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Stream threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
}

/// Where figures are shown while the demo runs.
enum Screen {
    Terminal(Box<View>),
    Lines(Lines),
}

/// What whoever watches wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    GoOn,
    End,
}

/// Writes lines for whoever started the demo.
///
/// # Errors
/// When nobody reads them any more.
fn say(lines: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{lines}")
}

/// Sets a flag when it is dropped, so that a thread that waits for it ends however its owner does.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs the demo to its verdict: success is a proof that compared something and found nothing wrong.
///
/// # Errors
/// When there is no Kafka to run on, or something fails before there is a verdict.
pub(crate) fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let signals = Signals::listen()?;
    let on_terminal = io::stdout().is_terminal();
    let seconds = args.seconds.or((!on_terminal).then_some(SECONDS_UNATTENDED));

    let broker = Broker::start(&args.kafka)?;
    say(&broker.introduction())?;
    let scene = Scene::set(&args, &broker)?;
    // Log lines would be drawn over the view.
    if !on_terminal || !io::stderr().is_terminal() {
        log::init(&LogSettings::of(&scene.config))?;
    }
    say(&scene.introduction())?;
    let verdict = play(&args, &scene, &signals, on_terminal, seconds.map(Duration::from_secs));
    scene.clear(&broker);
    let verdict = verdict?;
    say(&verdict.to_string())?;
    Ok(if verdict.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(
    args: &Args,
    scene: &Scene,
    signals: &Signals,
    on_terminal: bool,
    duration: Option<Duration>,
) -> Result<Verdict, Box<dyn Error>> {
    let clock = SystemClock::new();
    let (shown, queries) = (web::Board::new(), Queries::new());
    let pages = web::pages(&PageSettings::default(), &shown, App::Transactions.name());
    let pages = pages.merge(web::transactions::pages(&queries, &shown));
    let launch = Launch::of(scene.topology()?, scene.config.clone());
    let streams = launch.with_queries(queries).with_pages(pages).start_unless(&|| signals.requested())?;
    shown.show(App::Transactions.name(), Facts::of(&scene.config), streams.overview());
    if !on_terminal {
        if let Some(address) = streams.http_address() {
            say(&format!("pages at http://{address}/"))?;
        }
        say("waiting for the consumer group")?;
    }
    let mut screen =
        if on_terminal { Screen::Terminal(Box::new(View::open()?)) } else { Screen::Lines(Lines::new()) };
    let mut meter = Meter::new(&scene.title(), duration);
    let proof = Proof::new(scene.rules());
    let board = Board::new();
    let [stop_source, stop_watcher, given_up] = [(); 3].map(|()| AtomicBool::new(false));
    let source = Source::new(args, scene)?;
    let watcher = Watcher::open(scene)?;
    let sent = source.sent();

    let last = thread::scope(|scope| -> Result<Snapshot, Box<dyn Error>> {
        let _end_watcher = Raise(&stop_watcher);
        let watching = scope.spawn(|| watcher.watch(&proof, &board, &stop_watcher));
        let flowed = thread::scope(|inner| -> Result<(), Box<dyn Error>> {
            let _end_source = Raise(&stop_source);
            let _end_drain = Raise(&given_up);
            let mut show = |stage, meter: &mut Meter| -> Result<Wish, Box<dyn Error>> {
                let figures = meter.measure(&clock, stage, &sent, &streams, &board, &proof);
                let wish = match &mut screen {
                    Screen::Terminal(view) => view.show(&figures)?,
                    Screen::Lines(lines) => lines.show(&figures, signals)?,
                };
                Ok(wish)
            };
            await_running(&streams, &clock, signals, &mut || show(Stage::Starting, &mut meter))?;
            meter.begin(&clock);
            let sending = inner.spawn(|| source.run(&streams, &proof, &stop_source, &given_up));
            let mut stage = Stage::Running;
            while !sending.is_finished() {
                let wish = show(stage, &mut meter)?;
                let over = wish == Wish::End
                    || signals.requested()
                    || meter.is_over(&clock)
                    || watching.is_finished();
                if stage == Stage::Running && over {
                    stop_source.store(true, Ordering::Release);
                    meter.end(&clock);
                    stage = Stage::Closing;
                } else if stage == Stage::Closing && wish == Wish::End {
                    return Err("given up before the last windows were closed: nothing is proved".into());
                }
            }
            show(Stage::Closing, &mut meter)?;
            match sending.join() {
                Ok(result) => Ok(result?),
                Err(_) => Err("the generator panicked: this is a bug".into()),
            }
        });
        // The terminal is itself again before anything is said.
        drop(screen);
        let last = streams.progress();
        let closed = streams.close();
        stop_watcher.store(true, Ordering::Release);
        let watched = watching.join().map_err(|_| "the reader of the output panicked: this is a bug")?;
        // Why the application ended says more than that the generator or the reader waited in vain.
        closed?;
        flowed?;
        watched.map_err(|error| error as Box<dyn Error>)?;
        Ok(last)
    })?;
    Ok(proof.verdict(&board, &last, sent.total(), meter.lasted()))
}

fn await_running(
    streams: &Streams,
    clock: &SystemClock,
    signals: &Signals,
    show: &mut dyn FnMut() -> Result<Wish, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    const STEP: Duration = Duration::from_millis(100);
    let deadline = clock.monotonic() + START_LIMIT;
    while !streams.wait_until_running(STEP) {
        if let Some(failure) = streams.failure() {
            return Err(failure.into());
        }
        if show()? == Wish::End || signals.requested() {
            return Err("stopped before the application was running".into());
        }
        if clock.monotonic() > deadline {
            let seconds = START_LIMIT.as_secs();
            return Err(
                format!("the application is not running after {seconds} s: is the cluster healthy?").into()
            );
        }
    }
    Ok(())
}
