//! What the business looks at: metrics of the transactions themselves, counted once per commit and bounded in number
//! whatever a producer sends.

use riacho::config::RecordingLevel;
use riacho::observe::metrics::{MetricKind, MetricSpec, OwnCounter, OwnCounters, OwnMetrics};
use riacho::{Record, Tally};

use super::anomaly::{Anomaly, Reason};
use super::money::Currency;
use super::top_vendors::TopVendors;
use super::transaction::{PaymentMethod, Transaction, TransactionKind};

/// Currencies with series of their own, in order: those that are traded most and those of Latin America. All others
/// together are `other`.
const CURRENCIES: [&str; 40] = [
    "AED", "ARS", "AUD", "BOB", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EUR", "GBP", "HKD",
    "HUF", "IDR", "ILS", "INR", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD", "PEN", "PHP", "PLN", "PYG", "RON",
    "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "UYU", "ZAR",
];
const OTHER: &str = "other";

const LABELS: &[&str] = &["currency", "type", "method"];

const COUNT: MetricSpec = spec(
    "financial_transactions_total",
    MetricKind::Counter,
    LABELS,
    "Transactions that were read, accepted and committed, by moeda, tipo_transacao and metodo_pagamento; late ones too.",
);
const VALUE: MetricSpec = spec(
    "financial_transactions_value_total",
    MetricKind::Counter,
    LABELS,
    "Their value in units of the currency. A negative amount counts by its magnitude: the type tells refunds apart.",
);
const ANOMALIES: MetricSpec = spec(
    "financial_transactions_anomalies_total",
    MetricKind::Counter,
    &["reason"],
    "Unusual transactions that were reported and committed, by motivo.",
);
pub(super) const TOP_COUNT: MetricSpec = spec(
    "financial_transactions_top_vendors",
    MetricKind::Gauge,
    &["vendor"],
    "Transactions of the ten vendors of this instance that have most, in the last window that is complete.",
);
pub(super) const TOP_VALUE: MetricSpec = spec(
    "financial_transactions_top_vendors_value",
    MetricKind::Gauge,
    &["vendor", "currency"],
    "The value that these ten vendors sold in that window, each in the currency that it used most.",
);

/// All of them.
#[cfg(test)]
pub(crate) const METRICS: [MetricSpec; 5] = [COUNT, VALUE, ANOMALIES, TOP_COUNT, TOP_VALUE];

