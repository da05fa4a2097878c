//! The extractor and the normaliser are killed at every step, and every row arrives once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use riacho::SystemClock;
use riacho::observe::HttpServer;
use serde_json::Value;

use super::api::{Api, ApiOptions, PATH};
use super::oracle;
use super::rows::row;
use crate::recovery::dice;
use crate::support::{App, Isolation, Kafka, LIMIT, Process, await_until, unique};

const ROWS: u64 = 12_000;
const SEED: u64 = 11;

/// An API, and the application that extracts from it.
struct Scene {
    app: App,
    dir: tempfile::TempDir,
    files: String,
    normalised: String,
    _server: HttpServer,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let client = Kafka::shared().client();
        let options = ApiOptions { seed: SEED, rows: ROWS, rows_per_second: 0, failures: 0.02 };
        let api = Api::new(options, Arc::new(SystemClock::new()));
        let server = HttpServer::start("127.0.0.1:0", api.pages()).expect("a port is free");
        let (files, normalised) = (unique(&format!("{name}-files")), unique(&format!("{name}-normalised")));
        client.create_topic(&files, 3);
        client.create_topic(&normalised, 3);
        let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
        let url = format!("http://{}{PATH}", server.local_addr());
        let app = App::on(client, name)
            .with("max.poll.records", "1")
            .with("commit.interval.ms", "1")
            .with("extraction.dir", &dir.path().display().to_string())
            .with("extraction.files.topic", &files)
            .with("extraction.normalised.topic", &normalised)
            .with("extraction.api.url", &url)
            .with("extraction.api.rows.path", "items")
            .with("extraction.api.size", "125")
            .with("extraction.api.pause.first.ms", "5")
            .with("extraction.file.rows.max", "500")
            .with("extraction.id.fields", "id")
            .with("extraction.columns", "id:integer,valorTotal:decimal(2),criadoEm:timestamp,nascimento:date")
            .with("extraction.csv", "true");
        Scene { app, dir, files, normalised, _server: server }
    }

    fn extract(&self) -> Process {
        self.app.spawn_line(&["extract", "--once"])
    }

    fn normalise(&self) -> Process {
        self.app.spawn_line(&["run", "extraction"])
    }

    /// How many files of a stage are visible.
    fn count(&self, stage: &str) -> usize {
        visible(&self.dir.path().join(stage)).len()
    }

    /// Every file was told of once, in order and without a hole, and every announcement is of the file that is there.
    fn prove(&self) {
        let client = Kafka::shared().client();
        let mut raw: BTreeMap<u64, Value> = BTreeMap::new();
        for record in client.read_all(&self.files, Isolation::ReadCommitted) {
            let reference: Value = serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
            let sequence = at(&reference, "/sequence").as_u64().expect("a number");
            // The writer was killed: what it had sent may have come twice, and then it is the same.
            let before = raw.insert(sequence, reference.clone());
            assert!(before.is_none_or(|before| before == reference), "{reference}");
        }
        assert!(raw.keys().copied().eq(1..=raw.len() as u64), "{:?}", raw.keys());
        let rows: u64 = raw.values().filter_map(|reference| at(reference, "/rows").as_u64()).sum();
        assert_eq!(rows, ROWS);

        let mut announced = BTreeMap::new();
        for record in client.read_all(&self.normalised, Isolation::ReadCommitted) {
            let told: Value = serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
            for stage in ["parquet", "csv", "rejected"] {
                let Some(name) = at(&told, &format!("/{stage}/path")).as_str() else { continue };
                let folder = if stage == "parquet" { "normalised" } else { stage };
                let length =
                    std::fs::metadata(self.dir.path().join(folder).join(name)).expect("it is there").len();
                assert_eq!(at(&told, &format!("/{stage}/bytes")).as_u64(), Some(length), "{name}");
            }
            let sequence = at(&told, "/sequence").as_u64().expect("a number");
            assert!(announced.insert(sequence, told).is_none(), "{sequence} was told of twice");
        }
        assert!(announced.keys().eq(raw.keys()), "{:?}", announced.keys());
        let all: Vec<String> = (0..ROWS).map(|index| row(SEED, index)).collect();
        oracle::prove(self.dir.path(), &all);
    }
}

/// What a JSON pointer leads to; null if nothing.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn visible(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

