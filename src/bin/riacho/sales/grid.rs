//! The grid of the map: square cells of several sizes, in each of which sales are added up.

use std::fmt;

use compact_str::{CompactString, format_compact};

use super::sold::Sold;

/// The finest cells; those of level 0 are the widest.
pub(crate) const LEVEL_MAX: u8 = 8;
const WIDEST: f64 = 5.0;

/// How wide the cells of a level are, in degrees. Each is half as wide as those of the level before, so that a cell of any
/// level is whole cells of the next.
pub(crate) fn degrees(level: u8) -> f64 {
    WIDEST / f64::from(1_u32 << level)
}

/// The number of the column at a longitude, or of the row at a latitude.
pub(crate) fn number(degrees: f64, of: f64) -> i32 {
    (of / degrees).floor() as i32
}

/// A product in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    pub(crate) level: u8,
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) product: &'a str,
}

/// More than there are columns west of 0, so that keys have no signs and sort by column.
const WEST: i32 = 10_000;

impl<'a> Cell<'a> {
    /// The cell of a level that a sale is in.
    pub(crate) fn of(level: u8, sold: &'a Sold) -> Cell<'a> {
        let degrees = degrees(level);
        let [x, y] = [sold.longitude, sold.latitude].map(|of| number(degrees, of));
        Cell { level, x, y, product: &sold.product }
    }

    /// The cell of a key; none if it is something else.
    pub(crate) fn parse(key: &'a str) -> Option<Cell<'a>> {
        let mut parts = key.splitn(4, ':');
        let level = parts.next()?.parse().ok()?;
        let mut number = || Some(parts.next()?.parse::<i32>().ok()? - WEST);
        let (x, y) = (number()?, number()?);
        Some(Cell { level, x, y, product: parts.next()? })
    }
}

/// The key in the store.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:05}:{:05}:{}", self.level, self.x + WEST, self.y + WEST, self.product)
    }
}

/// What the keys of a column, and of all columns east of it, do not come before.
pub(crate) fn column(level: u8, x: i32) -> CompactString {
    format_compact!("{level}:{:05}", x + WEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(longitude: f64, latitude: f64) -> Sold {
        let value = serde_json::json!({
            "sale_id": 1, "product": "a:b", "amount": 1, "latitude": latitude, "longitude": longitude,
            "sale_date": "2026-01-31",
        });
        Sold::parse(Some(value.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn keys_sort_by_level_and_column_and_are_read_as_written() {
        let sales = [at(-180.0, 90.0), at(-0.01, -90.0), at(0.0, 0.0), at(4.9, 4.9), at(180.0, 0.0)];
        let mut keys = Vec::new();
        for level in 0..=LEVEL_MAX {
            for sold in &sales {
                let cell = Cell::of(level, sold);
                let key = cell.to_string();
                assert_eq!(Cell::parse(&key), Some(cell.clone()));
                let [from, to] = [cell.x, cell.x + 1].map(|x| column(level, x));
                assert!(from.as_str() < key.as_str() && key.as_str() < to.as_str(), "{from} {key} {to}");
                keys.push(key);
            }
        }
        assert!(keys.iter().map(|key| &key[..7]).is_sorted(), "{keys:?}");
    }

    #[test]
    fn a_cell_is_whole_cells_of_the_next_level() {
        for sold in [at(-46.63, -23.55), at(179.99, 89.99), at(-180.0, -90.0), at(0.0, -0.001)] {
            for level in 0..LEVEL_MAX {
                let [wide, fine] = [level, level + 1].map(|level| Cell::of(level, &sold));
                assert_eq!((fine.x.div_euclid(2), fine.y.div_euclid(2)), (wide.x, wide.y));
            }
        }
    }
}
