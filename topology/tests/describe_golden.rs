//! `describe` gives the text of Kafka Streams, byte for byte, for every golden topology that the DSL can say.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use riacho_topology::{
    BigEndian, Consumed, EmitStrategy, Forward, Grouped, KGroupedStream, KStream, KTable, Materialized,
    Produced, Record, StreamsBuilder, TimeWindowed, TimeWindows, Utf8, Windowed,
};

/// What the DSL does not say, and what it says instead.
const ABSENT: [(&str, &str); 16] = [
    ("hash_order", "a source reads one topic, and an operator keeps one store"),
    ("process_then_count", "no process: map, flat_map and process_values do it with types"),
    ("process_values_then_count", "process_values without a store is map_values or flat_map_values"),
    ("process_with_two_stores", "an operator keeps one store"),
    ("repartition", "no repartition by hand: a grouping repartitions where it has to"),
    ("repartition_named_count", "no repartition by hand: the name of the grouping names the topic"),
    ("same_topic_twice", "an error, which says to read the topic once and to use the stream twice"),
    ("session_count", "no session windows"),
    ("shared_store", "a store belongs to one operator"),
    ("sliding_count", "no sliding windows"),
    ("source_of_three_topics", "a source reads one topic: merge three streams"),
    ("suppress_until_window_closes", "no suppress: EmitStrategy::OnWindowClose"),
    ("table_filter_map_values", "no operators on tables: to_stream first"),
    ("table_source", "no tables of topics"),
    ("table_source_named_store", "no tables of topics"),
    ("to_table", "no tables of topics"),
];

