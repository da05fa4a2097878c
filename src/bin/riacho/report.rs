//! Tells what a run does: JSON for measuring tools, lines for people.

use std::io::Write as _;
use std::time::Duration;

use indicatif::HumanCount;
use riacho::SystemClock;
use riacho::config::{Config, Guarantee};
use riacho::ports::Clock as _;
use serde_json::{Value, json};

use crate::{Failure, process};

/// What a report says of the run as a whole.
pub(crate) struct Labels {
    app: String,
    guarantee: &'static str,
    emit: String,
    threads: usize,
}

impl Labels {
    pub(crate) fn of(config: &Config, emit: String) -> Labels {
        Labels {
            app: config.application_id().to_owned(),
            guarantee: match config.guarantee() {
                Guarantee::ExactlyOnce => "eos",
                Guarantee::AtLeastOnce => "alos",
            },
            emit,
            threads: config.stream_threads().get(),
        }
    }
}

/// Tells what happens, in the same shape as the tools around Kafka Streams that it is measured against.
pub(crate) struct Output {
    pub(crate) json: bool,
    /// How old the process was when the clock began.
    pub(crate) born: Duration,
    pub(crate) clock: SystemClock,
    pub(crate) labels: Labels,
}

impl Output {
    fn since_start(&self, at: Duration) -> f64 {
        rounded((self.born + at).as_secs_f64())
    }

    fn event(&self, event: &Value) -> Result<(), Failure> {
        if self.json {
            writeln!(std::io::stdout(), "{event}")?;
        }
        Ok(())
    }

    /// A line between the events.
    pub(crate) fn line(&self, at: Duration, text: &str) -> Result<(), Failure> {
        if self.json {
            writeln!(std::io::stdout(), "[{:.2}] {text}", (self.born + at).as_secs_f64())?;
        }
        Ok(())
    }

    /// The goal is reached.
    pub(crate) fn caught_up(&self, facts: &CaughtUp) -> Result<(), Failure> {
        let CaughtUp { consumed, records, seconds, at, restored } = *facts;
        let per_second = if seconds > 0.0 { consumed as f64 / seconds } else { 0.0 };
        let (cpu, memory) = (process::cpu_time().as_secs_f64(), process::peak_memory_mib());
        if !self.json {
            let (consumed, rate) = (HumanCount(consumed), HumanCount(per_second as u64));
            writeln!(
                std::io::stdout(),
                "caught up: {consumed} records in {seconds:.2} s, {rate} records/s; {cpu:.2} s of processor time, at \
                 most {memory} MiB"
            )?;
        }
        let labels = &self.labels;
        self.event(&json!({
            "riacho": "caught_up",
            "app": labels.app,
            "guarantee": labels.guarantee,
            "store": "rocksdb",
            "emit": labels.emit,
            "threads": labels.threads,
            "consumed": consumed,
            "aggregated": records,
            "seconds": rounded(seconds),
            "records_per_s": per_second.round(),
            "since_process_start_s": self.since_start(at),
            "process_cpu_s": rounded(cpu),
            "cpu_s_per_million": rounded(cpu * 1e6 / consumed.max(1) as f64),
            "peak_rss_mib": memory,
            "restored": restored,
        }))
    }

    /// Every task runs.
    pub(crate) fn running(&self, at: Duration, restored: u64, restore: Duration) -> Result<(), Failure> {
        self.line(at, "RUNNING")?;
        self.event(&json!({
            "riacho": "running",
            "after_process_start_s": self.since_start(at),
            "restored_records": restored,
            "restore_s": rounded(restore.as_secs_f64()),
        }))
    }

    /// The application has been closed since `closing`.
    pub(crate) fn closed(&self, records: u64, closing: Duration) -> Result<(), Failure> {
        let took = self.clock.monotonic().saturating_sub(closing);
        self.event(&json!({
            "riacho": "closed",
            "aggregated": records,
            "process_cpu_s": rounded(process::cpu_time().as_secs_f64()),
            "peak_rss_mib": process::peak_memory_mib(),
            "close_s": rounded(took.as_secs_f64()),
        }))
    }
}

/// What there is to say of a goal that is reached.
pub(crate) struct CaughtUp {
    /// Records of the input since the start.
    pub(crate) consumed: u64,
    /// Records processed, those of repartition topics included.
    pub(crate) records: u64,
    /// From the first to the last record.
    pub(crate) seconds: f64,
    /// When the last one was committed.
    pub(crate) at: Duration,
    /// Changelog records replayed.
    pub(crate) restored: u64,
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
