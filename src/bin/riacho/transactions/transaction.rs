//! One transaction as the aggregates and the anomaly tests see it, and its serdes.

use std::fmt;

use compact_str::CompactString;
use riacho::{
    Serde, SerdeError, StateCodec, Timestamp, Written, read_varint, unzigzag, write_varint, zigzag,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::money::{Cents, Currency};
use super::scan;

/// The names of the fields that are read, as the topic `financial_transactions` has them.
pub(super) mod field {
    pub(crate) const ID: &str = "id_transacao";
    pub(crate) const VENDOR: &str = "id_vendedor";
    pub(crate) const VALUE: &str = "valor";
    pub(crate) const TIME: &str = "hora_transacao";
    pub(crate) const CURRENCY: &str = "moeda";
    pub(crate) const KIND: &str = "tipo_transacao";
    pub(crate) const METHOD: &str = "metodo_pagamento";
}

/// The longest vendor id, in bytes.
pub(crate) const VENDOR_BYTES_MAX: usize = 256;

/// A transaction's id. A UUID in any spelling fits; it is kept as it was written, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionId {
    length: u8,
    bytes: [u8; TransactionId::BYTES_MAX],
}

impl TransactionId {
    /// The longest id, in bytes.
    pub(crate) const BYTES_MAX: usize = 48;

    /// The id, unless it is empty or too long.
    pub(crate) fn new(text: &str) -> Option<TransactionId> {
        let length = u8::try_from(text.len()).ok().filter(|&length| length > 0)?;
        let mut bytes = [0; TransactionId::BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(TransactionId { length, bytes })
    }

    pub(crate) fn as_str(&self) -> &str {
        let written = self.bytes.get(..usize::from(self.length)).expect("new() checked the length");
        std::str::from_utf8(written).expect("new() copied a whole str")
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum $type {
            /// None of those that are told apart, or not said.
            #[default]
            Other,
            $($(#[$variant_doc])* $variant),*
        }

        impl $type {
            /// All of them; the place in this list is the number in stored state, so only add at the end.
            pub(crate) const ALL: &[$type] = &[$type::Other, $($type::$variant),*];

            pub(crate) fn of(name: &str) -> Self {
                match name {
                    $($name => $type::$variant,)*
                    _ => $type::Other,
                }
            }

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $type::Other => "outro",
                    $($type::$variant => $name),*
                }
            }
        }
    };
}

named! {
    /// What kind of transaction it is.
    TransactionKind {
        Purchase = "compra",
        Refund = "reembolso",
        Transfer = "transferencia",
        Withdrawal = "saque",
    }
}

named! {
    /// How it was paid.
    PaymentMethod {
        CreditCard = "cartao_credito",
        DebitCard = "cartao_debito",
        Pix = "pix",
        Boleto = "boleto",
        PayPal = "paypal",
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) vendor: CompactString,
    pub(crate) value: Cents,
    pub(crate) currency: Currency,
    /// The event time as the transaction tells it: anything that fits in 64 bits, sensible or not.
    pub(crate) time: Timestamp,
    pub(crate) kind: TransactionKind,
    pub(crate) method: PaymentMethod,
}

/// JSON, as in the topic `financial_transactions`.
///
/// Required are `id_transacao` (text of 1 to 48 bytes), `id_vendedor` (text of 1 to 256 bytes), `valor` (a number of at
/// most two decimals), `hora_transacao` (an integer) and `moeda` (three capital letters). `tipo_transacao` and
/// `metodo_pagamento` may be missing, and may be any text. Other fields are ignored, whatever they hold; but the whole
/// value must be one JSON object in UTF-8, and no field that is read may come twice.
///
/// Nothing is allocated for a vendor id of up to 24 bytes. What is written is the fields that are held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransactionSerde;

impl Serde<Transaction> for TransactionSerde {
    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Transaction, SerdeError> {
        let bytes = match bytes {
            Some([]) => return Err(SerdeError::new("empty where a transaction is expected")),
            Some(bytes) => bytes,
            None => return Err(SerdeError::new("null where a transaction is expected")),
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => scan::transaction(text).map_or_else(|| read_any(text), Ok),
            Err(error) => Err(not_utf8(bytes, error)),
        }
    }