const fn spec(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricSpec {
    MetricSpec { name, kind, labels, level: RecordingLevel::Info, help }
}

const FITS: &str = "the specs above are of these kinds and numbers of labels";

/// The metrics of the business. Clones share them.
#[derive(Clone)]
pub(crate) struct BusinessMetrics {
    sales: Sales,
    anomalies: OwnCounters<1>,
    top_vendors: TopVendors,
}

#[derive(Clone)]
struct Sales {
    count: OwnCounters<3>,
    value: OwnCounters<3>,
}

impl BusinessMetrics {
    /// Metrics in which nothing is counted yet, and what [`add`](riacho::observe::Metrics::add) has served.
    pub(crate) fn new() -> (BusinessMetrics, OwnMetrics) {
        let mut own = OwnMetrics::default();
        let sales =
            Sales { count: own.counters(&COUNT).expect(FITS), value: own.counters(&VALUE).expect(FITS) };
        let anomalies = own.counters(&ANOMALIES).expect(FITS);
        let top_vendors =
            TopVendors::new(own.gauges(&TOP_COUNT).expect(FITS), own.gauges(&TOP_VALUE).expect(FITS));
        (BusinessMetrics { sales, anomalies, top_vendors }, own)
    }

    /// Counts the transactions of one task.
    pub(super) fn sales(&self) -> SalesTally {
        SalesTally { series: self.sales.clone(), currencies: vec![PerCurrency::new(None)] }
    }

    /// Counts the anomalies of one task.
    pub(super) fn anomalies(&self) -> AnomalyTally {
        AnomalyTally {
            atypical_values: Pending::new(self.anomalies.series([Reason::AtypicalValue.as_str()])),
            bursts: Pending::new(self.anomalies.series([Reason::Burst.as_str()])),
        }
    }

    /// The vendors that sell most.
    pub(super) fn top_vendors(&self) -> &TopVendors {
        &self.top_vendors
    }
}

const KINDS: usize = TransactionKind::ALL.len();
const METHODS: usize = PaymentMethod::ALL.len();

/// What one task has counted since its last commit: a record is a few additions in a table.
pub(super) struct SalesTally {
    series: Sales,
    /// The first is of all currencies without series of their own; the others come as they are seen.
    currencies: Vec<PerCurrency>,
}

struct PerCurrency {
    /// None of those that have series of their own.
    currency: Option<Currency>,
    cells: [[Cell; METHODS]; KINDS],
}

/// Transactions of one currency, kind and method.
#[derive(Default)]
struct Cell {
    count: u64,
    cents: u64,
    /// Made when there is something to show.
    series: Option<(OwnCounter, OwnCounter)>,
}

impl PerCurrency {
    fn new(currency: Option<Currency>) -> PerCurrency {
        PerCurrency { currency, cells: Default::default() }
    }
}

impl SalesTally {
    fn of(&mut self, currency: Currency) -> Option<&mut PerCurrency> {
        let known = self.currencies.iter().position(|entry| entry.currency == Some(currency));
        let place = match known {
            Some(place) => place,
            None if CURRENCIES.binary_search(&currency.as_str()).is_ok() => {
                self.currencies.push(PerCurrency::new(Some(currency)));
                self.currencies.len() - 1
            }
            None => 0,
        };
        self.currencies.get_mut(place)
    }
}

impl<K> Tally<K, Transaction> for SalesTally {
    fn see(&mut self, record: &Record<'_, K, Transaction>) {
        let Transaction { currency, kind, method, value, .. } = *record.value;
        let cells = self.of(currency).and_then(|entry| entry.cells.get_mut(kind as usize));
        if let Some(cell) = cells.and_then(|methods| methods.get_mut(method as usize)) {
            cell.count += 1;
            cell.cents = cell.cents.saturating_add(value.0.unsigned_abs());
        }
    }

    fn committed(&mut self) {
        let Sales { count, value } = &self.series;
        for entry in &mut self.currencies {
            let currency = entry.currency.as_ref().map_or(OTHER, Currency::as_str);
            for (kind, methods) in TransactionKind::ALL.iter().zip(&mut entry.cells) {
                for (method, cell) in PaymentMethod::ALL.iter().zip(methods) {
                    if cell.count == 0 {
                        continue;
                    }
                    let labels = [currency, kind_label(*kind), method_label(*method)];
                    let (counted, valued) =
                        cell.series.get_or_insert_with(|| (count.series(labels), value.series(labels)));
                    counted.add(std::mem::take(&mut cell.count) as f64);
                    valued.add(std::mem::take(&mut cell.cents) as f64 / 100.0);
                }
            }
        }
    }

    fn aborted(&mut self) {
        for cell in self.currencies.iter_mut().flat_map(|entry| entry.cells.as_flattened_mut()) {
            (cell.count, cell.cents) = (0, 0);
        }
    }
}

fn kind_label(kind: TransactionKind) -> &'static str {
    if kind == TransactionKind::Other { OTHER } else { kind.as_str() }
}

fn method_label(method: PaymentMethod) -> &'static str {
    if method == PaymentMethod::Other { OTHER } else { method.as_str() }
}

/// The anomalies of one task since its last commit.
pub(super) struct AnomalyTally {
    atypical_values: Pending,
    bursts: Pending,
}

struct Pending {
    count: u64,
    series: OwnCounter,
}

impl Pending {
    fn new(series: OwnCounter) -> Pending {
        Pending { count: 0, series }
    }
}

impl<K> Tally<K, Anomaly> for AnomalyTally {
    fn see(&mut self, record: &Record<'_, K, Anomaly>) {
        match record.value.reason {
            Reason::AtypicalValue => self.atypical_values.count += 1,
            Reason::Burst => self.bursts.count += 1,
        }
    }

    fn committed(&mut self) {
        for pending in [&mut self.atypical_values, &mut self.bursts] {
            pending.series.add(std::mem::take(&mut pending.count) as f64);
        }
    }

