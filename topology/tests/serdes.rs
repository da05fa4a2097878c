//! Serdes give back what they were given, and no bytes make them panic.

use proptest::prelude::*;
use riacho_topology::{
    BigEndian, Bytes, Json, Nullable, Serde, SerdeError, State, StateCodec, Utf8, Written, read_varint,
    unzigzag, write_varint, zigzag,
};

use crate::script::Totals;

fn written<T>(serde: &impl Serde<T>, value: &T) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    (serde.serialize(value, &mut bytes).expect("the value can be written") == Written::Bytes).then_some(bytes)
}

fn come_back<T: Clone + PartialEq + std::fmt::Debug>(serde: &impl Serde<T>, value: &T) {
    let bytes = written(serde, value);
    assert_eq!(bytes.is_none(), serde.is_null(value));
    assert_eq!(&serde.deserialize(bytes.as_deref()).expect("what was written"), value);
}

#[test]
fn null_is_not_empty() {
    let nullable = Nullable(Utf8);
    assert_eq!(written(&nullable, &None::<String>), None);
    assert_eq!(written(&nullable, &Some(String::new())), Some(Vec::new()));
    assert_eq!(Serde::<Option<String>>::deserialize(&nullable, None).expect("null"), None);
    assert_eq!(
        Serde::<Option<String>>::deserialize(&nullable, Some(b"")).expect("empty"),
        Some(String::new())
    );
    assert!(Serde::<String>::deserialize(&Utf8, None).is_err());
    assert!(Serde::<i64>::deserialize(&BigEndian, None).is_err());
    assert!(Serde::<Vec<u8>>::deserialize(&Bytes, None).is_err());
    assert!(Serde::<u8>::deserialize(&Json::new(), None).is_err());
    assert!(Serde::<Totals>::deserialize(&State::new(), None).is_err());
}

#[test]
fn numbers_are_big_endian_and_of_one_width() {
    assert_eq!(written(&BigEndian, &-2i64), Some(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]));
    assert_eq!(written(&BigEndian, &258i32), Some(vec![0, 0, 1, 2]));
    let error = Serde::<i64>::deserialize(&BigEndian, Some(&[1, 2, 3])).expect_err("three bytes");
    assert_eq!(error.to_string(), "3 bytes where i64 has 8");
}

#[test]
fn state_without_a_version_is_refused() {
    assert!(Serde::<Totals>::deserialize(&State::new(), Some(b"")).is_err());
}

/// A codec that has had two layouts.
#[derive(Clone, Debug, PartialEq)]
struct Visits(u64);

impl StateCodec for Visits {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(self.0, out);
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        match (version, bytes) {
            (1, &[visits]) => Ok(Visits(visits.into())),
            (2, _) => read_varint(&mut bytes).map(Visits),
            _ => Err(SerdeError::new("an unknown layout")),
        }
    }
}

#[test]
fn state_of_an_older_layout_is_read() {
    let serde = State::<Visits>::new();
    assert_eq!(written(&serde, &Visits(300)), Some(vec![2, 0xac, 0x02]));
    assert_eq!(serde.deserialize(Some(&[1, 44])).expect("layout 1"), Visits(44));
    assert!(serde.deserialize(Some(&[3, 44])).is_err());
}

#[test]
fn a_number_cut_off_or_too_large_is_refused() {
    for bytes in [
        &[][..],
        &[0x80],
        &[0xff; 9],
        &[0xff; 10],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
    ] {
        let mut rest = bytes;
        assert!(read_varint(&mut rest).is_err(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn values_come_back(text: String, bytes: Vec<u8>, long: i64, int: u32, state: (u64, i64)) {
        come_back(&Utf8, &text);
        come_back(&Utf8, &compact_str::CompactString::from(text.as_str()));
        come_back(&Bytes, &bytes);
        come_back(&BigEndian, &long);
        come_back(&BigEndian, &int);
        come_back(&Json::new(), &(text.clone(), long));
        come_back(&Nullable(Utf8), &Some(text));
        come_back(&Nullable(BigEndian), &None::<u64>);
        come_back(&State::new(), &Totals { count: state.0, sum: state.1 });
        come_back(&Nullable(State::new()), &Some(Totals { count: state.0, sum: state.1 }));
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes: Vec<u8>) {
        drop(Serde::<String>::deserialize(&Utf8, Some(&bytes)));
        drop(Serde::<i16>::deserialize(&BigEndian, Some(&bytes)));
        drop(Serde::<Vec<u64>>::deserialize(&Json::new(), Some(&bytes)));
        drop(Serde::<Totals>::deserialize(&State::new(), Some(&bytes)));
    }

    #[test]
    fn numbers_come_back_and_leave_what_follows(number: u64, follows: Vec<u8>) {
        let mut bytes = Vec::new();
        write_varint(number, &mut bytes);
        prop_assert!(bytes.len() <= 10);
        bytes.extend_from_slice(&follows);
        let mut rest = bytes.as_slice();
        prop_assert_eq!(read_varint(&mut rest).expect("what was written"), number);
        prop_assert_eq!(rest, follows.as_slice());
    }

    #[test]
    fn signed_numbers_come_back_and_small_ones_stay_small(number: i64, small in -64..64i64) {
        prop_assert_eq!(unzigzag(zigzag(number)), number);
        prop_assert!(zigzag(small) < 128);
    }
}
