//! The same records give the same results, in the same order, with the same timestamps as in Kafka Streams; where they
//! do not, the difference is listed here with its reason and with what comes out instead.
//!
//! Null is a matter of types here: a source whose serde knows no null refuses it as a bad record, and one that is
//! [`Nullable`] hands it on, to `count` too. Where Kafka Streams' operators drop null values, the topologies below read
//! values that cannot be null. Bad records, late ones and those without a key are what Kafka Streams counts as dropped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riacho_topology::driver::SentRecord;
use riacho_topology::{
    BadRecord, BadRecordPolicy, BigEndian, Bytes, Consumed, EmitStrategy, Grouped, KGroupedStream, KStream,
    Materialized, Nullable, ProcessError, Produced, Record, Serde, StreamsBuilder, TestDriver, TimeWindowed,
    TimeWindows, Timestamp, Utf8, Windowed,
};
use serde::Deserialize;

/// Cases that the DSL does not say.
const ABSENT: [(&str, &str); 1] =
    [("repartition", "no repartition by hand: a grouping repartitions where it has to")];

/// Cases with another result on purpose: the reason, and the result.
fn differences() -> Vec<(&'static str, &'static str, Vec<Output>)> {
    let first = Output {
        after: 0,
        topic: "output".to_owned(),
        key: Some("a".to_owned()),
        window_start: Some(0),
        window_end: Some(60_000),
        value: Some(Field::Long(1)),
        timestamp: 1_000,
    };
    vec![(
        "tumbling_filter_before",
        "stream time is the task's: a record that a filter takes out afterwards has moved it all the same",
        vec![first],
    )]
}

const WINDOWS: &str =
    "Kafka Streams counts refused windows; here a record is late when no window takes it any more";
const NULL_KEYS: &str = "Kafka Streams does not count records without a key before a repartition topic";

/// Cases in which other records are counted as dropped than in Kafka Streams: the reason, and our count.
const DROPPED: [(&str, &str, u64); 10] = [
    ("final_group_by", NULL_KEYS, 2),
    ("final_hopping", WINDOWS, 0),
    ("final_hopping_random", WINDOWS, 16),
    ("final_hopping_uneven", WINDOWS, 0),
    ("group_by_tumbling_count", NULL_KEYS, 2),
    ("hopping_boundaries", WINDOWS, 2),
    ("hopping_sum_random", WINDOWS, 7),
    ("hopping_uneven", WINDOWS, 2),
    ("select_key_count", NULL_KEYS, 1),
    ("tumbling_filter_before", "the three records after the one that moved stream time are late", 3),
];

