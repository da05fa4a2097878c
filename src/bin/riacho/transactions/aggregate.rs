//! What is known of one vendor in one window: count, sums, extremes; as state, and as the record that goes out.

use std::num::NonZeroU64;

use compact_str::CompactString;
use riacho::{
    ProcessError, Serde, SerdeError, StateCodec, Timestamp, Window, Windowed, Written, read_varint, unzigzag,
    write_varint, zigzag,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use smallvec::SmallVec;

use super::money::{Cents, Currency};
use super::transaction::Transaction;

/// How many currencies one vendor may use in one window. ISO 4217 lists some 180; the bound keeps state and output small
/// whatever a producer invents.
pub(crate) const CURRENCIES_MAX: usize = 200;

/// The totals of one currency in sixteen bytes: a currency's three letters and a count of up to 2^40 share a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CurrencyTotal {
    code_and_count: u64,
    total: Cents,
}

impl CurrencyTotal {
    const COUNT_BITS: u32 = 40;
    const COUNT_MAX: u64 = (1 << Self::COUNT_BITS) - 1;

    /// The totals of `count` transactions, or `None` when they are more than can be counted.
    pub(crate) fn new(currency: Currency, count: u64, total: Cents) -> Option<CurrencyTotal> {
        let code = Self::code(currency);
        (count <= Self::COUNT_MAX).then_some(CurrencyTotal { code_and_count: code | count, total })
    }

    fn code(currency: Currency) -> u64 {
        let [first, second, third] = currency.as_bytes();
        u64::from_be_bytes([first, second, third, 0, 0, 0, 0, 0])
    }

    pub(crate) fn currency(&self) -> Currency {
        let [first, second, third, ..] = self.code_and_count.to_be_bytes();
        Currency::from_bytes(&[first, second, third]).expect("new() was given a Currency")
    }

    pub(crate) fn count(&self) -> u64 {
        self.code_and_count & Self::COUNT_MAX
    }

    pub(crate) fn total(&self) -> Cents {
        self.total
    }

    /// Counts one more, or changes nothing when it does not fit.
    fn add(&mut self, value: Cents) -> Option<()> {
        let total = self.total.checked_add(value)?;
        if self.count() == Self::COUNT_MAX {
            return None;
        }
        self.code_and_count += 1;
        self.total = total;
        Some(())
    }
}

impl std::fmt::Debug for CurrencyTotal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} in {}", self.currency(), self.total, self.count())
    }
}

/// The totals of each currency, by code. Up to four need no allocation.
pub(crate) type CurrencyTotals = SmallVec<[CurrencyTotal; 4]>;

/// The state of one vendor in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SellerTotals {
    count: u64,
    total: Cents,
    min: Cents,
    max: Cents,
    currencies: CurrencyTotals,
}

impl Default for SellerTotals {
    /// Nothing counted yet.
    fn default() -> Self {
        SellerTotals {
            count: 0,
            total: Cents(0),
            min: Cents(i64::MAX),
            max: Cents(i64::MIN),
            currencies: CurrencyTotals::new(),
        }
    }
}

impl SellerTotals {
    /// Counts a transaction.
    ///
    /// # Errors
    /// When a sum would overflow or there are too many currencies: the transaction is refused, nothing has changed.
    pub(crate) fn add(&mut self, transaction: &Transaction) -> Result<(), ProcessError> {
        let (value, currency) = (transaction.value, transaction.currency);
        let total = self.total.checked_add(value).ok_or_else(|| too_much(transaction))?;
        let code = CurrencyTotal::code(currency);
        match self
            .currencies
            .iter_mut()
            .find(|entry| entry.code_and_count & !CurrencyTotal::COUNT_MAX == code)
        {
            // The last step that may fail, and it changes nothing when it does.
            Some(entry) => entry.add(value).ok_or_else(|| too_much(transaction))?,
            None => self.insert(CurrencyTotal { code_and_count: code | 1, total: value }, transaction)?,
        }
        self.total = total;
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        Ok(())
    }

