//! The extractor dies between any two of its steps, and every row of the API is told of once.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use riacho::SystemClock;
use riacho::connect::files::ParquetSource;
use riacho::connect::http_api::{ApiSettings, HttpApi, Paging, Patience};
use riacho::observe::HttpServer;
use riacho::ports::{ClientError, ClientErrorKind};

use super::api::{Api, ApiOptions, PATH};
use super::extractor::{ExtractError, Extracted, Extractor, FileLimits, References};
use super::folders::{Folders, Stage};
use super::raw_file::rows_of;
use super::reference::Reference;
use super::rows::row;

const ROWS: u64 = 2500;

/// Where a death strikes while a file is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// The file is there and the reference is not.
    BeforeTelling,
    /// The reference is there and nobody knows.
    AfterTelling,
}

/// A topic that outlives its writers.
#[derive(Clone, Default)]
struct Topic {
    told: Rc<RefCell<Vec<Reference>>>,
    death: Rc<RefCell<Option<Death>>>,
}

impl References for Topic {
    fn last(&mut self, source: &str) -> Result<Option<Reference>, ClientError> {
        Ok(self.told.borrow().iter().rfind(|reference| reference.source == source).cloned())
    }

    fn tell(&mut self, reference: &Reference) -> Result<(), ClientError> {
        let death = self.death.borrow_mut().take();
        if death != Some(Death::BeforeTelling) {
            self.told.borrow_mut().push(reference.clone());
        }
        match death {
            None => Ok(()),
            Some(_) => Err(ClientError {
                kind: ClientErrorKind::Fatal,
                operation: "tell",
                message: "dead".to_owned(),
            }),
        }
    }
}

struct Scene {
    server: HttpServer,
    root: tempfile::TempDir,
    topic: Topic,
}

impl Scene {
    fn new(failures: f64) -> Scene {
        let options = ApiOptions { seed: 7, rows: ROWS, rows_per_second: 0, failures };
        let api = Api::new(options, Arc::new(SystemClock::new()));
        let server = HttpServer::start("127.0.0.1:0", api.pages()).unwrap();
        let scene = Scene { server, root: tempfile::tempdir().unwrap(), topic: Topic::default() };
        scene.folders().prepare().unwrap();
        scene
    }

    fn folders(&self) -> Folders {
        Folders::below(self.root.path())
    }

    fn extractor(&self, paging: Paging) -> Extractor<Topic> {
        let url = format!("http://{}{PATH}", self.server.local_addr());
        let patience = Patience { pause_first: Duration::from_millis(1), ..Patience::default() };
        let settings = ApiSettings::new(&url, paging).unwrap().rows_at(["items"]).patience(patience);
        Extractor {
            api: HttpApi::new(settings, Arc::new(SystemClock::new()), 7),
            references: self.topic.clone(),
            folders: self.folders(),
            source: "a".to_owned(),
            limits: FileLimits { rows_max: 200, time_max: Duration::from_secs(3600) },
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Extracts to the end with one extractor, or to its death.
    fn extract(&self, paging: Paging) -> Result<(), ExtractError> {
        let mut extractor = self.extractor(paging);
        let mut progress = extractor.resume()?;
        loop {
            // The API asks for a second of patience: this test has none.
            match extractor.next_file(&mut progress, &mut |_| false)? {
                Extracted::File { is_end: false, .. } => {}
                Extracted::File { is_end: true, .. } | Extracted::Nothing => return Ok(()),
            }
        }
    }

    /// Every row is told of once, in its order.
    fn prove(&self) {
        let told = self.topic.told.borrow();
        let mut rows = 0;
        for (at, reference) in told.iter().enumerate() {
            assert_eq!((reference.sequence, reference.first_row), (at as u64 + 1, rows));
            let file = self.folders().place(Stage::Raw, &reference.path).unwrap();
            for batch in rows_of(&ParquetSource::open(&file).unwrap()).unwrap() {
                for (ordinal, text) in batch.unwrap().iter() {
                    assert_eq!((ordinal, text), (rows as i64, row(7, rows).as_str()));
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, ROWS);
        let files = std::fs::read_dir(self.folders().folder(Stage::Raw)).unwrap().count();
        assert_eq!(files, told.len(), "no file is there that was not told of");
    }
}

fn pages() -> Paging {
    Paging::Page { parameter: "page".to_owned(), first: 1, size: ("size".to_owned(), 90) }
}

#[test]
fn whatever_step_it_dies_at_every_row_is_told_of_once() {
    let scene = Scene::new(0.0);
    let mut deaths = 0;
    loop {
        let death = if deaths % 2 == 0 { Death::BeforeTelling } else { Death::AfterTelling };
        *scene.topic.death.borrow_mut() = Some(death);
        match scene.extract(pages()) {
            Ok(()) => break,
            Err(_) => deaths += 1,
        }
    }
    assert!(deaths >= 20, "{deaths}");
    scene.prove();
}

#[test]
fn every_paging_gives_every_row_once_from_an_api_that_fails_now_and_then() {
    let size = || ("size".to_owned(), 170);
    for paging in [
        pages(),
        Paging::Offset { parameter: "offset".to_owned(), size: size() },
        Paging::Cursor { parameter: "cursor".to_owned(), size: Some(size()), path: vec!["next".to_owned()] },
        Paging::Link { path: Vec::new() },
    ] {
        let scene = Scene::new(0.2);
        scene.extract(paging.clone()).unwrap();
        scene.prove();
        scene.extract(paging).unwrap();
        scene.prove();
    }
}

#[test]
fn another_paging_or_another_folder_is_noticed_before_anything_is_taken() {
    let scene = Scene::new(0.0);
    scene.extract(pages()).unwrap();
    let other = Paging::Offset { parameter: "offset".to_owned(), size: ("size".to_owned(), 10) };
    let error = scene.extract(other).unwrap_err().to_string();
    assert!(error.contains("another paging"), "{error}");
    // The topic was deleted up to the third file.
    scene.topic.told.borrow_mut().drain(..);
    let place = scene.folders().file(Stage::Raw, "a", 1);
    std::fs::copy(scene.folders().file(Stage::Raw, "a", 3), place).unwrap();
    let error = scene.extract(pages()).unwrap_err().to_string();
    assert!(error.contains("does not follow the last reference"), "{error}");
}
