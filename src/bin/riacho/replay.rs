//! `riacho replay`: a file of JSON lines into a topic, in its order and at a chosen speed.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanCount;
use riacho::kafka::{KafkaAdmin, NewRecord, TopicWriter};
use riacho::ports::Clock as _;
use riacho::{Headers, SystemClock, Timestamp, client_settings};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::application::App;
use crate::gauge::Gauge;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::{Failure, topics};

const EXAMPLES: &str = "\
Every line is a transaction, whose key is its id_vendedor, or a record with any of these fields:
  {\"id_transacao\":...,\"id_vendedor\":\"v1\",\"hora_transacao\":1767225600000,...}
  {\"key\":\"v1\",\"value\":{...},\"timestamp\":1767225600000,\"partition\":3,\"headers\":{\"a\":\"b\"}}
Of a record only the value must be there. A text is written as it is, anything else as JSON; null is null.

Examples:
  riacho replay sales.jsonl --topic financial_transactions -b localhost:9092
  riacho replay sales.jsonl --topic financial_transactions -b localhost:9092 --speed 10x
  zcat sales.jsonl.gz | riacho replay - --topic financial_transactions -b localhost:9092";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file; - is stdin
    file: PathBuf,
    /// Where to. Created if it is missing
    #[arg(short, long)]
    topic: String,
    /// How many partitions the topic has if it is created
    #[arg(long, default_value_t = topics::PARTITIONS)]
    partitions: i32,
    /// How fast the file's time passes: 1x as it did, 10x ten times as fast, max without a pause
    #[arg(long, value_parser = speed, default_value = "max")]
    speed: Speed,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

fn speed(text: &str) -> Result<Speed, &'static str> {
    let bad = "write max, 1x, 10x, 0.5x...";
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times: f64 = text.strip_suffix('x').unwrap_or(text).parse().map_err(|_| bad)?;
    if times.is_finite() && times > 0.0 { Ok(Speed::Times(times)) } else { Err(bad) }
}

/// A record as a line tells it.
#[derive(Debug, Default, PartialEq)]
struct Line<'a> {
    key: Option<Cow<'a, [u8]>>,
    value: Option<Cow<'a, [u8]>>,
    timestamp: Option<Timestamp>,
    partition: Option<i32>,
    headers: Headers,
}

/// The fields of both forms.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "some")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    timestamp: Option<i64>,
    partition: Option<i32>,
    #[serde(borrow, default)]
    headers: Option<HeaderFields<'a>>,
    #[serde(borrow, default)]
    id_vendedor: Option<Cow<'a, str>>,
    hora_transacao: Option<i64>,
}

/// Keeps null apart from nothing.
fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Headers in the order of the line, as an object or, where a name comes twice, as pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderFields<'a> {
    #[serde(borrow)]
    Pairs(Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>),
    Object(serde_json::Map<String, serde_json::Value>),
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Result<Line<'a>, String> {
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(value) = fields.value else {
            let (Some(vendor), Some(time)) = (fields.id_vendedor, fields.hora_transacao) else {
                return Err("neither a field 'value' nor the fields of a transaction".to_owned());
            };
            return Ok(Line {
                key: Some(bytes_of(vendor)),
                value: Some(Cow::Borrowed(text.trim().as_bytes())),
                timestamp: Some(Timestamp(time)),
                ..Line::default()
            });
        };
        Ok(Line {
            key: fields.key.and_then(verbatim),
            value: verbatim(value),
            timestamp: fields.timestamp.map(Timestamp),
            partition: fields.partition,
            headers: headers_of(fields.headers)?,
        })
    }
}

/// A text as its bytes, null as none, anything else as JSON.
fn verbatim(json: &RawValue) -> Option<Cow<'_, [u8]>> {
    match json.get() {
        "null" => None,
        text if text.starts_with('"') => {
            // A text without an escape stands in the line as it is.
            let text: Cow<'_, str> = match serde_json::from_str::<&str>(text) {
                Ok(plain) => Cow::Borrowed(plain),
                Err(_) => Cow::Owned(serde_json::from_str(text).unwrap_or_default()),
            };
            Some(bytes_of(text))
        }
        other => Some(Cow::Borrowed(other.as_bytes())),
    }
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn headers_of(fields: Option<HeaderFields<'_>>) -> Result<Headers, String> {
    let mut headers = Headers::default();
    match fields {
        None => {}
        Some(HeaderFields::Pairs(pairs)) => {
            for (name, value) in pairs {
                headers.push(name, value.map(|value| value.into_owned().into_bytes()));
            }
        }
        Some(HeaderFields::Object(object)) => {
            for (name, value) in object {
                let value = match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text.into_bytes()),
                    other => return Err(format!("the header {name} is {other}, not a text or null")),
                };
                headers.push(name, value);
            }
        }
    }
    Ok(headers)
}

/// When a record is due, by its own time and the speed.
struct Pace {
    speed: Speed,
    first: Option<Timestamp>,
}

