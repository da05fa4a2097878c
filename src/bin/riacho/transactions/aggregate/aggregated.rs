//! The record of `aggregated_transactions`.

use std::num::NonZeroU64;

use compact_str::CompactString;
use riacho::{Serde, SerdeError, Timestamp, Window, Windowed, Written};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::super::money::{Cents, Currency};
use super::{CurrencyTotal, CurrencyTotals, SellerTotals};

/// A record of `aggregated_transactions`: what is known of a vendor in a window, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aggregated {
    pub(crate) vendor: CompactString,
    pub(crate) window: Window,
    /// Whether the window was closed: no later record will follow.
    pub(crate) closed: bool,
    pub(crate) count: u64,
    /// The sum of all values, whatever their currency, as in the original system.
    pub(crate) total: Cents,
    pub(crate) min: Cents,
    pub(crate) max: Cents,
    /// The total by the count, to the cent; halves go to the even cent.
    pub(crate) mean: Cents,
    pub(crate) currencies: CurrencyTotals,
}

impl Aggregated {
    /// The record for `totals`; all zeros if nothing was counted.
    pub(crate) fn of(windowed: &Windowed<CompactString>, totals: &SellerTotals) -> Aggregated {
        let count = NonZeroU64::new(totals.count);
        Aggregated {
            vendor: windowed.key.clone(),
            window: windowed.window,
            closed: windowed.closed,
            count: totals.count,
            total: totals.total,
            min: count.map_or(Cents(0), |_| totals.min),
            max: count.map_or(Cents(0), |_| totals.max),
            mean: count.map_or(Cents(0), |count| totals.total.mean_of(count)),
            currencies: totals.currencies.clone(),
        }
    }
}

/// JSON, as in the topic `aggregated_transactions`: exactly its fields, in this order. When it is read, the order does
/// not matter, but a missing field, another field or one that comes twice is an error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AggregatedSerde;

impl Serde<Aggregated> for AggregatedSerde {
    fn serialize(&self, aggregated: &Aggregated, out: &mut Vec<u8>) -> Result<Written, SerdeError> {
        out.extend_from_slice(b"{\"id_vendedor\":");
        serde_json::to_writer(&mut *out, aggregated.vendor.as_str())
            .map_err(|error| SerdeError::new(error.to_string()))?;
        integer(out, b",\"numero_transacoes\":", aggregated.count);
        money(out, b",\"valor_total_por_vendedor\":", aggregated.total);
        money(out, b",\"valor_minimo\":", aggregated.min);
        money(out, b",\"valor_maximo\":", aggregated.max);
        money(out, b",\"valor_medio\":", aggregated.mean);
        integer(out, b",\"janela_inicio\":", aggregated.window.start.as_millis());
        integer(out, b",\"janela_fim\":", aggregated.window.end.as_millis());
        out.extend_from_slice(if aggregated.closed { b",\"final\":true" } else { b",\"final\":false" });
        out.extend_from_slice(b",\"totais_por_moeda\":{");
        let mut separator: &[u8] = b"\"";
        for entry in &aggregated.currencies {
            out.extend_from_slice(separator);
            out.extend_from_slice(&entry.currency().as_bytes());
            money(out, b"\":{\"total\":", entry.total);
            integer(out, b",\"quantidade\":", entry.count());
            out.push(b'}');
            separator = b",\"";
        }
        out.extend_from_slice(b"}}");
        Ok(Written::Bytes)
    }

    fn deserialize(&self, bytes: Option<&[u8]>) -> Result<Aggregated, SerdeError> {
        let bytes = bytes.ok_or_else(|| SerdeError::new("null where an aggregate is expected"))?;
        let json: AggregatedJson<'_> = serde_json::from_slice(bytes)
            .map_err(|error| SerdeError::new(format!("not an aggregate: {error}")))?;
        Ok(Aggregated {
            vendor: CompactString::from(json.id_vendedor),
            window: Window { start: Timestamp(json.janela_inicio), end: Timestamp(json.janela_fim) },
            closed: json.closed,
            count: json.numero_transacoes,
            total: json.valor_total_por_vendedor,
            min: json.valor_minimo,
            max: json.valor_maximo,
            mean: json.valor_medio,
            currencies: json.totais_por_moeda.0,
        })
    }
}

fn integer(out: &mut Vec<u8>, before: &[u8], value: impl itoa::Integer) {
    out.extend_from_slice(before);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn money(out: &mut Vec<u8>, before: &[u8], value: Cents) {
    out.extend_from_slice(before);
    value.write(out);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AggregatedJson<'a> {
    #[serde(borrow)]
    id_vendedor: std::borrow::Cow<'a, str>,
    numero_transacoes: u64,
    valor_total_por_vendedor: Cents,
    valor_minimo: Cents,
    valor_maximo: Cents,
    valor_medio: Cents,
    janela_inicio: i64,
    janela_fim: i64,
    #[serde(rename = "final")]
    closed: bool,
    totais_por_moeda: CurrenciesJson,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CurrencyJson {
    total: Cents,
    quantidade: u64,
}

/// `{"BRL":{"total":1.00,"quantidade":1}}`, in any order.
struct CurrenciesJson(CurrencyTotals);

impl<'de> Deserialize<'de> for CurrenciesJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CurrenciesVisitor)
    }
}

struct CurrenciesVisitor;

impl<'de> Visitor<'de> for CurrenciesVisitor {
    type Value = CurrenciesJson;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("totals by currency")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<CurrenciesJson, M::Error> {
        let mut currencies = CurrencyTotals::new();
        while let Some((currency, json)) = map.next_entry::<Currency, CurrencyJson>()? {
            let place = currencies.partition_point(|other| other.currency() < currency);
            if currencies.get(place).is_some_and(|other| other.currency() == currency) {
                return Err(M::Error::custom(format_args!("currency {currency} comes twice")));
            }
            let entry = CurrencyTotal::new(currency, json.quantidade, json.total);
            let entry = entry
                .ok_or_else(|| M::Error::custom(format_args!("{currency}: quantidade is out of range")))?;
            currencies.insert(place, entry);
        }
        Ok(CurrenciesJson(currencies))
    }
}
