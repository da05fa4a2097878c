//! One transaction as the aggregates and the anomaly tests see it, and as state keeps it.

mod json;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use compact_str::CompactString;
use riacho::{SerdeError, StateCodec, Timestamp, read_varint, unzigzag, write_varint, zigzag};

use super::money::{Cents, Currency};

pub(crate) use json::TransactionSerde;
#[cfg(test)]
pub(super) use json::read_any;

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

fn id_of(text: &str) -> Result<TransactionId, &'static str> {
    TransactionId::new(text).ok_or("a text of 1 to 48 bytes expected")
}

fn vendor_of(text: &str) -> Result<CompactString, &'static str> {
    match text.len() {
        1..=VENDOR_BYTES_MAX => Ok(CompactString::new(text)),
        _ => Err("a text of 1 to 256 bytes expected"),
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
