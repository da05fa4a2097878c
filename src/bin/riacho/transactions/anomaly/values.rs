//! A vendor's values, and one that is far from all others.

use super::super::money::Cents;
use super::super::transaction::Transaction;
use super::AnomalyRules;
use super::report::{Anomaly, Reason, reported, to_hundredths};

/// The running distribution of a vendor's values, in cents.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) samples: u32,
}

/// A value that is far off.
pub(super) struct FarOff {
    mean: f64,
    deviation: f64,
    score: f64,
    deviations_max: f64,
    samples: u32,
}

impl Values {
    /// From here on a new sample pushes out older ones.
    pub(super) const SAMPLES_MAX: u32 = 1024;
    /// A deviation counts as at least this share of the mean, and at least a cent.
    const DEVIATION_MIN: f64 = 0.05;

    pub(super) fn observe(&mut self, value: Cents, rules: &AnomalyRules) -> Option<FarOff> {
        let mut distance = value.approximately() - self.mean;
        let mut found = None;
        if self.samples >= rules.samples_min {
            let deviation_min = (self.mean * Self::DEVIATION_MIN).abs().max(1.0);
            let variance = self.variance.max(deviation_min * deviation_min);
            // Squares are compared, since a root would cost as much as all the rest.
            if distance * distance > rules.deviations_max * rules.deviations_max * variance {
                let (mean, deviation, samples) = (self.mean, variance.sqrt(), self.samples);
                let (score, deviations_max) = (distance / deviation, rules.deviations_max);
                found = Some(FarOff { mean, deviation, score, deviations_max, samples });
                distance = (deviations_max * deviation).copysign(distance);
            }
        }
        // Welford's recurrence for the mean and the variance; with the number of samples held it becomes an
        // exponentially weighted one.
        self.samples = (self.samples + 1).min(Self::SAMPLES_MAX);
        let share = 1.0 / f64::from(self.samples);
        self.mean += share * distance;
        self.variance = (1.0 - share) * (self.variance + share * distance * distance);
        found
    }
}

impl FarOff {
    pub(super) fn reported(self, transaction: &Transaction) -> Anomaly {
        Anomaly {
            score: Some(to_hundredths(self.score)),
            deviation: Some(to_hundredths(self.deviation / 100.0)),
            samples: Some(self.samples),
            ..reported(transaction, Reason::AtypicalValue, self.mean / 100.0, self.deviations_max)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_statistics_are_those_of_the_textbook(values in prop::collection::vec(-1_000_000i64..1_000_000, 2..200)) {
            let mut running = Values::default();
            let rules = AnomalyRules { samples_min: u32::MAX, ..AnomalyRules::default() };
            for &value in &values {
                running.observe(Cents(value), &rules);
            }
            let count = values.len() as f64;
            let mean = values.iter().sum::<i64>() as f64 / count;
            let variance = values.iter().map(|&value| (value as f64 - mean).powi(2)).sum::<f64>() / count;
            prop_assert!((running.mean - mean).abs() < 1e-6);
            prop_assert!((running.variance - variance).abs() <= 1e-9 * variance.max(1.0));
        }
    }
}
