//! Transactions as JSON and as state, read and written.

use proptest::prelude::*;
use riacho::{Serde, State};

use super::super::scan;
use super::*;

/// As the peers' generator writes them.
pub(crate) const USUAL: &str = concat!(
    r#"{"id_transacao":"0e8f7a42-19c3-4d5e-8a6b-7c9d0e1f2a3b","id_usuario":"user_0a1b2","valor":1234.56,"#,
    r#""hora_transacao":1767225600123,"id_vendedor":"vendor_000042","tipo_transacao":"compra","#,
    r#""localizacao":"São Paulo","metodo_pagamento":"pix","compra_internacional":"false","moeda":"BRL"}"#,
);

pub(crate) fn usual() -> Transaction {
    Transaction {
        id: TransactionId::new("0e8f7a42-19c3-4d5e-8a6b-7c9d0e1f2a3b").unwrap(),
        vendor: "vendor_000042".into(),
        value: Cents(123_456),
        currency: Currency::BRL,
        time: Timestamp(1_767_225_600_123),
        kind: TransactionKind::Purchase,
        method: PaymentMethod::Pix,
    }
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Transaction, String> {
    TransactionSerde.deserialize(Some(bytes.as_ref())).map_err(|error| error.to_string())
}

pub(crate) fn any_transaction() -> impl Strategy<Value = Transaction> {
    let text = ("\\PC{1,12}", "\\PC{1,40}");
    let amount = -Cents::AMOUNT_MAX.0..=Cents::AMOUNT_MAX.0;
    (text, amount, any::<i64>(), "[A-Z]{3}", 0..5usize, 0..6usize).prop_map(
        |((id, vendor), value, time, currency, kind, method)| Transaction {
            id: TransactionId::new(&id).unwrap(),
            vendor: vendor.into(),
            value: Cents(value),
            currency: Currency::parse(&currency).unwrap(),
            time: Timestamp(time),
            kind: TransactionKind::ALL[kind],
            method: PaymentMethod::ALL[method],
        },
    )
}

#[test]
fn the_usual_form_is_read_by_both_ways() {
    assert_eq!(read(USUAL), Ok(usual()));
    assert_eq!(read_any(USUAL).unwrap(), usual());
    assert_eq!(scan::transaction(USUAL), Some(usual()));
}

#[test]
fn spaces_escapes_other_orders_and_unknown_fields_change_nothing() {
    let spaced = USUAL.replace(':', " : ").replace(',', " ,\n\t");
    assert_eq!(read(spaced), Ok(usual()));
    let escaped =
        USUAL.replace("vendor_000042", r"ven\u0064or\u005f000042").replace("\"moeda\"", r#""\u006doeda""#);
    assert_eq!(read(escaped), Ok(usual()));
    let more = USUAL.replace('{', r#"{"a":[1,{"b":null}],"id":-1.5e3,"a":true,"#);
    assert_eq!(read(more), Ok(usual()));
    let long = "v".repeat(VENDOR_BYTES_MAX);
    assert_eq!(read(USUAL.replace("vendor_000042", &long)).unwrap().vendor, long);
    let unusual = USUAL.replace("compra\"", "\\\"\"").replace(r#""metodo_pagamento":"pix","#, "");
    let other = Transaction { kind: TransactionKind::Other, method: PaymentMethod::Other, ..usual() };
    assert_eq!(read(unusual), Ok(other));
}

#[test]
fn a_bad_record_is_refused_with_the_name_of_its_field() {
    let deep = "[".repeat(200_000);
    let closed = format!("{deep}{}", "]".repeat(200_000));
    let long = "x".repeat(1_000_000);
    for (from, to, reason) in [
        ("1234.56", "12.345", "valor: more than two decimals at line 1 column"),
        ("1234.56", "\"12.34\"", "valor: not a JSON number"),
        ("1234.56", "null", "valor: not a JSON number"),
        ("1234.56", "NaN", "valor: expected value"),
        ("1234.56", "Infinity", "valor: expected value"),
        ("1234.56", "01", "valor: invalid number"),
        ("1234.56", "1e400", "valor: more digits than money can have"),
        ("1234.56", "10000000000000.01", "valor: beyond the limit of 10000000000000.00"),
        ("1234.56", closed.as_str(), "valor: not a JSON number"),
        ("1234.56", deep.as_str(), "valor: expected value"),
        ("1767225600123", "1767225600123.5", "hora_transacao: invalid type: floating point"),
        ("1767225600123", "1e12", "hora_transacao: invalid type: floating point"),
        ("1767225600123", "\"1767225600123\"", "hora_transacao: invalid type: string"),
        ("1767225600123", "9223372036854775808", "hora_transacao: invalid value"),
        ("1767225600123", "null", "hora_transacao: invalid type: null, expected i64"),
        ("\"vendor_000042\"", "\"\"", "id_vendedor: a text of 1 to 256 bytes expected"),
        ("\"vendor_000042\"", "42", "id_vendedor: invalid type: integer `42`, expected a text"),
        ("\"vendor_000042\"", "null", "id_vendedor: invalid type: null"),
        ("\"vendor_000042\"", deep.as_str(), "id_vendedor: invalid type: sequence"),
        ("\"vendor_000042\"", "\"\\ud800\"", "id_vendedor: "),
        ("vendor_000042", long.as_str(), "id_vendedor: a text of 1 to 256 bytes expected"),
        ("0e8f7a42-", long.as_str(), "id_transacao: a text of 1 to 48 bytes expected"),
        ("\"BRL\"", "\"brl\"", "moeda: three capital letters expected"),
        ("\"BRL\"", "\"BRLX\"", "moeda: three capital letters expected"),
        ("\"compra\"", "1", "tipo_transacao: invalid type"),
        ("\"pix\"", "null", "metodo_pagamento: invalid type: null"),
        ("\"id_vendedor\"", "\"valor\"", "valor: not a JSON number"),
        ("\"id_usuario\"", "\"id_vendedor\"", "duplicate field `id_vendedor`"),
        ("\"localizacao\"", "\"tipo_transacao\"", "duplicate field `tipo_transacao`"),
        ("\"moeda\"", "\"currency\"", "missing field `moeda`"),
        ("\"id_transacao\"", "\"id\"", "missing field `id_transacao`"),
        ("\"user_0a1b2\"", deep.as_str(), "a field that is not read: expected value"),
        ("\"user_0a1b2\"", "\"a\nb\"", "a field that is not read: control character"),
        ("}", "", "EOF while parsing an object"),
        ("}", "}}", "trailing characters"),
        ("}", ",}", "trailing comma"),
        ("{", "[{", "invalid type: sequence, expected a transaction as a JSON object"),
        ("{\"", "{", "key must be a string"),
    ] {
        let error = read(USUAL.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(reason), "{reason:?} expected, found {error:?}");
        assert!(error.len() < 400, "{error}");
    }
    let text_for_time = USUAL.replace("1767225600123", &format!("\"{long}\""));
    assert!(read(text_for_time).unwrap_err().len() < 400);
    let ignored = USUAL.replace("\"user_0a1b2\"", &closed);
    assert_eq!(read(ignored), Ok(usual()), "what is ignored may be anything");
}

#[test]
fn bytes_that_are_no_object_are_refused() {
    let serde = TransactionSerde;
    assert_eq!(serde.deserialize(None).unwrap_err().to_string(), "null where a transaction is expected");
    assert_eq!(read([]).unwrap_err(), "empty where a transaction is expected");
    for (bytes, reason) in [
        ("[".repeat(200_000), "invalid type: sequence, expected a transaction"),
        ("null".into(), "invalid type: null, expected a transaction"),
        ("{}".into(), "missing field `id_transacao`"),
        ("\0\0\0\0\u{1}".into(), "expected value"),
        ("id,valor\n1,2".into(), "expected value"),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn bad_utf8_is_refused_and_never_replaced() {
    let with = |from: &str| {
        let at = USUAL.find(from).unwrap();
        let mut bytes = USUAL.as_bytes().to_vec();
        bytes[at] = 0xff;
        read(bytes).unwrap_err()
    };
    assert!(
        with("vendor_000042").starts_with("id_vendedor: invalid unicode code point"),
        "{}",
        with("vendor")
    );
    assert!(
        with("user_0a1b2").starts_with("a field that is not read is not UTF-8 at byte"),
        "{}",
        with("user_")
    );
    assert!(read(b"\xff").is_err());
}

#[test]
fn numbers_in_state_stay_what_they_are() {
    let mut out = Vec::new();
    State::<Transaction>::new().serialize(&usual(), &mut out).unwrap();
    let golden = b"\x01\x240e8f7a42-19c3-4d5e-8a6b-7c9d0e1f2a3b\x0dvendor_000042\x80\x89\x0f\xf6\xa1\xd5\xed\xeefBRL\x01\x03";
    assert_eq!(out, golden, "{}", out.escape_ascii());
}

proptest! {
    #[test]
    fn both_serdes_read_what_they_write(transaction in any_transaction()) {
        let mut out = Vec::new();
        TransactionSerde.serialize(&transaction, &mut out).unwrap();
        prop_assert_eq!(TransactionSerde.deserialize(Some(&out)).unwrap(), transaction.clone());
        out.clear();
        State::<Transaction>::new().serialize(&transaction, &mut out).unwrap();
        prop_assert_eq!(State::<Transaction>::new().deserialize(Some(&out)).unwrap(), transaction);
    }

    #[test]
    fn damaged_state_is_an_error_and_never_a_panic(transaction in any_transaction(), cut in 0usize..80, byte: u8) {
        let mut out = Vec::new();
        State::<Transaction>::new().serialize(&transaction, &mut out).unwrap();
        let cut = cut.min(out.len() - 1);
        prop_assert!(State::<Transaction>::new().deserialize(Some(&out[..cut])).is_err());
        out[cut] = byte;
        let _: Result<Transaction, _> = State::<Transaction>::new().deserialize(Some(&out));
    }
}
