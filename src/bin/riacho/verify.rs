//! `riacho verify`: an independent count of the input, held against the output, window by window.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use riacho::config::Guarantee;
use riacho::kafka::{ClientSettings, Isolation, KafkaAdmin, KafkaChangelogReader, StartAt, TopicReader};
use riacho::ports::{ChangelogReader as _, ClientError, Clock as _, Incoming, OnEntry};
use riacho::{OwnTopics, Serde as _, State, SystemClock, Timestamp, TopicPartition, client_settings};
use serde_json::json;

use crate::application::App;
use crate::cli::ReportFormat;
use crate::gauge::Gauge;
use crate::settings::{Loaded, Settings};
use crate::signals::Signals;
use crate::transactions::config::TransactionsConfig;
use crate::transactions::oracle::{Input, OpenWindows, Oracle, OracleRules, Report};
use crate::transactions::topology::topology;
use crate::transactions::transaction::Transaction;
use crate::{Failure, WrongUse};

const EXAMPLES: &str = "\
Examples:
  riacho verify transactions -b localhost:9092
  riacho verify transactions -b localhost:9092 --open compare
  riacho verify transactions --config app.properties --report json

It counts what the application has committed of its input, so give it the application's own settings. \
The application must be stopped, or have nothing to do for the moment. Exit code 0: all is right; \
1: something is wrong.";

const STOPPED: &str = "stopped before everything was compared";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application
    app: App,
    /// What to do with windows that are still open
    #[arg(long, value_enum, default_value_t = Open::Skip)]
    open: Open,
    /// How many seconds to wait until the application has nothing to do
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Report on stdout for tools
    #[arg(long, value_enum, value_name = "FORMAT")]
    report: Option<ReportFormat>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Open {
    /// Leave them out
    Skip,
    /// Compare what is written of them so far, where updates are written
    Compare,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.app != App::Transactions {
        let reason = "only transactions can be counted again: its results follow from its input alone";
        return Err(WrongUse(reason.to_owned()).into());
    }
    let loaded = args.settings.load_for_question(args.app, |_, config| TransactionsConfig::of(config))?;
    let mut verifier = Verifier::new(&loaded)?;
    let open = if args.open == Open::Compare { OpenWindows::Compare } else { OpenWindows::Skip };
    let sources = verifier.sources(Duration::from_secs(args.wait))?;
    let mut passed = true;
    for source in &sources {
        let report = verifier.verify(source, open)?;
        passed &= report.passed();
        show(&report, source, args.report)?;
    }
    if !passed && args.report.is_none() {
        eprintln!(
            "If the settings are not those that the application ran with, or the output topic holds results of an \
             earlier run (before a reset), that is why."
        );
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &Report, source: &Source, format: Option<ReportFormat>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let topic = source.input.first().map_or("", |range| range.partition.topic.as_str());
    if format.is_none() {
        writeln!(out, "{topic}: {report}")?;
        return Ok(());
    }
    let event = json!({
        "riacho": "verified",
        "topic": topic,
        "passed": report.passed(),
        "windows_checked": report.windows_checked,
        "windows_open": report.windows_open,
        "windows_undecided": report.windows_undecided,
        "records_undecided": report.records_undecided,
        "mismatches": report.mismatches,
        "records": report.records,
        "counted": report.counted,
        "late": report.late,
        "unreadable": report.unreadable,
        "misdated": report.misdated,
        "refused": report.refused,
        "outputs": report.outputs,
        "examples": report.examples,
    });
    writeln!(out, "{event}")?;
    Ok(())
}

/// A stretch of a partition: from the first offset up to, but not including, the second.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    partition: TopicPartition,
    from: i64,
    to: i64,
}

/// What to count and what to compare it with. The output is what the application wrote for exactly this input.
struct Source {
    input: Vec<Range>,
    output: Vec<Range>,
    /// The records are those of the application's repartition topic.
    is_repartitioned: bool,
}

struct Verifier<'a> {
    loaded: &'a Loaded<TransactionsConfig>,
    settings: ClientSettings,
    admin: KafkaAdmin,
    bounds: KafkaChangelogReader,
    now: Timestamp,
    signals: Signals,
}