fn topology(name: &str) -> StreamsBuilder {
    let b = StreamsBuilder::new();
    match name {
        "branch" => branch(&b, true),
        "branch_no_default" => branch(&b, false),
        "concat" => {
            let concat = |key: &String, value: &String, all: &mut Option<String>| {
                *all =
                    (value != "reset").then(|| format!("{}{key}={value};", all.take().unwrap_or_default()));
                Ok::<_, ProcessError>(())
            };
            let all = strings(&b).group_by_key(Grouped::with(Utf8, Utf8));
            let all = all.aggregate(|| Some(String::new()), concat, Materialized::with(Nullable(Utf8)));
            all.to_stream().to("output", Produced::with(Utf8, Nullable(Utf8)));
        }
        "count" => {
            let counts =
                strings(&b).group_by_key(Grouped::with(Utf8, Utf8)).count(Materialized::with(BigEndian));
            counts.to_stream().to("output", Produced::with(Utf8, BigEndian));
        }
        "fan_out" => {
            let input = longs(&b, "input");
            input.map_values(|r| r.value + 1).to("first", to_longs());
            input.to("second", to_longs());
            input.filter(|r| *r.value > 0).to("third", to_longs());
        }
        "filter" => {
            let long = |r: &Record<'_, Option<String>, Option<String>>| {
                r.value.as_ref().is_some_and(|v| v.len() > 3)
            };
            nullable(&b).filter(long).to("output", Produced::with(Nullable(Utf8), Nullable(Utf8)));
        }
        "filter_not" => longs(&b, "input").filter_not(|r| *r.value < 0).to("output", to_longs()),
        "filter_tumbling_count" => {
            let kept = strings(&b).filter(|r| r.value != "skip").group_by_key(Grouped::with(Utf8, Utf8));
            windowed_count(&kept, tumbling(), EmitStrategy::OnWindowUpdate, Utf8);
        }
        "flat_map" => {
            let stream = b.stream("input", Consumed::<String, Option<String>>::with(Utf8, Nullable(Utf8)));
            let pairs = stream.flat_map(|r| {
                let key = r.key.clone();
                words(r.value.as_deref()).into_iter().map(move |word| (word, key.clone()))
            });
            pairs.to("output", Produced::with(Utf8, Utf8));
        }
        "flat_map_values" => {
            let each = nullable(&b).flat_map_values(|r| words(r.value.as_deref()));
            each.to("output", Produced::with(Nullable(Utf8), Utf8));
        }
        "group_by_tumbling_count" => {
            windowed_count(&by_value(&b), tumbling(), EmitStrategy::OnWindowUpdate, Nullable(Utf8));
        }
        "group_by_tumbling_count_final" => {
            windowed_count(&by_value(&b), tumbling(), EmitStrategy::OnWindowClose, Nullable(Utf8))
        }
        "hopping_count" => windowed_count(&by_key(&b), hopping(), EmitStrategy::OnWindowUpdate, Utf8),
        "hopping_count_final" | "hopping_count_final_default_retention" => {
            windowed_count(&by_key(&b), hopping(), EmitStrategy::OnWindowClose, Utf8);
        }
        "hopping_sum" => {
            let sums = longs(&b, "input").group_by_key(Grouped::with(Utf8, BigEndian)).windowed_by(hopping());
            let sums = sums.aggregate(|| 0, add, Materialized::with(BigEndian));
            sums.to_stream().to("output", Produced::with(TimeWindowed::of(hopping(), Utf8), BigEndian));
        }
        "hopping_uneven_count" => {
            windowed_count(&by_key(&b), hopping_uneven(), EmitStrategy::OnWindowUpdate, Utf8)
        }
        "hopping_uneven_count_final" => {
            windowed_count(&by_key(&b), hopping_uneven(), EmitStrategy::OnWindowClose, Utf8)
        }
        "map" => longs(&b, "input")
            .map(|r| (format!("{}!", r.key), r.value.wrapping_mul(-2)))
            .to("output", to_longs()),
        "map_values" => {
            let lengths = nullable(&b).map_values(|r| r.value.as_ref().map(|v| v.len() as u64));
            lengths.to("output", Produced::with(Nullable(Utf8), Nullable(BigEndian)));
        }
        "merge" => {
            let (left, right) = (longs(&b, "left"), longs(&b, "right").map_values(|r| r.value * 10));
            left.merge(&right).to("output", to_longs());
        }
        "merge_sum" => sum(&longs(&b, "left").merge(&longs(&b, "right"))),
        "select_key_count" => {
            let by_value = nullable(&b).select_key(|r| r.value.clone());
            let by_value = by_value.group_by_key(Grouped::with(Nullable(Utf8), Nullable(Utf8)));
            let counts = by_value.count(Materialized::with(BigEndian)).to_stream();
            counts.to("output", Produced::with(Nullable(Utf8), BigEndian));
        }
        "sum" => sum(&longs(&b, "input")),
        "tumbling_count" => windowed_count(&by_key(&b), tumbling(), EmitStrategy::OnWindowUpdate, Utf8),
        "tumbling_count_final" | "tumbling_count_final_default_retention" => {
            windowed_count(&by_key(&b), tumbling(), EmitStrategy::OnWindowClose, Utf8);
        }
        "tumbling_count_no_grace" => {
            windowed_count(&by_key(&b), no_grace(), EmitStrategy::OnWindowUpdate, Utf8)
        }
        "tumbling_count_no_grace_final" => {
            windowed_count(&by_key(&b), no_grace(), EmitStrategy::OnWindowClose, Utf8)
        }
        "tumbling_sum" => {
            let stream = b.stream("input", Consumed::<String, Option<i64>>::with(Utf8, Nullable(BigEndian)));
            let windowed =
                stream.group_by_key(Grouped::with(Utf8, Nullable(BigEndian))).windowed_by(tumbling());
            let sums = windowed
                .reduce(|a, b| a.zip(*b).map(|(a, b)| a + b), Materialized::with(Nullable(BigEndian)));
            let keys = TimeWindowed::of(tumbling(), Utf8);
            sums.to_stream().to("output", Produced::with(keys, Nullable(BigEndian)));
        }
        "tumbling_sum_map" => {
            let sums =
                longs(&b, "input").group_by_key(Grouped::with(Utf8, BigEndian)).windowed_by(tumbling());
            let sums = sums.aggregate(|| 0, add, Materialized::with(BigEndian)).to_stream();
            sums.map(|r| (format!("{}@{}", r.key.key, r.key.window.start), *r.value))
                .to("output", to_longs());
        }
        "word_count" => {
            let each = strings(&b).flat_map_values(|r| words(Some(r.value))).select_key(|r| r.value.clone());
            let counts = each.group_by_key(Grouped::with(Utf8, Utf8)).count(Materialized::with(BigEndian));
            counts.to_stream().to("output", Produced::with(Utf8, BigEndian));
        }
        other => panic!("the topology {other} is not written yet"),
    }
    b
}

