//! Shows the figures as plain lines, for files and pipes.

use std::io;
use std::time::Duration;

use super::super::say;
use super::Wish;
use super::figures::{Figures, Stage, grouped};
use crate::signals::Signals;

const STEP: Duration = Duration::from_millis(250);
const INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Lines {
    next_at: Duration,
    said_closing: bool,
}

impl Lines {
    pub(super) fn new() -> Lines {
        Lines { next_at: INTERVAL, said_closing: false }
    }

    /// Writes a line if it is time for one, then waits a little.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub(super) fn show(&mut self, figures: &Figures, signals: &Signals) -> io::Result<Wish> {
        match figures.stage {
            Stage::Starting => {}
            Stage::Running if figures.lasted >= self.next_at => {
                self.next_at = figures.lasted + INTERVAL;
                say(&line(figures))?;
            }
            Stage::Running => {}
            Stage::Closing if self.said_closing => {}
            Stage::Closing => {
                self.said_closing = true;
                say(&line(figures))?;
                say("closing the last windows")?;
            }
        }
        // Once somebody wants an end, this returns at once.
        if signals.wait(STEP) {
            std::thread::park_timeout(STEP);
        }
        Ok(Wish::GoOn)
    }
}

fn line(figures: &Figures) -> String {
    let Figures { progress, board, .. } = figures;
    let (compared, wrong) = figures.compared;
    format!(
        "{:>4} s  {} records/s  {} in all  lag {}  {:.1} commits/s, last {:.1} ms, {} aborted  windows closed {}, {} totals \
         compared, {} wrong  late {}  dead letters {}",
        figures.lasted.as_secs(),
        grouped(figures.records_per_s as u64),
        grouped(progress.records),
        grouped(figures.lag()),
        figures.commits_per_s,
        progress.last_commit.as_secs_f64() * 1e3,
        progress.aborts,
        board.windows_closed,
        grouped(compared),
        grouped(wrong),
        grouped(progress.late),
        progress.dead_letters,
    )
}
