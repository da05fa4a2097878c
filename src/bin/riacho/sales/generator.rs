//! Draws sales, the same ones for the same seed and day.

use chrono::{Days, NaiveDate};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::sale::Sale;
use crate::transactions::money::Cents;

const PRODUCTS: [&str; 3] = ["Product A", "Product B", "Product C"];
const AMOUNT_CENTS: std::ops::RangeInclusive<i64> = 1_000..=10_000;
const DAYS_MAX: u64 = 364;

/// Sales are made around cities, all of them farther from the sea than this, in degrees.
const SPREAD: f64 = 1.5;
/// Latitude and longitude.
const CITIES: [(f64, f64); 44] = [
    // South America: Brasília, Belo Horizonte, Goiânia, Cuiabá, Campo Grande, Londrina, Palmas, Juazeiro do Norte, Manaus,
    // Santa Maria, Córdoba, Cochabamba, Asunción, Bogotá
    (-15.8, -47.9),
    (-19.9, -43.9),
    (-16.7, -49.3),
    (-15.6, -56.1),
    (-20.5, -54.6),
    (-23.3, -51.2),
    (-10.2, -48.3),
    (-7.2, -39.3),
    (-3.1, -60.0),
    (-29.7, -53.8),
    (-31.4, -64.2),
    (-17.4, -66.2),
    (-25.3, -57.6),
    (4.7, -74.1),
    // North America: León, Monterrey, Dallas, Denver, Saint Louis, Atlanta, Boise, Winnipeg, Calgary
    (21.1, -101.7),
    (25.7, -100.3),
    (32.8, -96.8),
    (39.7, -105.0),
    (38.6, -90.2),
    (33.7, -84.4),
    (43.6, -116.2),
    (49.9, -97.1),
    (51.0, -114.1),
    // Europe: Madrid, Lyon, Munich, Prague, Warsaw, Budapest, Kyiv, Moscow
    (40.4, -3.7),
    (45.8, 4.8),
    (48.1, 11.6),
    (50.1, 14.4),
    (52.2, 21.0),
    (47.5, 19.0),
    (50.5, 30.5),
    (55.8, 37.6),
    // Africa: Kano, Kinshasa, Addis Ababa, Lusaka, Johannesburg
    (12.0, 8.5),
    (-4.3, 15.3),
    (9.0, 38.7),
    (-15.4, 28.3),
    (-26.2, 28.0),
    // Asia and Australia: Riyadh, Delhi, Nagpur, Tashkent, Novosibirsk, Xi'an, Wuhan, Alice Springs
    (24.7, 46.7),
    (28.6, 77.2),
    (21.1, 79.1),
    (41.3, 69.2),
    (55.0, 82.9),
    (34.3, 108.9),
    (30.6, 114.3),
    (-23.7, 133.9),
];

/// Draws one sale after the other.
pub(crate) struct SaleGenerator {
    dice: Xoshiro256PlusPlus,
    next_id: i64,
    drawn: u64,
}

impl SaleGenerator {
    /// With sales numbered from `first_id`.
    pub(crate) fn new(seed: u64, first_id: i64) -> SaleGenerator {
        SaleGenerator { dice: Xoshiro256PlusPlus::seed_from_u64(seed), next_id: first_id, drawn: 0 }
    }

    /// How many were drawn.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn
    }

    /// A sale of the year that ends `today`.
    pub(crate) fn next(&mut self, today: NaiveDate) -> Sale {
        let dice = &mut self.dice;
        let product = PRODUCTS.get(dice.random_range(0..PRODUCTS.len())).copied().unwrap_or_default();
        let city = CITIES.get(dice.random_range(0..CITIES.len())).copied().unwrap_or_default();
        // Two dice: most are near the city.
        let mut near = |degrees: f64| {
            let away = dice.random_range(-SPREAD..SPREAD) + dice.random_range(-SPREAD..SPREAD);
            ((degrees + away / 2.0) * 1e4).round() / 1e4
        };
        let (latitude, longitude) = (near(city.0), near(city.1));
        let date = today - Days::new(dice.random_range(0..=DAYS_MAX));
        let sale = Sale {
            sale_id: self.next_id,
            product: product.to_owned(),
            amount: Cents(dice.random_range(AMOUNT_CENTS)),
            latitude,
            longitude,
            sale_date: date.to_string(),
        };
        self.next_id += 1;
        self.drawn += 1;
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
