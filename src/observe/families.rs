//! Families of metrics with a fixed number of labels, and series that disappear with their owners.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use super::metric_table::{MetricKind, MetricSpec};
use crate::config::RecordingLevel;

/// The metrics cannot be set up or written out: a bug in riacho.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {message}: this is a bug in riacho")]
pub struct MetricsError {
    message: String,
}

impl MetricsError {
    fn about(spec: &MetricSpec, message: &str) -> Self {
        MetricsError { message: format!("{}: {message}", spec.name) }
    }
}

impl From<prometheus::Error> for MetricsError {
    fn from(error: prometheus::Error) -> Self {
        MetricsError { message: error.to_string() }
    }
}

/// A kind of metric with labels, as the prometheus crate has it.
pub(super) trait Labelled: Collector + Clone + 'static {
    /// One series of it.
    type Metric: Clone;

    /// The series with these values.
    fn series(&self, values: &[&str]) -> Self::Metric;

    /// Removes the series with these values.
    fn remove(&self, values: &[String]);
}

macro_rules! labelled {
    ($($family:ty => $metric:ty),*) => {$(
        impl Labelled for $family {
            type Metric = $metric;

            fn series(&self, values: &[&str]) -> $metric {
                // Cannot panic: the registrar has checked the number of labels.
                self.with_label_values(values)
            }

            fn remove(&self, values: &[String]) {
                // Fails only when the series is gone already, which is what is wanted.
                self.remove_label_values(values).ok();
            }
        }
    )*};
}
labelled!(
    IntCounterVec => IntCounter, CounterVec => Counter, IntGaugeVec => IntGauge, GaugeVec => Gauge,
    HistogramVec => Histogram
);

/// A family whose series have `N` labels.
#[derive(Clone)]
pub(super) struct Family<F: Labelled, const N: usize>(F);

impl<F: Labelled, const N: usize> Family<F, N> {
    /// The series with these values, there until the process ends.
    pub(super) fn with(&self, values: [&str; N]) -> F::Metric {
        self.0.series(&values)
    }

    /// The series with these values, there until its owner is dropped.
    pub(super) fn owned(&self, values: [&str; N]) -> Series<F> {
        Series { metric: self.with(values), family: self.0.clone(), values: values.map(str::to_owned).into() }
    }
}

impl<const N: usize> Family<IntGaugeVec, N> {
    /// The sums of the series that have the same value of `label`.
    pub(super) fn sums_by(&self, label: &str) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for metric in self.0.collect().iter().flat_map(|family| family.get_metric()) {
            let value = metric.get_label().iter().find(|pair| pair.name() == label);
            let sum = sums.entry(value.map_or("", |pair| pair.value()).to_owned()).or_insert(0_i64);
            // A gauge of whole numbers: the fraction that is cut off is none.
            *sum = sum.saturating_add(metric.get_gauge().get_value() as i64);
        }
        sums
    }
}

/// A series that is removed from its family when its owner is dropped.
pub(super) struct Series<F: Labelled> {
    metric: F::Metric,
    family: F,
    values: Vec<String>,
}

impl<F: Labelled> std::ops::Deref for Series<F> {
    type Target = F::Metric;

    fn deref(&self) -> &F::Metric {
        &self.metric
    }
}

impl<F: Labelled> Drop for Series<F> {
    fn drop(&mut self) {
        self.family.remove(&self.values);
    }
}

/// Builds families from the table and registers those that the recording level includes. The others work the same and
/// are never exported.
pub(super) struct Registrar {
    registry: Registry,
    level: RecordingLevel,
}

impl Registrar {
    /// A registrar whose series all carry `labels`.
    pub(super) fn new(labels: HashMap<String, String>, level: RecordingLevel) -> Result<Self, MetricsError> {
        Ok(Registrar { registry: Registry::new_custom(None, Some(labels))?, level })
    }

    pub(super) fn registry(self) -> Registry {
        self.registry
    }

    /// Whole numbers that only grow.
    pub(super) fn counters<const N: usize>(
        &self,
        spec: &MetricSpec,
    ) -> Result<Family<IntCounterVec, N>, MetricsError> {
        let is_counter = spec.kind == MetricKind::Counter;
        self.family(spec, is_counter, || IntCounterVec::new(Opts::new(spec.name, spec.help), spec.labels))
    }

    /// Seconds that only grow.
    pub(super) fn seconds<const N: usize>(
        &self,
        spec: &MetricSpec,
    ) -> Result<Family<CounterVec, N>, MetricsError> {
        let is_counter = spec.kind == MetricKind::Counter;
        self.family(spec, is_counter, || CounterVec::new(Opts::new(spec.name, spec.help), spec.labels))
    }

