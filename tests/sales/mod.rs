//! The application `sales` on a real Kafka and a real PostgreSQL, which are killed while sales flow.

mod postgres;
mod scene;

use rand::RngExt as _;
use riacho::SystemClock;
use riacho::ports::Clock as _;
use serde_json::{Value, json};

use crate::recovery::{chosen, dice};
use crate::support::{App, LIMIT, Process, TestRecord, await_until};

pub(crate) use postgres::rows;
pub(crate) use scene::Scene;
use scene::await_ready;

#[test]
fn the_table_is_the_topic_whatever_is_killed_while_sales_flow() {
    const PIECES: u64 = 8;
    let (_, mut dice) = dice();
    let mut scene = Scene::new("sales-killed");
    let reader = scene.database.reader();
    let sales = chosen("RIACHO_SALES", 24_000);
    let kills = chosen("RIACHO_KILLS", 6);
    let piece = sales / kills / PIECES;
    for kill in 0..kills {
        let mut process = scene.spawn();
        let writes = |scene: &mut Scene, process: &mut Process| {
            let before = scene.stored(&reader).unwrap_or(0);
            process.await_that("it writes", |_| {
                // No more than this round's share: what is awaited may take long.
                if scene.sent < sales * (kill + 1) / kills {
                    scene.feed(piece);
                }
                scene.stored(&reader).is_some_and(|stored| stored > before)
            });
        };
        if kill > 0 {
            scene.feed(piece);
        }
        writes(&mut scene, &mut process);
        if kill % 4 == 1 {
            // The database dies under a processor that goes on.
            scene.database.kill();
            scene.feed(piece);
            scene.database.up();
            writes(&mut scene, &mut process);
        }
        for _ in 0..dice.random_range(0..PIECES) {
            scene.feed(piece);
        }
        process.kill();
    }
    let mut process = scene.spawn_ready();
    scene.feed(piece.max(sales.saturating_sub(scene.sent)));
    scene.await_stored(&reader);
    assert!(process.terminate().success(), "{}", process.log_end());
    scene.assert_table_is_topic(&reader);
    println!("{} sales, {kills} kills of the program and {} of the database", scene.sent, (kills + 2) / 4);
}

#[test]
fn a_backlog_is_written_fast_and_counted() {
    let backlog = chosen("RIACHO_SALES_BACKLOG", 30_000);
    let mut scene = Scene::new("sales-backlog");
    let reader = scene.database.reader();
    while scene.sent < backlog {
        scene.feed(10_000.min(backlog - scene.sent));
    }
    let mut process = scene.spawn();
    process.await_that("the sink runs", |process| process.metric("sales_sink_up", "") == Some(1.0));
    let counted = |process: &Process| process.metric("sales_sink_rows_total", "").unwrap_or(0.0);
    let (clock, before) = (SystemClock::new(), counted(&process));
    process.await_that("the backlog is written", |process| counted(process) >= backlog as f64);
    let seconds = clock.monotonic().as_secs_f64();
    let rate = ((backlog as f64 - before) / seconds) as u64;
    println!("{} rows in {seconds:.2} s: {rate} rows/s", backlog as f64 - before);
    assert!(rate >= chosen("RIACHO_SALES_RATE_MIN", 1_000), "{rate} rows/s");
    assert_eq!(process.metric("sales_sink_rejected_records_total", ""), Some(0.0));
    scene.assert_table_is_topic(&reader);
}

#[test]
fn while_the_database_is_away_the_program_is_not_ready_and_says_why() {
    let mut scene = Scene::new("sales-away");
    let reader = scene.database.reader();
    let mut process = scene.spawn_ready();
    scene.database.kill();
    // Nothing comes in meanwhile.
    process.await_that("it is not ready", |process| {
        process
            .get("/ready")
            .is_some_and(|(status, body)| status == 503 && body.contains("PostgreSQL at 127.0.0.1"))
    });
    assert_eq!(process.metric("sales_sink_up", ""), Some(0.0));
    assert!(process.metric("sales_sink_retries_total", "").is_some_and(|retries| retries > 0.0));
    scene.feed(100);
    scene.database.up();
    await_ready(&mut process);
    scene.await_stored(&reader);
    scene.assert_table_is_topic(&reader);
}

