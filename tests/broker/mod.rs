//! What riacho promises of the records, topics and groups that others see on the cluster.

mod guarantees;
mod members;
mod oversized;
mod queries;
mod records;
mod topics;

use riacho::{
    BigEndian, Bytes, Consumed, Grouped, KStream, Materialized, Nullable, Produced, StreamsBuilder, Topology,
    Utf8,
};

use crate::support::{Client, unique};

type Raw = Option<Vec<u8>>;

/// Bytes as they are, null included.
fn raw(builder: &StreamsBuilder, topic: &str) -> KStream<Raw, Raw> {
    builder.stream(topic, Consumed::with(Nullable(Bytes), Nullable(Bytes)))
}

/// Passes every record on.
fn copy(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    raw(&builder, from).to(to, Produced::with(Nullable(Bytes), Nullable(Bytes)));
    builder.build().expect("a source and a sink")
}

/// The numbers of the records of each key.
fn counts(builder: &StreamsBuilder, from: &str) -> KStream<String, u64> {
    builder
        .stream(from, Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key(Grouped::with(Utf8, Utf8))
        .count(Materialized::named("counts", BigEndian))
        .to_stream()
}

/// Counts the records of each key.
fn count(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    counts(&builder, from).to(to, Produced::with(Utf8, BigEndian));
    builder.build().expect("a source, a store and a sink")
}

/// Two topics with names that no other test has.
fn in_and_out(client: &Client, name: &str, partitions: i32) -> (String, String) {
    let (from, to) = (unique(&format!("{name}-in")), unique(&format!("{name}-out")));
    client.create_topic(&from, partitions);
    client.create_topic(&to, partitions);
    (from, to)
}