impl<'a> Verifier<'a> {
    fn new(loaded: &'a Loaded<TransactionsConfig>) -> Result<Self, Failure> {
        // The first question tells soon whether there is anybody to answer. Later ones may have to wait for a transaction
        // that a killed instance has left open.
        partitions_of(&KafkaAdmin::new(&loaded.for_questions())?, &loaded.app.input_topic)?;
        let settings = client_settings(&loaded.config);
        Ok(Verifier {
            loaded,
            admin: KafkaAdmin::new(&settings)?,
            bounds: KafkaChangelogReader::new(&settings)?,
            settings,
            now: SystemClock::new().now(),
            signals: Signals::listen()?,
        })
    }

    /// Finds a moment at which input and output belong together: what is committed and what is written stand still.
    fn sources(&mut self, wait_max: Duration) -> Result<Vec<Source>, Failure> {
        const STILL: Duration = Duration::from_millis(1500);
        let clock = SystemClock::new();
        let mut before = None;
        loop {
            let now = self.cut()?;
            if before.as_ref() == Some(&now) {
                return self.sources_of(now);
            }
            if before.is_some() && clock.monotonic() > wait_max {
                return Err(
                    "the application is at work, so that input and output never belong together: stop it, or stop \
                     its input, and try again (or give it longer with --wait)"
                        .into(),
                );
            }
            before = Some(now);
            if self.signals.wait(STILL) {
                return Err(STOPPED.into());
            }
        }
    }

    fn cut(&mut self) -> Result<Cut, Failure> {
        let app = &self.loaded.app;
        let inputs = partitions_of(&self.admin, &app.input_topic)?;
        let outputs = partitions_of(&self.admin, &app.output_topic)?;
        let own = self.repartition_topic(inputs.len())?;
        let repartitions = match &own {
            Some(name) => partitions_of(&self.admin, name)?,
            None => Vec::new(),
        };
        Ok(Cut {
            input: self.committed(inputs)?,
            repartition: self.committed(repartitions)?,
            output: self.written(outputs)?,
        })
    }

    /// The application's repartition topic, if it has one.
    fn repartition_topic(&self, partitions: usize) -> Result<Option<String>, Failure> {
        let Loaded { config, app } = self.loaded;
        let inputs = [(app.input_topic.clone(), i32::try_from(partitions)?)].into();
        let own = OwnTopics::of(&topology(app)?, config, &inputs);
        Ok(own.internal.into_iter().map(|topic| topic.name).find(|name| name.ends_with("-repartition")))
    }

    fn committed(&mut self, partitions: Vec<TopicPartition>) -> Result<Vec<Range>, ClientError> {
        let bounds = self.bounds.bounds(&partitions)?;
        let committed = self.admin.group_offsets(self.loaded.config.application_id(), &partitions)?;
        let ranges = partitions.into_iter().zip(bounds).zip(committed);
        Ok(ranges
            .map(|((partition, (from, _)), to)| Range { partition, from, to: to.unwrap_or(from) })
            .collect())
    }

    fn written(&mut self, partitions: Vec<TopicPartition>) -> Result<Vec<Range>, ClientError> {
        let bounds = self.bounds.bounds(&partitions)?;
        Ok(partitions
            .into_iter()
            .zip(bounds)
            .map(|(partition, (from, to))| Range { partition, from, to })
            .collect())
    }

    fn sources_of(&self, cut: Cut) -> Result<Vec<Source>, Failure> {
        let app = &self.loaded.app;
        if cut.input.iter().all(|range| range.to <= range.from) {
            let (group, topic) = (self.loaded.config.application_id(), &app.input_topic);
            return Err(format!(
                "the group {group} has committed nothing of {topic}: is the application.id right?"
            )
            .into());
        }
        let missing: i64 = cut.input.iter().map(|range| range.from).sum();
        if missing > 0 {
            eprintln!(
                "warning: the first {missing} records of {} are gone from the topic; windows with them will look wrong",
                app.input_topic
            );
        }
        let mut sources = Vec::new();
        // Records are deleted from a repartition topic once they were read: it proves something only when all are there.
        let is_complete = !cut.repartition.is_empty() && cut.repartition.iter().all(|range| range.from == 0);
        if is_complete {
            sources.push(Source {
                input: cut.repartition,
                output: cut.output.clone(),
                is_repartitioned: true,
            });
        }
        sources.push(Source { input: cut.input, output: cut.output, is_repartitioned: false });
        Ok(sources)
    }

