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
        .map(|(what, sent, other, found)| format!("{} {what}, but {} {other}", grouped(sent), grouped(found)))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { report, windows, sent, lasted, commits, aborts, .. } = self;
        let seconds = lasted.as_secs_f64().max(0.001);
        writeln!(
            f,
            "{}: {} vendor totals of {} closed windows compared with the source, {} wrong",
            if self.passed() { "PASS" } else { "FAIL" },
            grouped(report.windows_checked),
            grouped(*windows as u64),
            grouped(report.mismatches),
        )?;
        write!(
            f,
            "      {} records in {seconds:.1} s ({} records/s), {} late\n      {} results read, {} commits, {} aborted",
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

#[cfg(test)]
mod tests {
    use riacho::{EmitStrategy, Serde as _, Timestamp, Window};

    use super::*;
    use crate::transactions::aggregate::{Aggregated, AggregatedSerde, CurrencyTotal};
    use crate::transactions::money::{Cents, Currency};

    const RULES: OracleRules = OracleRules {
        partitions: 1,
        size_ms: 5_000,
        advance_ms: 5_000,
        grace_ms: 2_000,
        ahead_ms_max: 60_000,
        keyed_by_vendor: true,
        emit: EmitStrategy::OnWindowUpdateAndClose,
        exactly_once: true,
    };

    /// A sale of 10.00 at 1 s, and what closes its window.
    fn send(proof: &Proof) {
        for (offset, vendor, time) in [(0, "v", 1_000), (1, "closing_0", 12_000)] {
            let value = format!(
                r#"{{"id_transacao":"a","id_usuario":"u","valor":10.00,"hora_transacao":{time},"id_vendedor":"{vendor}","tipo_transacao":"compra","localizacao":"x","metodo_pagamento":"pix","compra_internacional":"false","moeda":"BRL"}}"#
            );
            let (key, value) = (Some(vendor.as_bytes()), Some(value.as_bytes()));
            proof.sent(&Input { partition: 0, offset, reference: Timestamp(12_000), key, value });
        }
    }

    fn write(proof: &Proof, board: &Board, cents: i64) {
        let total = Cents(cents);
        let aggregated = Aggregated {
            vendor: "v".into(),
            window: Window { start: Timestamp(0), end: Timestamp(5_000) },
            closed: true,
            count: 1,
            total,
            min: total,
            max: total,
            mean: total,
            currencies: [CurrencyTotal::new(Currency::BRL, 1, total).unwrap()].into_iter().collect(),
        };
        let mut out = Vec::new();
        AggregatedSerde.serialize(&aggregated, &mut out).unwrap();
        proof.written(Some(b"v"), Some(&out));
        board.written(Some(&out));
    }

    fn verdict(proof: Proof, board: &Board, processed: u64) -> Verdict {
        let last = Snapshot { records: processed, ..Snapshot::default() };
        proof.verdict(board, &last, 2, Duration::from_secs(1))
    }

    #[test]
    fn a_right_window_passes() {
        let (proof, board) = (Proof::new(RULES), Board::new());
        send(&proof);
        write(&proof, &board, 1_000);
        assert_eq!(proof.so_far(), (1, 0));
        let verdict = verdict(proof, &board, 2);
        assert!(verdict.passed(), "{verdict}");
        assert!(verdict.to_string().starts_with("PASS: 1 vendor totals of 1 closed windows"), "{verdict}");
    }

    #[test]
    fn nothing_compared_never_passes() {
        let verdict = verdict(Proof::new(RULES), &Board::new(), 2);
        assert!(!verdict.passed());
        assert!(verdict.to_string().contains("nothing is proved"), "{verdict}");
    }

    #[test]
    fn a_missing_window_a_wrong_sum_or_a_lost_record_fails() {
        let (missing, board) = (Proof::new(RULES), Board::new());
        send(&missing);
        assert!(!verdict(missing, &board, 2).passed());

        let (wrong, board) = (Proof::new(RULES), Board::new());
        send(&wrong);
        write(&wrong, &board, 1_001);
        let wrong = verdict(wrong, &board, 2);
        assert!(wrong.to_string().starts_with("FAIL: 1 vendor totals of 1 closed windows"), "{wrong}");

        let (lost, board) = (Proof::new(RULES), Board::new());
        send(&lost);
        write(&lost, &board, 1_000);
        let lost = verdict(lost, &board, 1);
        assert!(lost.to_string().contains("2 records were sent, but 1 processed"), "{lost}");
    }
}
