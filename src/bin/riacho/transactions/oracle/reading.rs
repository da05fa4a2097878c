//! What the oracle reads of an input record, on its own.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What is read of an input record.
pub(super) struct Reading<'a> {
    pub(super) vendor: Cow<'a, str>,
    pub(super) cents: i64,
    pub(super) currency: [u8; 3],
    pub(super) time: i64,
}

#[derive(Deserialize)]
struct InputJson<'a> {
    #[serde(borrow)]
    id_transacao: Cow<'a, str>,
    #[serde(borrow)]
    id_vendedor: Cow<'a, str>,
    #[serde(borrow)]
    valor: &'a RawValue,
    hora_transacao: i64,
    #[serde(borrow)]
    moeda: Cow<'a, str>,
    #[serde(default, rename = "tipo_transacao")]
    _kind: Cow<'a, str>,
    #[serde(default, rename = "metodo_pagamento")]
    _method: Cow<'a, str>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(value: &'a [u8]) -> Option<Reading<'a>> {
        let text = std::str::from_utf8(value).ok()?;
        // Without this, serde would take an array of the fields' values too.
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let json: InputJson<'a> = serde_json::from_str(text).ok()?;
        let currency = <[u8; 3]>::try_from(json.moeda.as_bytes()).ok()?;
        let valid = (1..=48).contains(&json.id_transacao.len())
            && (1..=256).contains(&json.id_vendedor.len())
            && currency.iter().all(u8::is_ascii_uppercase);
        let cents = cents_of(json.valor.get()).filter(|_| valid)?;
        Some(Reading { vendor: json.id_vendedor, cents, currency, time: json.hora_transacao })
    }
}

/// A JSON number as cents, worked out on its digits, if it is a whole number of them and at most ten trillion.
fn cents_of(number: &str) -> Option<i64> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, number),
    };
    if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    let zeros = all.len() - significant.len();
    let digits = significant.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let exponent: i128 = exponent.parse().ok()?;
    let power = exponent + zeros as i128 - fraction.len() as i128 + 2;
    let power = u32::try_from(power).ok().filter(|&power| power <= 15)?;
    let cents = digits.parse::<i128>().ok()?.checked_mul(10i128.pow(power))?;
    i64::try_from(sign * cents).ok().filter(|cents| cents.abs() <= 1_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::money::Cents;
    use super::super::super::transaction::TransactionSerde;
    use super::super::super::transaction::tests::{USUAL, any_transaction};
    use super::*;
    use riacho::Serde;

    proptest! {
        #[test]
        fn both_read_the_same_numbers(text in "-?[0-9]{1,20}(\\.[0-9]{1,5})?([eE][-+]?[0-9]{1,3})?") {
            let text = text.as_str();
            let valid = serde_json::from_str::<&RawValue>(text).is_ok();
            if valid {
                prop_assert_eq!(cents_of(text), Cents::parse_amount(text).ok().map(|cents| cents.0), "{}", text);
            }
        }

        #[test]
        fn both_read_the_same_records(
            transaction in any_transaction(),
            changes in prop::collection::vec((0usize..300, "[\"\\\\{}:,0-9e.\\- a-zA-Z\n\\[\\]]{0,2}"), 0..3), usual: bool,
        ) {
            let mut out = Vec::new();
            TransactionSerde.serialize(&transaction, &mut out).unwrap();
            let text = if usual { USUAL.to_owned() } else { String::from_utf8(out).unwrap() };
            let mut chars: Vec<String> = text.chars().map(String::from).collect();
            for (at, change) in changes {
                if let Some(place) = chars.get_mut(at) {
                    *place = change;
                }
            }
            let text = chars.concat();
            let read = Reading::of(text.as_bytes());
            let other = TransactionSerde.deserialize(Some(text.as_bytes())).ok();
            prop_assert_eq!(read.is_some(), other.is_some(), "{}", text);
            if let (Some(read), Some(other)) = (read, other) {
                prop_assert_eq!((read.vendor.as_ref(), read.cents), (other.vendor.as_str(), other.value.0));
                prop_assert_eq!((read.currency, read.time), (other.currency.as_bytes(), other.time.0));
            }
        }
    }
}
