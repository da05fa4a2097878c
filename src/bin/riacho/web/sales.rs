//! `/api/sales/...`: what the table of sales holds, asked for by SQL that can only read.

use std::sync::Arc;

use riacho::connect::postgres::{PostgresError, PostgresReader, Row, ToSql};
use riacho::observe::http::{Page, Pages, Query, Request};
use serde_json::{Value, json};

use super::answer::{self, PageOf, cut};
use super::board::Board;

const WAITING: &str = "O banco de dados (sales.postgres.url) não responde ou a tabela ainda não existe; nova tentativa em instantes.";
const REFUSED: &str = "O banco de dados recusa a consulta; o motivo está no registro do processo.";
/// As the contract of the pages says.
const CELLS_MAX: usize = 1_500;
const GROUPS_MAX: usize = 24;
const WIDEST_CELL: f64 = 360.0;
/// A view that asks for more is answered with wider cells from the start.
const CELLS_POSSIBLE_MAX: f64 = 20_000.0;

const SUMMARY: &str = "SELECT coalesce(sum(amount), 0)::numeric(30, 2)::text, coalesce(sum(quantity), 0)::bigint, \
    min(sale_date)::text, max(sale_date)::text FROM sales_by_day";
const PRODUCTS: &str = "SELECT product, sum(amount)::text, sum(quantity)::bigint FROM sales_by_day GROUP BY 1 \
    ORDER BY 3 DESC, 1 LIMIT $1";
/// Whatever is not among the products that are shown.
const OTHERS: &str = "SELECT coalesce(sum(amount), 0)::numeric(30, 2)::text, coalesce(sum(quantity), 0)::bigint \
    FROM sales_by_day WHERE product <> ALL ($1)";
/// The last 13 months up to the latest sale, without holes.
const MONTHS: &str = "SELECT to_char(month, 'YYYY-MM') FROM (SELECT date_trunc('month', max(sale_date)::timestamp) \
    AS last, date_trunc('month', min(sale_date)::timestamp) AS first FROM sales_by_day) AS span, \
    generate_series(greatest(first, last - interval '12 months'), last, interval '1 month') AS month ORDER BY month";
const BY_MONTH: &str = "SELECT product, to_char(sale_date, 'YYYY-MM'), sum(quantity)::bigint, sum(amount)::text \
    FROM sales_by_day WHERE to_char(sale_date, 'YYYY-MM') = ANY ($1) AND product = ANY ($2) GROUP BY 1, 2";
/// Cells of $5 degrees in the view $1 to $4, which crosses the date line where its west is east of its east.
const CELLS: &str = "WITH places AS (SELECT floor(longitude / $5::float8) AS x, floor(latitude / $5::float8) AS y, \
    left(product, 257) AS product, sum(longitude) AS longitude, sum(latitude) AS latitude, count(*) AS quantity, \
    sum(amount) AS amount FROM sales WHERE latitude BETWEEN $2 AND $4 AND CASE WHEN $1::float8 <= $3::float8 \
    THEN longitude BETWEEN $1 AND $3 ELSE longitude >= $1 OR longitude <= $3 END GROUP BY 1, 2, 3) \
    SELECT sum(longitude) / sum(quantity)::float8, sum(latitude) / sum(quantity)::float8, sum(quantity)::bigint, \
    sum(amount)::text, (array_agg(product ORDER BY quantity DESC, product))[1] FROM places GROUP BY x, y LIMIT $6";
const ROWS: &str = "SELECT sale_id, left(product, 257), amount::text, latitude, longitude, sale_date::text \
    FROM sales ORDER BY id DESC LIMIT $1 OFFSET $2";
const COUNT: &str = "SELECT coalesce(sum(quantity), 0)::bigint FROM sales_by_day";