    fn insert(&mut self, entry: CurrencyTotal, transaction: &Transaction) -> Result<(), ProcessError> {
        if self.currencies.len() == CURRENCIES_MAX {
            let (id, vendor) = (transaction.id.as_str(), &transaction.vendor);
            return Err(ProcessError::refused(format!(
                "transaction {id}: vendor {vendor} already has {CURRENCIES_MAX} currencies in this window"
            )));
        }
        let place = self.currencies.partition_point(|other| other.code_and_count < entry.code_and_count);
        self.currencies.insert(place, entry);
        Ok(())
    }

    /// How many transactions were counted.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all values, whatever their currency.
    #[cfg(test)]
    pub(crate) fn total(&self) -> Cents {
        self.total
    }

    /// The totals of each currency, by code.
    #[cfg(test)]
    pub(crate) fn currencies(&self) -> &[CurrencyTotal] {
        &self.currencies
    }
}

#[cold]
fn too_much(transaction: &Transaction) -> ProcessError {
    let (id, vendor, value) = (transaction.id.as_str(), &transaction.vendor, transaction.value);
    ProcessError::refused(format!("transaction {id}: the sum of vendor {vendor} has no room for {value}"))
}

/// Layout 1: the number of currencies, then for each by code its letters, count and total; then, unless there is none,
/// the minimum and how far the maximum is above it. Count and total of all are not stored: they follow.
impl StateCodec for SellerTotals {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(self.currencies.len() as u64, out);
        for entry in &self.currencies {
            out.extend_from_slice(&entry.currency().as_bytes());
            write_varint(entry.count(), out);
            write_varint(zigzag(entry.total.0), out);
        }
        if self.count > 0 {
            write_varint(zigzag(self.min.0), out);
            write_varint(self.max.0.abs_diff(self.min.0), out);
        }
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        if version != Self::VERSION {
            return Err(SerdeError::new(format!("version {version} of a vendor's totals is unknown")));
        }
        let damaged = |what: &str| SerdeError::new(format!("a vendor's totals are damaged: {what}"));
        let mut totals = SellerTotals::default();
        let currencies = read_varint(&mut bytes)?;
        if currencies > CURRENCIES_MAX as u64 {
            return Err(damaged("too many currencies"));
        }
        for _ in 0..currencies {
            let (&code, rest) =
                bytes.split_first_chunk::<3>().ok_or_else(|| damaged("a currency is cut off"))?;
            bytes = rest;
            let currency = Currency::from_bytes(&code).ok_or_else(|| damaged("a currency is no code"))?;
            let (count, total) = (read_varint(&mut bytes)?, Cents(unzigzag(read_varint(&mut bytes)?)));
            let entry = CurrencyTotal::new(currency, count, total).filter(|_| count > 0);
            let entry = entry.ok_or_else(|| damaged("a count is out of range"))?;
            if totals.currencies.last().is_some_and(|last| last.currency() >= currency) {
                return Err(damaged("the currencies are not in order"));
            }
            totals.count += count;
            totals.total =
                totals.total.checked_add(total).ok_or_else(|| damaged("the total does not fit"))?;
            totals.currencies.push(entry);
        }
        if totals.count > 0 {
            totals.min = Cents(unzigzag(read_varint(&mut bytes)?));
            let max = totals.min.0.checked_add_unsigned(read_varint(&mut bytes)?);
            totals.max = Cents(max.ok_or_else(|| damaged("the maximum does not fit"))?);
        }
        if bytes.is_empty() { Ok(totals) } else { Err(damaged("there are bytes left")) }
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riacho::State;

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
        let mut codes =
            letters().flat_map(|a| letters().map(move |b| format!("{a}{b}X"))).take(CURRENCIES_MAX);
        let first = codes.next().unwrap();
        for code in std::iter::once(first.clone()).chain(codes) {
            totals.add(&transaction(1, &code)).unwrap();
        }
        let before = totals.clone();
        assert!(
            totals
                .add(&transaction(1, "AAA"))
                .unwrap_err()
                .to_string()
                .contains("already has 200 currencies")
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
        let read = |text: &str| {
            AggregatedSerde.deserialize(Some(text.as_bytes())).map_err(|error| error.to_string())
        };
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
}