#[test]
fn every_row_arrives_once_although_extractor_and_normaliser_are_killed() {
    let (_, mut dice) = dice();
    let scene = Scene::new("extraction");
    for kill in 0..10 {
        let mut extractor = scene.extract();
        let mut normaliser = scene.normalise();
        // The moment at which a file appears lies between the writing of it and the telling of it.
        let stage = ["raw", "normalised", "rejected", "csv"][kill % 4];
        let wanted = scene.count(stage) + dice.random_range(1..3);
        let mut patience = 400;
        await_until(LIMIT, &format!("{wanted} {stage} files, for kill {kill}"), || {
            // The extraction may be over, and then nothing more appears.
            patience -= i32::from(extractor.try_wait().is_some());
            scene.count(stage) >= wanted || patience <= 0
        });
        if extractor.try_wait().is_none() {
            extractor.kill();
        }
        if dice.random_range(0..3) > 0 {
            normaliser.kill();
        } else {
            normaliser.terminate();
        }
    }
    let mut extractor = scene.extract();
    let end = extractor.await_end(LIMIT);
    assert!(end.success(), "{}", extractor.log_end());
    let mut normaliser = scene.normalise();
    scene.app.await_processed(&scene.files);
    scene.prove();
    pages_tell_of_the_files(&mut normaliser);
    assert!(normaliser.terminate().success(), "{}", normaliser.log_end());
}

/// The page's figures are those of the files, and hostile rows are text in it.
fn pages_tell_of_the_files(normaliser: &mut Process) {
    let get = |process: &Process, path: &str| -> Option<Value> {
        let (status, body) = process.get(&format!("/api/extraction/{path}"))?;
        assert_eq!(status, 200, "{path}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        (at(&answer, "/state") == "ready").then(|| at(&answer, "/data").clone())
    };
    normaliser.await_that("its page knows of every file", |process| {
        get(process, "summary")
            .is_some_and(|data| *at(&data, "/rows_raw") == ROWS && *at(&data, "/waiting_references") == 0)
    });
    let summary = get(normaliser, "summary").expect("it was ready");
    let sum = ["rows_normalised", "rows_rejected"]
        .map(|name| at(&summary, &format!("/{name}")).as_u64().expect("a number"));
    assert_eq!(sum[0] + sum[1], ROWS, "{summary}");
    let files = get(normaliser, "files?size=100").expect("it was ready");
    let rows = at(&files, "/rows").as_array().expect("rows");
    let named = |stage: &str| {
        let row = rows.iter().find(|row| at(row, "/stage") == stage).expect("there are files of every stage");
        at(row, "/id").as_str().expect("an id").to_owned()
    };
    for stage in ["raw", "normalised", "csv", "rejected"] {
        let preview = get(normaliser, &format!("files/{}/preview", named(stage))).expect("it was ready");
        let shown = at(&preview, "/rows").as_array().expect("rows");
        let width = at(&preview, "/columns").as_array().expect("columns").len();
        assert!(!shown.is_empty() && shown.len() <= 20, "{stage}: {preview}");
        assert!(shown.iter().all(|row| row.as_array().is_some_and(|cells| cells.len() == width)), "{stage}");
    }
    for (path, status) in
        [("files/..%2f..%2fetc%2fpasswd/preview", 404), ("files?size=0", 400), ("nothing", 404)]
    {
        assert_eq!(
            normaliser.get(&format!("/api/extraction/{path}")).map(|(status, _)| status),
            Some(status)
        );
    }
}

#[test]
fn an_extraction_of_the_embedded_api_runs_in_one_process_and_stops_politely() {
    let scene = Scene::new("embedded");
    let app = scene
        .app
        .clone()
        .with("extraction.embedded.rows.per.second", "2000")
        .with("extraction.file.time.max.ms", "200")
        .with("extraction.poll.interval.ms", "50");
    let mut process = app.spawn_line(&["run", "extraction", "--embedded"]);
    process.await_that("normalised files appear", |_| scene.count("normalised") >= 3);
    assert!(process.terminate().success(), "{}", process.log_end());
    let temporary = |stage: &str| {
        let entries = std::fs::read_dir(scene.dir.path().join(stage)).expect("the folder is there");
        entries
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.'))
            })
            .count()
    };
    let left: usize = ["raw", "normalised", "csv", "rejected"].map(temporary).iter().sum();
    assert_eq!(left, 0, "a polite end leaves no temporary file");
    let before = scene.count("raw");
    let mut second = app.spawn_line(&["extract", "--embedded"]);
    second.await_that("it extracts", |_| scene.count("raw") > before);
    let mut third = app.spawn_line(&["extract", "--embedded"]);
    let end = third.await_end(Duration::from_secs(60));
    assert!(!end.success() && third.log().contains("another process extracts"), "{}", third.log());
}
