//! Totals, as state and as the record that goes out.

use compact_str::CompactString;
use proptest::prelude::*;
use riacho::{Serde, State, Timestamp, Window, Windowed};

use super::super::transaction::tests::{any_transaction, usual};
use super::*;

fn transaction(value: i64, currency: &str) -> Transaction {
    Transaction { value: Cents(value), currency: Currency::parse(currency).unwrap(), ..usual() }
}

fn totals_of<'a>(transactions: impl IntoIterator<Item = &'a Transaction>) -> SellerTotals {
    let mut totals = SellerTotals::default();
    for transaction in transactions {
        totals.add(transaction).unwrap();
    }
    totals
}

fn written(aggregated: &Aggregated) -> String {
    let mut out = Vec::new();
    AggregatedSerde.serialize(aggregated, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn windowed(vendor: &str) -> Windowed<CompactString> {
    let window = Window { start: Timestamp(1_767_225_600_000), end: Timestamp(1_767_225_660_000) };
    Windowed { key: vendor.into(), window, closed: true }
}

#[test]
fn a_vendor_with_two_currencies_is_written_as_the_topic_has_it() {
    let totals = totals_of(&[transaction(1000, "USD"), transaction(205, "BRL"), transaction(-5, "USD")]);
    assert_eq!(
        written(&Aggregated::of(&windowed("loja \"é\"\n"), &totals)),
        concat!(
            r#"{"id_vendedor":"loja \"é\"\n","numero_transacoes":3,"valor_total_por_vendedor":12.00,"#,
            r#""valor_minimo":-0.05,"valor_maximo":10.00,"valor_medio":4.00,"janela_inicio":1767225600000,"#,
            r#""janela_fim":1767225660000,"final":true,"totais_por_moeda":{"BRL":{"total":2.05,"quantidade":1},"#,
            r#""USD":{"total":9.95,"quantidade":2}}}"#,
        )
    );
}

#[test]
fn nothing_counted_is_written_as_zeros() {
    let nothing = Aggregated::of(&windowed("v"), &SellerTotals::default());
    assert!(written(&nothing).contains(r#""valor_minimo":0.00,"valor_maximo":0.00,"valor_medio":0.00"#));
    assert!(written(&nothing).ends_with(r#""totais_por_moeda":{}}"#));
}

#[test]
fn an_overflow_is_refused_and_changes_nothing() {
    let mut totals = totals_of(&[transaction(i64::MAX - 5, "BRL"), transaction(-10, "USD")]);
    let before = totals.clone();
    let error = totals.add(&transaction(10, "BRL")).unwrap_err();
    assert!(error.to_string().contains("has no room for 0.10"), "{error}");
    assert_eq!(totals, before, "the total has room, the total of its currency has not");
    totals.add(&transaction(15, "USD")).unwrap();
    let before = totals.clone();
    totals.add(&transaction(1, "EUR")).unwrap_err();
    assert_eq!(totals, before, "the total is full");
    let mut full = totals_of(&[transaction(1, "BRL")]);
    full.currencies[0].code_and_count |= CurrencyTotal::COUNT_MAX;
    let before = full.clone();
    full.add(&transaction(1, "BRL")).unwrap_err();
    assert_eq!(full, before, "the count is full");
}

#[test]
fn a_flood_of_invented_currencies_is_refused() {
    let mut totals = SellerTotals::default();
    let letters = || ('A'..='Z').rev();
    let mut codes = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}X"))).take(CURRENCIES_MAX);
    let first = codes.next().unwrap();
    for code in std::iter::once(first.clone()).chain(codes) {
        totals.add(&transaction(1, &code)).unwrap();
    }
    let before = totals.clone();
    assert!(
        totals.add(&transaction(1, "AAA")).unwrap_err().to_string().contains("already has 200 currencies")
    );
    assert_eq!(totals, before);
    totals.add(&transaction(1, &first)).unwrap();
    assert!(totals.currencies().is_sorted_by_key(CurrencyTotal::currency));
}

#[test]
fn the_state_is_small_and_its_layout_stays() {
    assert!(size_of::<SellerTotals>() <= 104, "{}", size_of::<SellerTotals>());
    let totals = totals_of(&[transaction(1000, "USD"), transaction(205, "BRL"), transaction(-5, "USD")]);
    let mut out = Vec::new();
    State::new().serialize(&totals, &mut out).unwrap();
    assert_eq!(out, b"\x01\x02BRL\x01\x9a\x03USD\x02\xc6\x0f\x09\xed\x07", "{}", out.escape_ascii());
    assert_eq!(State::<SellerTotals>::new().deserialize(Some(&out)).unwrap(), totals);
}

#[test]
fn damaged_state_is_refused() {
    for (bytes, reason) in [
        (b"\x02".as_slice(), "version 2"),
        (b"\x01", "cut off"),
        (b"\x01\x00\x00", "bytes left"),
        (b"\x01\xc9\x01", "too many currencies"),
        (b"\x01\x01BR", "a currency is cut off"),
        (b"\x01\x01br!\x01\x02\x02\x00", "a currency is no code"),
        (b"\x01\x01BRL\x00\x02", "a count is out of range"),
        (b"\x01\x02USD\x01\x02BRL\x01\x02\x02\x00", "not in order"),
        (b"\x01\x02BRL\x01\x02BRL\x01\x02\x02\x00", "not in order"),
        (b"\x01\x01BRL\x01\x02\x02", "cut off"),
        (b"\x01\x01BRL\x01\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the maximum does not fit"),
    ] {
        let error = State::<SellerTotals>::new().deserialize(Some(bytes)).unwrap_err();
        assert!(error.to_string().contains(reason), "{} {error}", bytes.escape_ascii());
    }
}

#[test]
fn output_that_is_not_as_agreed_is_not_read() {
    let good = written(&Aggregated::of(&windowed("v"), &totals_of(&[transaction(100, "BRL")])));
    let read =
        |text: &str| AggregatedSerde.deserialize(Some(text.as_bytes())).map_err(|error| error.to_string());
    assert!(read(&good).is_ok());
    for (from, to, reason) in [
        ("\"final\"", "\"fechada\"", "unknown field `fechada`"),
        (",\"final\":true", "", "missing field `final`"),
        (":1.00,\"valor_minimo\"", ":1.001,\"valor_minimo\"", "more than two decimals"),
        (
            "\"valor_minimo\":1.00",
            "\"valor_minimo\":1.00,\"valor_minimo\":1.00",
            "duplicate field `valor_minimo`",
        ),
        ("{\"BRL\":", "{\"BRL\":{\"total\":1.00,\"quantidade\":1},\"BRL\":", "currency BRL comes twice"),
        ("\"BRL\"", "\"real\"", "not a currency code"),
        ("\"quantidade\":1", "\"quantidade\":-1", "invalid value"),
        ("\"quantidade\":1", "\"quantidade\":1099511627776", "out of range"),
        ("}}}", "}}", "EOF"),
    ] {
        let error = read(&good.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(reason), "{reason} expected, found {error}");
    }
    assert!(AggregatedSerde.deserialize(None).is_err());
}

proptest! {
    #[test]
    fn totals_are_what_big_integers_say(transactions in prop::collection::vec(any_transaction(), 0..40)) {
        let totals = totals_of(&transactions);
        let values = || transactions.iter().map(|transaction| transaction.value);
        prop_assert_eq!(totals.count(), transactions.len() as u64);
        prop_assert_eq!(i128::from(totals.total().0), values().map(|value| i128::from(value.0)).sum::<i128>());
        prop_assert_eq!(totals.min, values().min().unwrap_or(Cents(i64::MAX)));
        prop_assert_eq!(totals.max, values().max().unwrap_or(Cents(i64::MIN)));
        let mut by_currency = std::collections::BTreeMap::<Currency, (u64, i64)>::new();
        for transaction in &transactions {
            let entry = by_currency.entry(transaction.currency).or_default();
            *entry = (entry.0 + 1, entry.1 + transaction.value.0);
        }
        let found: Vec<_> = totals.currencies().iter().map(|e| (e.currency(), (e.count(), e.total().0))).collect();
        prop_assert_eq!(found, by_currency.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn state_and_output_are_read_as_written(
        transactions in prop::collection::vec(any_transaction(), 0..40), vendor in "\\PC{0,30}", closed: bool,
    ) {
        let totals = totals_of(&transactions);
        let mut out = Vec::new();
        State::new().serialize(&totals, &mut out).unwrap();
        prop_assert_eq!(&State::<SellerTotals>::new().deserialize(Some(&out)).unwrap(), &totals);
        let aggregated = Aggregated::of(&Windowed { closed, ..windowed(&vendor) }, &totals);
        let text = written(&aggregated);
        prop_assert_eq!(&AggregatedSerde.deserialize(Some(text.as_bytes())).unwrap(), &aggregated);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(value.as_object().unwrap().len(), 10);
    }

    #[test]
    fn damaged_state_never_makes_it_panic(
        transactions in prop::collection::vec(any_transaction(), 1..6), cut in 0usize..60, byte: u8,
    ) {
        let mut out = Vec::new();
        State::new().serialize(&totals_of(&transactions), &mut out).unwrap();
        let cut = cut.min(out.len() - 1);
        prop_assert!(State::<SellerTotals>::new().deserialize(Some(&out[..cut])).is_err());
        out[cut] = byte;
        let _: Result<SellerTotals, _> = State::new().deserialize(Some(&out));
    }
}
