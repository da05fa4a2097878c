//! A transaction as JSON, as in the topic `financial_transactions`.

use std::fmt;

use riacho::{Serde, SerdeError, Timestamp, Written};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::money::{Cents, Currency};
use super::super::scan;
use super::{PaymentMethod, Transaction, TransactionKind, field, id_of, vendor_of};

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
pub(in super::super) fn read_any(text: &str) -> Result<Transaction, SerdeError> {
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

/// Fills the place of the field `name`, once.
fn set<T, E: Error>(place: &mut Option<T>, name: &'static str, value: Result<T, E>) -> Result<(), E> {
    let value = value.map_err(|error| E::custom(format_args!("{name}: {error}")))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}