#[test]
fn an_encrypted_connection_wants_a_certificate_that_is_trusted() {
    let mut scene = Scene::new("sales-encrypted");
    let reader = scene.database.reader();
    let certificate = scene.database.encrypt();
    let url = format!("{}?sslmode=require", scene.database.url());
    let app = scene.app.clone().with("sales.postgres.url", &url);
    let mut trusting = app
        .clone()
        .with("sales.postgres.ssl.ca.location", &certificate.display().to_string())
        .spawn_line(&["run", "sales"]);
    scene.feed(100);
    scene.await_stored(&reader);
    let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
    let encrypted: Vec<bool> = rows(&reader, sql, &[&scene.app.id]).iter().map(|row| row.get(0)).collect();
    assert!(!encrypted.is_empty() && encrypted.iter().all(|encrypted| *encrypted), "{encrypted:?}");
    trusting.kill();
    let mut untrusting = app.spawn_line(&["run", "sales"]);
    untrusting.await_that("it refuses the certificate", |process| {
        process.get("/ready").is_some_and(|(_, body)| body.contains("certificate verify failed"))
    });
}

#[test]
fn a_second_process_takes_over_and_the_first_cannot_write_any_more() {
    let mut scene = Scene::new("sales-fenced");
    let reader = scene.database.reader();
    let mut first = scene.spawn();
    scene.feed(100);
    scene.await_stored(&reader);
    first.signal("STOP");
    await_until(LIMIT, "the first stands still", || first.is_stopped());
    scene.feed(100);
    let second = scene.app.sibling().spawn_line(&["run", "sales"]);
    scene.await_stored(&reader);
    scene.feed(100);
    first.signal("CONT");
    let end = first.await_end(LIMIT);
    assert!(!end.success() && first.log().contains("has taken over"), "{}", first.log_end());
    scene.await_stored(&reader);
    scene.assert_table_is_topic(&reader);
    drop(second);
}

#[test]
fn a_record_that_is_no_sale_is_noted_and_hostile_text_is_text() {
    let mut scene = Scene::new("sales-hostile");
    let reader = scene.database.reader();
    let hostile = ["<script>alert(1)</script>", "'; DROP TABLE sales; --", "a\nb\u{202e}c\0d"];
    // The largest amount that is one still fits the column: what the program accepts must not stop the sink.
    let large = r#"{"sale_id":0,"product":"large","amount":10000000000000.00,"latitude":90,"longitude":-180,"sale_date":"9999-12-31"}"#;
    let nothing = TestRecord { value: None, ..TestRecord::new("k", "") };
    let records =
        [TestRecord::new("k", "{"), nothing, TestRecord::new("k", large)].map(|record| record.on(0));
    scene.client.produce(&scene.topic, &records);
    scene.sent += 1;
    for product in hostile {
        scene.feed_product(product);
    }
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let found = rows(&reader, "SELECT product FROM sales ORDER BY id", &[]);
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(found[0], "large");
    assert_eq!(found[1..], hostile.map(|text| text.replace('\0', "\u{fffd}")));
    let amount = rows(&reader, "SELECT amount::text FROM sales WHERE product = 'large'", &[]);
    assert_eq!(amount[0].get::<_, String>(0), "10000000000000.00");
    let rejects = rows(&reader, "SELECT record_offset FROM riacho_sink_rejects ORDER BY 1", &[]);
    assert_eq!(rejects.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [0, 1]);
    let (_, table) = process.get("/api/sales/table").expect("the program answers");
    assert!(table.contains("<script>") && table.contains("DROP TABLE"), "{table}");
}