type Case = (&'static str, fn(&StreamsBuilder));

const PRESENT: [Case; 47] = [
    ("aggregate", |b| totals(numbers(b, "sales").group_by_key(by_number()), sum()).to("totals", longs())),
    ("chained_repartitions", chained_repartitions),
    ("count", |b| count(by_key(b, "views")).to("counts", longs())),
    ("count_alone", |b| {
        drop(by_key(b, "views").count(Materialized::with(BigEndian)));
    }),
    ("count_named_node", |b| {
        let counts = by_key(b, "views").count(Materialized::with(BigEndian).node("counter"));
        counts.to_stream().to("counts", longs());
    }),
    ("count_named_node_and_store", |b| {
        let counts = by_key(b, "views").count(stored("view-counts").node("counter"));
        counts.to_stream_named("out").to("counts", longs());
    }),
    ("count_named_store", |b| {
        by_key(b, "views").count(stored("view-counts")).to_stream().to("counts", longs())
    }),
    ("fan_out_ten", |b| fan_out(&words(b, "views"), &[1, 3, 0, 1, 3, 3, 0, 3, 3, 3])),
    ("fan_out_twenty", |b| {
        fan_out(&words(b, "views"), &[0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 5, 1, 4, 2, 3]);
    }),
    ("flat_map_count", |b| {
        let pairs = words(b, "sales").flat_map(|r| [(r.key.clone(), r.value.clone())]);
        count(pairs.group_by_key(by_text())).to("out", longs());
    }),
    ("group_by_count", |b| count(words(b, "sales").group_by(value, by_text())).to("counts", longs())),
    ("group_by_grouped_as", |b| {
        count(words(b, "sales").group_by(value, by_text().named("by-vendor"))).to("counts", longs());
    }),
    ("group_by_hopping_count", |b| {
        let hopping = words(b, "sales").group_by(value, by_text()).windowed_by(minute_every_20_s());
        hopping.count(stored("counts")).to_stream().to("out", windowed_longs());
    }),
    ("map_aggregate", |b| {
        let mapped = numbers(b, "sales").map(|r| (r.key.clone(), *r.value));
        totals(mapped.group_by_key(by_number()), stored("totals")).to("out", longs());
    }),
    ("merge_select_key_count", |b| {
        let views = words(b, "views").select_key(value);
        drop(views.merge(&words(b, "clicks")).group_by_key(by_text()).count(stored("counts")));
    }),
    ("merge_two_streams", |b| {
        let (views, clicks) = (words(b, "views"), words(b, "clicks"));
        views.map_values(value).merge(&clicks.filter(all)).to("all", texts());
    }),
    ("merge_two_topics_count", |b| {
        let (views, clicks) = (words(b, "views"), words(b, "clicks"));
        count(views.merge(&clicks).group_by_key(by_text())).to("counts", longs());
    }),
    ("multiple_sinks", |b| {
        let views = words(b, "views");
        views.to("copy", texts());
        views.filter(|r| r.value.len() > 3).to("long", texts());
        views.map_values(|r| r.value.to_uppercase()).to("upper", texts());
    }),
    ("names_given", |b| {
        b.stream("payments", Consumed::<String, String>::with(Utf8, Utf8).named("payments-source"))
            .filter_named("only-valid", all)
            .map_values_named("to-cents", |r| Ok(value(r)))
            .select_key_named("by-vendor", value)
            .peek_named("look", |_| {})
            .to("cents", texts().named("cents-sink"));
    }),
    ("names_given_in_part", |b| {
        words(b, "payments").filter_named("only-valid", all).map_values(value).to("cents", texts());
    }),
    ("process_values_named", |b| {
        let running = numbers(b, "sales").group_by_key(by_number());
        let running = running.process_values(|| 0, running_total, stored("totals").node("running-total"));
        running.map_values(|r| *r.value).to("out", longs());
    }),
    ("process_values_with_store", |b| {
        let running = numbers(b, "sales").group_by_key(by_number());
        running.process_values(|| 0, running_total, stored("totals")).to("out", longs());
    }),
    ("reduce", |b| reduced(numbers(b, "sales").group_by_key(by_number())).to("totals", longs())),
    ("select_key_grouped_as", |b| {
        let by_vendor = words(b, "sales").select_key(value).group_by_key(by_text().named("by-vendor"));
        by_vendor.count(stored("counts")).to_stream().to("out", longs());
    }),
    ("select_key_reduce", |b| reduced(tails(b).group_by_key(by_number())).to("totals", longs())),
    ("select_key_tumbling_reduce", |b| {
        let per_minute = tails(b).group_by_key(by_number()).windowed_by(minute());
        per_minute.reduce(|a, b| a + b, sum()).to_stream().to("out", windowed_longs());
    }),
    ("select_key_values_count", |b| {
        let sales = tails(b).map_values(|r| *r.value).filter(|_| true);
        sales.group_by_key(by_number()).count(stored("counts")).to_stream().to("out", longs());
    }),
    ("source_only", |b| drop(words(b, "views"))),
    ("split_generated_names", |b| {
        let (views, clicks) = (words(b, "views"), words(b, "clicks"));
        let branches = views
            .map(|r| (r.value.clone(), r.key.clone()))
            .flat_map(|r| [(r.key.clone(), r.value.clone())])
            .select_key(value)
            .peek(|_| {})
            .merge(&clicks)
            .split()
            .branch(|r| r.value.starts_with('a'))
            .branch(|r| r.value.starts_with('b'))
            .default_branch();
        write(branches, ["first", "second", "rest"]);
    }),
    ("split_named_branches", |b| {
        let branches = words(b, "payments")
            .split_named("by-kind-")
            .branch_named("card", |r| r.value == "card")
            .branch_named("pix", |r| r.value == "pix")
            .default_branch_named("other");
        write(branches, ["cards", "pix", "others"]);
    }),
    ("split_no_default", |b| {
        let branches = words(b, "payments")
            .split()
            .branch_named("-card", |r| r.value == "card")
            .branch(|r| r.value == "pix")
            .no_default_branch();
        write(branches, ["cards", "second"]);
    }),
    ("stateless_all", |b| {
        words(b, "views")
            .filter(all)
            .filter_not(|_| false)
            .map(|r| (r.value.clone(), r.key.clone()))
            .map_values(value)
            .flat_map(|r| [(r.key.clone(), r.value.clone())])
            .flat_map_values(|r| [value(r)])
            .select_key(value)
            .peek(|_| {})
            .for_each(|_| {});
    }),
    ("stateless_chain", |b| {
        let long = words(b, "views").filter(|r| r.value.len() > 3);
        long.map_values(|r| r.value.to_uppercase()).to("long-views", texts());
    }),
    ("sub_topologies_separate", |b| {
        let by_value = words(b, "sales").group_by(value, by_text());
        by_value.count(stored("a")).to_stream().to("out-a", longs());
        words(b, "views").map_values(value).to("out-b", texts());
        drop(by_key(b, "clicks").count(stored("c")));
    }),
    ("table_to_stream_filter", |b| {
        let many = count(by_key(b, "views")).filter(|r| *r.value > 10);
        many.map_values(|r| r.value * 2).to("popular", longs());
    }),
    ("table_to_stream_twice", |b| {
        let counts = by_key(b, "views").count(Materialized::with(BigEndian));
        counts.to_stream().to("a", longs());
        counts.to_stream().to("b", longs());
    }),
    ("tumbling_aggregate", |b| sales_by_vendor(b, EmitStrategy::OnWindowUpdate)),
    ("tumbling_aggregate_generated_names", |b| {
        let per_minute = numbers(b, "sales").group_by_key(by_number()).windowed_by(minute());
        per_minute.aggregate(|| 0, add, sum()).to_stream().to("out", windowed_longs());
    }),
    ("tumbling_aggregate_on_window_close", |b| sales_by_vendor(b, EmitStrategy::OnWindowClose)),
    ("tumbling_count", |b| {
        let per_minute = by_key(b, "sales").windowed_by(minute());
        per_minute.count(Materialized::with(BigEndian)).to_stream().to("out", windowed_longs());
    }),
    ("tumbling_reduce", |b| {
        let per_minute = numbers(b, "sales").group_by_key(by_number()).windowed_by(minute());
        per_minute.reduce(|a, b| a + b, sum()).to_stream().to("out", windowed_longs());
    }),
    ("two_aggregations", |b| {
        let views = by_key(b, "views");
        count(views.clone()).to("counts", longs());
        latest(&views, Materialized::with(Utf8)).to_stream().to("latest", texts());
    }),
    ("two_aggregations_after_select_key", |b| {
        let views = words(b, "views").select_key(value).group_by_key(by_text());
        drop(views.count(stored("counts")));
        drop(latest(&views, Materialized::named("latest", Utf8)));
    }),
    ("two_aggregations_grouped_as", |b| {
        let views = words(b, "views").select_key(value).group_by_key(by_text().named("by-page"));
        count(views.clone()).to("counts", longs());
        latest(&views, Materialized::with(Utf8)).to_stream().to("latest", texts());
    }),
    ("two_sub_topologies", |b| {
        words(b, "views").map_values(value).to("a", texts());
        words(b, "clicks").filter(all).to("b", texts());
    }),
    ("two_windows", |b| {
        let sales = by_key(b, "sales");
        let per_minute = sales.windowed_by(minute()).count(stored("per-minute"));
        per_minute.to_stream().to("a", windowed_longs());
        let sliding = sales.windowed_by(minute_every_20_s()).count(stored("sliding-minute"));
        sliding.to_stream().to("b", windowed_longs());
    }),
    ("values_only_then_count", |b| {
        let sales = words(b, "sales").filter(all).map_values(value).peek(|_| {});
        sales.group_by_key(by_text()).count(stored("sales-count")).to_stream().to("counts", longs());
    }),
];

fn chained_repartitions(b: &StreamsBuilder) {
    let per_vendor = words(b, "sales").group_by(value, by_text()).count(stored("per-vendor")).to_stream();
    let per_region = per_vendor.group_by(|r| r.key.chars().take(1).collect(), Grouped::with(Utf8, BigEndian));
    per_region.reduce(|a, b| a + b, stored("per-region")).to_stream().to("regions", longs());
}

fn fan_out(from: &KStream<String, String>, lengths: &[usize]) {
    for (child, &length) in lengths.iter().enumerate() {
        let stream = (0..length).fold(from.clone(), |stream, _| stream.map_values(value));
        stream.to(format!("out-{child}"), texts());
    }
}

fn sales_by_vendor(b: &StreamsBuilder, emit: EmitStrategy) {
    numbers(b, "financial_transactions")
        .group_by_key(by_number())
        .windowed_by(minute())
        .emit_strategy(emit)
        .aggregate(|| 0, add, stored("sales-by-vendor"))
        .to_stream()
        .map(|r| (r.key.key.clone(), *r.value))
        .to("aggregated_transactions", longs());
}

fn words(b: &StreamsBuilder, topic: &str) -> KStream<String, String> {
    b.stream(topic, Consumed::with(Utf8, Utf8))
}

fn numbers(b: &StreamsBuilder, topic: &str) -> KStream<String, u64> {
    b.stream(topic, Consumed::with(Utf8, BigEndian))
}

fn tails(b: &StreamsBuilder) -> KStream<String, u64> {
    numbers(b, "sales").select_key(|r| r.key.chars().skip(1).collect())
}

fn by_key(b: &StreamsBuilder, topic: &str) -> KGroupedStream<String, String> {
    words(b, topic).group_by_key(by_text())
}

fn by_text() -> Grouped<String, String> {
    Grouped::with(Utf8, Utf8)
}

fn by_number() -> Grouped<String, u64> {
    Grouped::with(Utf8, BigEndian)
}

fn stored(name: &str) -> Materialized<u64> {
    Materialized::named(name, BigEndian)
}

fn sum() -> Materialized<u64> {
    Materialized::with(BigEndian)
}

fn texts() -> Produced<String, String> {
    Produced::with(Utf8, Utf8)
}

fn longs() -> Produced<String, u64> {
    Produced::with(Utf8, BigEndian)
}

fn windowed_longs() -> Produced<Windowed<String>, u64> {
    Produced::with(TimeWindowed::of(minute(), Utf8), BigEndian)
}

fn minute() -> TimeWindows {
    TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(10))
        .expect("a minute is a window")
}

