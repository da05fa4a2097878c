//! The demo of `sales`: a generator, the application with its state stores instead of PostgreSQL, and a naive recount of
//! the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::HumanCount;
use riacho::kafka::TopicReader;
use serde_json::Value;

use super::child::Child;
use super::play::Play;
use super::site::{Site, number};
use super::stage::Stage;
use super::verdict::Verdict;
use crate::Failure;
use crate::application::App;
use crate::sales::sold::NEWEST_MAX;

const RATE: &str = "100";
const POLL_WAIT: Duration = Duration::from_millis(50);
const POLL_RECORDS_MAX: usize = 10_000;

pub(super) struct Sales {
    generator: Child,
    application: Child,
    site: Site,
    reader: TopicReader,
    recount: Recount,
}

impl Sales {
    /// Starts generator and application.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn begin(stage: &mut Stage<'_>) -> Result<Sales, Failure> {
        let input = stage.name("sales");
        let (mut settings, site) = stage.settings()?;
        settings.push(("application.id", stage.name("sales")));
        settings.push(("sales.input.topic", input.clone()));
        settings.push(("sales.kept.in", "stores".to_owned()));
        stage.create_topics_of(App::Sales, &settings)?;
        let application = stage.start("application", &["run", "sales"], &settings, &[])?;
        let target = vec![("bootstrap.servers", stage.bootstrap()), ("sales.input.topic", input.clone())];
        let reader = stage.read(&[&input])?;
        Ok(Sales {
            generator: stage.start("generator", &["generate", "sales", "--rate", RATE], &target, &[])?,
            application,
            site,
            reader,
            recount: Recount::default(),
        })
    }

    fn read(&mut self) -> Result<usize, Failure> {
        let recount = &mut self.recount;
        let read =
            self.reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut |_, record| recount.add(record.value))?;
        Ok(read)
    }
}

impl Play for Sales {
    fn differences(&self) -> String {
        format!(
            "the sales are made up, {RATE} per second, and kept without PostgreSQL [setting: sales.kept.in=stores]:\n\
             no sale is a row of a table, the page reads totals and the newest sales from state stores"
        )
    }

    fn page(&self) -> (&Site, &'static str) {
        (&self.site, "sales")
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.generator.check()?;
        self.application.check()?;
        // Beside the application, because the embedded broker does not keep its records for long.
        self.read().map(drop)
    }

    fn figures(&self) -> Option<String> {
        let summary = self.site.figures("sales/summary")?;
        Some(format!(
            "{} sales over {} on the page, {} records in the topic",
            HumanCount(number(&summary, "transactions")),
            summary.get("total_amount").and_then(Value::as_str).unwrap_or_default(),
            HumanCount(self.recount.sales),
        ))
    }

    fn end_input(&mut self) -> Result<(), Failure> {
        self.generator.stop()
    }

    fn compare(&mut self) -> Result<Verdict, Failure> {
        self.application.check()?;
        while self.read()? > 0 {}
        let ask = |name: &str| self.site.figures(&format!("sales/{name}")).unwrap_or_default();
        let (summary, map) = (ask("summary"), ask("map"));
        let recount = &self.recount;
        let mut verdict = Verdict::default();
        let (counted, told) = ("counted again in the topic", "on the page");
        verdict.claim("sales", (counted, recount.sales), (told, number(&summary, "transactions")));
        verdict.claim(
            "their total, in hundredths",
            (counted, recount.cents),
            (told, cents(summary.get("total_amount"))),
        );
        verdict.claim("sales on the map", (counted, recount.sales), (told, on_the_map(&map)));
        let rows = recount.sales.min(NEWEST_MAX as u64);
        verdict.claim(
            "newest sales in the table",
            ("in the topic", rows),
            (told, number(&ask("table"), "total")),
        );
        let charts = [
            ("products, by quantity and amount", &recount.products, products_of(&ask("by-product"))),
            ("products and months, by quantity and amount", &recount.months, months_of(&ask("by-month"))),
        ];
        for (what, groups, shown) in charts {
            let all: BTreeSet<&String> = groups.keys().chain(shown.keys()).collect();
            let same = all.iter().filter(|name| groups.get(**name) == shown.get(**name)).count();
            verdict.claim(what, (counted, all.len() as u64), ("the same on the page", same as u64));
        }
        Ok(verdict)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.application.stop()
    }
}

