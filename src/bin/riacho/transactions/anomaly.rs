//! What is unusual for a vendor: a value far from all its others, or many more transactions than it usually has.
//!
//! **A value far off** (`valor_atipico`): the z-score, that is the distance from the vendor's mean in standard
//! deviations, exceeds a threshold (6 by default), once there are enough samples (30). Six, because values are skewed:
//! a threshold of three would report one ordinary sale in a hundred or more. Mean and variance are running ones in
//! floating point: they are statistics and nobody's money. Three details keep them useful:
//! - they remember about the last thousand transactions, so that a vendor may change;
//! - what an outlier adds to them is cut at the threshold, so that it does not hide the next one;
//! - a deviation counts as at least 5 % of the mean, so that a vendor with one price may have a second.
//!
//! All currencies of a vendor make one distribution: a vendor that suddenly sells in yen is unusual.
//!
//! **A burst** (`rajada`): more than 200 transactions within 10 s of event time, and more than 5 times what the vendor
//! usually has in 10 s. The ten seconds are five slots of two: so nothing is reported that did not happen within ten
//! seconds, and whatever happens within eight is found, at the cost of five counters. What is usual is the mean of the
//! slots that have left the ten seconds, over about the last nine minutes (256 slots); a slot counts for at most its
//! share of the limit, so that a burst does not become usual at once. A vendor is judged after a minute. A burst is
//! reported once, with the transaction that exceeded the limit; the next one after the count has halved.
//!
//! Both depend on the vendor's transactions in the order in which they are processed and on nothing else, no clock and
//! no chance, so that a replay finds the same.

mod rate;
mod report;
#[cfg(test)]
mod tests;
mod values;

use riacho::{SerdeError, StateCodec, Timestamp, read_varint, unzigzag, write_varint, zigzag};

use super::transaction::Transaction;
use rate::{Rate, SLOTS};
use values::Values;

pub(crate) use report::{Anomaly, AnomalySerde, Reason};

/// What counts as unusual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AnomalyRules {
    /// How many standard deviations from the mean a value may lie.
    pub(crate) deviations_max: f64,
    /// How many transactions of a vendor must be known before a value is judged.
    pub(crate) samples_min: u32,
    /// How many transactions a vendor may have within `burst_window_ms`, whatever is usual.
    pub(crate) burst_count_max: u32,
    /// How long a burst lasts.
    pub(crate) burst_window_ms: i64,
    /// How many times its usual number of transactions a vendor may have within `burst_window_ms`.
    pub(crate) burst_factor_max: f64,
}

impl Default for AnomalyRules {
    fn default() -> Self {
        AnomalyRules {
            deviations_max: 6.0,
            samples_min: 30,
            burst_count_max: 200,
            burst_window_ms: 10_000,
            burst_factor_max: 5.0,
        }
    }
}

/// What is known of a vendor: 72 bytes, whatever happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SellerProfile {
    values: Values,
    rate: Rate,
}

impl SellerProfile {
    /// Judges a transaction by what is known of its vendor, then adds it to that. Nothing is allocated unless
    /// something is found.
    pub(crate) fn observe(
        &mut self,
        transaction: &Transaction,
        rules: &AnomalyRules,
    ) -> [Option<Anomaly>; 2] {
        let value = self.values.observe(transaction.value, rules);
        let burst = self.rate.observe(transaction.time, rules);
        [
            value.map(|finding| finding.reported(transaction)),
            burst.map(|finding| finding.reported(transaction)),
        ]
    }
}

/// Layout 1: samples, mean, variance; newest slot, counts, usual, slots, whether a burst goes on.
impl StateCodec for SellerProfile {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        let SellerProfile { values, rate } = self;
        write_varint(u64::from(values.samples), out);
        out.extend_from_slice(&values.mean.to_le_bytes());
        out.extend_from_slice(&values.variance.to_le_bytes());
        write_varint(zigzag(rate.newest.as_millis()), out);
        for count in rate.counts {
            write_varint(u64::from(count), out);
        }
        out.extend_from_slice(&rate.usual.to_le_bytes());
        write_varint(u64::from(rate.slots), out);
        out.push(u8::from(rate.bursting));
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        if version != Self::VERSION {
            return Err(SerdeError::new(format!("version {version} of a vendor's profile is unknown")));
        }
        let damaged = || SerdeError::new("a vendor's profile is damaged");
        let read_number = |bytes: &mut &[u8], max: u32| {
            u32::try_from(read_varint(bytes)?).ok().filter(|&number| number <= max).ok_or_else(damaged)
        };
        let read_float = |bytes: &mut &[u8]| {
            let (&float, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
            *bytes = rest;
            Some(f64::from_le_bytes(float)).filter(|float| float.is_finite()).ok_or_else(damaged)
        };
        let values = Values {
            samples: read_number(&mut bytes, Values::SAMPLES_MAX)?,
            mean: read_float(&mut bytes)?,
            variance: read_float(&mut bytes)?,
        };
        let newest = Timestamp(unzigzag(read_varint(&mut bytes)?));
        let mut counts = [0; SLOTS as usize];
        for count in &mut counts {
            *count = read_number(&mut bytes, u32::MAX)?;
        }
        let usual = read_float(&mut bytes)?;
        let slots = read_number(&mut bytes, Rate::SLOTS_MAX)?;
        let bursting = match bytes {
            [0] => false,
            [1] => true,
            _ => return Err(damaged()),
        };
        Ok(SellerProfile { values, rate: Rate { newest, counts, usual, slots, bursting } })
    }
}