    fn aborted(&mut self) {
        (self.atypical_values.count, self.bursts.count) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use compact_str::CompactString;
    use riacho::lifecycle::{Lifecycle, Limits};
    use riacho::observe::Metrics;
    use riacho::{Headers, Timestamp};

    use super::super::money::Cents;
    use super::super::transaction::TransactionId;
    use super::*;

    fn sold(currency: &str, cents: i64, kind: TransactionKind, method: PaymentMethod) -> Transaction {
        Transaction {
            id: TransactionId::new("1").unwrap(),
            vendor: CompactString::new("v"),
            value: Cents(cents),
            currency: Currency::parse(currency).unwrap(),
            time: Timestamp(0),
            kind,
            method,
        }
    }

    fn see(tally: &mut SalesTally, transaction: &Transaction) {
        tally.see(&Record {
            key: &(),
            value: transaction,
            timestamp: Timestamp(0),
            headers: &Headers::EMPTY,
        });
    }

    fn committed(tally: &mut SalesTally) {
        Tally::<(), Transaction>::committed(tally);
    }

    /// The series of a family as the page has them, without the labels that all have.
    fn shown(metrics: &Metrics, name: &str) -> Vec<String> {
        let zero = Duration::ZERO;
        let lifecycle =
            Lifecycle::new("a", NonZeroUsize::MIN, Limits { poll_age_max: zero, commit_age_max: zero });
        let page = metrics.render(&lifecycle, zero).unwrap();
        let of_it = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        of_it
            .map(|line| line.replace(r#",application_id="a""#, "").replace(r#",instance="i""#, ""))
            .map(|line| line.trim_start_matches(name).to_owned())
            .collect()
    }

    fn served(own: OwnMetrics) -> Metrics {
        let metrics = Metrics::new("a", "i", RecordingLevel::Info).unwrap();
        metrics.add(own).unwrap();
        metrics
    }

    #[test]
    fn what_is_committed_is_counted_once_and_what_is_undone_is_not() {
        let (business, own) = BusinessMetrics::new();
        let metrics = served(own);
        let mut tally = business.sales();
        let pix = sold("BRL", 1_050, TransactionKind::Purchase, PaymentMethod::Pix);
        see(&mut tally, &pix);
        assert!(shown(&metrics, "financial_transactions_total").is_empty(), "nothing is committed");
        Tally::<(), Transaction>::aborted(&mut tally);
        see(&mut tally, &pix);
        see(&mut tally, &sold("USD", -250, TransactionKind::Refund, PaymentMethod::CreditCard));
        committed(&mut tally);
        committed(&mut tally);
        see(&mut tally, &pix);
        committed(&mut tally);
        assert_eq!(
            shown(&metrics, "financial_transactions_total"),
            [
                r#"{currency="BRL",method="pix",type="compra"} 2"#,
                r#"{currency="USD",method="cartao_credito",type="reembolso"} 1"#
            ]
        );
        assert_eq!(
            shown(&metrics, "financial_transactions_value_total"),
            [
                r#"{currency="BRL",method="pix",type="compra"} 21"#,
                r#"{currency="USD",method="cartao_credito",type="reembolso"} 2.5"#
            ]
        );
    }

    #[test]
    fn invented_currencies_kinds_and_methods_share_one_series() {
        let (business, own) = BusinessMetrics::new();
        let metrics = served(own);
        let mut tally = business.sales();
        for first in 'A'..='Z' {
            for second in 'A'..='Z' {
                let currency = format!("{first}{second}Q");
                see(&mut tally, &sold(&currency, 1, TransactionKind::Other, PaymentMethod::Other));
            }
        }
        committed(&mut tally);
        assert_eq!(
            shown(&metrics, "financial_transactions_total"),
            [r#"{currency="other",method="other",type="other"} 676"#]
        );
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for MetricSpec { name, kind, help, .. } in METRICS {
            assert!(name.starts_with("financial_transactions_") && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        }
    }

    #[test]
    fn the_known_currencies_are_codes_in_order() {
        assert!(CURRENCIES.is_sorted());
        assert!(CURRENCIES.iter().all(|code| Currency::parse(code).is_ok()));
    }

    #[test]
    fn both_reasons_are_there_before_anything_is_unusual() {
        let (business, own) = BusinessMetrics::new();
        let metrics = served(own);
        let _tally = business.anomalies();
        assert_eq!(
            shown(&metrics, "financial_transactions_anomalies_total"),
            [r#"{reason="rajada"} 0"#, r#"{reason="valor_atipico"} 0"#]
        );
    }
}