    fn verify(&self, source: &Source, open: OpenWindows) -> Result<Report, Failure> {
        let Loaded { config, app } = self.loaded;
        let mut oracle = Oracle::new(OracleRules {
            partitions: source.input.len(),
            size_ms: app.windows.size_ms(),
            advance_ms: app.windows.advance_ms(),
            grace_ms: app.windows.grace_ms(),
            ahead_ms_max: i64::try_from(config.timestamp_ahead_max().as_millis()).unwrap_or(i64::MAX),
            keyed_by_vendor: app.keyed_by_vendor || source.is_repartitioned,
            emit: app.emit,
            exactly_once: config.guarantee() == Guarantee::ExactlyOnce,
        });
        let mut input = Stretch::open(&self.settings, &source.input)?;
        let mut output = Stretch::open(&self.settings, &source.output)?;
        let mut gauge = Gauge::new("records compared", Some(input.records + output.records));
        let mut damaged = None;
        // Both are read side by side, so that what belongs together is held for a short time only.
        while !(input.is_done() && output.is_done()) {
            if self.signals.requested() {
                return Err(STOPPED.into());
            }
            if input.share() <= output.share() {
                input.poll(&mut |_, record| {
                    if source.is_repartitioned {
                        match State::<Transaction>::new().deserialize(record.value) {
                            Ok(transaction) => {
                                oracle.repartitioned(record.partition, record.offset, &transaction)
                            }
                            Err(error) => damaged = Some(error),
                        }
                    } else {
                        oracle.input(&self.input(record));
                    }
                })?;
            } else {
                output.poll(&mut |_, record| oracle.output(record.key, record.value))?;
            }
            gauge.at(input.done + output.done);
            gauge.remark(format!("{} windows held", oracle.held()));
        }
        match damaged {
            Some(error) => Err(format!("the repartition topic cannot be read: {error}").into()),
            None => Ok(oracle.finish(open)),
        }
    }

    fn input<'r>(&self, record: &Incoming<'r>) -> Input<'r> {
        Input {
            partition: record.partition,
            offset: record.offset,
            // The application measured against its clock, which had not come as far as ours.
            reference: self.now,
            key: record.key,
            value: record.value,
        }
    }
}

/// How far input and output were at a moment.
#[derive(PartialEq, Eq)]
struct Cut {
    input: Vec<Range>,
    repartition: Vec<Range>,
    output: Vec<Range>,
}

fn partitions_of(admin: &KafkaAdmin, topic: &str) -> Result<Vec<TopicPartition>, Failure> {
    let count = admin.partitions_of(topic)?.ok_or_else(|| format!("the topic {topic} does not exist"))?;
    Ok((0..count).map(|partition| TopicPartition::new(topic, partition)).collect())
}

/// Reads ranges, each to its end.
struct Stretch {
    reader: TopicReader,
    left: Vec<Range>,
    records: u64,
    done: u64,
    silent: u32,
}

impl Stretch {
    const BATCH: usize = 10_000;
    const WAIT: Duration = Duration::from_millis(100);
    const SILENT_POLLS_MAX: u32 = 300;

    fn open(settings: &ClientSettings, ranges: &[Range]) -> Result<Stretch, ClientError> {
        let left: Vec<Range> = ranges.iter().filter(|range| range.from < range.to).cloned().collect();
        let start =
            StartAt::Offsets(left.iter().map(|range| (range.partition.clone(), range.from)).collect());
        let reader = TopicReader::open(settings, &[], &start, Isolation::ReadCommitted)?;
        let records = left.iter().map(|range| (range.to - range.from).unsigned_abs()).sum();
        Ok(Stretch { reader, left, records, done: 0, silent: 0 })
    }

    fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// How much is read, from 0 to 1; beyond if it is all.
    fn share(&self) -> f64 {
        if self.is_done() { 2.0 } else { self.done as f64 / self.records.max(1) as f64 }
    }

    fn poll(&mut self, on_record: &mut OnEntry<'_>) -> Result<(), Failure> {
        let left = &self.left;
        let count = self.reader.poll(Self::WAIT, Self::BATCH, &mut |partition, record| {
            if left.iter().any(|range| range.partition == *partition && record.offset < range.to) {
                on_record(partition, record);
            }
        })?;
        let mut behind = 0;
        let mut unread = Vec::with_capacity(self.left.len());
        for range in std::mem::take(&mut self.left) {
            let position = self.reader.position(&range.partition)?;
            if position < range.to {
                behind += (range.to - position.max(range.from)).unsigned_abs();
                unread.push(range);
            }
        }
        self.left = unread;
        self.done = self.records - behind;
        self.silent = if count > 0 { 0 } else { self.silent + 1 };
        if self.silent > Self::SILENT_POLLS_MAX {
            return Err("nothing comes, and the end is not reached: is a transaction still open?".into());
        }
        Ok(())
    }
}
