//! Draws sales, the same ones for the same seed and day.

use chrono::{Days, NaiveDate};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::sale::Sale;
use crate::transactions::money::Cents;

const PRODUCTS: [&str; 3] = ["Product A", "Product B", "Product C"];
const AMOUNT_CENTS: std::ops::RangeInclusive<i64> = 1_000..=10_000;
const DAYS_MAX: u64 = 364;

/// Inland of every continent that has customers: south, north, west, east, in degrees.
const LANDS: [(f64, f64, f64, f64); 8] = [
    (-22.0, -6.0, -55.0, -43.0),  // Brazil
    (-38.0, -30.0, -68.0, -60.0), // Argentina
    (33.0, 47.0, -115.0, -84.0),  // United States
    (46.0, 51.5, 3.0, 23.0),      // Europe
    (-28.0, 5.0, 19.0, 31.0),     // Southern Africa
    (20.0, 27.0, 75.0, 85.0),     // India
    (26.0, 40.0, 102.0, 115.0),   // China
    (-31.0, -21.0, 120.0, 146.0), // Australia
];

/// Draws one sale after the other.
pub(crate) struct SaleGenerator {
    dice: Xoshiro256PlusPlus,
    next_id: i64,
}

impl SaleGenerator {
    /// With sales numbered from `first_id`.
    pub(crate) fn new(seed: u64, first_id: i64) -> SaleGenerator {
        SaleGenerator { dice: Xoshiro256PlusPlus::seed_from_u64(seed), next_id: first_id }
    }

    /// A sale of the year that ends `today`.
    pub(crate) fn next(&mut self, today: NaiveDate) -> Sale {
        let dice = &mut self.dice;
        let product = PRODUCTS.get(dice.random_range(0..PRODUCTS.len())).copied().unwrap_or_default();
        let land = LANDS.get(dice.random_range(0..LANDS.len())).copied();
        let (south, north, west, east) = land.unwrap_or_default();
        let place = |degrees: f64| (degrees * 1e4).round() / 1e4;
        let date = today - Days::new(dice.random_range(0..=DAYS_MAX));
        let sale = Sale {
            sale_id: self.next_id,
            product: product.to_owned(),
            amount: Cents(dice.random_range(AMOUNT_CENTS)),
            latitude: place(dice.random_range(south..north)),
            longitude: place(dice.random_range(west..east)),
            sale_date: date.to_string(),
        };
        self.next_id += 1;
        sale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_keep_the_rules_and_depend_on_the_seed_alone() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let drawn = |seed| {
            let mut generator = SaleGenerator::new(seed, 1);
            (0..2_000).map(|_| generator.next(today)).collect::<Vec<_>>()
        };
        let sales = drawn(7);
        assert!(sales == drawn(7) && sales != drawn(8));
        for (sale, id) in sales.iter().zip(1..) {
            assert_eq!(sale.sale_id, id);
            assert!(PRODUCTS.contains(&sale.product.as_str()) && AMOUNT_CENTS.contains(&sale.amount.0));
            assert!(("2025-11-22"..="2026-11-21").contains(&sale.sale_date.as_str()), "{}", sale.sale_date);
            let text = serde_json::to_vec(sale).unwrap();
            assert_eq!(Sale::parse(&text).as_ref(), Ok(sale));
        }
    }
}
