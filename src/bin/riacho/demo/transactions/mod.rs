//! The demo of `transactions`: a generator, the application, a live view and the proof, all in this process.

mod board;
mod figures;
mod lines;
mod options;
mod proof;
mod scene;
mod source;
mod view;
mod watcher;

use std::error::Error;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use riacho::observe::log::{self, LogSettings};
use riacho::ports::Clock as _;
use riacho::query::Queries;
use riacho::{Launch, Snapshot, Streams, SystemClock};

use super::{Show, say};
use crate::application::App;
use crate::signals::Signals;
use crate::web::{self, Facts, PageSettings};

use board::Board;
use figures::{Meter, Stage};
use lines::Lines;
pub(super) use options::Options;
use proof::{Proof, Verdict};
use scene::Scene;
use source::Source;
use view::View;
use watcher::Watcher;

/// What the longest start needs that is not a failure: a cluster that is busy with itself.
const START_LIMIT: Duration = Duration::from_secs(90);

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

/// Sets a flag when it is dropped, so that a thread that waits for it ends however its owner does.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs the demo to its verdict; tells whether it is a proof that compared something and found nothing wrong.
///
/// # Errors
/// When something fails before there is a verdict.
pub(super) fn show(options: &Options, show: &Show<'_>) -> Result<bool, Box<dyn Error>> {
    let Show { broker, signals, duration, .. } = *show;
    let on_terminal = io::stdout().is_terminal();
    let scene = Scene::set(options, broker)?;
    // Log lines would be drawn over the view.
    if !on_terminal || !io::stderr().is_terminal() {
        log::init(&LogSettings::of(&scene.config))?;
    }
    say(&scene.introduction())?;
    let verdict = play(options, &scene, signals, on_terminal, duration);
    scene.clear(broker);
    let verdict = verdict?;
    say(&verdict.to_string())?;
    Ok(verdict.passed())
}

fn play(
    options: &Options,
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
    let source = Source::new(options, scene)?;
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