    fn serialize(&self, transaction: &Transaction, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        let text = |out: &mut Vec<u8>, before: &str, name: &str, text: &str| -> Result<(), SerdeError> {
            for part in [before, "\"", name, "\":"] {
                out.extend_from_slice(part.as_bytes());
            }
            serde_json::to_writer(out, text).map_err(|error| SerdeError::new(error.to_string()))
        };
        text(out, "{", field::ID, transaction.id.as_str())?;
        text(out, ",", field::VENDOR, &transaction.vendor)?;
        text(out, ",", field::CURRENCY, transaction.currency.as_str())?;
        text(out, ",", field::KIND, transaction.kind.as_str())?;
        text(out, ",", field::METHOD, transaction.method.as_str())?;
        out.extend_from_slice(b",\"valor\":");
        transaction.value.write(out);
        out.extend_from_slice(b",\"hora_transacao\":");
        out.extend_from_slice(itoa::Buffer::new().format(transaction.time.as_millis()).as_bytes());
        out.push(b'}');
        Ok(Written::Bytes)
    }
}

/// Any JSON at all: reads the transaction, or says what is wrong with it.
pub(super) fn read_any(text: &str) -> Result<Transaction, SerdeError> {
    read(serde_json::Deserializer::from_str(text)).map_err(|error| explained(&error))
}

fn read<'de, R: serde_json::de::Read<'de>>(
    mut json: serde_json::Deserializer<R>,
) -> serde_json::Result<Transaction> {
    let transaction = json.deserialize_map(TransactionVisitor)?;
    json.end()?;
    Ok(transaction)
}

/// The error as a text of bounded length: serde repeats a text that it did not expect, however long it is.
fn explained(error: &serde_json::Error) -> SerdeError {
    const CHARS_MAX: usize = 300;
    let text = error.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => SerdeError::new(format!("{}...", text.get(..end).unwrap_or_default())),
        None => SerdeError::new(text),
    }
}

#[cold]
fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> SerdeError {
    match read(serde_json::Deserializer::from_slice(bytes)) {
        Err(error) => explained(&error),
        Ok(_) => {
            SerdeError::new(format!("a field that is not read is not UTF-8 at byte {}", error.valid_up_to()))
        }
    }
}

#[derive(Clone, Copy)]
enum Name {
    Id,
    Vendor,
    Value,
    Time,
    Currency,
    Kind,
    Method,
    Other,
}

struct NameVisitor;

impl<'de> DeserializeSeed<'de> for NameVisitor {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            field::ID => Name::Id,
            field::VENDOR => Name::Vendor,
            field::VALUE => Name::Value,
            field::TIME => Name::Time,
            field::CURRENCY => Name::Currency,
            field::KIND => Name::Kind,
            field::METHOD => Name::Method,
            _ => Name::Other,
        })
    }
}

/// A text, escapes resolved, handed to a function that makes something of it or says what it should have been.
struct Text<F>(F);

impl<'de, T, F: FnOnce(&str) -> Result<T, &'static str>> DeserializeSeed<'de> for Text<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, &'static str>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

struct TransactionVisitor;

