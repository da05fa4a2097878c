//! Keys, values, times and headers on their way through.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use riacho::kafka::{self, ClientSettings, NewRecord, StartAt, TopicReader, TopicWriter};
use riacho::{Bytes, Grouped, Materialized, Nullable, Produced, StreamsBuilder, Utf8, partition_of};

use super::{copy, count, in_and_out, raw};
use crate::support::{App, Client, Isolation, Kafka, LIMIT, Received, TestRecord, await_until, unique};

fn text(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The last count of each key.
fn counts(client: &Client, topic: &str) -> BTreeMap<String, u64> {
    let count = |record: &Received| {
        let bytes = record.value.as_deref().and_then(|bytes| bytes.try_into().ok());
        (text(record.key.as_ref()), u64::from_be_bytes(bytes.expect("a count has 8 bytes")))
    };
    client.read_all(topic, Isolation::ReadCommitted).iter().map(count).collect()
}

#[test]
fn aborted_upstream_transactions_are_never_counted() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "aborted", 2);
    let some = |value: &str| [TestRecord::new("a", value).on(0), TestRecord::new("b", value).on(1)];
    client.produce(&from, &some("plain"));
    client.produce_aborted(&from, &some("aborted"));
    let committed = client.begin_transaction();
    committed.write(&from, &some("committed"));
    committed.commit();
    let open = client.begin_transaction();
    open.write(&from, &some("aborted while the application runs"));

    let app = App::on(client, "aborted");
    let running = app.start(count(&from, &to));
    let expected = |count| [("a".to_owned(), count), ("b".to_owned(), count)].into();
    await_until(LIMIT, "what is decided is counted", || counts(client, &to) == expected(2));
    open.abort();
    client.produce(&from, &some("plain"));
    running.await_processed(&from);
    running.stop();

    assert_eq!(counts(client, &to), expected(3));
}

#[test]
fn timestamps_and_headers_survive_a_repartition_and_the_sink() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "travel", 3);
    let builder = StreamsBuilder::new();
    raw(&builder, &from)
        .group_by(
            |record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned(),
            Grouped::with(Utf8, Nullable(Bytes)).named("by-value"),
        )
        .process_values(
            || 0,
            |record, seen: &mut u64, found| {
                *seen += 1;
                found.value(record.value.clone());
                Ok(())
            },
            Materialized::named("seen", riacho::BigEndian),
        )
        .to(to.as_str(), Produced::with(Utf8, Nullable(Bytes)));
    let app = App::on(client, "travel");
    let records: Vec<_> = (0..30)
        .map(|number: i64| {
            let record = TestRecord::new(format!("key {}", number % 7), format!("value {number}"));
            let record = record.at(86_400_000 * (number + 1)).on((number % 3) as i32);
            record
                .with_header("trace", format!("{number}"))
                .with_header("trace", vec![0, 255])
                .with_header("", "")
        })
        .collect();
    client.produce(&from, &records);
    let running = app.start(builder.build().expect("a repartition and a store"));
    let repartition = format!("{}-by-value-repartition", app.id);
    running.await_processed(&from);
    running.await_processed(&repartition);
    running.stop();

    let key = |record: &Received| record.value.clone();
    for topic in [&repartition, &to] {
        let mut found = client.read_all(topic, Isolation::ReadCommitted);
        found.sort_by_key(key);
        let mut expected = records.clone();
        expected.sort_by_key(|record| record.value.clone());
        assert_eq!(found.len(), expected.len(), "{topic}");
        for (found, sent) in found.iter().zip(&expected) {
            assert_eq!((&found.value, &found.key), (&sent.value, &sent.value), "the new key is the value");
            assert_eq!((found.timestamp, &found.headers), (sent.timestamp, &sent.headers), "{topic}");
        }
    }
}

#[test]
fn null_is_not_an_empty_value_and_not_an_empty_key() {
    let client = Kafka::shared().client();
    let (from, to) = in_and_out(client, "null", 1);
    let bytes = |present: bool| present.then(Vec::new);
    let forms = [(false, false), (false, true), (true, false), (true, true)];
    let record = |(key, value)| TestRecord { key: bytes(key), value: bytes(value), ..TestRecord::default() };
    client.produce(&from, &forms.map(|form| record(form).on(0)));
    let app = App::on(client, "null");
    let running = app.start(copy(&from, &to));
    running.await_processed(&from);
    running.stop();

    let found = client.read_all(&to, Isolation::ReadCommitted);
    let found: Vec<_> = found.into_iter().map(|record| (record.key, record.value)).collect();
    assert_eq!(found, forms.map(|(key, value)| (bytes(key), bytes(value))));
}