/// Why there is no answer.
enum NoAnswer {
    Wrong(&'static str),
    Database(PostgresError),
}

impl From<PostgresError> for NoAnswer {
    fn from(error: PostgresError) -> NoAnswer {
        NoAnswer::Database(error)
    }
}

type Data = Result<Value, NoAnswer>;

/// What the page of the sales asks.
pub(crate) fn pages(reader: PostgresReader, board: &Board) -> Pages {
    let (reader, board) = (Arc::new(reader), board.clone());
    Pages::new().with_prefix("/api/sales/", "the sales, as JSON", move |request| {
        let now = board.now();
        let Some(asked) = request.segments() else { return answer::not_found(now) };
        let asked: Vec<&str> = asked.iter().map(AsRef::as_ref).collect();
        match asked.as_slice() {
            ["summary"] => answered(now, summary(&reader)),
            ["by-product"] => answered(now, by_product(&reader)),
            ["by-month"] => answered(now, by_month(&reader)),
            ["map"] => answered(now, map(&reader, request)),
            ["table"] => answered(now, table(&reader, request)),
            _ => answer::not_found(now),
        }
    })
}

fn answered(now: i64, data: Data) -> Page {
    match data {
        Ok(data) => answer::ready(now, data),
        Err(NoAnswer::Wrong(reason)) => answer::bad_parameter(now, reason),
        Err(NoAnswer::Database(error)) if error.is_passing() || error.is_no_table() => {
            tracing::debug!(%error, "the page of the sales waits");
            answer::loading(now, WAITING)
        }
        Err(NoAnswer::Database(error)) => {
            tracing::error!(%error, "the page of the sales has no figures");
            answer::error(now, REFUSED)
        }
    }
}

fn get<'a, T: riacho::connect::postgres::FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, NoAnswer> {
    Ok(row.try_get(column).map_err(PostgresError::from)?)
}

