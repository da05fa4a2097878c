//! The proof: what was sent, counted at the source, against what is in the output topic.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riacho::Snapshot;

use super::board::Board;
use super::figures::grouped;
use crate::transactions::oracle::{Input, OpenWindows, Oracle, OracleRules, Report};

/// Told by the generator and the watcher.
pub(super) struct Proof(Mutex<Oracle>);

impl Proof {
    pub(super) fn new(rules: OracleRules) -> Proof {
        Proof(Mutex::new(Oracle::new(rules)))
    }

    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a record before it is sent.
    pub(super) fn sent(&self, input: &Input<'_>) {
        self.oracle().input(input);
    }

    /// Tells a record of the output.
    pub(super) fn written(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.oracle().output(key, value);
    }

    /// How many vendor windows were compared so far, and how many are wrong.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let oracle = self.oracle();
        let report = oracle.so_far();
        (report.windows_checked, report.mismatches)
    }

    /// Compares what is left, once everything was told.
    pub(super) fn verdict(self, board: &Board, last: &Snapshot, sent: u64, lasted: Duration) -> Verdict {
        let oracle = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Only the vendors that closed the windows have open ones.
        Verdict {
            report: oracle.finish(OpenWindows::Skip),
            windows: board.standing(0).windows_closed,
            processed: last.records,
            late: last.late,
            dead_letters: last.dead_letters,
            commits: last.commits,
            aborts: last.aborts,
            sent,
            lasted,
        }
    }
}

/// What came out.
pub(super) struct Verdict {
    report: Report,
    windows: usize,
    sent: u64,
    processed: u64,
    late: u64,
    dead_letters: u64,
    commits: u64,
    aborts: u64,
    lasted: Duration,
}

impl Verdict {
    /// Whether windows were compared, and nothing was wrong with them or with the application's own counts.
    pub(super) fn passed(&self) -> bool {
        self.report.passed() && self.windows > 0 && self.objections().next().is_none()
    }

    /// Where the application's counts differ from those at the source.
    fn objections(&self) -> impl Iterator<Item = String> {
        let report = &self.report;
        [
            ("records were sent", self.sent, "processed", self.processed),
            ("late records were sent", report.late, "reported late", self.late),
            (
                "bad records were sent",
                report.unreadable + report.misdated + report.refused,
                "dead letters",
                self.dead_letters,
            ),
        ]
        .into_iter()
        .filter(|(_, sent, _, found)| sent != found)
        .map(|(what, sent, other, found)| format!("{sent} {what}, but {found} {other}"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { report, windows, sent, lasted, commits, aborts, .. } = self;
        let seconds = lasted.as_secs_f64().max(0.001);
        writeln!(
            f,
            "{}: {} closed windows with {} vendor totals compared to the count at the source, {} wrong",
            if self.passed() { "PASS" } else { "FAIL" },
            grouped(*windows as u64),
            grouped(report.windows_checked),
            grouped(report.mismatches),
        )?;
        write!(
            f,
            "      {} records in {seconds:.1} s ({} records/s), {} late, {} updates read, {} commits, {} aborted",
            grouped(*sent),
            grouped((*sent as f64 / seconds) as u64),
            grouped(report.late),
            grouped(report.outputs),
            grouped(*commits),
            grouped(*aborts),
        )?;
        if report.windows_checked == 0 || *windows == 0 {
            write!(f, "\n      no window was closed, so that nothing is proved: run longer")?;
        }
        for example in report.examples.iter().cloned().chain(self.objections()) {
            write!(f, "\n      {example}")?;
        }
        Ok(())
    }
}