impl Pace {
    /// How long after the first record one of `time` is due. One that is older than those before it is due at once.
    fn due(&mut self, time: Timestamp) -> Duration {
        let first = *self.first.get_or_insert(time);
        let Speed::Times(times) = self.speed else { return Duration::ZERO };
        let passed_ms = u64::try_from(time.millis_since(first)).unwrap_or(0);
        Duration::from_millis(passed_ms).div_f64(times)
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    const INTERRUPTED: u8 = 130;
    let signals = Signals::listen()?;
    let loaded = args.settings.load_for_tool(App::Transactions, App::of)?;
    let (file, bytes) = open(&args.file)?;
    topics::ensure(&KafkaAdmin::new(&loaded.for_questions())?, &args.topic, args.partitions, &loaded.config)?;
    let mut writer = TopicWriter::new(&client_settings(&loaded.config))?;
    let clock = SystemClock::new();
    let gauge = Gauge::new("bytes replayed", bytes);
    let written = write_lines(BufReader::new(file), args, &mut writer, &signals, gauge);
    // What comes before a line that cannot be written is written all the same.
    writer.flush()?;
    let (records, seconds) = (writer.counts().delivered, clock.monotonic().as_secs_f64());
    writeln!(io::stdout(), "{} records to {} in {seconds:.1} s", HumanCount(records), args.topic)?;
    Ok(if written? { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// Writes line by line; tells whether it came to the end before somebody wanted it to stop.
fn write_lines(
    mut lines: impl BufRead,
    args: &Args,
    writer: &mut TopicWriter,
    signals: &Signals,
    mut gauge: Gauge,
) -> Result<bool, Failure> {
    let clock = SystemClock::new();
    let mut pace = Pace { speed: args.speed, first: None };
    let (mut text, mut read, mut number) = (String::new(), 0u64, 0u64);
    loop {
        text.clear();
        number += 1;
        let at = |reason: &dyn Display| format!("{}:{number}: {reason}", args.file.display());
        let bytes = lines.read_line(&mut text).map_err(|error| at(&error))?;
        if bytes == 0 {
            return Ok(true);
        }
        read += bytes as u64;
        if text.trim().is_empty() {
            continue;
        }
        let line = Line::parse(&text).map_err(|reason| at(&reason))?;
        let due = line.timestamp.map_or(Duration::ZERO, |time| pace.due(time));
        if signals.wait(due.saturating_sub(clock.monotonic())) {
            return Ok(false);
        }
        let record = NewRecord {
            topic: &args.topic,
            partition: line.partition,
            key: line.key.as_deref(),
            value: line.value.as_deref(),
            timestamp: line.timestamp,
            headers: Some(&line.headers),
        };
        writer.write(record).map_err(|error| at(&error))?;
        gauge.at(read);
    }
}

fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let bytes = file.metadata().ok().map(|metadata| metadata.len());
    Ok((Box::new(file), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_written_as_it_stands_under_its_vendor() {
        let text = "{\"id_vendedor\":\"v\\u0031\",\"hora_transacao\":5, \"valor\":1.10}\n";
        let line = Line::parse(text).unwrap();
        assert_eq!(line.key.as_deref(), Some(&b"v1"[..]));
        assert_eq!(line.value.as_deref(), Some(text.trim().as_bytes()));
        assert_eq!((line.timestamp, line.partition), (Some(Timestamp(5)), None));
    }

    #[test]
    fn a_record_is_told_with_all_it_has() {
        let text =
            r#"{"key":"k","value":{"a":1.10},"timestamp":7,"partition":3,"headers":{"h":"x","n":null}}"#;
        let line = Line::parse(text).unwrap();
        let mut headers = Headers::default();
        headers.push("h", Some(b"x".to_vec()));
        headers.push("n", None);
        let expected = Line {
            key: Some(Cow::Borrowed(b"k")),
            value: Some(Cow::Borrowed(br#"{"a":1.10}"#)),
            timestamp: Some(Timestamp(7)),
            partition: Some(3),
            headers,
        };
        assert_eq!(line, expected);
        let twice = Line::parse(r#"{"value":"","headers":[["h","1"],["h",null]]}"#).unwrap();
        assert_eq!((twice.headers.len(), twice.value.as_deref()), (2, Some(&b""[..])));
    }

    #[test]
    fn a_text_is_bytes_and_null_is_null() {
        let line = Line::parse(r#"{"key":null,"value":"not \"json\""}"#).unwrap();
        assert_eq!((line.key, line.value.as_deref()), (None, Some(&br#"not "json""#[..])));
        assert_eq!(Line::parse(r#"{"value":null}"#).unwrap(), Line::default());
    }

    #[test]
    fn a_line_that_is_neither_is_refused() {
        for text in ["", "[]", "{}", "nonsense", r#"{"id_vendedor":"v"}"#, r#"{"value":1,"headers":{"a":1}}"#]
        {
            assert!(Line::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_passes_at_the_chosen_speed() {
        let mut pace = Pace { speed: Speed::Times(10.0), first: None };
        let due = [100, 1100, 50, 2100].map(|time| pace.due(Timestamp(time)).as_millis());
        assert_eq!(due, [0, 100, 0, 200]);
        assert_eq!(
            (speed("10x"), speed("0.5"), speed("max")),
            (Ok(Speed::Times(10.0)), Ok(Speed::Times(0.5)), Ok(Speed::Max))
        );
        assert!(speed("0x").is_err() && speed("fast").is_err() && speed("NaNx").is_err());
    }
}