/// Quantity and amount in hundredths, by name.
type Groups = BTreeMap<String, (u64, u64)>;

/// A decimal with two places, as a number or as text, in hundredths.
fn cents(decimal: Option<&Value>) -> u64 {
    let hundredths = match decimal {
        Some(Value::String(text)) => text.replace('.', "").parse().ok(),
        // Made-up amounts are small: a double is near enough to the hundredth.
        Some(number) => number.as_f64().map(|number| (number * 100.0).round() as u64),
        None => None,
    };
    hundredths.unwrap_or(0)
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// How many sales the circles of the map stand for.
fn on_the_map(map: &Value) -> u64 {
    list(map, "cells").map(|cell| number(cell, "quantity")).sum()
}

/// The groups of the charts by product.
fn products_of(chart: &Value) -> Groups {
    let group = |group: &Value| {
        (text(group, "product").to_owned(), (number(group, "quantity"), cents(group.get("amount"))))
    };
    list(chart, "products").map(group).collect()
}

/// The points of the lines, but for those at 0.
fn months_of(chart: &Value) -> Groups {
    let mut points = Groups::new();
    for series in list(chart, "series") {
        let sold = list(series, "quantity").zip(list(series, "amount"));
        for (month, (quantity, amount)) in list(chart, "months").zip(sold) {
            let sold = (quantity.as_u64().unwrap_or(0), cents(Some(amount)));
            let month = month.as_str().unwrap_or_default();
            points.insert(format!("{} {month}", text(series, "product")), sold);
        }
    }
    points.retain(|_, sold| *sold != (0, 0));
    points
}

/// The records of the topic, added up.
#[derive(Debug, Default)]
struct Recount {
    sales: u64,
    cents: u64,
    products: Groups,
    months: Groups,
}

impl Recount {
    fn add(&mut self, value: Option<&[u8]>) {
        let sale = value.and_then(|value| serde_json::from_slice::<Value>(value).ok()).unwrap_or_default();
        let (product, amount) = (text(&sale, "product"), cents(sale.get("amount")));
        let month = text(&sale, "sale_date").get(..7).unwrap_or_default();
        self.sales += 1;
        self.cents += amount;
        let month = self.months.entry(format!("{product} {month}")).or_default();
        let product = self.products.entry(product.to_owned()).or_default();
        for (quantity, sum) in [month, product] {
            *quantity += 1;
            *sum += amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recount_is_what_a_page_with_the_same_sales_says() {
        let mut recount = Recount::default();
        for (product, amount, date) in
            [("A", 10.1, "2026-01-31"), ("B", 20.0, "2026-03-01"), ("A", 0.29, "2026-01-01")]
        {
            let record = json!({ "product": product, "amount": amount, "sale_date": date }).to_string();
            recount.add(Some(record.as_bytes()));
        }
        assert_eq!((recount.sales, recount.cents), (3, 3_039));
        let products = json!({ "products": [
            { "product": "A", "quantity": 2, "amount": "10.39" }, { "product": "B", "quantity": 1, "amount": "20.00" },
        ] });
        assert_eq!(products_of(&products), recount.products);
        let months = json!({ "months": ["2026-01", "2026-02", "2026-03"], "series": [
            { "product": "A", "quantity": [2, 0, 0], "amount": ["10.39", "0.00", "0.00"] },
            { "product": "B", "quantity": [0, 0, 1], "amount": ["0.00", "0.00", "20.00"] },
        ] });
        assert_eq!(months_of(&months), recount.months);
    }
}
