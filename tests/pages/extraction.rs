//! The page of the extraction.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use riacho::connect::files::ParquetSource;
use riacho::observe::HttpServer;
use riacho::observe::http::{Page, Pages};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::extraction::rows::row;
use crate::support::{App, Browser, Kafka, LIMIT, Process, unique};

/// As the embedded API has it when nothing is said.
const SEED: u64 = 1;
/// So many rows are in an answer of the embedded API, and so in a file.
const FILE_ROWS: usize = 1000;

/// The application, with folders and topics of its own.
struct Desk {
    app: App,
    process: Process,
    dir: TempDir,
}

/// The files that are there: by name their rows, where that can be asked, and all their bytes.
#[derive(Default)]
struct Files {
    rows: BTreeMap<String, u64>,
    bytes: u64,
}

impl Files {
    fn below(dir: &Path) -> Files {
        let mut files = Files::default();
        for stage in ["raw", "normalised", "csv", "rejected"] {
            for entry in fs::read_dir(dir.join(stage)).expect("the application has made it") {
                let path = entry.expect("a folder can be listed").path();
                let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
                if name.starts_with('.') {
                    continue;
                }
                files.bytes += fs::metadata(&path).expect("it is there").len();
                let is_csv = name.ends_with(".csv");
                let rows = if is_csv { 0 } else { ParquetSource::open(&path).expect("it is whole").rows() };
                files.rows.insert(name, rows);
            }
        }
        files
    }

    /// How many files of a stage there are, and their rows.
    fn of(&self, stage: &str) -> (usize, u64) {
        let is_of = |name: &str| match stage {
            "raw" | "rejected" => name.ends_with(&format!(".{stage}.parquet")),
            "csv" => name.ends_with(".csv"),
            _ => name.matches('.').count() == 1 && name.ends_with(".parquet"),
        };
        let rows: Vec<u64> =
            self.rows.iter().filter(|(name, _)| is_of(name)).map(|(_, rows)| *rows).collect();
        (rows.len(), rows.iter().sum())
    }
}

impl Desk {
    fn open(name: &str) -> Desk {
        let client = Kafka::shared().client();
        let [files, normalised] = ["files", "normalised"].map(|what| unique(&format!("{name}-{what}")));
        client.create_topic(&files, 3);
        client.create_topic(&normalised, 3);
        let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
        let app = App::on(client, name)
            .with("max.poll.records", "1")
            .with("commit.interval.ms", "1")
            .with("extraction.dir", &dir.path().display().to_string())
            .with("extraction.files.topic", &files)
            .with("extraction.normalised.topic", &normalised)
            .with("extraction.file.rows.max", &FILE_ROWS.to_string())
            .with("extraction.csv", "true");
        let mut process = app.spawn_line(&["run", "extraction"]);
        process.await_that("it is ready", |process| {
            process.get("/ready").is_some_and(|(status, _)| status == 200)
        });
        Desk { app, process, dir }
    }

    /// Extracts so many rows of the embedded API, and returns the files once all of them are normalised.
    fn extract_embedded(&mut self, source: &str, rows: usize) -> Files {
        let app = self
            .app
            .clone()
            .with("extraction.source", source)
            .with("extraction.embedded.rows", &rows.to_string())
            .with("extraction.embedded.rows.per.second", "0");
        let before = Files::below(self.dir.path()).of("raw").1;
        self.extract(&app, &["extract", "--once", "--embedded"], before + rows as u64)
    }

    fn extract(&mut self, app: &App, line: &[&str], rows: u64) -> Files {
        let mut extractor = app.spawn_line(line);
        let end = extractor.await_end(LIMIT);
        assert!(end.success(), "{}", extractor.log_end());
        let dir = self.dir.path();
        self.process.await_that("every row is normalised or rejected", |_| {
            let files = Files::below(dir);
            let done = files.of("normalised").1 + files.of("rejected").1;
            files.of("raw").1 == rows && done == rows && files.of("csv").0 == files.of("normalised").0
        });
        Files::below(dir)
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port)
    }
}

fn await_figure(browser: &Browser, name: &str, value: u64) {
    browser.await_true(&format!(
        "document.querySelector('[data-figure=\"extraction.{name}\"]').dataset.value === '{value}'"
    ));
}

/// Shows a file of the page of the table that is open, and returns the cells.
fn preview(browser: &Browser, file: &str) -> Vec<Vec<String>> {
    let button = format!("[data-preview=\"{file}\"]");
    browser.await_true(&format!("document.querySelector({})", json!(button)));
    browser.click(&button);
    browser.await_true(&format!("document.querySelector('#preview .body p').textContent.includes('{file}')"));
    browser.await_true("document.querySelectorAll('#rows-extraction-preview tr').length > 0");
    browser.rows("extraction-preview")
}

