//! The demo of `sales`, with its state stores instead of PostgreSQL: what a naive recount of the topic is compared with.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use serde_json::Value;

use super::recounted::{COUNTED, Recount, TOLD, claim_groups};
use super::site::number;
use super::verdict::Verdict;
use crate::application::App;
use crate::sales::sold::NEWEST_MAX;

const RATE: &str = "100";

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
pub(super) struct Sales {
    sales: u64,
    cents: u64,
    products: Groups,
    months: Groups,
}

impl Recount for Sales {
    const APP: App = App::Sales;
    const INPUT: (&'static str, &'static str) = ("sales.input.topic", "sales");
    const SETTINGS: &'static [(&'static str, &'static str)] = &[("sales.kept.in", "stores")];
    const GENERATOR: &'static [&'static str] = &["--rate", RATE];

    fn differences() -> String {
        format!(
            "the sales are made up, {RATE} per second, and kept without PostgreSQL [setting: sales.kept.in=stores]:\n\
             no sale is a row of a table, the page reads totals and the newest sales from state stores"
        )
    }

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

    fn line(&self, summary: &Value) -> String {
        format!(
            "{} sales over {} on the page, {} records in the topic",
            HumanCount(number(summary, "transactions")),
            text(summary, "total_amount"),
            HumanCount(self.sales),
        )
    }

    fn compare(&self, ask: &dyn Fn(&str) -> Value) -> Verdict {
        let (summary, map) = (ask("summary"), ask("map"));
        let mut verdict = Verdict::default();
        verdict.claim("sales", (COUNTED, self.sales), (TOLD, number(&summary, "transactions")));
        let total = cents(summary.get("total_amount"));
        verdict.claim("their total, in hundredths", (COUNTED, self.cents), (TOLD, total));
        verdict.claim("sales on the map", (COUNTED, self.sales), (TOLD, on_the_map(&map)));
        let rows = self.sales.min(NEWEST_MAX as u64);
        let shown = number(&ask("table"), "total");
        verdict.claim("newest sales in the table", ("in the topic", rows), (TOLD, shown));
        let products = products_of(&ask("by-product"));
        claim_groups(&mut verdict, "products, by quantity and amount", &self.products, &products);
        let months = months_of(&ask("by-month"));
        claim_groups(&mut verdict, "products and months, by quantity and amount", &self.months, &months);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recount_is_what_a_page_with_the_same_sales_says() {
        let mut recount = Sales::default();
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