fn branch(b: &StreamsBuilder, default: bool) {
    let split = longs(b, "input")
        .split_named("by-")
        .branch_named("negative", |r| *r.value < 0)
        .branch_named("small", |r| *r.value < 100);
    let branches = if default { split.default_branch_named("large") } else { split.no_default_branch() };
    for (branch, topic) in branches.iter().zip(["negative", "small", "large"]) {
        branch.to(topic, to_longs());
    }
}

fn sum(stream: &KStream<String, i64>) {
    let sums = stream.group_by_key(Grouped::with(Utf8, BigEndian));
    let sums = sums.reduce(|a, b| a.wrapping_add(*b), Materialized::with(BigEndian));
    sums.to_stream().to("output", to_longs());
}

fn windowed_count<K, V>(
    grouped: &KGroupedStream<K, V>,
    windows: TimeWindows,
    emit: EmitStrategy,
    key_serde: impl Serde<K> + 'static,
) where
    K: std::hash::Hash + Eq + Clone + 'static,
    V: 'static,
{
    let counts = grouped.windowed_by(windows).emit_strategy(emit).count(Materialized::with(BigEndian));
    counts.to_stream().to("output", Produced::with(TimeWindowed::of(windows, key_serde), BigEndian));
}

fn add(_: &String, value: &i64, sum: &mut i64) -> Result<(), ProcessError> {
    *sum += value;
    Ok(())
}

