//! What the totals by day say: all of it, by product, by month.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};

use super::sold::Sums;

/// A month of the calendar, as the number of months since the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Month(i32);

impl Month {
    fn of(date: NaiveDate) -> Month {
        Month(date.year() * 12 + date.month0() as i32)
    }

    /// YYYY-MM.
    pub(crate) fn text(self) -> String {
        format!("{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// All totals at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    products: BTreeMap<String, BTreeMap<Month, Sums>>,
    /// The first day with a sale, and the last.
    pub(crate) days: Option<(NaiveDate, NaiveDate)>,
}

impl Figures {
    /// Adds the totals of a product on a day, as they are stored. A key is added once.
    pub(crate) fn add(&mut self, key: &str, sums: &Sums) {
        let Some((date, product)) = key.split_once(':') else { return };
        let Ok(date) = date.parse::<NaiveDate>() else { return };
        self.days = Some(match self.days {
            None => (date, date),
            Some((first, last)) => (first.min(date), last.max(date)),
        });
        let months = self.products.entry(product.to_owned()).or_default();
        months.entry(Month::of(date)).or_default().add_all(sums);
    }

    /// Everything together.
    pub(crate) fn total(&self) -> Sums {
        total(self.products.values().flat_map(BTreeMap::values))
    }

    /// The products by name, at most `most`; when there are more, those that were sold least are one group at its end.
    pub(crate) fn products(&self, most: usize) -> (Vec<(&str, Sums)>, Option<Sums>) {
        let sums = self.products.iter().map(|(name, months)| (name.as_str(), total(months.values())));
        let mut named: Vec<(&str, Sums)> = sums.collect();
        named.sort_by_key(|(name, sums)| (Reverse(sums.quantity), *name));
        let others = (named.len() > most).then(|| {
            let others = total(named.iter().skip(most - 1).map(|(_, sums)| sums));
            named.truncate(most - 1);
            others
        });
        named.sort_by_key(|(name, _)| *name);
        (named, others)
    }

    /// The last months up to the latest sale, without holes and at most `most`.
    pub(crate) fn months(&self, most: i32) -> Vec<Month> {
        let Some((first, last)) = self.days else { return Vec::new() };
        let (first, last) = (Month::of(first), Month::of(last));
        (first.0.max(last.0 - most + 1)..=last.0).map(Month).collect()
    }

    /// What was sold of a product in a month.
    pub(crate) fn of(&self, product: &str, month: Month) -> Sums {
        let months = self.products.get(product);
        months.and_then(|months| months.get(&month)).copied().unwrap_or_default()
    }
}

fn total<'a>(sums: impl Iterator<Item = &'a Sums>) -> Sums {
    sums.fold(Sums::default(), |mut total, sums| {
        total.add_all(sums);
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(totals: &[(&str, u64)]) -> Figures {
        let mut figures = Figures::default();
        for (key, quantity) in totals {
            let amount = i128::from(*quantity) * 1_050;
            figures.add(key, &Sums { quantity: *quantity, amount, ..Sums::default() });
        }
        figures
    }

    #[test]
    fn months_have_no_holes_and_end_with_the_latest_sale() {
        let figures = figures(&[("2025-11-30:a", 1), ("2026-02-01:a:b", 2), ("2026-02-28:a:b", 3)]);
        let texts = |most| figures.months(most).into_iter().map(Month::text).collect::<Vec<_>>();
        assert_eq!(texts(13), ["2025-11", "2025-12", "2026-01", "2026-02"]);
        assert_eq!(texts(2), ["2026-01", "2026-02"]);
        let last = figures.months(1)[0];
        assert_eq!((figures.of("a:b", last).quantity, figures.of("a", last).quantity), (5, 0));
        assert_eq!((figures.total().quantity, figures.total().amount), (6, 6_300));
        assert!(Figures::default().months(13).is_empty());
    }

    #[test]
    fn the_products_that_were_sold_least_are_one_group() {
        let figures =
            figures(&[("2026-02-01:d", 1), ("2026-02-01:c", 1), ("2026-02-01:b", 9), ("2026-02-01:a", 1)]);
        let quantities = |most| {
            let (named, others) = figures.products(most);
            let named: Vec<_> = named.into_iter().map(|(name, sums)| (name, sums.quantity)).collect();
            (named, others.map(|others| others.quantity))
        };
        assert_eq!(quantities(3), (vec![("a", 1), ("b", 9)], Some(2)));
        assert_eq!(quantities(4), (vec![("a", 1), ("b", 9), ("c", 1), ("d", 1)], None));
    }
}
