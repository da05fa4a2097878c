//! Figures of the state stores of all instances together, where there is no database.

use std::collections::BTreeMap;
use std::time::Duration;

use compact_str::CompactString;
use riacho::query::{KeyValueView, Paging, Queries, QueryError};
use riacho::{State, Utf8};

use super::{
    CELLS_MAX, Circle, GROUPS_MAX, Group, MONTHS_MAX, Months, Products, Row, Rows, Series, Source, Summary,
    TOO_MANY, Told, View,
};
use crate::sales::figures::Figures;
use crate::sales::grid::{self, Cell};
use crate::sales::sold::{Newest, Sold, Sums};
use crate::sales::topology::{ALL, BY_CELL, BY_DAY, NEWEST};
use crate::web::answer::{self, PageOf, money};
use crate::web::board::Board;
use crate::web::kept::{AsOf, Kept, no_answer};

const AGE_MAX: Duration = Duration::from_secs(1);
/// Of more days and products than these the figures would be guesses.
const TOTALS_MAX: usize = 100_000;
/// A view of more cells than these is answered with wider ones.
const CELLS_READ_MAX: usize = 50_000;

/// The stores of the sales, and what of them is still good.
pub(crate) struct Stores {
    board: Board,
    by_day: KeyValueView<CompactString, Sums>,
    by_cell: KeyValueView<CompactString, Sums>,
    newest: KeyValueView<CompactString, Newest>,
    /// None when there are too many totals.
    figures: Kept<Option<Figures>>,
    table: Kept<Newest>,
}

impl Stores {
    pub(crate) fn of(queries: &Queries, board: &Board) -> Stores {
        Stores {
            board: board.clone(),
            by_day: queries.key_value(BY_DAY, Utf8, State::new()),
            by_cell: queries.key_value(BY_CELL, Utf8, State::new()),
            newest: queries.key_value(NEWEST, Utf8, State::new()),
            figures: Kept::new(board, AGE_MAX),
            table: Kept::new(board, AGE_MAX),
        }
    }

    /// Shows all totals.
    fn figures<R>(&self, look: impl FnOnce(&Figures) -> R) -> Told<R> {
        let (seen, as_of) =
            self.figures.look(|| read_totals(&self.by_day), |figures| Ok(figures.as_ref().map(look)))?;
        Ok((seen.ok_or_else(|| answer::error(as_of.at, TOO_MANY))?, as_of))
    }

    /// What is in the cells of a view, as wide as they are wanted; none when there is too much.
    fn read_cells(&self, view: View) -> Result<Option<Cells>, QueryError> {
        let View { sides: [west, _, east, _], degrees } = view;
        // Cells that are wider than the widest are made from these.
        let level = (0..grid::LEVEL_MAX).find(|level| grid::degrees(*level) <= degrees);
        let level = level.unwrap_or(grid::LEVEL_MAX);
        let spans = if west <= east { vec![(west, east)] } else { vec![(west, 180.0), (-180.0, east)] };
        // By key: the column of the date line, or one in which west and east both are, is read twice.
        let mut read: BTreeMap<CompactString, Sums> = BTreeMap::new();
        for (west, east) in spans {
            let column = |of, more| grid::column(level, grid::number(grid::degrees(level), of) + more);
            let (from, to) = (column(west, 0), column(east, 1));
            let mut paging = Paging::first(Paging::LIMIT_MAX);
            loop {
                let listing = self.by_cell.range(Some(&from), Some(&to), &paging)?;
                read.extend(listing.entries.into_iter().map(|entry| (entry.key, entry.value)));
                match listing.next {
                    None => break,
                    Some(_) if read.len() > CELLS_READ_MAX => return Ok(None),
                    next => paging = Paging::first(Paging::LIMIT_MAX).after(next),
                }
            }
        }
        let mut cells = Cells::default();
        for (key, sums) in &read {
            cells.add(key, sums, view);
        }
        Ok(Some(cells))
    }
}