#[test]
fn the_page_is_told_what_the_table_holds() {
    let mut scene = Scene::new("sales-page");
    let reader = scene.database.reader();
    scene.feed(300);
    let process = scene.spawn_ready();
    scene.await_stored(&reader);
    let ask = |path: &str| -> Value {
        let (_, body) = process.get(&format!("/api/sales/{path}")).expect("the program answers");
        let answer: Value = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(answer["state"], "ready", "{path}: {answer}");
        answer["data"].clone()
    };
    let cents: u64 = (1..=300).map(|id| (10 + id % 90) * 100 + id % 100).sum();
    let total = format!("{}.{:02}", cents / 100, cents % 100);
    let summary = ask("summary");
    assert_eq!((&summary["total_amount"], &summary["transactions"]), (&json!(total), &json!(300)));
    let products = ask("by-product");
    let quantities: Vec<&Value> =
        products["products"].as_array().expect("a list").iter().map(|one| &one["quantity"]).collect();
    assert_eq!(quantities, [100, 100, 100]);
    let months = ask("by-month");
    assert_eq!(months["months"].as_array().expect("a list").len(), 11);
    let sold: u64 = months["series"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|one| one["quantity"].as_array().expect("a list"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(sold, 300);
    let map = ask("map?bbox=-180,-90,180,90&zoom=3");
    let cells: u64 =
        map["cells"].as_array().expect("a list").iter().filter_map(|cell| cell["quantity"].as_u64()).sum();
    assert_eq!((cells, &map["outside"]), (300, &json!(0)));
    assert_eq!(ask("map?bbox=0,0,10,10")["outside"], 300);
    let table = ask("table?page=30&size=10");
    assert_eq!((&table["total"], table["rows"].as_array().map(Vec::len)), (&json!(300), Some(10)));
    assert_eq!(process.get("/api/sales/table?size=101").map(|(status, _)| status), Some(400));

    // Whoever has a newer schema is not overwritten by an older program.
    scene.database.run("INSERT INTO riacho_schema_versions (schema_name, version) VALUES ('sales', 99)");
    drop(process);
    let mut older = scene.spawn();
    assert!(!older.await_end(LIMIT).success());
    assert!(older.log().contains("run the newer program"), "{}", older.log_end());
    assert!(reader.query("DELETE FROM sales", &[]).is_err(), "whoever reads for a page cannot write");
}

/// What the page of a process is told; lists without an order of their own are sorted.
fn told(process: &Process, path: &str) -> Value {
    let (_, body) = process.get(&format!("/api/sales/{path}")).expect("the program answers");
    let mut answer: Value = serde_json::from_str(&body).expect("it is JSON");
    assert_eq!(answer.get("state"), Some(&json!("ready")), "{path}: {answer}");
    for list in ["/data/cells", "/data/rows"] {
        if let Some(list) = answer.pointer_mut(list).and_then(Value::as_array_mut) {
            list.sort_by_key(Value::to_string);
        }
    }
    answer.get_mut("data").map(Value::take).unwrap_or_default()
}

#[test]
fn the_page_is_told_the_same_from_state_stores_as_from_the_database() {
    let mut scene = Scene::new("sales-stores");
    let reader = scene.database.reader();
    // Not one that knows PostgreSQL: its address is not even given.
    let stores = App::on(&scene.client, "sales-stores-kept").with("sales.input.topic", &scene.topic);
    let stores = stores.with("sales.kept.in", "stores");
    let bad = [TestRecord::new("k", "{"), TestRecord { value: None, ..TestRecord::new("k", "") }];
    scene.client.produce(&scene.topic, &bad);
    for product in ["<b>&", "c\0d:e", "\u{e9}".repeat(300).as_str()] {
        scene.feed_product(product);
    }
    scene.feed(300);
    let database = scene.spawn_ready();
    let mut stores = stores.spawn_line(&["run", "sales"]);
    scene.await_stored(&reader);
    // One table is fed apart from the other figures.
    for path in ["summary", "table"] {
        stores.await_that("it has read all sales", |process| {
            let answer = process.get(&format!("/api/sales/{path}"));
            let answer =
                answer.and_then(|(_, body)| serde_json::from_str::<Value>(&body).ok()).unwrap_or_default();
            answer["state"] == "ready"
                && [&answer["data"]["transactions"], &answer["data"]["total"]].contains(&&json!(303))
        });
    }
    let without_source = |process: &Process| {
        let mut summary = told(process, "summary");
        let source = summary["source"].take();
        (summary, source)
    };
    let [(expected, from_database), (summary, from_stores)] = [&database, &stores].map(without_source);
    assert_eq!((summary, from_stores, from_database), (expected, json!("store"), json!("postgres")));
    // Sides on the borders of cells: of a cell that the view cuts, the stores know the middle only.
    let views = [
        "zoom=0",
        "zoom=3",
        "zoom=8",
        "bbox=-50,-20,-45,-10&zoom=5",
        "bbox=-47.5,-15,-46.25,-13.75&zoom=8",
        "bbox=170,-90,-48.76,0&zoom=2",
    ];
    let views = views.map(|view| format!("map?{view}"));
    let pages = [1, 2, 3, 4, 5].map(|page| format!("table?size=100&page={page}"));
    for path in ["by-product", "by-month"].map(str::to_owned).iter().chain(&views) {
        let expected = told(&database, path);
        stores
            .await_that(&format!("it says of {path}: {expected}"), |process| told(process, path) == expected);
    }
    // Sales of several partitions are in the order in which they came, which is another one in another process.
    let rows = |process: &Process| {
        let pages = pages.iter().map(|page| told(process, page));
        let mut rows: Vec<String> = pages
            .flat_map(|page| page["rows"].as_array().cloned().unwrap_or_default())
            .map(|row| row.to_string())
            .collect();
        rows.sort();
        rows
    };
    let expected = rows(&database);
    assert_eq!(expected.len(), 303);
    assert_eq!(rows(&stores), expected);
}