#[test]
fn the_page_shows_what_the_files_hold() {
    let mut desk = Desk::open("extraction-page");
    let mut files = desk.extract_embedded("first", 6 * FILE_ROWS);
    let browser = Browser::start();
    browser.open(&format!("{}/extraction", desk.origin()));
    browser.run("window.notReloaded = true");
    for more in [None, Some("second")] {
        // Without a reload: new files arrive by themselves.
        if let Some(source) = more {
            files = desk.extract_embedded(source, 2 * FILE_ROWS);
        }
        await_figure(&browser, "rows_normalised", files.of("normalised").1);
        await_figure(&browser, "rows_rejected", files.of("rejected").1);
        await_figure(&browser, "files_raw", files.of("raw").0 as u64);
        await_figure(&browser, "bytes", files.bytes);
        await_figure(&browser, "waiting_references", 0);
    }
    assert!(browser.is("window.notReloaded"));
    assert!(browser.is("(await import('/assets/pages/extraction.js')).interval <= 5000"));
    browser.await_refresh();
    // An interval is drawn once it is over.
    let values = "window.riacho.chart('extraction-throughput').series[0].values";
    let normalised = files.of("normalised").1;
    browser.await_true(&format!("{values}.reduce((sum, value) => sum + value, 0) === {normalised}"));

    // The server gives the table one page at a time.
    let mut listed = BTreeMap::new();
    let pages = files.rows.len().div_ceil(15);
    for page in 1..=pages {
        browser.await_true(&format!(
            "document.querySelector('[data-pager=extraction-files]').textContent.includes('Página {page} de {pages}')"
        ));
        for cells in browser.rows("extraction-files") {
            let [name, _, rows, ..] = cells.as_slice() else { panic!("too few cells: {cells:?}") };
            listed.insert(name.clone(), rows.replace('.', "").parse::<u64>().expect("a count"));
        }
        if page < pages {
            browser.click("[data-pager=extraction-files] [data-go=next]");
        }
    }
    assert!(listed.keys().eq(files.rows.keys()), "{listed:?}");
    let without_csv = |name: &str| !name.ends_with(".csv");
    for (name, rows) in files.rows.iter().filter(|(name, _)| without_csv(name)) {
        assert_eq!(listed.get(name), Some(rows), "{name}");
    }

    // The oldest file is on the last page.
    let cells = preview(&browser, "first-00000001.raw.parquet");
    let first = cells.first().and_then(|cells| cells.get(2)).expect("three columns");
    let shown = first.trim_end_matches('…');
    assert!(shown.len() > 100 && row(SEED, 0).starts_with(shown), "{first}");
    browser.assert_quiet(&desk.origin());
}

#[test]
fn hostile_rows_of_an_api_are_shown_as_text_and_break_nothing() {
    let hostile = [
        "<img src=x onerror=\"window.owned=1\">",
        "'; DROP TABLE itens; --",
        "</script><script>window.owned=1</script>",
        "um\nde\u{202e}sárt\u{200f}{a|b}",
    ];
    let mut rows: Vec<Value> = hostile
        .iter()
        .enumerate()
        .map(|(id, text)| json!({ "id": id, "texto": text, "<b>x</b>": text }))
        .collect();
    rows.push(json!({ "id": hostile.len(), "texto": "x".repeat(1 << 20), "<b>x</b>": null }));
    let total = rows.len();
    let answer = Value::Array(rows);
    let pages = Pages::new().with("/itens", "rows that want to do harm", move |_| Page::json(200, &answer));
    let server = HttpServer::start("127.0.0.1:0", pages).expect("a port is free");
    let mut desk = Desk::open("extraction-hostile");
    let app = desk
        .app
        .clone()
        .with("extraction.source", "mau")
        .with("extraction.api.url", &format!("http://{}/itens", server.local_addr()))
        .with("extraction.api.paging", "none");
    desk.extract(&app, &["extract", "--once"], total as u64);

    let browser = Browser::start();
    browser.widen(360);
    browser.open(&format!("{}/extraction", desk.origin()));
    await_figure(&browser, "rows_normalised", total as u64);
    let cells = preview(&browser, "mau-00000001.parquet");
    assert_eq!(cells.len(), total);
    for text in hostile {
        assert!(cells.iter().any(|row| row.iter().any(|cell| cell == text)), "{text:?} is not in {cells:?}");
    }
    let longest = cells.iter().flatten().map(|cell| cell.chars().count()).max();
    assert_eq!(longest, Some(257), "a mebibyte is cut");
    let raw = preview(&browser, "mau-00000001.raw.parquet");
    assert!(raw.iter().flatten().any(|cell| cell.contains("<b>x</b>")), "{raw:?}");
    assert!(browser.is("window.owned === undefined && document.querySelector('main img, main b') === null"));
    let room = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.await_true(&format!("{room} <= 0"));
    browser.assert_quiet(&desk.origin());
}