fn minute_every_20_s() -> TimeWindows {
    minute().advance_by(Duration::from_secs(20)).expect("20 s are less than a minute")
}

fn all<V>(_: &Record<'_, String, V>) -> bool {
    true
}

fn value(record: &Record<'_, String, String>) -> String {
    record.value.clone()
}

fn add(_: &String, value: &u64, total: &mut u64) -> Result<(), riacho_topology::ProcessError> {
    *total += value;
    Ok(())
}

fn running_total(
    record: &Record<'_, String, u64>,
    total: &mut u64,
    forward: &mut Forward<u64>,
) -> Result<(), riacho_topology::ProcessError> {
    *total += record.value;
    forward.value(*total);
    Ok(())
}

fn count(grouped: KGroupedStream<String, String>) -> KStream<String, u64> {
    grouped.count(Materialized::with(BigEndian)).to_stream()
}

fn reduced(grouped: KGroupedStream<String, u64>) -> KStream<String, u64> {
    grouped.reduce(|a, b| a + b, sum()).to_stream()
}

fn totals(grouped: KGroupedStream<String, u64>, materialized: Materialized<u64>) -> KStream<String, u64> {
    grouped.aggregate(|| 0, add, materialized).to_stream()
}

fn latest(
    grouped: &KGroupedStream<String, String>,
    materialized: Materialized<String>,
) -> KTable<String, String> {
    grouped.reduce(|_, latest| latest.clone(), materialized)
}

