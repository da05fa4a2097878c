//! How a demo goes that consists of processes of this program.

use std::thread;
use std::time::Duration;

use riacho::SystemClock;
use riacho::config::{Config, RawConfig};
use riacho::observe::log::{self, LogSettings};
use riacho::ports::Clock as _;

use super::site::Site;
use super::verdict::Verdict;
use super::{Show, say};
use crate::Failure;

/// What the longest start needs that is not a failure: a cluster that is busy with itself.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long the application may take for what is left when the input ends.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// An application that is shown. Dropping it ends its processes.
pub(super) trait Play {
    /// What is not as it is where the application is at home.
    fn differences(&self) -> String;

    /// Its page: who serves it, and where.
    fn page(&self) -> (&Site, &'static str);

    /// Does what has to be done now and then. Returns soon.
    ///
    /// # Errors
    /// When one of its processes has ended.
    fn go_on(&mut self) -> Result<(), Failure>;

    /// The figures of now, on one line; none as long as the application has none.
    fn figures(&self) -> Option<String>;

    /// Ends the input, politely.
    ///
    /// # Errors
    /// When its process fails.
    fn end_input(&mut self) -> Result<(), Failure>;

    /// Compares what the application says with an independent count, as of now.
    ///
    /// # Errors
    /// When there is nothing to compare with.
    fn compare(&mut self) -> Result<Verdict, Failure>;

    /// Ends the application, politely.
    ///
    /// # Errors
    /// When its process fails.
    fn end(&mut self) -> Result<(), Failure>;
}

/// Shows a play from its beginning to its verdict; tells whether it has passed.
///
/// # Errors
/// When one of its processes fails, or it does not begin.
pub(super) fn show(mut play: Box<dyn Play>, show: &Show<'_>) -> Result<bool, Failure> {
    begin_log(show)?;
    say(&play.differences())?;
    if !begin(play.as_mut(), show)? {
        return Err("stopped before the application was running".into());
    }
    let (site, path) = play.page();
    say(&format!("page at http://{}/{path}", site.address()))?;
    if show.duration.is_none() {
        say("Ctrl-C ends the input and proves the figures")?;
    }
    run(play.as_mut(), show)?;
    say("ending the input, then counting again")?;
    play.end_input()?;
    let verdict = settle(play.as_mut())?;
    play.end()?;
    say(&verdict.to_string())?;
    Ok(verdict.passed())
}

/// What goes wrong in this process is told between the lines.
fn begin_log(show: &Show<'_>) -> Result<(), Failure> {
    let raw = RawConfig::new(&[]).preset("application.id", "riacho-demo");
    let raw = raw.preset("bootstrap.servers", &show.broker.bootstrap()).preset("riacho.log.level", "warn");
    Ok(log::init(&LogSettings::of(&Config::try_from(raw)?))?)
}

/// Waits until there are figures; tells whether to go on.
fn begin(play: &mut dyn Play, show: &Show<'_>) -> Result<bool, Failure> {
    let clock = SystemClock::new();
    while play.figures().is_none() {
        play.go_on()?;
        if clock.monotonic() > START_LIMIT {
            let seconds = START_LIMIT.as_secs();
            return Err(
                format!("the application is not running after {seconds} s: is the cluster healthy?").into()
            );
        }
        if show.signals.wait(STEP) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn run(play: &mut dyn Play, show: &Show<'_>) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let mut next_line = LINE_INTERVAL;
    while !show.signals.wait(STEP) {
        play.go_on()?;
        let lasted = clock.monotonic();
        if show.duration.is_some_and(|duration| lasted >= duration) {
            break;
        }
        if lasted >= next_line {
            next_line = lasted + LINE_INTERVAL;
            let figures = play.figures().unwrap_or_else(|| "no figures at the moment".to_owned());
            say(&format!("{:>4} s  {figures}", lasted.as_secs()))?;
        }
    }
    Ok(())
}

/// Compares until everything is right, or the application had time enough.
fn settle(play: &mut dyn Play) -> Result<Verdict, Failure> {
    let clock = SystemClock::new();
    loop {
        let verdict = play.compare()?;
        if verdict.passed() || clock.monotonic() > SETTLE_LIMIT {
            return Ok(verdict);
        }
        thread::park_timeout(STEP);
    }
}