/// All totals by day; none when there are too many.
fn read_totals(view: &KeyValueView<CompactString, Sums>) -> Result<Option<Figures>, QueryError> {
    let (mut figures, mut paging, mut read) = (Figures::default(), Paging::first(Paging::LIMIT_MAX), 0);
    loop {
        let listing = view.all(&paging)?;
        listing.entries.iter().for_each(|entry| figures.add(&entry.key, &entry.value));
        read += listing.entries.len();
        match listing.next {
            None => return Ok(Some(figures)),
            Some(_) if read > TOTALS_MAX => return Ok(None),
            next => paging = paging.after(next),
        }
    }
}

/// What was sold of each product in the cells of a view, by column and row.
#[derive(Debug, Default)]
struct Cells(BTreeMap<(i32, i32), BTreeMap<String, Sums>>);

impl Cells {
    /// Adds what is stored of a cell, if the middle of its sales is in the view.
    fn add(&mut self, key: &str, sums: &Sums, view: View) {
        let View { sides: [west, south, east, north], degrees } = view;
        let Some(cell) = Cell::parse(key).filter(|_| sums.quantity > 0) else { return };
        let (longitude, latitude) = middle(sums);
        let is_between = match west <= east {
            true => west <= longitude && longitude <= east,
            false => longitude >= west || longitude <= east,
        };
        if !is_between || latitude < south || latitude > north {
            return;
        }
        let stored_in_one = grid::number(grid::degrees(cell.level), degrees).max(1);
        let place = (cell.x.div_euclid(stored_in_one), cell.y.div_euclid(stored_in_one));
        let products = self.0.entry(place).or_default();
        products.entry(cell.product.to_owned()).or_default().add_all(sums);
    }

    fn circles(&self) -> Vec<Circle> {
        self.0.values().filter_map(circle).collect()
    }
}

/// Where sales were, in the middle: longitude and latitude.
fn middle(sums: &Sums) -> (f64, f64) {
    let quantity = sums.quantity as f64;
    (sums.longitude / quantity, sums.latitude / quantity)
}

/// What the products of a cell are on the map.
fn circle(products: &BTreeMap<String, Sums>) -> Option<Circle> {
    let mut all = Sums::default();
    let mut most: Option<(&String, u64)> = None;
    for (product, sums) in products {
        all.add_all(sums);
        // By name: of those that were sold equally often the first one stays.
        if most.is_none_or(|(_, quantity)| sums.quantity > quantity) {
            most = Some((product, sums.quantity));
        }
    }
    let (longitude, latitude) = middle(&all);
    let (product, _) = most?;
    Some(Circle {
        longitude,
        latitude,
        quantity: all.quantity,
        amount: money(all.amount),
        product: product.clone(),
    })
}

fn group(product: &str, sums: &Sums) -> Group {
    Group { product: product.to_owned(), amount: money(sums.amount), quantity: sums.quantity }
}

fn summary(figures: &Figures) -> Summary {
    let Sums { quantity, amount, .. } = figures.total();
    let days = figures.days.map(|(first, last)| (first.to_string(), last.to_string()));
    Summary { amount: money(amount), quantity, days }
}

fn products(figures: &Figures) -> Products {
    let (named, others) = figures.products(GROUPS_MAX);
    let named = named.iter().map(|(product, sums)| group(product, sums)).collect();
    Products { named, others: others.map(|sums| (money(sums.amount), sums.quantity)) }
}

fn months(figures: &Figures) -> Months {
    let months = figures.months(MONTHS_MAX);
    let (named, _) = figures.products(GROUPS_MAX);
    let series = named.into_iter().map(|(product, _)| {
        let sold = months.iter().map(|month| figures.of(product, *month));
        let (quantity, amount) = sold.map(|sums| (sums.quantity, money(sums.amount))).unzip();
        Series { product: product.to_owned(), quantity, amount }
    });
    let series = series.collect();
    Months { months: months.into_iter().map(|month| month.text()).collect(), series }
}

fn row(sold: &Sold) -> Row {
    Row {
        sale_id: sold.sale_id,
        product: sold.product.clone(),
        amount: money(sold.amount.0.into()),
        latitude: sold.latitude,
        longitude: sold.longitude,
        date: sold.date.to_string(),
    }
}

impl Source for Stores {
    const NAME: &'static str = "store";

