//! Metrics of an application's own, beside those of the library: made before its topology, shown once it runs.

use prometheus::core::Collector;
use prometheus::{Counter, CounterVec, GaugeVec, Opts};

use super::families::{Labelled, MetricsError, checked};
use super::metric_table::{MetricKind, MetricSpec};

/// The metrics that an application adds to the library's. [`Metrics::add`](super::Metrics::add) has them served, each
/// series with the labels that all have.
#[derive(Default)]
pub struct OwnMetrics(Vec<Box<dyn Collector>>);

impl OwnMetrics {
    /// A family of counters with `N` labels.
    ///
    /// # Errors
    /// When `spec` is of another kind or has another number of labels.
    pub fn counters<const N: usize>(&mut self, spec: &MetricSpec) -> Result<OwnCounters<N>, MetricsError> {
        checked::<N>(spec, spec.kind == MetricKind::Counter)?;
        let family = CounterVec::new(Opts::new(spec.name, spec.help), spec.labels)?;
        self.0.push(Box::new(family.clone()));
        Ok(OwnCounters(family))
    }

    /// A family of gauges with `N` labels.
    ///
    /// # Errors
    /// As [`counters`](Self::counters).
    pub fn gauges<const N: usize>(&mut self, spec: &MetricSpec) -> Result<OwnGauges<N>, MetricsError> {
        checked::<N>(spec, spec.kind == MetricKind::Gauge)?;
        let family = GaugeVec::new(Opts::new(spec.name, spec.help), spec.labels)?;
        self.0.push(Box::new(family.clone()));
        Ok(OwnGauges(family))
    }

    pub(super) fn into_collectors(self) -> Vec<Box<dyn Collector>> {
        self.0
    }
}

/// Numbers that only grow. Clones share them.
#[derive(Clone)]
pub struct OwnCounters<const N: usize>(CounterVec);

impl<const N: usize> OwnCounters<N> {
    /// The series with these values of the labels. To be kept, not asked for again and again.
    pub fn series(&self, values: [&str; N]) -> OwnCounter {
        OwnCounter(self.0.series(&values))
    }
}

/// One number that only grows.
#[derive(Clone)]
pub struct OwnCounter(Counter);

impl OwnCounter {
    /// Grows by `amount`, which must not be negative.
    pub fn add(&self, amount: f64) {
        self.0.inc_by(amount);
    }
}

/// Numbers that go up and down. Clones share them.
#[derive(Clone)]
pub struct OwnGauges<const N: usize>(GaugeVec);

impl<const N: usize> OwnGauges<N> {
    /// Sets the series with these values of the labels.
    pub fn set(&self, values: [&str; N], value: f64) {
        self.0.series(&values).set(value);
    }

    /// Removes the series with these values of the labels.
    pub fn remove(&self, values: [&str; N]) {
        Labelled::remove(&self.0, &values.map(str::to_owned));
    }
}