fn write<const N: usize>(branches: Vec<KStream<String, String>>, topics: [&str; N]) {
    assert_eq!(branches.len(), N);
    for (branch, topic) in branches.iter().zip(topics) {
        branch.to(topic, texts());
    }
}

fn goldens() -> impl Iterator<Item = (String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/describe");
    let files = folder.read_dir().expect("the golden files are in the repository");
    files.map(|file| file.expect("a folder can be listed").path()).filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(".txt")?.to_owned();
        Some((name, std::fs::read_to_string(path).expect("a golden file can be read")))
    })
}

#[test]
fn every_golden_topology_is_described_as_kafka_streams_describes_it() {
    let mut seen = BTreeSet::new();
    for (name, expected) in goldens() {
        let Some((_, describe)) = PRESENT.iter().find(|(present, _)| *present == name) else { continue };
        let builder = StreamsBuilder::new();
        describe(&builder);
        let topology = builder.build().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(topology.describe(), expected, "{name}");
        seen.insert(name);
    }
    assert_eq!(seen.len(), PRESENT.len(), "a topology without a golden file");
}

#[test]
fn every_golden_topology_is_present_or_absent_for_a_reason() {
    let absent = ABSENT.iter().map(|(name, _)| *name);
    let listed: Vec<_> = PRESENT.iter().map(|(name, _)| *name).chain(absent).map(str::to_owned).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a topology is listed twice");
    assert_eq!(unique, goldens().map(|(name, _)| name).collect());
}

#[test]
fn the_topology_is_told_as_json_and_as_a_picture() {
    let builder = StreamsBuilder::new();
    count(words(&builder, "sales").group_by(value, by_text())).to("counts", longs());
    let topology = builder.build().expect("a sound topology");

    let json = topology.to_json();
    let nodes = json.pointer("/subtopologies/1/nodes").and_then(|nodes| nodes.as_array()).expect("nodes");
    let of = |name: &str| nodes.iter().map(|node| node.get(name).cloned()).collect::<Vec<_>>();
    let list = |text: &str| serde_json::from_str::<Vec<Option<serde_json::Value>>>(text).expect("a list");
    assert_eq!(of("type"), list(r#"["source", "processor", "processor", "sink"]"#));
    let children = r#"[["KSTREAM-AGGREGATE-0000000003"], ["KTABLE-TOSTREAM-0000000007"], ["KSTREAM-SINK-0000000008"], []]"#;
    assert_eq!(of("children"), list(children));
    let store = nodes.iter().filter_map(|node| node.get("store")?.as_str()).collect::<Vec<_>>();
    assert_eq!(store, ["KSTREAM-AGGREGATE-STATE-STORE-0000000002"]);

    let dot = topology.to_dot();
    assert_eq!(dot.matches("subgraph cluster_").count(), 2);
    let repartition = "KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition";
    let edges = dot.lines().filter(|line| line.contains("->") && line.contains(repartition));
    assert_eq!(edges.count(), 2, "one sub-topology writes the topic, the other reads it");
    assert!(dot.contains("n0 -> n1;") && dot.contains("\"sales\" -> n0;"), "{dot}");
}