impl<'de> Visitor<'de> for TransactionVisitor {
    type Value = Transaction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction as a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Transaction, M::Error> {
        let (mut id, mut vendor, mut value, mut time, mut currency) = (None, None, None, None, None);
        let (mut kind, mut method) = (None, None);
        while let Some(name) = map.next_key_seed(NameVisitor)? {
            match name {
                Name::Id => set(&mut id, field::ID, map.next_value_seed(Text(id_of)))?,
                Name::Vendor => set(&mut vendor, field::VENDOR, map.next_value_seed(Text(vendor_of)))?,
                Name::Value => {
                    let number = map.next_value::<&RawValue>();
                    let read =
                        number.and_then(|number| Cents::parse_amount(number.get()).map_err(M::Error::custom));
                    set(&mut value, field::VALUE, read)?;
                }
                Name::Time => set(&mut time, field::TIME, map.next_value::<i64>())?,
                Name::Currency => {
                    let of = |code: &str| Currency::parse(code).map_err(|_| "three capital letters expected");
                    set(&mut currency, field::CURRENCY, map.next_value_seed(Text(of)))?;
                }
                Name::Kind => {
                    set(
                        &mut kind,
                        field::KIND,
                        map.next_value_seed(Text(|name: &str| Ok(TransactionKind::of(name)))),
                    )?;
                }
                Name::Method => {
                    set(
                        &mut method,
                        field::METHOD,
                        map.next_value_seed(Text(|name: &str| Ok(PaymentMethod::of(name)))),
                    )?;
                }
                Name::Other => {
                    let ignored = map.next_value::<IgnoredAny>();
                    ignored.map_err(|error| {
                        M::Error::custom(format_args!("a field that is not read: {error}"))
                    })?;
                }
            }
        }
        Ok(Transaction {
            id: id.ok_or_else(|| M::Error::missing_field(field::ID))?,
            vendor: vendor.ok_or_else(|| M::Error::missing_field(field::VENDOR))?,
            value: value.ok_or_else(|| M::Error::missing_field(field::VALUE))?,
            time: Timestamp(time.ok_or_else(|| M::Error::missing_field(field::TIME))?),
            currency: currency.ok_or_else(|| M::Error::missing_field(field::CURRENCY))?,
            kind: kind.unwrap_or_default(),
            method: method.unwrap_or_default(),
        })
    }
}

fn id_of(text: &str) -> Result<TransactionId, &'static str> {
    TransactionId::new(text).ok_or("a text of 1 to 48 bytes expected")
}

fn vendor_of(text: &str) -> Result<CompactString, &'static str> {
    match text.len() {
        1..=VENDOR_BYTES_MAX => Ok(CompactString::new(text)),
        _ => Err("a text of 1 to 256 bytes expected"),
    }
}

/// Fills the place of the field `name`, once.
fn set<T, E: Error>(place: &mut Option<T>, name: &'static str, value: Result<T, E>) -> Result<(), E> {
    let value = value.map_err(|error| E::custom(format_args!("{name}: {error}")))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// Compact, for repartition topics and state: about a quarter of the JSON, and read three times as fast.
impl StateCodec for Transaction {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        for text in [self.id.as_str(), self.vendor.as_str()] {
            write_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        write_varint(zigzag(self.value.0), out);
        write_varint(zigzag(self.time.as_millis()), out);
        out.extend_from_slice(&self.currency.as_bytes());
        out.extend_from_slice(&[self.kind as u8, self.method as u8]);
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        if version != Self::VERSION {
            return Err(SerdeError::new(format!("version {version} of a transaction is unknown")));
        }
        let id = id_of(read_text(&mut bytes)?)
            .map_err(|reason| SerdeError::new(format!("{}: {reason}", field::ID)))?;
        let vendor = vendor_of(read_text(&mut bytes)?)
            .map_err(|reason| SerdeError::new(format!("{}: {reason}", field::VENDOR)))?;
        let value = Cents(unzigzag(read_varint(&mut bytes)?));
        let time = Timestamp(unzigzag(read_varint(&mut bytes)?));
        let &[c0, c1, c2, kind, method] = bytes else {
            return Err(SerdeError::new(format!(
                "{} bytes at a transaction's end, which has 5",
                bytes.len()
            )));
        };
        let unknown = |name: &str| SerdeError::new(format!("{name}: unknown"));
        Ok(Transaction {
            id,
            vendor,
            value,
            time,
            currency: Currency::from_bytes(&[c0, c1, c2]).ok_or_else(|| unknown(field::CURRENCY))?,
            kind: *TransactionKind::ALL.get(usize::from(kind)).ok_or_else(|| unknown(field::KIND))?,
            method: *PaymentMethod::ALL.get(usize::from(method)).ok_or_else(|| unknown(field::METHOD))?,
        })
    }
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, SerdeError> {
    let length = usize::try_from(read_varint(bytes)?).unwrap_or(usize::MAX);
    let (text, rest) = bytes.split_at_checked(length).ok_or_else(|| SerdeError::new("a text is cut off"))?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|error| SerdeError::new(format!("a text is not UTF-8: {error}")))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use riacho::State;

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
        let escaped = USUAL
            .replace("vendor_000042", r"ven\u0064or\u005f000042")
            .replace("\"moeda\"", r#""\u006doeda""#);
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
}
