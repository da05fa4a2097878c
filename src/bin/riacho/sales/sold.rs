//! A sale as state keeps it: checked, and no longer than a page shows it.

use std::collections::VecDeque;

use chrono::NaiveDate;
use riacho::{SerdeError, StateCodec, read_varint, unzigzag, write_varint, zigzag};

use super::sale::Sale;
use crate::transactions::money::Cents;

/// So many characters of a product are kept: one more than a page shows, which so knows that there are more.
const PRODUCT_CHARS_MAX: usize = 257;
/// So many of the newest sales are kept one by one. With the longest products they are half a MiB, which is what a record
/// of a changelog can hold.
pub(crate) const NEWEST_MAX: usize = 500;

/// A sale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sold {
    pub(crate) sale_id: i64,
    pub(crate) product: String,
    pub(crate) amount: Cents,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) date: NaiveDate,
}

impl Sold {
    /// Reads a record's value.
    ///
    /// # Errors
    /// With what is wrong with it, which is what keeps it out of PostgreSQL too.
    pub(crate) fn parse(value: Option<&[u8]>) -> Result<Sold, String> {
        let sale = Sale::parse(value.ok_or("the record has no value")?)?;
        let date = NaiveDate::from_epoch_days(sale.days()?).ok_or("sale_date is beyond the calendar")?;
        let Sale { sale_id, amount, latitude, longitude, .. } = sale;
        // The character 0 as PostgreSQL is given it, so that both know the same products.
        let product = sale.product.chars().take(PRODUCT_CHARS_MAX);
        let product =
            product.map(|character| if character == '\0' { '\u{fffd}' } else { character }).collect();
        Ok(Sold { sale_id, product, amount, latitude, longitude, date })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.product.len() as u64, out);
        out.extend_from_slice(self.product.as_bytes());
        for number in [self.sale_id, self.amount.0, i64::from(self.date.to_epoch_days())] {
            write_varint(zigzag(number), out);
        }
        for degrees in [self.latitude, self.longitude] {
            out.extend_from_slice(&degrees.to_be_bytes());
        }
    }

    fn read(bytes: &mut &[u8]) -> Result<Sold, SerdeError> {
        let length = usize::try_from(read_varint(bytes)?).unwrap_or(usize::MAX);
        let (product, rest) = bytes.split_at_checked(length).ok_or_else(cut_off)?;
        *bytes = rest;
        let product = std::str::from_utf8(product);
        let product = product.map_err(|error| SerdeError::new(format!("a product is not UTF-8: {error}")))?;
        let mut number = || Ok::<i64, SerdeError>(unzigzag(read_varint(bytes)?));
        let (sale_id, amount, days) = (number()?, Cents(number()?), number()?);
        let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
        let date = date.ok_or_else(|| SerdeError::new("a date is beyond the calendar"))?;
        let product = product.to_owned();
        let (latitude, longitude) = (read_double(bytes)?, read_double(bytes)?);
        Ok(Sold { sale_id, product, amount, latitude, longitude, date })
    }
}

fn cut_off() -> SerdeError {
    SerdeError::new("what is known of sales is cut off")
}

fn read_double(bytes: &mut &[u8]) -> Result<f64, SerdeError> {
    let (read, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(f64::from_be_bytes(*read))
}

fn check_version(known: u8, version: u8) -> Result<(), SerdeError> {
    let unknown = || SerdeError::new(format!("version {version} of what is known of sales is unknown"));
    (version == known).then_some(()).ok_or_else(unknown)
}

fn check_end(bytes: &[u8]) -> Result<(), SerdeError> {
    let behind = || SerdeError::new(format!("{} bytes behind what is known of sales", bytes.len()));
    bytes.is_empty().then_some(()).ok_or_else(behind)
}

impl StateCodec for Sold {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        check_version(Self::VERSION, version)?;
        let sold = Sold::read(&mut bytes)?;
        check_end(bytes)?;
        Ok(sold)
    }
}

/// The sales that came last, the last one first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Newest(pub(crate) VecDeque<Sold>);

impl Newest {
    /// Adds the sale that came last.
    pub(crate) fn add(&mut self, sold: &Sold) {
        self.0.truncate(NEWEST_MAX - 1);
        self.0.push_front(sold.clone());
    }
}

