//! What cannot be built is refused in words that say what to do.

use riacho_topology::{
    BigEndian, Consumed, Grouped, KStream, Materialized, Produced, StreamsBuilder, TopicName, Utf8,
};

fn stream(b: &StreamsBuilder, topic: &str) -> KStream<String, String> {
    b.stream(topic, Consumed::with(Utf8, Utf8))
}

fn to_topic(stream: &KStream<String, String>, topic: &str) {
    stream.to(topic, Produced::with(Utf8, Utf8));
}

fn refusal(describe: impl FnOnce(&StreamsBuilder)) -> String {
    let builder = StreamsBuilder::new();
    describe(&builder);
    builder.build().expect_err("it cannot be built").to_string()
}

#[test]
fn a_topology_reads_something() {
    assert!(refusal(|_| {}).contains("call StreamsBuilder::stream"));
}

#[test]
fn a_topic_is_read_once() {
    let error = refusal(|b| {
        to_topic(&stream(b, "views"), "a");
        to_topic(&stream(b, "views"), "b");
    });
    assert!(error.contains("'views' is read by two sources: read it once"), "{error}");
}

#[test]
fn names_of_nodes_and_stores_are_unique() {
    let error = refusal(|b| {
        let views = stream(b, "views").peek_named("look", |_| {});
        views.peek_named("look", |_| {}).for_each(|_| {});
    });
    assert!(error.contains("two nodes are called 'look'"), "{error}");
    let error = refusal(|b| {
        let views = stream(b, "views").group_by_key(Grouped::with(Utf8, Utf8));
        drop(views.count(Materialized::named("counts", BigEndian)));
        drop(views.count(Materialized::named("counts", BigEndian)));
    });
    assert!(error.contains("two stores are called 'counts'"), "{error}");
}

#[test]
fn names_of_topics_are_names_that_kafka_takes() {
    for name in ["", "a b", "olá", "a/b", &"x".repeat(250)] {
        let error = refusal(|b| to_topic(&stream(b, "views"), name));
        assert!(error.contains("cannot be a topic's name"), "{error}");
    }
}

#[test]
fn streams_of_two_builders_are_not_merged() {
    let other = StreamsBuilder::new();
    let clicks = stream(&other, "clicks");
    let error = refusal(|b| to_topic(&stream(b, "views").merge(&clicks), "all"));
    assert!(error.contains("streams of two builders"), "{error}");
}

#[test]
fn topics_are_told_apart_by_who_owns_them() {
    let builder = StreamsBuilder::new();
    let by_page = stream(&builder, "views").group_by(|r| r.value.clone(), Grouped::with(Utf8, Utf8));
    let counts = by_page.count(Materialized::named("counts", BigEndian)).to_stream();
    counts.to("page-counts", Produced::with(Utf8, BigEndian));
    let topology = builder.build().expect("a sound topology");
    assert_eq!(topology.external_sources().into_iter().collect::<Vec<_>>(), ["views"]);
    assert_eq!(topology.external_sinks().into_iter().collect::<Vec<_>>(), ["page-counts"]);
    let repartition = TopicName::Repartition("counts-repartition".to_owned());
    assert_eq!(repartition.resolve("app"), "app-counts-repartition");
    let [first, second] = topology.subtopologies() else { panic!("two sub-topologies") };
    assert_eq!(
        (first.sinks.as_slice(), second.sources.as_slice()),
        (&[repartition.clone()][..], &[repartition][..])
    );
    assert_eq!((first.stores.len(), second.stores.len()), (0, 1));
}