    fn summary(&self) -> Told<Summary> {
        self.figures(summary)
    }

    fn products(&self) -> Told<Products> {
        self.figures(products)
    }

    fn months(&self) -> Told<Months> {
        self.figures(months)
    }

    fn circles(&self, view: View) -> Told<Option<Vec<Circle>>> {
        let now = self.board.now();
        let cells = self.read_cells(view).map_err(|error| no_answer(now, &error))?;
        let circles = cells.map(|cells| cells.circles()).filter(|circles| circles.len() <= CELLS_MAX);
        Ok((circles, AsOf::now(now)))
    }

    /// Of the newest sales only: the table ends with them.
    fn rows(&self, page: PageOf) -> Told<Rows> {
        let read = || Ok(self.newest.get(&ALL)?.map(|entry| entry.value).unwrap_or_default());
        self.table.look(read, |newest| {
            let rows = page.rows(newest.0.iter()).map(row).collect();
            Ok(Rows { total: newest.0.len() as u64, rows })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sales::sold::NEWEST_MAX;

    const WORLD: [f64; 4] = [-180.0, -90.0, 180.0, 90.0];

    fn sold(product: &str, cents: i64, longitude: f64, latitude: f64) -> Sold {
        let value = serde_json::json!({
            "sale_id": 1, "product": product, "amount": cents as f64 / 100.0, "latitude": latitude,
            "longitude": longitude, "sale_date": "2026-01-31",
        });
        Sold::parse(Some(value.to_string().as_bytes())).unwrap()
    }

    /// The circles of a view, from cells that these sales were added up in.
    fn circles(sales: &[Sold], sides: [f64; 4], degrees: f64) -> Vec<(f64, f64, u64, String, String)> {
        let level = (0..grid::LEVEL_MAX).find(|level| grid::degrees(*level) <= degrees).unwrap();
        let mut stored: BTreeMap<String, Sums> = BTreeMap::new();
        for sold in sales {
            stored.entry(Cell::of(level, sold).to_string()).or_default().add(sold);
        }
        let mut cells = Cells::default();
        stored.iter().for_each(|(key, sums)| cells.add(key, sums, View { sides, degrees }));
        let told = |circle: Circle| {
            (circle.longitude, circle.latitude, circle.quantity, circle.amount, circle.product)
        };
        cells.circles().into_iter().map(told).collect()
    }

    #[test]
    fn a_circle_is_in_the_middle_of_its_sales_and_has_the_product_that_was_sold_most() {
        let sales = [sold("b", 105, 1.0, 1.0), sold("a", 205, 3.0, 2.0), sold("b", 5, 2.0, 3.0)];
        let all = (2.0, 2.0, 3, "3.15".to_owned(), "b".to_owned());
        for degrees in [5.0, 40.0] {
            assert_eq!(circles(&sales, WORLD, degrees), std::slice::from_ref(&all));
        }
        assert_eq!(circles(&sales, WORLD, 1.25).len(), 3);
        let equally = [sold("b", 105, 1.0, 1.0), sold("a", 205, 3.0, 2.0)];
        assert_eq!(circles(&equally, WORLD, 5.0)[0].4, "a");
    }

    #[test]
    fn wide_cells_and_the_date_line_lose_no_sale() {
        let sales = [sold("a", 100, -180.0, -90.0), sold("a", 100, 180.0, 90.0), sold("a", 100, -1.0, 1.0)];
        for degrees in [1.25, 5.0, 10.0, 360.0] {
            let quantity: u64 = circles(&sales, WORLD, degrees).iter().map(|circle| circle.2).sum();
            assert_eq!(quantity, 3, "{degrees}");
        }
        let across: u64 =
            circles(&sales, [170.0, -90.0, -170.0, 90.0], 5.0).iter().map(|circle| circle.2).sum();
        assert_eq!(across, 2);
    }

    #[test]
    fn the_page_says_how_far_its_table_goes_back() {
        let texts = include_str!("../assets/texts.js");
        assert_eq!(texts.matches(&format!(" {NEWEST_MAX} ")).count(), 2, "a notice in each language");
    }
}
