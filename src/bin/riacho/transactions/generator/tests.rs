//! What the generator draws, and that it is the same for the same seed.

use std::collections::{HashMap, HashSet};

use riacho::Serde;

use super::super::anomaly::{AnomalyRules, Reason, SellerProfile};
use super::super::scan;
use super::super::transaction::{TransactionSerde, read_any};
use super::*;

fn simulated() -> GeneratorOptions {
    let per_second = NonZeroU32::new(1000).unwrap();
    GeneratorOptions {
        clock: EventClock::Simulated { start: Timestamp(1_767_225_600_000), per_second },
        ..GeneratorOptions::default()
    }
}

fn drawn(options: GeneratorOptions, count: usize) -> Vec<GeneratedTransaction> {
    let mut generator = Generator::new(options).unwrap();
    (0..count).map(|_| generator.next(Timestamp(0)).clone()).collect()
}

fn json(transaction: &GeneratedTransaction) -> String {
    let mut out = Vec::new();
    transaction.write_json(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_same_seed_draws_the_same_transactions() {
    assert_eq!(drawn(simulated(), 1000), drawn(simulated(), 1000));
    assert_ne!(drawn(simulated(), 10), drawn(GeneratorOptions { seed: 43, ..simulated() }, 10));
}

#[test]
fn every_transaction_has_the_ten_fields_and_is_read_quickly() {
    let all = drawn(simulated(), 5000);
    assert_eq!(all.iter().map(GeneratedTransaction::id).collect::<HashSet<_>>().len(), 5000);
    for transaction in all {
        let text = json(&transaction);
        let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(value.len(), 10, "{text}");
        assert_eq!(value["id_usuario"], transaction.user.as_str());
        assert_eq!(value["localizacao"], transaction.place);
        assert_eq!(value["compra_internacional"], if transaction.abroad { "true" } else { "false" });
        let read = TransactionSerde.deserialize(Some(text.as_bytes())).unwrap();
        assert_eq!(scan::transaction(&text).as_ref(), Some(&read));
        assert_eq!(read_any(&text).unwrap(), read);
        assert_eq!((read.id.as_str(), read.vendor.as_bytes()), (transaction.id(), transaction.key()));
        assert_eq!((read.value, read.currency), (transaction.value, transaction.currency));
        assert_eq!((read.kind, read.method), (transaction.kind, transaction.method));
        assert_eq!(read.time, transaction.time);
    }
}

#[test]
fn shares_are_kept_and_lateness_is_bounded() {
    let options = GeneratorOptions { share_late: 0.01, share_out_of_order: 0.1, ..simulated() };
    let all = drawn(options, 100_000);
    let (mut late, mut out_of_order) = (0, 0);
    for (number, transaction) in (0..).zip(&all) {
        let earlier = Timestamp(1_767_225_600_000 + number).millis_since(transaction.time);
        match earlier {
            0 => {}
            1..=10_000 => out_of_order += 1,
            10_001..=130_000 => late += 1,
            _ => panic!("{earlier} ms early"),
        }
    }
    assert!((800..1200).contains(&late), "{late}");
    assert!((9_500..10_500).contains(&out_of_order), "{out_of_order}");
}

#[test]
fn a_real_clock_gives_the_time_that_is_passed_in() {
    let options =
        GeneratorOptions { share_late: 0.0, share_out_of_order: 0.0, ..GeneratorOptions::default() };
    let mut generator = Generator::new(options).unwrap();
    assert_eq!(generator.next(Timestamp(17)).time, Timestamp(17));
    assert_eq!(generator.next(Timestamp(4)).time, Timestamp(4));
    assert_eq!(generator.drawn(), 2);
}

#[test]
fn skew_prefers_the_first_vendors_as_zipf_says() {
    let mut counts = HashMap::<CompactString, u32>::new();
    for transaction in drawn(GeneratorOptions { skew: 1.0, ..simulated() }, 100_000) {
        *counts.entry(transaction.vendor).or_default() += 1;
    }
    // The harmonic number of 1000 is 7.485.
    let (first, tenth) = (counts["vendor_000000"], counts["vendor_000009"]);
    assert!((12_700..14_000).contains(&first), "{first}");
    assert!((1_150..1_550).contains(&tenth), "{tenth}");
    let equal = drawn(simulated(), 100_000).iter().map(|t| t.vendor.clone()).collect::<HashSet<_>>();
    assert_eq!(equal.len(), 1000);
}

#[test]
fn what_is_planted_is_what_the_detector_finds() {
    let find = |options: GeneratorOptions| {
        let mut profiles = HashMap::<CompactString, SellerProfile>::new();
        let mut found = HashMap::new();
        for generated in drawn(options, 200_000) {
            let transaction = TransactionSerde.deserialize(Some(json(&generated).as_bytes())).unwrap();
            let profile = profiles.entry(generated.vendor).or_default();
            for anomaly in profile.observe(&transaction, &AnomalyRules::default()).into_iter().flatten() {
                *found.entry(anomaly.reason as u8).or_insert(0) += 1;
            }
        }
        (
            found.remove(&(Reason::AtypicalValue as u8)).unwrap_or(0),
            found.remove(&(Reason::Burst as u8)).unwrap_or(0),
        )
    };
    let few =
        || GeneratorOptions { vendors: NonZeroU32::new(100).unwrap(), share_atypical: 0.0, ..simulated() };
    assert_eq!(find(few()), (0, 0), "nothing is planted");
    let (atypical, bursts) = find(GeneratorOptions { share_atypical: 0.001, ..few() });
    assert!((150..250).contains(&atypical) && bursts == 0, "{atypical} {bursts}");
    let (atypical, bursts) = find(GeneratorOptions { share_bursts: 0.00005, ..few() });
    assert!(atypical == 0 && (2..20).contains(&bursts), "{atypical} {bursts}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (options, text) in [
        (GeneratorOptions { share_late: 1.5, ..simulated() }, "shares"),
        (GeneratorOptions { share_late: f64::NAN, ..simulated() }, "shares"),
        (GeneratorOptions { share_late: 0.6, share_out_of_order: 0.6, ..simulated() }, "together"),
        (GeneratorOptions { skew: -1.0, ..simulated() }, "skew must be from 0 to 10"),
        (GeneratorOptions { late_ms: RangeInclusive::new(5, 1), ..simulated() }, "ranges of lateness"),
        (GeneratorOptions { currencies: Vec::new(), ..simulated() }, "currencies must be one at least"),
    ] {
        let error = Generator::new(options).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}
