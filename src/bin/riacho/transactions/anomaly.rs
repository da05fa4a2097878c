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

use compact_str::CompactString;
use riacho::{Json, SerdeError, StateCodec, Timestamp, read_varint, unzigzag, write_varint, zigzag};
use serde::{Deserialize, Serialize};

use super::money::{Cents, Currency};
use super::transaction::Transaction;

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

/// The running distribution of a vendor's values, in cents.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    mean: f64,
    variance: f64,
    samples: u32,
}

/// A value that is far off.
struct FarOff {
    mean: f64,
    deviation: f64,
    score: f64,
    deviations_max: f64,
    samples: u32,
}

impl Values {
    /// From here on a new sample pushes out older ones.
    const SAMPLES_MAX: u32 = 1024;
    /// A deviation counts as at least this share of the mean, and at least a cent.
    const DEVIATION_MIN: f64 = 0.05;

    fn observe(&mut self, value: Cents, rules: &AnomalyRules) -> Option<FarOff> {
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

const SLOTS: u32 = 5;

/// How many transactions a vendor has: in the last slots, and usually.
#[derive(Clone, Debug, PartialEq)]
struct Rate {
    /// When the newest slot begins.
    newest: Timestamp,
    /// The transactions of the last slots, the newest first.
    counts: [u32; SLOTS as usize],
    /// The mean number of transactions of a slot, before the last slots.
    usual: f64,
    /// How many slots that mean is of.
    slots: u32,
    bursting: bool,
}

impl Default for Rate {
    fn default() -> Self {
        Rate { newest: Timestamp::MIN, counts: [0; SLOTS as usize], usual: 0.0, slots: 0, bursting: false }
    }
}

/// More transactions than there may be.
struct TooMany {
    count: u32,
    count_max: f64,
    usual: f64,
    window_ms: i64,
}

impl Rate {
    /// From here on a new slot pushes out older ones.
    const SLOTS_MAX: u32 = 256;
    /// How many slots must be known before a count is judged: a minute, with slots of two seconds.
    const SLOTS_MIN: u32 = 30;

    fn observe(&mut self, time: Timestamp, rules: &AnomalyRules) -> Option<TooMany> {
        let slot_ms = (rules.burst_window_ms / i64::from(SLOTS)).max(1);
        let start = time.plus_millis(-time.as_millis().rem_euclid(slot_ms));
        if self.newest == Timestamp::MIN {
            self.newest = start;
        }
        let ahead = start.millis_since(self.newest).div_euclid(slot_ms);
        if ahead > 0 {
            self.advance(ahead.unsigned_abs(), rules);
            self.newest = start;
        }
        // A transaction that comes so late that its slot is gone tells nothing of now.
        let slot = usize::try_from(ahead.min(0).unsigned_abs()).ok();
        let count = slot.and_then(|slot| self.counts.get_mut(slot))?;
        *count = count.saturating_add(1);

        let count = self.count();
        let count_max = self.count_max(rules);
        if self.bursting {
            self.bursting = f64::from(count) > count_max / 2.0;
            return None;
        }
        if self.slots < Self::SLOTS_MIN || f64::from(count) <= count_max {
            return None;
        }
        self.bursting = true;
        Some(TooMany {
            count,
            count_max,
            usual: self.usual * f64::from(SLOTS),
            window_ms: rules.burst_window_ms,
        })
    }

    fn count(&self) -> u32 {
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    fn count_max(&self, rules: &AnomalyRules) -> f64 {
        (rules.burst_factor_max * self.usual * f64::from(SLOTS)).max(f64::from(rules.burst_count_max))
    }

    /// Moves the slots on; those that fall out at the end join what is usual.
    fn advance(&mut self, slots: u64, rules: &AnomalyRules) {
        for _ in 0..slots.min(u64::from(SLOTS)) {
            let [newest, second, third, fourth, oldest] = self.counts;
            self.counts = [0, newest, second, third, fourth];
            let counted = f64::from(oldest).min(self.count_max(rules) / f64::from(SLOTS));
            self.slots = (self.slots + 1).min(Self::SLOTS_MAX);
            self.usual += (counted - self.usual) / f64::from(self.slots);
        }
        self.pass_empty(slots.saturating_sub(u64::from(SLOTS)));
    }

    /// What `slots` slots without a transaction do to the mean, without visiting each of them.
    fn pass_empty(&mut self, slots: u64) {
        let filling = u32::try_from(slots).unwrap_or(u32::MAX).min(Self::SLOTS_MAX - self.slots);
        if filling > 0 {
            self.usual *= f64::from(self.slots) / f64::from(self.slots + filling);
            self.slots += filling;
        }
        let mut rest = slots - u64::from(filling);
        let mut factor = 1.0 - 1.0 / f64::from(Self::SLOTS_MAX);
        // By squaring, and not with powi, whose last digits are not the same everywhere.
        while rest > 0 && self.usual > 0.0 {
            if rest & 1 == 1 {
                self.usual *= factor;
            }
            factor *= factor;
            rest >>= 1;
        }
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

/// Why a transaction is in `anomalies_transactions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// Its value is far from the vendor's others.
    #[serde(rename = "valor_atipico")]
    AtypicalValue,
    /// With it, the vendor had more transactions than it may.
    #[serde(rename = "rajada")]
    Burst,
}

/// A record of `anomalies_transactions`: the transaction, the reason and the numbers of the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Anomaly {
    #[serde(rename = "id_transacao")]
    pub(crate) id: CompactString,
    #[serde(rename = "id_vendedor")]
    pub(crate) vendor: CompactString,
    #[serde(rename = "valor")]
    pub(crate) value: Cents,
    #[serde(rename = "moeda")]
    pub(crate) currency: Currency,
    #[serde(rename = "hora_transacao")]
    pub(crate) time_ms: i64,
    #[serde(rename = "motivo")]
    pub(crate) reason: Reason,
    /// What is usual: the mean value, or the mean number of transactions in the interval.
    #[serde(rename = "media")]
    pub(crate) mean: f64,
    /// What was exceeded: by the magnitude of `escore`, or by `transacoes`.
    #[serde(rename = "limite")]
    pub(crate) limit: f64,
    /// The distance of the value from the mean, in deviations.
    #[serde(rename = "escore", skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    /// The standard deviation of the values.
    #[serde(rename = "desvio", skip_serializing_if = "Option::is_none")]
    pub(crate) deviation: Option<f64>,
    /// How many transactions mean and deviation are of, at most 1024.
    #[serde(rename = "amostras", skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<u32>,
    /// How many transactions the vendor had in the interval.
    #[serde(rename = "transacoes", skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    /// The interval.
    #[serde(rename = "intervalo_ms", skip_serializing_if = "Option::is_none")]
    pub(crate) interval_ms: Option<i64>,
}

/// JSON, as in the topic `anomalies_transactions`.
pub(crate) type AnomalySerde = Json<Anomaly>;

impl FarOff {
    fn reported(self, transaction: &Transaction) -> Anomaly {
        Anomaly {
            score: Some(to_hundredths(self.score)),
            deviation: Some(to_hundredths(self.deviation / 100.0)),
            samples: Some(self.samples),
            ..reported(transaction, Reason::AtypicalValue, self.mean / 100.0, self.deviations_max)
        }
    }
}

impl TooMany {
    fn reported(self, transaction: &Transaction) -> Anomaly {
        Anomaly {
            count: Some(self.count),
            interval_ms: Some(self.window_ms),
            ..reported(transaction, Reason::Burst, self.usual, self.count_max)
        }
    }
}

#[cold]
fn reported(transaction: &Transaction, reason: Reason, mean: f64, limit: f64) -> Anomaly {
    Anomaly {
        id: CompactString::new(transaction.id.as_str()),
        vendor: transaction.vendor.clone(),
        value: transaction.value,
        currency: transaction.currency,
        time_ms: transaction.time.as_millis(),
        reason,
        mean: to_hundredths(mean),
        limit: to_hundredths(limit),
        score: None,
        deviation: None,
        samples: None,
        count: None,
        interval_ms: None,
    }
}

fn to_hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riacho::{Serde, State};

    use super::super::transaction::tests::usual;
    use super::*;

    const T0: i64 = 1_767_225_600_000;

    fn at(millis: i64, value: i64) -> Transaction {
        Transaction { time: Timestamp(T0 + millis), value: Cents(value), ..usual() }
    }

    /// What is found in these transactions: their number in the order, and why.
    fn found(transactions: impl IntoIterator<Item = Transaction>) -> Vec<(usize, Anomaly)> {
        let mut profile = SellerProfile::default();
        let found = transactions.into_iter().enumerate().flat_map(|(number, transaction)| {
            let findings = profile.observe(&transaction, &AnomalyRules::default());
            findings.into_iter().flatten().map(move |anomaly| (number, anomaly))
        });
        found.collect()
    }

    /// `count` transactions spread over `span_ms` from `start_ms` on.
    fn spread(start_ms: i64, span_ms: i64, count: i64) -> impl Iterator<Item = Transaction> {
        (0..count).map(move |n| at(start_ms + n * span_ms / count, 1000))
    }

    #[test]
    fn a_value_far_from_the_others_is_found_and_does_not_hide_the_next() {
        let ordinary = |from: i64| (from..from + 40).map(|n| at(n * 1000, 900 + n % 3 * 100));
        let all = ordinary(0)
            .chain([at(40_000, 5000)])
            .chain(ordinary(41))
            .chain([at(81_000, 5000), at(82_000, -4000)]);
        let found = found(all);
        let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [40, 81, 82]);
        let first = &found[0].1;
        assert_eq!((first.reason, first.mean, first.deviation), (Reason::AtypicalValue, 9.98, Some(0.82)));
        assert_eq!((first.limit, first.samples), (6.0, Some(40)));
        assert!(first.score.unwrap() > 40.0 && found[2].1.score.unwrap() < -20.0);
    }

    #[test]
    fn a_vendor_is_not_judged_before_it_is_known() {
        let values = |known: i64| (0..known).map(|n| at(n * 1000, 1000)).chain([at(known * 1000, 1_000_000)]);
        assert!(found(values(29)).is_empty());
        assert_eq!(found(values(30)).len(), 1);
    }

    #[test]
    fn a_vendor_with_one_price_may_have_a_second() {
        let prices = |second: i64| (0..50).map(|n| at(n * 1000, 1000)).chain([at(50_000, second)]);
        assert!(found(prices(1290)).is_empty());
        assert_eq!(found(prices(1310)).len(), 1);
        let free = (0..50).map(|n| at(n * 1000, 0)).chain([at(50_000, 6), at(51_000, 7)]);
        assert_eq!(found(free).len(), 1, "a deviation of a cent at least");
    }

    #[test]
    fn a_vendor_may_change_its_prices() {
        let found = found((0..1000).map(|n| at(n * 1000, if n < 500 { 1000 } else { 3000 })));
        assert!((1..100).contains(&found.len()), "{}", found.len());
        assert!(found.last().unwrap().0 < 600, "then it is usual");
    }

    #[test]
    fn a_burst_is_reported_once_when_it_exceeds_the_limit() {
        // One in ten seconds for two minutes, then 500 in five seconds, then silence, then 500 in five seconds again.
        let slow = |start| spread(start, 120_000, 12);
        let all =
            slow(0).chain(spread(120_000, 5000, 500)).chain(slow(180_000)).chain(spread(300_000, 5000, 500));
        let found = found(all);
        assert_eq!(found.len(), 2, "{found:?}");
        let (number, burst) = &found[0];
        assert_eq!(burst.reason, Reason::Burst);
        assert_eq!((burst.count, burst.limit, burst.interval_ms), (Some(201), 200.0, Some(10_000)));
        assert_eq!(*number, 12 + 200, "with the 201st of the burst");
        assert!((0.9..1.1).contains(&burst.mean), "{}", burst.mean);
    }

    #[test]
    fn what_is_usual_for_a_vendor_is_no_burst() {
        assert!(found(spread(0, 600_000, 60_000)).is_empty(), "100 each second, always");
        assert!(found(spread(0, 60_000, 20_000)).is_empty(), "a vendor that nobody knows");
        let doubled = spread(0, 300_000, 30_000).chain(spread(300_000, 300_000, 60_000));
        assert!(found(doubled).is_empty());
        let ten_times = spread(0, 300_000, 30_000).chain(spread(300_000, 300_000, 300_000));
        assert_eq!(found(ten_times).len(), 1, "reported once, then it is usual");
    }

    #[test]
    fn less_than_the_limit_is_no_burst_wherever_the_slots_begin() {
        for shift in (0..2000).step_by(100) {
            let known = || spread(shift, 120_000, 12);
            assert!(found(known().chain(spread(125_000 + shift, 10_000, 199))).is_empty());
            assert_eq!(
                found(known().chain(spread(125_000 + shift, 8000, 201))).len(),
                1,
                "all within eight seconds"
            );
        }
    }

    #[test]
    fn transactions_out_of_order_fall_into_their_own_slot() {
        let mut profile = SellerProfile::default();
        for transaction in
            [at(9000, 1), at(3000, 1), at(1000, 1), at(-1000, 1), at(-i64::MAX, 1), at(8000, 1)]
        {
            profile.observe(&transaction, &AnomalyRules::default());
        }
        assert_eq!(profile.rate.counts, [2, 0, 0, 1, 1]);
    }

    #[test]
    fn a_long_silence_is_what_that_many_empty_slots_are() {
        for (slots, silent) in [(3, 10), (3, 1000), (200, 56), (200, 57), (256, 5000)] {
            let mut once = Rate { usual: 40.0, slots, ..Rate::default() };
            let mut each = once.clone();
            once.pass_empty(silent);
            for _ in 0..silent {
                each.pass_empty(1);
            }
            assert_eq!(once.slots, each.slots);
            assert!((once.usual - each.usual).abs() < 1e-9, "{once:?} {each:?}");
        }
        let mut forever = Rate { usual: 40.0, slots: 256, ..Rate::default() };
        forever.pass_empty(u64::MAX);
        assert!(forever.usual < 1e-300);
    }

    #[test]
    fn an_anomaly_is_written_with_its_reason_and_numbers() {
        let anomaly = found((0..30).map(|n| at(n * 1000, 1000)).chain([at(30_000, 9999)])).remove(0).1;
        let mut out = Vec::new();
        AnomalySerde::new().serialize(&anomaly, &mut out).unwrap();
        let expected = concat!(
            r#"{"id_transacao":"0e8f7a42-19c3-4d5e-8a6b-7c9d0e1f2a3b","id_vendedor":"vendor_000042","valor":99.99,"#,
            r#""moeda":"BRL","hora_transacao":1767225630000,"motivo":"valor_atipico","media":10.0,"limite":6.0,"#,
            r#""escore":179.98,"desvio":0.5,"amostras":30}"#,
        );
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        assert_eq!(AnomalySerde::new().deserialize(Some(&out)).unwrap(), anomaly);
    }

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

        #[test]
        fn any_times_and_values_leave_a_profile_that_is_read_as_written(
            transactions in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 0..60),
        ) {
            let mut profile = SellerProfile::default();
            for (time, value, wild) in transactions {
                let time = Timestamp(if wild { time } else { T0 + time.rem_euclid(30_000) });
                profile.observe(&Transaction { time, value: Cents(value), ..usual() }, &AnomalyRules::default());
            }
            let mut out = Vec::new();
            State::new().serialize(&profile, &mut out).unwrap();
            prop_assert_eq!(&State::<SellerProfile>::new().deserialize(Some(&out)).unwrap(), &profile);
            for cut in 0..out.len() {
                prop_assert!(State::<SellerProfile>::new().deserialize(Some(&out[..cut])).is_err());
            }
        }
    }
}
