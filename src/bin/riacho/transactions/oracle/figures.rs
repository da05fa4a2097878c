//! What the oracle adds up of a vendor in a window, and how it differs from what the application wrote.

use smallvec::SmallVec;

use super::super::aggregate::Aggregated;
use super::reading::Reading;

/// What there is to count. A sum beyond 64 bits is refused, so that 64 bits hold it.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) count: u64,
    total: i64,
    min: i64,
    max: i64,
    currencies: SmallVec<[([u8; 3], u64, i64); 4]>,
}

impl Figures {
    /// As many currencies as a window may have.
    pub(super) const CURRENCIES_MAX: usize = 200;

    pub(super) fn of(read: &Reading<'_>) -> Figures {
        let currencies = SmallVec::from_iter([(read.currency, 1, read.cents)]);
        Figures { count: 1, total: read.cents, min: read.cents, max: read.cents, currencies }
    }

    /// Counts another record; false if a sum has no room for it.
    pub(super) fn add(&mut self, read: &Reading<'_>) -> bool {
        let sum = |total: i64| i64::try_from(i128::from(total) + i128::from(read.cents)).ok();
        let Some(total) = sum(self.total) else { return false };
        let full = self.currencies.len() == Self::CURRENCIES_MAX;
        match self.currencies.iter_mut().find(|(code, ..)| *code == read.currency) {
            Some((_, count, total)) => match sum(*total) {
                Some(sum) => {
                    *count += 1;
                    *total = sum;
                }
                None => return false,
            },
            None if full => return false,
            None => self.currencies.push((read.currency, 1, read.cents)),
        }
        self.count += 1;
        self.total = total;
        self.min = self.min.min(read.cents);
        self.max = self.max.max(read.cents);
        true
    }

    /// The first difference between what was counted and what is written.
    pub(super) fn difference(&self, written: &Aggregated) -> Option<String> {
        if self.count != written.count {
            return Some(format!("{} were counted, but numero_transacoes is {}", self.count, written.count));
        }
        for (name, counted, written) in [
            ("valor_total_por_vendedor", self.total, written.total),
            ("valor_minimo", self.min, written.min),
            ("valor_maximo", self.max, written.max),
            ("valor_medio", self.mean(), written.mean),
        ] {
            if counted != written.0 {
                return Some(format!("{counted} cents were counted, but {name} is {written}"));
            }
        }
        let found = |code: &[u8; 3]| {
            let entry = written.currencies.iter().find(|entry| entry.currency().as_bytes() == *code);
            entry.map(|entry| (entry.count(), entry.total().0))
        };
        let different =
            self.currencies.iter().find(|(code, count, total)| found(code) != Some((*count, *total)));
        if let Some((code, count, total)) = different {
            let (code, found) = (code.escape_ascii(), found(code));
            return Some(format!(
                "{count} in {code} for {total} cents were counted, but written is {found:?}"
            ));
        }
        let (counted, written) = (self.currencies.len(), written.currencies.len());
        (counted != written).then(|| format!("{counted} currencies were counted, but {written} are written"))
    }

    /// The mean to the cent, a half to the even one.
    fn mean(&self) -> i64 {
        let (total, count) = (i128::from(self.total), i128::from(self.count));
        let doubled = 2 * total;
        // The nearest integers around the mean, from the one below it.
        let mut best = total.div_euclid(count);
        let above = best + 1;
        let (to_best, to_above) = (doubled - 2 * count * best, 2 * count * above - doubled);
        if to_above < to_best || (to_above == to_best && above % 2 == 0) {
            best = above;
        }
        i64::try_from(best).unwrap_or_default()
    }
}
