//! What is found, and what is not.

use proptest::prelude::*;
use riacho::{Serde, State};

use super::super::money::Cents;
use super::super::transaction::tests::usual;
use super::*;

const T0: i64 = 1_767_225_600_000;

fn at(millis: i64, value: i64) -> Transaction {
    Transaction { time: Timestamp(T0 + millis), value: Cents(value), ..usual() }
}

/// What is found in these transactions: their number in the order, and why.
fn found(transactions: impl IntoIterator<Item = Transaction>) -> Vec<(usize, Anomaly)> {
    let mut profile = SellerProfile::default();
    let found = transactions.into_iter().enumerate().flat_map(|(number, transaction)| {
        let findings = profile.observe(&transaction, &AnomalyRules::default());
        findings.into_iter().flatten().map(move |anomaly| (number, anomaly))
    });
    found.collect()
}

/// `count` transactions spread over `span_ms` from `start_ms` on.
fn spread(start_ms: i64, span_ms: i64, count: i64) -> impl Iterator<Item = Transaction> {
    (0..count).map(move |n| at(start_ms + n * span_ms / count, 1000))
}

#[test]
fn a_value_far_from_the_others_is_found_and_does_not_hide_the_next() {
    let ordinary = |from: i64| (from..from + 40).map(|n| at(n * 1000, 900 + n % 3 * 100));
    let all = ordinary(0)
        .chain([at(40_000, 5000)])
        .chain(ordinary(41))
        .chain([at(81_000, 5000), at(82_000, -4000)]);
    let found = found(all);
    let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [40, 81, 82]);
    let first = &found[0].1;
    assert_eq!((first.reason, first.mean, first.deviation), (Reason::AtypicalValue, 9.98, Some(0.82)));
    assert_eq!((first.limit, first.samples), (6.0, Some(40)));
    assert!(first.score.unwrap() > 40.0 && found[2].1.score.unwrap() < -20.0);
}

#[test]
fn a_vendor_is_not_judged_before_it_is_known() {
    let values = |known: i64| (0..known).map(|n| at(n * 1000, 1000)).chain([at(known * 1000, 1_000_000)]);
    assert!(found(values(29)).is_empty());
    assert_eq!(found(values(30)).len(), 1);
}

#[test]
fn a_vendor_with_one_price_may_have_a_second() {
    let prices = |second: i64| (0..50).map(|n| at(n * 1000, 1000)).chain([at(50_000, second)]);
    assert!(found(prices(1290)).is_empty());
    assert_eq!(found(prices(1310)).len(), 1);
    let free = (0..50).map(|n| at(n * 1000, 0)).chain([at(50_000, 6), at(51_000, 7)]);
    assert_eq!(found(free).len(), 1, "a deviation of a cent at least");
}

#[test]
fn a_vendor_may_change_its_prices() {
    let found = found((0..1000).map(|n| at(n * 1000, if n < 500 { 1000 } else { 3000 })));
    assert!((1..100).contains(&found.len()), "{}", found.len());
    assert!(found.last().unwrap().0 < 600, "then it is usual");
}

#[test]
fn a_burst_is_reported_once_when_it_exceeds_the_limit() {
    // One in ten seconds for two minutes, then 500 in five seconds, then silence, then 500 in five seconds again.
    let slow = |start| spread(start, 120_000, 12);
    let all =
        slow(0).chain(spread(120_000, 5000, 500)).chain(slow(180_000)).chain(spread(300_000, 5000, 500));
    let found = found(all);
    assert_eq!(found.len(), 2, "{found:?}");
    let (number, burst) = &found[0];
    assert_eq!(burst.reason, Reason::Burst);
    assert_eq!((burst.count, burst.limit, burst.interval_ms), (Some(201), 200.0, Some(10_000)));
    assert_eq!(*number, 12 + 200, "with the 201st of the burst");
    assert!((0.9..1.1).contains(&burst.mean), "{}", burst.mean);
}

#[test]
fn what_is_usual_for_a_vendor_is_no_burst() {
    assert!(found(spread(0, 600_000, 60_000)).is_empty(), "100 each second, always");
    assert!(found(spread(0, 60_000, 20_000)).is_empty(), "a vendor that nobody knows");
    let doubled = spread(0, 300_000, 30_000).chain(spread(300_000, 300_000, 60_000));
    assert!(found(doubled).is_empty());
    let ten_times = spread(0, 300_000, 30_000).chain(spread(300_000, 300_000, 300_000));
    assert_eq!(found(ten_times).len(), 1, "reported once, then it is usual");
}

#[test]
fn less_than_the_limit_is_no_burst_wherever_the_slots_begin() {
    for shift in (0..2000).step_by(100) {
        let known = || spread(shift, 120_000, 12);
        assert!(found(known().chain(spread(125_000 + shift, 10_000, 199))).is_empty());
        assert_eq!(
            found(known().chain(spread(125_000 + shift, 8000, 201))).len(),
            1,
            "all within eight seconds"
        );
    }
}

#[test]
fn transactions_out_of_order_fall_into_their_own_slot() {
    let mut profile = SellerProfile::default();
    for transaction in [at(9000, 1), at(3000, 1), at(1000, 1), at(-1000, 1), at(-i64::MAX, 1), at(8000, 1)] {
        profile.observe(&transaction, &AnomalyRules::default());
    }
    assert_eq!(profile.rate.counts, [2, 0, 0, 1, 1]);
}

#[test]
fn an_anomaly_is_written_with_its_reason_and_numbers() {
    let anomaly = found((0..30).map(|n| at(n * 1000, 1000)).chain([at(30_000, 9999)])).remove(0).1;
    let mut out = Vec::new();
    AnomalySerde::new().serialize(&anomaly, &mut out).unwrap();
    let expected = concat!(
        r#"{"id_transacao":"0e8f7a42-19c3-4d5e-8a6b-7c9d0e1f2a3b","id_vendedor":"vendor_000042","valor":99.99,"#,
        r#""moeda":"BRL","hora_transacao":1767225630000,"motivo":"valor_atipico","media":10.0,"limite":6.0,"#,
        r#""escore":179.98,"desvio":0.5,"amostras":30}"#,
    );
    assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
    assert_eq!(AnomalySerde::new().deserialize(Some(&out)).unwrap(), anomaly);
}

proptest! {
    #[test]
    fn any_times_and_values_leave_a_profile_that_is_read_as_written(
        transactions in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 0..60),
    ) {
        let mut profile = SellerProfile::default();
        for (time, value, wild) in transactions {
            let time = Timestamp(if wild { time } else { T0 + time.rem_euclid(30_000) });
            profile.observe(&Transaction { time, value: Cents(value), ..usual() }, &AnomalyRules::default());
        }
        let mut out = Vec::new();
        State::new().serialize(&profile, &mut out).unwrap();
        prop_assert_eq!(&State::<SellerProfile>::new().deserialize(Some(&out)).unwrap(), &profile);
        for cut in 0..out.len() {
            prop_assert!(State::<SellerProfile>::new().deserialize(Some(&out[..cut])).is_err());
        }
    }
}