    /// Whole numbers.
    pub(super) fn gauges<const N: usize>(
        &self,
        spec: &MetricSpec,
    ) -> Result<Family<IntGaugeVec, N>, MetricsError> {
        let is_gauge = spec.kind == MetricKind::Gauge;
        self.family(spec, is_gauge, || IntGaugeVec::new(Opts::new(spec.name, spec.help), spec.labels))
    }

    /// Numbers with fractions.
    pub(super) fn fractions<const N: usize>(
        &self,
        spec: &MetricSpec,
    ) -> Result<Family<GaugeVec, N>, MetricsError> {
        let is_gauge = spec.kind == MetricKind::Gauge;
        self.family(spec, is_gauge, || GaugeVec::new(Opts::new(spec.name, spec.help), spec.labels))
    }

    /// Durations in buckets.
    pub(super) fn histograms<const N: usize>(
        &self,
        spec: &MetricSpec,
    ) -> Result<Family<HistogramVec, N>, MetricsError> {
        let MetricKind::Histogram(buckets) = spec.kind else {
            return Err(MetricsError::about(spec, "is no histogram"));
        };
        let opts = HistogramOpts::new(spec.name, spec.help).buckets(buckets.bounds().to_vec());
        self.family(spec, true, || HistogramVec::new(opts, spec.labels))
    }

    fn family<F: Labelled, const N: usize>(
        &self,
        spec: &MetricSpec,
        is_of_this_kind: bool,
        build: impl FnOnce() -> prometheus::Result<F>,
    ) -> Result<Family<F, N>, MetricsError> {
        checked::<N>(spec, is_of_this_kind)?;
        let family = build()?;
        if spec.level <= self.level {
            self.registry.register(Box::new(family.clone()))?;
        }
        Ok(Family(family))
    }
}

/// Refuses a spec that is used as another kind or with another number of labels than `N`.
pub(super) fn checked<const N: usize>(spec: &MetricSpec, is_of_this_kind: bool) -> Result<(), MetricsError> {
    if !is_of_this_kind {
        return Err(MetricsError::about(spec, "is of another kind"));
    }
    if spec.labels.len() != N {
        return Err(MetricsError::about(spec, "has another number of labels"));
    }
    Ok(())
}

/// A metric for each value of a label that has a fixed set of values.
#[derive(Clone)]
pub(super) struct PerValue<L, M>(Vec<(L, M)>);

impl<L: Copy + PartialEq, M> PerValue<L, M> {
    pub(super) fn new(values: &[L], metric: impl Fn(L) -> M) -> Self {
        PerValue(values.iter().map(|value| (*value, metric(*value))).collect())
    }

    /// Has `update` see the metric of `value`.
    pub(super) fn of(&self, value: L, update: impl FnOnce(&M)) {
        if let Some((_, metric)) = self.0.iter().find(|(known, _)| *known == value) {
            update(metric);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (L, &M)> {
        self.0.iter().map(|(value, metric)| (*value, metric))
    }
}

/// Bounds the values of a label whose set is not fixed: beyond `max` distinct ones, all new ones become `other`.
pub(super) struct Admission {
    max: usize,
    admitted: Mutex<BTreeSet<String>>,
}

impl Admission {
    pub(super) fn new(max: usize) -> Self {
        Admission { max, admitted: Mutex::new(BTreeSet::new()) }
    }

    pub(super) fn value<'a>(&self, value: &'a str) -> &'a str {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.contains(value) {
            return value;
        }
        if admitted.len() >= self.max {
            return "other";
        }
        admitted.insert(value.to_owned());
        value
    }
}

/// A count as a gauge takes it.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a counter has to grow by when an outside count, which may begin again at 0, has become `now`.
pub(super) fn growth(before: u64, now: u64) -> u64 {
    if now >= before { now - before } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_values_become_other() {
        let admission = Admission::new(2);
        assert_eq!(
            ["a", "b", "c", "a", "d"].map(|value| admission.value(value)),
            ["a", "b", "other", "a", "other"]
        );
    }

    #[test]
    fn a_count_that_began_again_grows_by_what_it_is() {
        assert_eq!([growth(3, 5), growth(5, 5), growth(5, 2)], [2, 0, 2]);
    }

    #[test]
    fn a_spec_used_as_another_kind_is_refused() {
        let registrar = Registrar::new(HashMap::new(), RecordingLevel::Info).unwrap();
        let spec = &super::super::metric_table::REBALANCES;
        assert!(registrar.gauges::<2>(spec).is_err());
        assert!(registrar.counters::<1>(spec).is_err());
        assert!(registrar.histograms::<2>(spec).is_err());
        assert!(registrar.counters::<2>(spec).is_ok());
        assert!(registrar.counters::<2>(spec).is_err(), "registered twice");
    }
}
