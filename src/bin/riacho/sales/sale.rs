//! A sale: what the topic holds, read exactly and checked.

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::transactions::money::Cents;

/// One sale. Numbers and names are those of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sale {
    pub(crate) sale_id: i64,
    pub(crate) product: String,
    pub(crate) amount: Cents,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// YYYY-MM-DD.
    pub(crate) sale_date: String,
}

impl Sale {
    /// Reads a record's value.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(crate) fn parse(value: &[u8]) -> Result<Sale, String> {
        let sale: Sale = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let is_inside = |degrees: f64, most: f64| degrees.is_finite() && degrees.abs() <= most;
        if !is_inside(sale.latitude, 90.0) || !is_inside(sale.longitude, 180.0) {
            return Err(format!("{}, {} is no place on earth", sale.latitude, sale.longitude));
        }
        if !(0..=Cents::AMOUNT_MAX.0).contains(&sale.amount.0) {
            return Err(format!("{} is no amount of a sale", sale.amount));
        }
        Ok(sale)
    }

    /// The date in days since 1970-01-01.
    ///
    /// # Errors
    /// When it is none, or not of this time.
    pub(crate) fn days(&self) -> Result<i32, String> {
        let date = NaiveDate::parse_from_str(&self.sale_date, "%Y-%m-%d").ok();
        let date = date.filter(|date| (1970..=9999).contains(&date.year()));
        let date = date.ok_or("sale_date is no date like 2026-01-31 from 1970 to 9999")?;
        Ok(date.to_epoch_days())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(amount: &str, latitude: &str, date: &str) -> Result<(i64, i32), String> {
        let text = format!(
            r#"{{"sale_id":1,"product":"A","amount":{amount},"latitude":{latitude},"longitude":-46.5,"sale_date":"{date}","more":0}}"#
        );
        let sale = Sale::parse(text.as_bytes())?;
        Ok((sale.amount.0, sale.days()?))
    }

    #[test]
    fn amounts_are_exact_and_what_is_no_sale_is_refused() {
        assert_eq!(parsed("10.10", "1", "1970-01-02"), Ok((1010, 1)));
        assert_eq!(parsed("100", "-90", "2000-01-01"), Ok((10_000, 10_957)));
        for (amount, latitude, date) in [
            ("-1", "1", "2026-01-01"),
            ("1e400", "1", "2026-01-01"),
            ("\"x\"", "1", "2026-01-01"),
            ("1", "90.1", "2026-01-01"),
            ("1", "1e999", "2026-01-01"),
            ("1", "1", "2026-02-30"),
            ("1", "1", "99999-01-01"),
        ] {
            assert!(parsed(amount, latitude, date).is_err(), "{amount} {latitude} {date}");
        }
    }
}