impl StateCodec for Newest {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|sold| sold.write(out));
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        check_version(Self::VERSION, version)?;
        let mut newest = VecDeque::new();
        while !bytes.is_empty() {
            newest.push_back(Sold::read(&mut bytes)?);
        }
        Ok(Newest(newest))
    }
}

/// Sales that were added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) quantity: u64,
    /// In hundredths.
    pub(crate) amount: i128,
    /// Divided by the quantity it is where they were, in the middle.
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

impl Sums {
    /// Adds a sale.
    pub(crate) fn add(&mut self, sold: &Sold) {
        let Sold { amount, longitude, latitude, .. } = *sold;
        self.add_all(&Sums { quantity: 1, amount: amount.0.into(), longitude, latitude });
    }

    /// Adds other sales.
    pub(crate) fn add_all(&mut self, other: &Sums) {
        self.quantity += other.quantity;
        self.amount += other.amount;
        self.longitude += other.longitude;
        self.latitude += other.latitude;
    }
}

impl StateCodec for Sums {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(self.quantity, out);
        out.extend_from_slice(&self.amount.to_be_bytes());
        for sum in [self.longitude, self.latitude] {
            out.extend_from_slice(&sum.to_be_bytes());
        }
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        check_version(Self::VERSION, version)?;
        let quantity = read_varint(&mut bytes)?;
        let (amount, mut rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
        let amount = i128::from_be_bytes(*amount);
        let (longitude, latitude) = (read_double(&mut rest)?, read_double(&mut rest)?);
        check_end(rest)?;
        Ok(Sums { quantity, amount, longitude, latitude })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use riacho::{Serde as _, State};

    use super::*;

    fn sold(sale_id: i64, product: &str) -> Sold {
        let value = serde_json::json!({
            "sale_id": sale_id, "product": product, "amount": 10.5, "latitude": -89.1, "longitude": 0.1,
            "sale_date": "2026-1-31",
        });
        Sold::parse(Some(value.to_string().as_bytes())).unwrap()
    }

    fn assert_kept<T: StateCodec + PartialEq + Debug>(known: &T) -> Vec<u8> {
        let (serde, mut out) = (State::<T>::new(), Vec::new());
        serde.serialize(known, &mut out).unwrap();
        assert_eq!(&serde.deserialize(Some(&out)).unwrap(), known);
        out.push(0);
        assert!(serde.deserialize(Some(&out)).is_err(), "a byte too many");
        out.pop();
        assert!(serde.deserialize(Some(&out[..out.len() - 1])).is_err(), "a byte too few");
        out
    }

    #[test]
    fn what_is_known_is_read_as_written_and_damage_is_noticed() {
        let sale = sold(i64::MIN, "São\nPaulo");
        assert_eq!(sale.date.to_string(), "2026-01-31");
        assert_kept(&sale);
        let mut sums = Sums::default();
        (0..300).for_each(|_| sums.add(&sale));
        assert_eq!((sums.quantity, sums.amount), (300, 315_000));
        assert_kept(&sums);
    }

    #[test]
    fn the_newest_are_kept_in_one_record_however_long_their_products_are() {
        let mut newest = Newest::default();
        let long = "\u{1f6d2}".repeat(1 << 18);
        (0..).take(NEWEST_MAX + 7).for_each(|id| newest.add(&sold(id, &long)));
        let ids: Vec<i64> = newest.0.iter().map(|sold| sold.sale_id).collect();
        assert_eq!((ids.len(), ids[0], ids[NEWEST_MAX - 1]), (NEWEST_MAX, 506, 7));
        assert!(assert_kept(&newest).len() < 900_000);
    }

    #[test]
    fn what_postgres_refuses_is_no_sale_here_either_and_its_texts_are_those_of_postgres() {
        assert!(Sold::parse(None).is_err() && Sold::parse(Some(b"{")).is_err());
        assert_eq!(sold(1, "c\0d").product, "c\u{fffd}d");
        assert_eq!(sold(1, &"é".repeat(300)).product, "é".repeat(257));
    }
}