fn words(text: Option<&str>) -> Vec<String> {
    text.into_iter()
        .flat_map(|text| text.split(' '))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn strings(b: &StreamsBuilder) -> KStream<String, String> {
    b.stream("input", Consumed::with(Utf8, Utf8))
}

fn nullable(b: &StreamsBuilder) -> KStream<Option<String>, Option<String>> {
    b.stream("input", Consumed::with(Nullable(Utf8), Nullable(Utf8)))
}

fn longs(b: &StreamsBuilder, topic: &str) -> KStream<String, i64> {
    b.stream(topic, Consumed::with(Utf8, BigEndian))
}

fn to_longs() -> Produced<String, i64> {
    Produced::with(Utf8, BigEndian)
}

fn by_key(b: &StreamsBuilder) -> KGroupedStream<String, Option<String>> {
    let stream = b.stream("input", Consumed::with(Utf8, Nullable(Utf8)));
    stream.group_by_key(Grouped::with(Utf8, Nullable(Utf8)))
}

fn by_value(b: &StreamsBuilder) -> KGroupedStream<Option<String>, Option<String>> {
    nullable(b).group_by(|r| r.value.clone(), Grouped::with(Nullable(Utf8), Nullable(Utf8)))
}

fn windows(size: Duration, grace: Duration) -> TimeWindows {
    TimeWindows::of_size_and_grace(size, grace).expect("the size is not 0")
}

fn tumbling() -> TimeWindows {
    windows(Duration::from_secs(60), Duration::from_secs(10))
}

fn no_grace() -> TimeWindows {
    windows(Duration::from_secs(60), Duration::ZERO)
}

fn hopping() -> TimeWindows {
    let minute = windows(Duration::from_secs(60), Duration::from_secs(5));
    minute.advance_by(Duration::from_secs(20)).expect("20 s are less than a minute")
}

fn hopping_uneven() -> TimeWindows {
    let short = windows(Duration::from_millis(10), Duration::ZERO);
    short.advance_by(Duration::from_millis(4)).expect("4 ms are less than 10 ms")
}

/// The windows of a topology's output keys; `None` for plain keys.
fn output_windows(topology: &str) -> Option<TimeWindows> {
    match topology {
        "tumbling_sum_map" => None,
        name if name.contains("no_grace") => Some(no_grace()),
        name if name.contains("uneven") => Some(hopping_uneven()),
        name if name.contains("hopping") => Some(hopping()),
        name if name.contains("tumbling") => Some(tumbling()),
        _ => None,
    }
}

/// A golden file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    #[serde(skip)]
    name: String,
    topology: String,
    dropped: u64,
    input: Vec<Input>,
    output: Vec<Output>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Input {
    topic: String,
    key: Option<String>,
    value: Option<Field>,
    timestamp: i64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Output {
    /// The input that it comes of, by its place.
    after: usize,
    topic: String,
    key: Option<String>,
    window_start: Option<i64>,
    window_end: Option<i64>,
    value: Option<Field>,
    timestamp: i64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Field {
    Long(i64),
    Text(String),
}

impl Field {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Field::Long(long) => long.to_be_bytes().to_vec(),
            Field::Text(text) => text.clone().into_bytes(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// An output record as the golden files write it.
fn output(topology: &str, after: usize, record: &SentRecord) -> Output {
    let is_text = ["concat", "filter", "flat_map", "flat_map_values"].contains(&topology);
    let field = |bytes: &[u8]| match is_text {
        true => Field::Text(text(bytes)),
        false => Field::Long(BigEndian.deserialize(Some(bytes)).expect("8 bytes")),
    };
    let key = record.key.as_deref();
    let (key, window) = match output_windows(topology) {
        Some(windows) => {
            let key: Windowed<Vec<u8>> =
                TimeWindowed::of(windows, Bytes).deserialize(key).expect("a windowed key");
            (Some(text(&key.key)), Some(key.window))
        }
        None => (key.map(text), None),
    };
    Output {
        after,
        topic: record.topic.clone(),
        key,
        window_start: window.map(|window| window.start.0),
        window_end: window.map(|window| window.end.0),
        value: record.value.as_deref().map(field),
        timestamp: record.timestamp.0,
    }
}

struct Outcome {
    output: Vec<Output>,
    dropped: u64,
}

/// What must make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hardship {
    None,
    NoCache,
    RestartAfterEachRecord,
}

fn run(topology_name: &str, records: &[Input], hardship: Hardship) -> Outcome {
    let topology = topology(topology_name).build().expect("the golden topologies are sound");
    let mut run = TestDriver::of(topology).bad_records(BadRecordPolicy::Continue);
    if hardship == Hardship::NoCache {
        run = run.cache_bytes_per_store(0);
    }
    let mut outputs = Vec::new();
    for (after, Input { topic, key, value, timestamp }) in records.iter().enumerate() {
        let value = value.as_ref().map(Field::bytes);
        let input = run.input::<Vec<u8>, Vec<u8>>(topic, Bytes, Bytes).at(Timestamp(*timestamp));
        input.send_bytes(key.as_deref().map(str::as_bytes), value.as_deref());
        outputs.extend(run.take_sent().iter().map(|sent| output(topology_name, after, sent)));
        if hardship == Hardship::RestartAfterEachRecord {
            run.restart();
        }
    }
    let bad: u64 = BadRecord::ALL.into_iter().map(|kind| run.bad_record_count(kind)).sum();
    Outcome { output: outputs, dropped: run.counts().late + run.counts().null + bad }
}

fn goldens(folder: &str) -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let files = folder.read_dir().expect("the golden files are in the repository");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a golden file can be read");
        let golden: Golden =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Golden { name: path.file_stem().expect("a name").to_string_lossy().into_owned(), ..golden }
    };
    paths.iter().map(read).collect()
}

fn failures(hardship: Hardship) -> Vec<String> {
    let (mut unexplained, mut failed) = (differences(), Vec::new());
    for golden in goldens("semantics") {
        if ABSENT.iter().any(|(absent, _)| *absent == golden.name) {
            continue;
        }
        let outcome = run(&golden.topology, &golden.input, hardship);
        let difference = unexplained.iter().position(|(name, ..)| *name == golden.name);
        let expected = match difference {
            Some(place) => {
                let (name, reason, instead) = unexplained.swap_remove(place);
                assert_ne!(instead, golden.output, "{name} is no difference: {reason}");
                instead
            }
            None => golden.output,
        };
        let counted_otherwise = DROPPED.iter().find(|(name, ..)| *name == golden.name);
        let dropped = counted_otherwise.map_or(golden.dropped, |(_, _, dropped)| *dropped);
        if outcome.dropped != dropped {
            failed.push(format!("{}: {} records dropped instead of {dropped}", golden.name, outcome.dropped));
        }
        let lines = outcome.output.len().max(expected.len());
        let pairs = (0..lines).map(|line| (outcome.output.get(line), expected.get(line)));
        if let Some((line, (got, expected))) = pairs.enumerate().find(|(_, (got, expected))| got != expected)
        {
            failed.push(format!("{}: result {line} is\n  {got:?} instead of\n  {expected:?}", golden.name));
        }
    }
    assert!(unexplained.is_empty(), "differences to cases that are not there");
    failed
}

#[test]
fn every_golden_case_gives_what_kafka_streams_gives() {
    for hardship in [Hardship::None, Hardship::NoCache, Hardship::RestartAfterEachRecord] {
        let failed = failures(hardship);
        assert!(failed.is_empty(), "{hardship:?}:\n{}", failed.join("\n"));
    }
}

#[test]
fn no_final_result_is_lost_where_kafka_streams_loses_some() {
    let complete = goldens("semantics");
    for lost in goldens("semantics/kafka_loses") {
        let kept = lost.name.replace("lost_", "final_") + "_jump";
        let complete =
            complete.iter().find(|golden| golden.name == kept).expect("the same input, nothing lost");
        assert_eq!(lost.input, complete.input);
        assert!(lost.output.len() < complete.output.len());
        assert_eq!(run(&lost.topology, &lost.input, Hardship::None).output, complete.output, "{}", lost.name);
    }
}

#[test]
fn absent_cases_are_cases() {
    let names: BTreeSet<_> = goldens("semantics").into_iter().map(|golden| golden.name).collect();
    let listed = ABSENT.iter().map(|(name, _)| *name).chain(DROPPED.iter().map(|(name, ..)| *name));
    for name in listed {
        assert!(names.contains(name), "{name}");
    }
}
