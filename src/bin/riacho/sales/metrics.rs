//! What is counted of the sink.

use riacho::config::RecordingLevel;
use riacho::connect::postgres::SinkEvent;
use riacho::observe::metrics::{MetricKind, MetricSpec, OwnCounter, OwnGauges, OwnMetrics};

const ROWS: MetricSpec = counter("sales_sink_rows_total", "Rows that were committed into PostgreSQL.");
const REJECTED: MetricSpec = counter(
    "sales_sink_rejected_records_total",
    "Records that are no sales, noted in riacho_sink_rejects with the reason.",
);
const TRANSACTIONS: MetricSpec =
    counter("sales_sink_transactions_total", "Transactions that were committed in PostgreSQL.");
const SECONDS: MetricSpec =
    counter("sales_sink_transaction_seconds_total", "Time that PostgreSQL took for these transactions.");
const RETRIES: MetricSpec = counter(
    "sales_sink_retries_total",
    "Times that PostgreSQL or Kafka were away and the sink connected again.",
);
const UP: MetricSpec = MetricSpec {
    name: "sales_sink_up",
    kind: MetricKind::Gauge,
    labels: &[],
    level: RecordingLevel::Info,
    help: "1 while the sink is connected to PostgreSQL and Kafka, else 0.",
};

const FITS: &str = "the specs above are of these kinds and without labels";

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, kind: MetricKind::Counter, labels: &[], level: RecordingLevel::Info, help }
}

/// All of them, in the order in which they are described.
#[cfg(test)]
const METRICS: [MetricSpec; 6] = [ROWS, REJECTED, TRANSACTIONS, SECONDS, RETRIES, UP];

/// The metrics of a sink.
pub(super) struct SinkMetrics {
    rows: OwnCounter,
    rejected: OwnCounter,
    transactions: OwnCounter,
    seconds: OwnCounter,
    retries: OwnCounter,
    up: OwnGauges<0>,
}

impl SinkMetrics {
    /// Metrics in which nothing is counted yet, and what [`add`](riacho::observe::Metrics::add) has served.
    pub(super) fn new() -> (SinkMetrics, OwnMetrics) {
        let mut own = OwnMetrics::default();
        let mut counter = |spec: &MetricSpec| own.counters::<0>(spec).expect(FITS).series([]);
        let [rows, rejected, transactions, seconds, retries] =
            [ROWS, REJECTED, TRANSACTIONS, SECONDS, RETRIES].map(|spec| counter(&spec));
        let up = own.gauges(&UP).expect(FITS);
        up.set([], 0.0);
        (SinkMetrics { rows, rejected, transactions, seconds, retries, up }, own)
    }

    /// Counts what the sink tells.
    pub(super) fn count(&self, event: &SinkEvent<'_>) {
        match event {
            SinkEvent::Running => self.up.set([], 1.0),
            SinkEvent::Committed { rows, rejected, took } => {
                self.rows.add(*rows as f64);
                self.rejected.add(*rejected as f64);
                self.transactions.add(1.0);
                self.seconds.add(took.as_secs_f64());
            }
            SinkEvent::Waiting { .. } => {
                self.up.set([], 0.0);
                self.retries.add(1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_metrics_describes_them_as_they_describe_themselves() {
        let page = include_str!("../../../../monitoring/METRICS.md");
        for MetricSpec { name, kind, help, .. } in METRICS {
            let kind = if kind == MetricKind::Counter { "counter" } else { "gauge" };
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            let line = format!("| `{name}` | {kind} |  | {help} |");
            assert!(page.contains(&line), "monitoring/METRICS.md lacks: {line}");
        }
    }
}
