//! `/api/sales/...`: totals, products, months, places and the sales themselves, wherever they are kept.

mod database;
mod stores;

use riacho::observe::http::{Page, Pages, Query, Request};
use serde_json::{Value, json};

use super::answer::{self, PageOf, cut};
use super::board::Board;
use super::kept::AsOf;
use crate::sales::grid;

pub(crate) use database::Database;
pub(crate) use stores::Stores;

/// As the contract of the pages says.
const CELLS_MAX: usize = 1_500;
const GROUPS_MAX: usize = 24;
const MONTHS_MAX: i32 = 13;
const WIDEST_CELL: f64 = 360.0;
/// A view that asks for more is answered with wider cells from the start.
const CELLS_POSSIBLE_MAX: f64 = 20_000.0;

const WRONG_VIEW: &str = "bbox deve ser oeste,sul,leste,norte em graus, e zoom um número de 0 a 8";
const TOO_MANY: &str = "Há valores diferentes demais para contar nesta página.";

/// What is known and of when, or the answer that there is instead.
pub(crate) type Told<T> = Result<(T, AsOf), Page>;

/// All sales together. Amounts are decimals with two places.
pub(crate) struct Summary {
    amount: String,
    quantity: u64,
    /// The first day with a sale, and the last.
    days: Option<(String, String)>,
}

/// What was sold of a product.
pub(crate) struct Group {
    product: String,
    amount: String,
    quantity: u64,
}

/// The products that are shown, by name, and what the others are together.
pub(crate) struct Products {
    named: Vec<Group>,
    /// Amount and quantity.
    others: Option<(String, u64)>,
}

/// What was sold of a product in each month.
pub(crate) struct Series {
    product: String,
    quantity: Vec<u64>,
    amount: Vec<String>,
}

/// Months without holes, and what was sold in them of the products that are shown.
pub(crate) struct Months {
    months: Vec<String>,
    series: Vec<Series>,
}

/// A circle on the map: the sales of a cell, in the middle of where they were.
pub(crate) struct Circle {
    longitude: f64,
    latitude: f64,
    quantity: u64,
    amount: String,
    /// The one that was sold most.
    product: String,
}

/// What the map shows. Its sides are west, south, east and north; with west behind east it crosses the date line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    sides: [f64; 4],
    /// How wide its cells are, in degrees.
    degrees: f64,
}

/// A sale as the table shows it.
pub(crate) struct Row {
    sale_id: i64,
    product: String,
    amount: String,
    latitude: f64,
    longitude: f64,
    date: String,
}

/// A page of the table.
pub(crate) struct Rows {
    /// How many rows the table has.
    total: u64,
    rows: Vec<Row>,
}

/// Where sales are kept. The same sales are the same figures, wherever they are.
pub(crate) trait Source: Send + Sync + 'static {
    /// Its name in the summary.
    const NAME: &'static str;

    /// All sales together.
    fn summary(&self) -> Told<Summary>;

    /// At most [`GROUPS_MAX`] groups: if there are more products, those that were sold least are one.
    fn products(&self) -> Told<Products>;

    /// The last months up to the latest sale, at most [`MONTHS_MAX`], of the named [`products`](Self::products).
    fn months(&self) -> Told<Months>;

    /// The circles of a view; none when there are too many.
    fn circles(&self, view: View) -> Told<Option<Vec<Circle>>>;

    /// The newest sales first.
    fn rows(&self, page: PageOf) -> Told<Rows>;
}

/// What the page of the sales asks.
pub(crate) fn pages<S: Source>(source: S, board: &Board) -> Pages {
    let board = board.clone();
    Pages::new().with_prefix("/api/sales/", "the sales, as JSON", move |request| {
        let now = board.now();
        let answer = match request.rest() {
            "summary" => summary(&source),
            "by-product" => by_product(&source),
            "by-month" => by_month(&source),
            "map" => map(&source, request, now),
            "table" => table(&source, request, now),
            _ => Err(answer::not_found(now)),
        };
        answer.map_or_else(|page| page, |(data, as_of)| as_of.page(data))
    })
}

fn summary<S: Source>(source: &S) -> Told<Value> {
    let (Summary { amount, quantity, days }, as_of) = source.summary()?;
    let (first, last) = days.unzip();
    let data = json!({
        "total_amount": amount, "transactions": quantity, "first_date": first, "last_date": last, "source": S::NAME,
    });
    Ok((data, as_of))
}

