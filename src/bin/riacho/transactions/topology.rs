//! The computation: aggregates per vendor and window, and what is unusual about a vendor's transactions.

use compact_str::CompactString;
use riacho::{
    Consumed, EventTime, Grouped, KStream, Materialized, ProcessError, Produced, Record, State,
    StreamsBuilder, Topology, TopologyError, Utf8,
};

use super::aggregate::{Aggregated, AggregatedSerde, SellerTotals};
use super::anomaly::{AnomalySerde, SellerProfile};
use super::business::BusinessMetrics;
use super::config::TransactionsConfig;
use super::transaction::{Transaction, TransactionSerde};

/// The store of the windowed aggregates. Its name is part of the changelog's: a change would lose the state.
pub(crate) const TOTALS: &str = "totals-by-vendor";
/// The store of the vendors' running distributions.
const PROFILES: &str = "vendor-profiles";
/// The repartition topic of an input that is not keyed by vendor.
const BY_VENDOR: &str = "by-vendor";

const SALES_FIGURES: &str = "sales-figures";
const TOP_VENDORS: &str = "top-vendors";
const ANOMALY_FIGURES: &str = "anomaly-figures";

/// Describes the application as it is configured; its business metrics are nobody's.
///
/// # Errors
/// As [`topology_with`].
pub(crate) fn topology(config: &TransactionsConfig) -> Result<Topology, TopologyError> {
    topology_with(config, &BusinessMetrics::new().0)
}

/// Describes the application as it is configured, with the business metrics to count in.
///
/// # Errors
/// When topics are given names that Kafka refuses or that collide.
pub(crate) fn topology_with(
    config: &TransactionsConfig,
    business: &BusinessMetrics,
) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let event_time = EventTime::field(|record: &Record<'_, _, Transaction>| Some(record.value.time));
    let grouped = || Grouped::with(Utf8, State::<Transaction>::new());
    let sales = {
        let business = business.clone();
        move || business.sales()
    };
    let vendors = if config.keyed_by_vendor {
        let consumed = Consumed::<CompactString, _>::with(Utf8, TransactionSerde).event_time(event_time);
        let transactions = builder.stream(config.input_topic.as_str(), consumed);
        only_own_key(&transactions).tally_named(SALES_FIGURES, sales).group_by_key(grouped())
    } else {
        let event_time = EventTime::field(|record: &Record<'_, _, Transaction>| Some(record.value.time));
        let consumed =
            Consumed::<Option<Vec<u8>>, _>::with(riacho::Nullable(riacho::Bytes), TransactionSerde);
        let transactions = builder.stream(config.input_topic.as_str(), consumed.event_time(event_time));
        let transactions = transactions.tally_named(SALES_FIGURES, sales);
        transactions.group_by(|record| record.value.vendor.clone(), grouped().named(BY_VENDOR))
    };

    let (top_vendors, emit) = (business.top_vendors().clone(), config.emit);
    vendors
        .windowed_by(config.windows)
        .emit_strategy(config.emit)
        .aggregate(
            SellerTotals::default,
            |_, transaction: &Transaction, totals| totals.add(transaction),
            Materialized::named(TOTALS, State::<SellerTotals>::new()),
        )
        .to_stream()
        .map(|record| (record.key.key.clone(), Aggregated::of(record.key, record.value)))
        .tally_named(TOP_VENDORS, move || top_vendors.tally(emit))
        .to(config.output_topic.as_str(), Produced::with(Utf8, AggregatedSerde));

    if let Some(topic) = &config.anomalies_topic {
        let (rules, business) = (config.anomalies, business.clone());
        vendors
            .process_values(
                SellerProfile::default,
                move |record, profile: &mut SellerProfile, found| {
                    profile
                        .observe(record.value, &rules)
                        .into_iter()
                        .flatten()
                        .for_each(|anomaly| found.value(anomaly));
                    Ok(())
                },
                Materialized::named(PROFILES, State::<SellerProfile>::new()),
            )
            .tally_named(ANOMALY_FIGURES, move || business.anomalies())
            .to(topic.as_str(), Produced::with(Utf8, AnomalySerde::new()));
    }
    builder.build()
}

/// A record whose key is not its vendor lies in another vendor's partition: adding it there would split the vendor's
/// aggregate over two tasks. It becomes a bad record that says so.
fn only_own_key(transactions: &KStream<CompactString, Transaction>) -> KStream<CompactString, Transaction> {
    transactions.map_values_named("key-is-vendor", |record| {
        if record.key == record.value.vendor {
            return Ok(record.value.clone());
        }
        Err(ProcessError::refused(format!(
            "the key is '{}' and id_vendedor is '{}': transactions.input.keyed.by.vendor says that they are the same. \
             Set it to false if the topic is keyed otherwise",
            record.key, record.value.vendor
        )))
    })
}
