//! The page of the sales.

#![expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and fails the test")]

use std::collections::BTreeMap;

use riacho::connect::postgres::PostgresReader;
use serde_json::Value;

use crate::sales::{Scene, rows};
use crate::support::Browser;

fn await_transactions(browser: &Browser, count: u64) {
    browser.await_true(&format!(
        "document.querySelector('[data-figure=\"sales.transactions\"]').dataset.value === '{count}'"
    ));
}

/// What the series of a chart has, by label, in hundredths: money is exact in them.
fn drawn(chart: &Value, series: usize) -> BTreeMap<String, i64> {
    let labels = chart["labels"].as_array().expect("labels").iter();
    let labels = labels.map(|label| label.as_str().expect("a text").to_owned());
    let values = chart["series"][series]["values"].as_array().expect("values").iter();
    labels.zip(values.map(|value| (value.as_f64().expect("a number") * 100.0).round() as i64)).collect()
}

/// A name and a number per row, the number in hundredths.
fn asked(reader: &PostgresReader, sql: &str) -> BTreeMap<String, i64> {
    rows(reader, sql, &[]).iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn assert_charts_are_the_table(browser: &Browser, reader: &PostgresReader) {
    let amounts = asked(reader, "SELECT product, (sum(amount) * 100)::bigint FROM sales GROUP BY 1");
    let quantities = asked(reader, "SELECT product, count(*) * 100 FROM sales GROUP BY 1");
    assert!(amounts.len() == 3 && amounts != quantities);
    for (chart, expected) in [
        ("sales-amount-donut", &amounts),
        ("sales-amount-bars", &amounts),
        ("sales-quantity-donut", &quantities),
        ("sales-quantity-bars", &quantities),
    ] {
        assert_eq!(&drawn(&browser.chart(chart), 0), expected, "{chart}");
    }
    let months = browser.chart("sales-months");
    for (at, product) in amounts.keys().enumerate() {
        assert_eq!(months["series"][at]["name"].as_str(), Some(product.as_str()));
        let sql = format!(
            "SELECT to_char(sale_date, 'YYYY-MM'), count(*) * 100 FROM sales WHERE product = '{product}' GROUP BY 1"
        );
        let drawn = drawn(&months, at);
        let sold: BTreeMap<_, _> = drawn.into_iter().filter(|(_, quantity)| *quantity > 0).collect();
        assert_eq!(sold, asked(reader, &sql), "{product}");
    }
    let total: i64 = amounts.values().sum();
    let total = format!("{}.{:02}", total / 100, total % 100);
    assert_eq!(browser.figure("sales.total_amount"), Some(total));
}

/// How many sales the map's circles stand for.
fn on_the_map(browser: &Browser) -> f64 {
    let map = browser.chart("sales-map");
    let series = map["series"].as_array().expect("series").iter();
    let cells = series.flat_map(|one| one["values"].as_array().expect("values"));
    cells.map(|cell| cell[2].as_f64().expect("a quantity")).sum()
}

#[test]
fn the_charts_have_the_numbers_of_the_database_and_stay_fresh() {
    let mut scene = Scene::new("sales-charts");
    let reader = scene.database.reader();
    scene.feed(300);
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/sales"));
    await_transactions(&browser, 300);
    browser.await_refresh();
    assert_charts_are_the_table(&browser, &reader);

    // Without a reload, and at least every five seconds: the next round or, when one is under way, the one after it has
    // what is in the table now.
    let refreshes = || browser.run("return window.riacho.refreshes").as_u64().expect("a count");
    browser.run("window.notReloaded = true");
    scene.feed(300);
    scene.await_stored(&reader);
    let before = refreshes();
    await_transactions(&browser, 600);
    assert!(refreshes() <= before + 2, "rounds went by without the new sales");
    let interval = browser.run("return (await import('/assets/pages/sales.js')).interval");
    assert!(interval.as_u64().is_some_and(|millis| millis < 5000), "{interval}");
    browser.await_refresh();
    assert_charts_are_the_table(&browser, &reader);
    assert!(browser.is("window.notReloaded"));
    browser.assert_quiet(&origin);
}

#[test]
fn the_map_pans_and_zooms_and_the_table_pages() {
    let mut scene = Scene::new("sales-map");
    let reader = scene.database.reader();
    scene.feed(400);
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/sales"));
    await_transactions(&browser, 400);
    browser.await_true("window.riacho.chart('sales-map') !== null");
    assert!((on_the_map(&browser) - 400.0).abs() < 0.5);
    let view = || {
        let map = browser.chart("sales-map");
        let center = (map["center"][0].as_f64(), map["center"][1].as_f64());
        (map["zoom"].as_f64().expect("a zoom"), center)
    };
    let circles = |browser: &Browser| {
        let map = browser.chart("sales-map");
        map["series"]
            .as_array()
            .map_or(0, |series| series.iter().map(|one| one["values"].as_array().map_or(0, Vec::len)).sum())
    };
    // All of these sales are in the north of Brazil: nearer, the same ones are more circles.
    let far: usize = circles(&browser);
    let (zoom, center) = view();
    browser.click("[data-map=\"Mover para o oeste\"]");
    let (same, moved) = view();
    assert!((same - zoom).abs() < 1e-6 && moved.0 < center.0, "{center:?} {moved:?}");
    browser.drag("#chart-sales-map canvas", 0, -60);
    browser.await_value("window.riacho.chart('sales-map')");
    assert!(view().1.1 < moved.1, "a hand moves it too: {moved:?} {:?}", view());
    for _ in 0..3 {
        browser.click("[data-map=\"Aproximar\"]");
    }
    assert!(view().0 > 3.0 * zoom);
    browser.await_true(&format!(
        "window.riacho.chart('sales-map').series.flatMap((one) => one.values).length > {far}"
    ));
    browser.click("[data-map=\"Mundo inteiro\"]");
    assert!((view().0 - zoom).abs() < 1e-6);

    let ids =
        |sql: &str| rows(&reader, sql, &[]).iter().map(|row| row.get::<_, i64>(0).to_string()).collect();
    let newest: Vec<String> = ids("SELECT sale_id FROM sales ORDER BY id DESC");
    let size = browser.rows("sales").len();
    let shown = |skipped: usize| {
        let first = &newest[skipped];
        browser.await_true(&format!(
            "document.querySelector('#rows-sales tr').cells[0].textContent === '{first}'"
        ));
        let found: Vec<String> = browser.rows("sales").into_iter().map(|row| row[0].clone()).collect();
        assert!(newest[skipped..].starts_with(&found) && !found.is_empty());
    };
    shown(0);
    browser.click("[data-pager=sales] [data-go=next]");
    shown(size);
    browser.click("[data-pager=sales] [data-go=last]");
    shown((newest.len() - 1) / size * size);
    browser.assert_quiet(&origin);
}

#[test]
fn hostile_products_are_shown_as_text_and_break_nothing() {
    let mut scene = Scene::new("sales-hostile-page");
    let reader = scene.database.reader();
    let hostile = [
        "<img src=x onerror=\"window.owned=1\">",
        "'; DROP TABLE sales; --",
        "</script><script>window.owned=1</script>",
        "um\nde\u{202e}s\u{200f}{a|b}",
    ];
    for product in hostile {
        scene.feed_product(product);
    }
    // As much as fits into a record.
    scene.feed_product(&"x".repeat(999_000));
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/sales"));
    await_transactions(&browser, 5);
    browser.await_refresh();
    let shown: Vec<String> = browser.rows("sales").into_iter().rev().map(|row| row[1].clone()).collect();
    assert_eq!(shown[..4], hostile);
    assert_eq!(shown[4].chars().count(), 257, "the first 256 characters and an ellipsis");
    let drawn = browser.chart("sales-quantity-bars");
    let labels: Vec<&str> =
        drawn["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    assert!(labels.len() == 5 && hostile.iter().all(|product| labels.contains(product)), "{labels:?}");
    assert!(browser.is("window.owned === undefined && document.querySelector('main img') === null"));
    for width in [360, 1280] {
        browser.widen(width);
        let room = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        browser.await_true(&format!("{room} <= 0"));
    }
    browser.assert_quiet(&origin);
}

#[test]
fn while_the_database_is_away_the_page_keeps_its_figures_and_says_why() {
    let mut scene = Scene::new("sales-stale");
    let reader = scene.database.reader();
    scene.feed(200);
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}/sales", process.port));
    await_transactions(&browser, 200);
    browser.await_refresh();
    scene.database.kill();
    browser.await_true("document.body.dataset.state === 'stale'");
    browser.await_round();
    let reason = browser.text("#reason").expect("it is there");
    assert!(reason.contains("O banco de dados (sales.postgres.url) não responde"), "{reason}");
    assert_eq!(browser.figure("sales.transactions").as_deref(), Some("200"));
    scene.feed(100);
    scene.database.up();
    await_transactions(&browser, 300);
    browser.await_refresh();
    assert_charts_are_the_table(&browser, &reader);
}

#[test]
fn without_a_database_the_page_has_the_same_charts_and_says_where_its_figures_are_from() {
    let mut scene = Scene::new("sales-stores-page");
    scene.app = scene.app.clone().with("sales.kept.in", "stores");
    scene.feed(700);
    let process = scene.spawn_ready();
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/sales"));
    await_transactions(&browser, 700);
    let circles = "window.riacho.chart('sales-map')?.series.flatMap((one) => one.values)";
    browser.await_true(&format!("{circles}?.reduce((sum, circle) => sum + circle[2], 0) === 700"));
    browser.await_refresh();
    let sold = drawn(&browser.chart("sales-quantity-bars"), 0);
    assert_eq!(sold.into_values().collect::<Vec<_>>(), [23_300, 23_400, 23_300]);
    assert!(
        browser
            .is("document.querySelector('main').textContent.includes('sem PostgreSQL; a tabela tem as 500')")
    );
    // The newest ones only, of which the last page has the rest.
    browser.await_true("document.querySelector('[data-pager=sales]').textContent.includes('500')");
    let rest = 500 % browser.rows("sales").len();
    assert!(rest > 0);
    browser.click("[data-pager=sales] [data-go=last]");
    browser.await_true(&format!("document.querySelectorAll('#rows-sales tr').length === {rest}"));
    browser.assert_quiet(&origin);
}