/// Keys, their hashes and their partitions of 12 and of 7, as Java's `DefaultPartitioner` computed them.
const JAVA: &str = include_str!("../../topology/tests/golden/murmur2.tsv");

struct Placed {
    key: Vec<u8>,
    hash: i32,
    of_12: i32,
    of_7: i32,
}

fn placed_by_java() -> Vec<Placed> {
    let number = |text: &str| text.parse().expect("the golden holds numbers");
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[hex, hash, of_12, of_7] = columns.as_slice() else { panic!("{line} has four columns") };
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("the golden holds hex");
        let key = (0..hex.len()).step_by(2).map(byte).collect();
        Placed { key, hash: number(hash), of_12: number(of_12), of_7: number(of_7) }
    };
    JAVA.lines().skip(1).map(row).collect()
}

#[test]
fn keys_land_where_java_puts_them() {
    let client = Kafka::shared().client();
    let (from, to, seventh) = (unique("keys-in"), unique("keys-out"), unique("keys-written"));
    client.create_topic(&from, 1);
    client.create_topic(&to, 12);
    client.create_topic(&seventh, 7);
    let placed = placed_by_java();
    assert!(
        placed.len() >= 5000 && placed.iter().filter(|key| key.hash < 0).count() > 1000,
        "negative hashes too"
    );

    // A generator's way.
    let mut writer =
        TopicWriter::new(&ClientSettings::new(client.bootstrap(), "keys")).expect("settings are sound");
    for Placed { key, .. } in &placed {
        let record = NewRecord {
            topic: &seventh,
            partition: None,
            key: Some(key),
            value: None,
            timestamp: None,
            headers: None,
        };
        writer.write(record).expect("the record is taken");
    }
    writer.flush().expect("the broker acknowledges");
    // A sink's way.
    let records =
        placed.iter().map(|key| TestRecord { key: Some(key.key.clone()), ..TestRecord::default() }.on(0));
    client.produce(&from, &records.collect::<Vec<_>>());
    let app = App::on(client, "keys");
    let running = app.start(copy(&from, &to));
    running.await_processed(&from);
    running.stop();

    for (topic, partition_of) in [(&to, (|key| key.of_12) as fn(&Placed) -> i32), (&seventh, |key| key.of_7)]
    {
        let found = client.read_all(topic, Isolation::ReadCommitted);
        assert_eq!(found.len(), placed.len());
        let at: BTreeMap<&[u8], i32> = found
            .iter()
            .map(|record| (record.key.as_deref().unwrap_or_default(), record.partition))
            .collect();
        for key in &placed {
            assert_eq!(at.get(key.key.as_slice()), Some(&partition_of(key)), "{:02x?} in {topic}", key.key);
        }
    }
}

/// The partitioner that `partition_of` implements is held to Java's by the goldens; here the producer is held to it.
#[test]
fn a_million_keys_land_where_the_partitioner_says() {
    const KEYS: u64 = 1_000_000;
    const PARTITIONS: NonZeroU32 = NonZeroU32::new(12).expect("twelve is not zero");
    let client = Kafka::shared().client();
    let topic = unique("million");
    client.create_topic(&topic, 12);
    let settings = ClientSettings::new(client.bootstrap(), "million");
    let mut writer = TopicWriter::new(&settings).expect("settings are sound");
    for number in 0..KEYS {
        // Lengths from 8 to 24 bytes, of every value: half of the hashes are negative.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bytes = [number.to_le_bytes(), mixed.to_be_bytes(), mixed.rotate_left(29).to_le_bytes()].concat();
        let length = 8 + usize::try_from(mixed % 17).expect("below 17");
        let key = bytes.get(..length);
        let record =
            NewRecord { topic: &topic, partition: None, key, value: None, timestamp: None, headers: None };
        writer.write(record).expect("the record is taken");
    }
    writer.flush().expect("the broker acknowledges");

    let isolation = kafka::Isolation::ReadCommitted;
    let mut reader =
        TopicReader::open(&settings, &[&topic], &StartAt::Beginning, isolation).expect("the topic is there");
    let (mut read, mut misplaced) = (0u64, 0u64);
    reader
        .read_to_end(Duration::from_secs(30), &mut |partition, record| {
            read += 1;
            let key = record.key.unwrap_or_default();
            misplaced += u64::from(partition_of(key, PARTITIONS) != partition.partition);
        })
        .expect("the topic can be read");
    assert_eq!((read, misplaced), (KEYS, 0));
}