fn by_product(source: &impl Source) -> Told<Value> {
    let (Products { named, others }, as_of) = source.products()?;
    let group = |name: &str, amount: &str, quantity: u64, other: bool| json!({ "product": cut(name), "amount": amount, "quantity": quantity, "other": other });
    let mut groups: Vec<Value> = named
        .iter()
        .map(|Group { product, amount, quantity }| group(product, amount, *quantity, false))
        .collect();
    groups.extend(others.map(|(amount, quantity)| group("Outros", &amount, quantity, true)));
    Ok((json!({ "products": groups }), as_of))
}

fn by_month(source: &impl Source) -> Told<Value> {
    let (Months { months, series }, as_of) = source.months()?;
    let series = series.into_iter().map(|Series { product, quantity, amount }| {
        json!({ "product": cut(&product), "quantity": quantity, "amount": amount })
    });
    Ok((json!({ "months": months, "series": series.collect::<Vec<_>>() }), as_of))
}

/// The view that is asked for.
fn view(query: Query<'_>) -> Option<View> {
    let text = query.get("bbox").unwrap_or("-180,-90,180,90");
    let sides: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let sides: [f64; 4] = sides.ok()?.try_into().ok()?;
    let [west, south, east, north] = sides;
    let zoom: u8 = query.get("zoom").map_or(Some(0), |text| text.parse().ok())?;
    let is_on_earth = [west, east].iter().all(|side| side.abs() <= 180.0)
        && [south, north].iter().all(|side| side.abs() <= 90.0)
        && south <= north
        && zoom <= grid::LEVEL_MAX;
    if !is_on_earth {
        return None;
    }
    let width = if west <= east { east - west } else { 360.0 + east - west };
    let mut degrees = grid::degrees(zoom);
    while width * (north - south) / (degrees * degrees) > CELLS_POSSIBLE_MAX {
        degrees *= 2.0;
    }
    Some(View { sides, degrees })
}

fn map(source: &impl Source, request: &Request, now: i64) -> Told<Value> {
    let mut view = view(request.query()).ok_or_else(|| answer::bad_parameter(now, WRONG_VIEW))?;
    let (circles, placed) = loop {
        match source.circles(view)? {
            (Some(circles), as_of) => break (circles, as_of),
            (None, _) if view.degrees >= WIDEST_CELL => return Err(answer::error(now, TOO_MANY)),
            (None, _) => view.degrees *= 2.0,
        }
    };
    let inside: u64 = circles.iter().map(|circle| circle.quantity).sum();
    let cells = circles.iter().map(|Circle { longitude, latitude, quantity, amount, product }| {
        json!({
            "longitude": longitude, "latitude": latitude, "quantity": quantity, "amount": amount,
            "product": cut(product),
        })
    });
    let cells: Vec<Value> = cells.collect();
    let (all, counted) = source.summary()?;
    let outside = all.quantity.saturating_sub(inside);
    Ok((json!({ "cell_degrees": view.degrees, "cells": cells, "outside": outside }), placed.with(counted)))
}

fn table(source: &impl Source, request: &Request, now: i64) -> Told<Value> {
    let page = PageOf::of(request.query()).map_err(|reason| answer::bad_parameter(now, reason))?;
    let (Rows { total, rows }, as_of) = source.rows(page)?;
    let rows = rows.iter().map(|row| {
        json!({
            "sale_id": row.sale_id, "product": cut(&row.product), "amount": row.amount, "latitude": row.latitude,
            "longitude": row.longitude, "sale_date": row.date,
        })
    });
    Ok((page.table(total, rows.collect()), as_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_on_earth_and_may_cross_the_date_line() {
        let view = |query: &str| {
            let view = view(Request::to(&format!("/api/sales/map?{query}")).unwrap().query());
            view.map(|View { sides, degrees }| (sides, degrees))
        };
        assert_eq!(view(""), Some(([-180.0, -90.0, 180.0, 90.0], 5.0)));
        assert_eq!(view("bbox=170,-10,-170,10&zoom=1"), Some(([170.0, -10.0, -170.0, 10.0], 2.5)));
        assert_eq!(view("zoom=8").map(|(_, degrees)| degrees), Some(2.5));
        for bad in [
            "bbox=1,2,3",
            "bbox=0,10,0,-10",
            "bbox=NaN,0,0,0",
            "bbox=181,0,0,0",
            "zoom=9",
            "zoom=99",
            "zoom=-1",
            "bbox=-inf,0,inf,1",
            "zoom=x",
        ] {
            assert_eq!(view(bad), None, "{bad}");
        }
    }
}