/// The row of a question that adds up everything.
fn one(reader: &PostgresReader, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, NoAnswer> {
    Ok(reader.query(sql, values)?.into_iter().next().expect("a sum without groups is one row"))
}

fn summary(reader: &PostgresReader) -> Data {
    let row = one(reader, SUMMARY, &[])?;
    let (total, count): (String, i64) = (get(&row, 0)?, get(&row, 1)?);
    let (first, last): (Option<String>, Option<String>) = (get(&row, 2)?, get(&row, 3)?);
    Ok(json!({
        "total_amount": total, "transactions": count, "first_date": first, "last_date": last, "source": "postgres",
    }))
}

/// A product, its amount and how often it was sold.
type Group = (String, String, i64);

/// The products that are shown by name, each with amount and quantity, and whether there are more.
fn products(reader: &PostgresReader) -> Result<(Vec<Group>, bool), NoAnswer> {
    let most = i64::try_from(GROUPS_MAX + 1).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for row in reader.query(PRODUCTS, &[&most])? {
        found.push((get(&row, 0)?, get(&row, 1)?, get(&row, 2)?));
    }
    let has_more = found.len() > GROUPS_MAX;
    if has_more {
        found.truncate(GROUPS_MAX - 1);
    }
    found.sort();
    Ok((found, has_more))
}

fn group(name: &str, amount: &str, quantity: i64, other: bool) -> Value {
    json!({ "product": cut(name), "amount": amount, "quantity": quantity, "other": other })
}

fn by_product(reader: &PostgresReader) -> Data {
    let (found, has_more) = products(reader)?;
    let mut groups: Vec<Value> =
        found.iter().map(|(name, amount, quantity)| group(name, amount, *quantity, false)).collect();
    if has_more {
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        let row = one(reader, OTHERS, &[&names])?;
        groups.push(group("Outros", &get::<String>(&row, 0)?, get(&row, 1)?, true));
    }
    Ok(json!({ "products": groups }))
}

fn by_month(reader: &PostgresReader) -> Data {
    let mut months: Vec<String> = Vec::new();
    for row in reader.query(MONTHS, &[])? {
        months.push(get(&row, 0)?);
    }
    let (found, _) = products(reader)?;
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let mut cells = std::collections::BTreeMap::new();
    for row in reader.query(BY_MONTH, &[&months, &names])? {
        let place: (String, String) = (get(&row, 0)?, get(&row, 1)?);
        cells.insert(place, (get::<i64>(&row, 2)?, get::<String>(&row, 3)?));
    }
    let series = names.iter().map(|name| {
        let cell = |month: &String| cells.get(&((*name).to_owned(), month.clone()));
        let quantity: Vec<i64> = months.iter().map(|month| cell(month).map_or(0, |cell| cell.0)).collect();
        let amount: Vec<&str> =
            months.iter().map(|month| cell(month).map_or("0.00", |cell| cell.1.as_str())).collect();
        json!({ "product": cut(name), "quantity": quantity, "amount": amount })
    });
    let series: Vec<Value> = series.collect();
    Ok(json!({ "months": months, "series": series }))
}

/// The view that is asked for: west, south, east, north, and the width of its cells.
fn view(query: Query<'_>) -> Option<([f64; 4], f64)> {
    const ZOOM_MAX: i32 = 8;
    const CELL: f64 = 5.0;
    let text = query.get("bbox").unwrap_or("-180,-90,180,90");
    let sides: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let sides: [f64; 4] = sides.ok()?.try_into().ok()?;
    let [west, south, east, north] = sides;
    let zoom: i32 = query.get("zoom").map_or(Some(0), |text| text.parse().ok())?;
    let is_on_earth = [west, east].iter().all(|side| side.abs() <= 180.0)
        && [south, north].iter().all(|side| side.abs() <= 90.0)
        && south <= north
        && (0..=ZOOM_MAX).contains(&zoom);
    if !is_on_earth {
        return None;
    }
    let width = if west <= east { east - west } else { 360.0 + east - west };
    let mut degrees = CELL / f64::from(1 << zoom);
    while width * (north - south) / (degrees * degrees) > CELLS_POSSIBLE_MAX {
        degrees *= 2.0;
    }
    Some((sides, degrees))
}

fn map(reader: &PostgresReader, request: &Request) -> Data {
    let wrong = "bbox deve ser oeste,sul,leste,norte em graus, e zoom um número de 0 a 8";
    let ([west, south, east, north], mut degrees) = view(request.query()).ok_or(NoAnswer::Wrong(wrong))?;
    let most = i64::try_from(CELLS_MAX + 1).unwrap_or(i64::MAX);
    let rows = loop {
        let rows = reader.query(CELLS, &[&west, &south, &east, &north, &degrees, &most])?;
        if rows.len() <= CELLS_MAX || degrees >= WIDEST_CELL {
            break rows;
        }
        degrees *= 2.0;
    };
    let mut cells = Vec::with_capacity(rows.len());
    let mut inside = 0;
    for row in &rows {
        let quantity: i64 = get(row, 2)?;
        inside += quantity;
        let product: String = get(row, 4)?;
        cells.push(json!({
            "longitude": get::<f64>(row, 0)?, "latitude": get::<f64>(row, 1)?, "quantity": quantity,
            "amount": get::<String>(row, 3)?, "product": cut(&product),
        }));
    }
    let all: i64 = get(&one(reader, COUNT, &[])?, 0)?;
    Ok(json!({ "cell_degrees": degrees, "cells": cells, "outside": (all - inside).max(0) }))
}

fn table(reader: &PostgresReader, request: &Request) -> Data {
    let page = PageOf::of(request.query()).map_err(NoAnswer::Wrong)?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let total: i64 = get(&one(reader, COUNT, &[])?, 0)?;
    let mut rows = Vec::new();
    for row in &reader.query(ROWS, &[&number(page.size), &number(page.offset())])? {
        let product: String = get(row, 1)?;
        rows.push(json!({
            "sale_id": get::<i64>(row, 0)?, "product": cut(&product), "amount": get::<String>(row, 2)?,
            "latitude": get::<f64>(row, 3)?, "longitude": get::<f64>(row, 4)?,
            "sale_date": get::<String>(row, 5)?,
        }));
    }
    Ok(page.table(total.unsigned_abs(), rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_on_earth_and_may_cross_the_date_line() {
        let view = |query: &str| view(Request::to(&format!("/api/sales/map?{query}")).unwrap().query());
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
