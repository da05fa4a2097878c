//! Bytes that other programs read: the partition of a key, and the keys of windowed topics, as Java has them.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use riacho_topology::{Bytes, Serde, TimeWindowed, TimeWindows, Timestamp, Windowed, murmur2, partition_of};

const MURMUR2: &str = include_str!("golden/murmur2.tsv");
const WINDOWED_KEYS: &str = include_str!("golden/windowed_key.tsv");

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("hexadecimal digits") as u8;
    text.as_bytes().as_chunks().0.iter().map(|&[high, low]| digit(high) << 4 | digit(low)).collect()
}

fn fields<const N: usize>(line: &str) -> [&str; N] {
    let fields: Vec<_> = line.split('\t').collect();
    fields.try_into().unwrap_or_else(|fields| panic!("{N} fields in {fields:?}"))
}

fn partitions(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("at least one partition")
}

/// `org.apache.kafka.common.utils.Utils.murmur2`, line by line, on signed numbers as Java has them.
fn murmur2_as_java_writes_it(data: &[u8]) -> i32 {
    let shifted = |number: i32, by: u32| ((number as u32) >> by) as i32;
    let at = |place: usize| i32::from(data.get(place).copied().unwrap_or_else(|| panic!("no byte {place}")));
    let m = 0x5bd1_e995_u32 as i32;
    let length = data.len() as i32;
    let mut h = 0x9747_b28c_u32 as i32 ^ length;
    for i in 0..data.len() / 4 {
        let i4 = i * 4;
        let mut k = at(i4) + (at(i4 + 1) << 8) + (at(i4 + 2) << 16) + (at(i4 + 3) << 24);
        k = k.wrapping_mul(m);
        k ^= shifted(k, 24);
        k = k.wrapping_mul(m);
        h = h.wrapping_mul(m);
        h ^= k;
    }
    let tail = data.len() & !3;
    if data.len() % 4 == 3 {
        h ^= at(tail + 2) << 16;
    }
    if data.len() % 4 >= 2 {
        h ^= at(tail + 1) << 8;
    }
    if data.len() % 4 >= 1 {
        h ^= at(tail);
        h = h.wrapping_mul(m);
    }
    h ^= shifted(h, 13);
    h = h.wrapping_mul(m);
    h ^ shifted(h, 15)
}

fn partition_as_java_writes_it(key: &[u8], partitions: i32) -> i32 {
    (murmur2_as_java_writes_it(key) & 0x7fff_ffff) % partitions
}

#[test]
fn keys_hash_and_partition_as_in_java() {
    let (mut rows, mut negative) = (0, 0);
    for line in MURMUR2.lines().skip(1) {
        let [key, hash, of_12, of_7] = fields(line);
        let key = hex(key);
        assert_eq!(murmur2(&key).to_string(), hash, "{line}");
        assert_eq!(partition_of(&key, partitions(12)).to_string(), of_12, "{line}");
        assert_eq!(partition_of(&key, partitions(7)).to_string(), of_7, "{line}");
        rows += 1;
        negative += u32::from(hash.starts_with('-'));
    }
    assert_eq!(rows, 5_000);
    assert!(negative > 2_000, "half of the hashes are negative, and these are the ones that go wrong");
}

#[test]
fn a_million_keys_partition_as_in_java() {
    // Xorshift (G. Marsaglia, 2003): the same keys in every run.
    let mut state = 0x2024_1105_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut key = Vec::new();
    for _ in 0..1_000_000 {
        let length = (random() % 24) as usize;
        key.clear();
        key.extend(std::iter::repeat_with(&mut random).flat_map(u64::to_le_bytes).take(length));
        let count = 1 + (random() % 200) as u32;
        assert_eq!(
            partition_of(&key, partitions(count)),
            partition_as_java_writes_it(&key, count as i32),
            "{key:?}"
        );
    }
}

#[test]
fn windowed_keys_are_written_as_java_writes_them() {
    let windows = TimeWindows::of_size_with_no_grace(Duration::from_secs(60)).expect("a minute is a window");
    let serde = TimeWindowed::of(windows, Bytes);
    let mut refused = 0;
    for line in WINDOWED_KEYS.lines().skip(1) {
        let [key, start, _, expected] = fields(line);
        let start = Timestamp(start.parse().expect("a number"));
        let key = Windowed { key: hex(key), window: windows.window(start), closed: false };
        let mut bytes = Vec::new();
        let written = serde.serialize(&key, &mut bytes);
        if expected == "-" {
            assert!(written.is_err(), "{line}");
            refused += 1;
            continue;
        }
        assert_eq!(bytes, hex(expected), "{line}");
        assert_eq!(serde.deserialize(Some(&bytes)).expect("what was written"), key, "{line}");
    }
    assert!(refused > 0, "Java refuses windows that start before 1970");
}

proptest! {
    #[test]
    fn long_keys_hash_as_in_java(key in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(murmur2(&key), murmur2_as_java_writes_it(&key));
    }

    #[test]
    fn any_bytes_as_a_windowed_key_give_a_key_or_an_error(bytes: Vec<u8>) {
        let windows = TimeWindows::of_size_with_no_grace(Duration::from_secs(60)).expect("a minute is a window");
        let serde = TimeWindowed::of(windows, Bytes);
        if let Ok(key) = serde.deserialize(Some(&bytes)) {
            let mut again = Vec::new();
            serde.serialize(&key, &mut again).expect("what was read can be written");
            prop_assert_eq!(again, bytes);
        }
    }
}
