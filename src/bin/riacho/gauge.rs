//! Shows how far long work is: a bar on a terminal, else a line now and then; always on stderr.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use riacho::SystemClock;
use riacho::ports::Clock as _;

const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How far some work is.
pub(crate) struct Gauge {
    bar: ProgressBar,
    what: &'static str,
    of: Option<u64>,
    on_terminal: bool,
    clock: SystemClock,
    said: Duration,
}

impl Gauge {
    /// Work on `of` pieces, if it is known how many they are.
    pub(crate) fn new(what: &'static str, of: Option<u64>) -> Gauge {
        let template = match of {
            Some(_) => "{prefix} {wide_bar} {human_pos} of {human_len} ({rate}/s, {eta} left) {msg}",
            None => "{prefix} {spinner} {human_pos} ({rate}/s) {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Writing to the terminal's buffer does not fail.
            let _written = write!(out, "{}", HumanCount(state.per_sec() as u64));
        });
        // Without a terminal the bar does not show.
        let bar =
            of.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style).with_prefix(what);
        let on_terminal = std::io::stderr().is_terminal();
        Gauge { bar, what, of, on_terminal, clock: SystemClock::new(), said: Duration::ZERO }
    }

    /// Shows that `done` pieces are done.
    pub(crate) fn at(&mut self, done: u64) {
        self.bar.set_position(done);
        let now = self.clock.monotonic();
        if !self.on_terminal && now.saturating_sub(self.said) >= LINE_INTERVAL {
            self.said = now;
            let of = self.of.map(|of| format!(" of {}", HumanCount(of))).unwrap_or_default();
            eprintln!("{}: {}{of}", self.what, HumanCount(done));
        }
    }

    /// Changes how many pieces there are.
    pub(crate) fn of(&mut self, of: u64) {
        self.of = Some(of);
        self.bar.set_length(of);
    }

    /// A remark beside the bar.
    pub(crate) fn remark(&self, remark: String) {
        self.bar.set_message(remark);
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
