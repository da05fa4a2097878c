//! Figures of the table of sales, asked for by SQL that can only read.

use std::collections::BTreeMap;

use riacho::connect::postgres::{FromSql, PostgresError, PostgresReader, Row as Found, ToSql};

use super::{
    CELLS_MAX, Circle, GROUPS_MAX, Group, Months, Products, Row, Rows, Series, Source, Summary, Told, View,
};
use crate::web::answer::{self, PageOf};
use crate::web::board::Board;
use crate::web::kept::AsOf;

const WAITING: &str = "O banco de dados (sales.postgres.url) não responde ou a tabela ainda não existe; nova tentativa em instantes.";
const REFUSED: &str = "O banco de dados recusa a consulta; o motivo está no registro do processo.";

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

/// The table of sales, where the sink writes them.
pub(crate) struct Database {
    reader: PostgresReader,
    board: Board,
}

impl Database {
    pub(crate) fn of(reader: PostgresReader, board: &Board) -> Database {
        Database { reader, board: board.clone() }
    }

    /// What is read, or the answer when it cannot be.
    fn told<T>(&self, read: Result<T, PostgresError>) -> Told<T> {
        let now = self.board.now();
        match read {
            Ok(read) => Ok((read, AsOf::now(now))),
            Err(error) if error.is_passing() || error.is_no_table() => {
                tracing::debug!(%error, "the page of the sales waits");
                Err(answer::loading(now, WAITING))
            }
            Err(error) => {
                tracing::error!(%error, "the page of the sales has no figures");
                Err(answer::error(now, REFUSED))
            }
        }
    }

    /// The row of a question that adds up everything.
    fn one(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Found, PostgresError> {
        let rows = self.reader.query(sql, values)?;
        Ok(rows.into_iter().next().expect("a sum without groups is one row"))
    }

    fn read_summary(&self) -> Result<Summary, PostgresError> {
        let row = self.one(SUMMARY, &[])?;
        let days: (Option<String>, Option<String>) = (get(&row, 2)?, get(&row, 3)?);
        Ok(Summary { amount: get(&row, 0)?, quantity: count(&row, 1)?, days: days.0.zip(days.1) })
    }

    /// The products that are shown by name, and whether there are more.
    fn read_named(&self) -> Result<(Vec<Group>, bool), PostgresError> {
        let mut named = Vec::new();
        for row in self.reader.query(PRODUCTS, &[&bigint(GROUPS_MAX + 1)])? {
            named.push(Group { product: get(&row, 0)?, amount: get(&row, 1)?, quantity: count(&row, 2)? });
        }
        let has_more = named.len() > GROUPS_MAX;
        if has_more {
            named.truncate(GROUPS_MAX - 1);
        }
        named.sort_by(|one, other| one.product.cmp(&other.product));
        Ok((named, has_more))
    }

    fn read_products(&self) -> Result<Products, PostgresError> {
        let (named, has_more) = self.read_named()?;
        let mut others = None;
        if has_more {
            let names: Vec<&str> = named.iter().map(|group| group.product.as_str()).collect();
            let row = self.one(OTHERS, &[&names])?;
            others = Some((get(&row, 0)?, count(&row, 1)?));
        }
        Ok(Products { named, others })
    }

    fn read_months(&self) -> Result<Months, PostgresError> {
        let mut months: Vec<String> = Vec::new();
        for row in self.reader.query(MONTHS, &[])? {
            months.push(get(&row, 0)?);
        }
        let (named, _) = self.read_named()?;
        let names: Vec<&str> = named.iter().map(|group| group.product.as_str()).collect();
        let mut sold = BTreeMap::new();
        for row in self.reader.query(BY_MONTH, &[&months, &names])? {
            let place: (String, String) = (get(&row, 0)?, get(&row, 1)?);
            sold.insert(place, (count(&row, 2)?, get::<String>(&row, 3)?));
        }
        let series = named.iter().map(|Group { product, .. }| {
            let of_month = |month: &String| {
                let sold = sold.get(&(product.clone(), month.clone()));
                sold.cloned().unwrap_or_else(|| (0, "0.00".to_owned()))
            };
            let (quantity, amount) = months.iter().map(of_month).unzip();
            Series { product: product.clone(), quantity, amount }
        });
        let series = series.collect();
        Ok(Months { months, series })
    }

    fn read_circles(&self, view: View) -> Result<Option<Vec<Circle>>, PostgresError> {
        let View { sides: [west, south, east, north], degrees } = view;
        let most = bigint(CELLS_MAX + 1);
        let rows = self.reader.query(CELLS, &[&west, &south, &east, &north, &degrees, &most])?;
        if rows.len() > CELLS_MAX {
            return Ok(None);
        }
        let mut circles = Vec::with_capacity(rows.len());
        for row in &rows {
            circles.push(Circle {
                longitude: get(row, 0)?,
                latitude: get(row, 1)?,
                quantity: count(row, 2)?,
                amount: get(row, 3)?,
                product: get(row, 4)?,
            });
        }
        Ok(Some(circles))
    }

    fn read_rows(&self, page: PageOf) -> Result<Rows, PostgresError> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let total = count(&self.one(COUNT, &[])?, 0)?;
        let mut rows = Vec::new();
        for row in &self.reader.query(ROWS, &[&number(page.size), &number(page.offset())])? {
            rows.push(Row {
                sale_id: get(row, 0)?,
                product: get(row, 1)?,
                amount: get(row, 2)?,
                latitude: get(row, 3)?,
                longitude: get(row, 4)?,
                date: get(row, 5)?,
            });
        }
        Ok(Rows { total, rows })
    }
}

fn get<'a, T: FromSql<'a>>(row: &'a Found, column: usize) -> Result<T, PostgresError> {
    Ok(row.try_get(column)?)
}

fn count(row: &Found, column: usize) -> Result<u64, PostgresError> {
    Ok(get::<i64>(row, column)?.unsigned_abs())
}

fn bigint(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Source for Database {
    const NAME: &'static str = "postgres";

    fn summary(&self) -> Told<Summary> {
        self.told(self.read_summary())
    }

    fn products(&self) -> Told<Products> {
        self.told(self.read_products())
    }

    fn months(&self) -> Told<Months> {
        self.told(self.read_months())
    }

    fn circles(&self, view: View) -> Told<Option<Vec<Circle>>> {
        self.told(self.read_circles(view))
    }

    fn rows(&self, page: PageOf) -> Told<Rows> {
        self.told(self.read_rows(page))
    }
}
