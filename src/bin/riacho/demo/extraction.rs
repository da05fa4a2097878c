//! The demo of `extraction`: an API with made-up rows, who extracts, who normalises, and a count of what lies in the files.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanCount;
use riacho::SystemClock;
use riacho::connect::files::ParquetSource;
use riacho::kafka::TopicReader;
use riacho::observe::HttpServer;
use serde_json::Value;

use super::child::Child;
use super::play::Play;
use super::site::{Site, number};
use super::stage::Stage;
use super::verdict::Verdict;
use crate::Failure;
use crate::application::App;
use crate::extraction::api::{Api, ApiOptions, PATH};
use crate::extraction::config::EMBEDDED_COLUMNS;
use crate::extraction::folders::{Folders, Stage as FileStage};

const API: ApiOptions = ApiOptions { seed: 1, rows: 1_000_000_000, rows_per_second: 500, failures: 0.05 };
const POLL_WAIT: Duration = Duration::from_millis(50);
const POLL_RECORDS_MAX: usize = 10_000;

pub(super) struct Extraction {
    extractor: Child,
    application: Child,
    site: Site,
    folders: Folders,
    reader: TopicReader,
    files_topic: String,
    told: Told,
    /// Ends after those who ask it.
    api: HttpServer,
}

impl Extraction {
    /// Starts API, extractor and application.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn begin(stage: &mut Stage<'_>) -> Result<Extraction, Failure> {
        let api = HttpServer::start("127.0.0.1:0", Api::new(API, Arc::new(SystemClock::new())).pages())?;
        let (files, normalised) = (stage.name("extraction_files"), stage.name("extraction_normalised"));
        let dir = stage.place("output")?;
        let (mut settings, site) = stage.settings()?;
        settings.extend([
            ("application.id", stage.name("extraction")),
            ("extraction.dir", dir.display().to_string()),
            ("extraction.files.topic", files.clone()),
            ("extraction.normalised.topic", normalised.clone()),
            ("extraction.api.url", format!("http://{}{PATH}", api.local_addr())),
            ("extraction.api.rows.path", "items".to_owned()),
            ("extraction.columns", EMBEDDED_COLUMNS.to_owned()),
            ("extraction.id.fields", "id".to_owned()),
            ("extraction.csv", "true".to_owned()),
            ("extraction.file.time.max.ms", "1000".to_owned()),
            ("extraction.poll.interval.ms", "1000".to_owned()),
        ]);
        stage.create_topics_of(App::Extraction, &settings)?;
        let application = stage.start("application", &["run", "extraction"], &settings, &[])?;
        // It serves nothing.
        settings.retain(|(key, _)| *key != "riacho.http.address");
        let extractor = stage.start("extractor", &["extract"], &settings, &[])?;
        let reader = stage.read(&[&files, &normalised])?;
        Ok(Extraction {
            extractor,
            application,
            site,
            folders: Folders::below(&dir),
            reader,
            files_topic: files,
            told: Told::default(),
            api,
        })
    }

    fn read(&mut self) -> Result<usize, Failure> {
        let Extraction { told, files_topic, reader, .. } = self;
        let read = reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut |place, record| {
            told.add(place.topic == *files_topic, record.value);
        })?;
        Ok(read)
    }
}

impl Play for Extraction {
    fn differences(&self) -> String {
        format!(
            "the API is served by this program at http://{}{PATH}: {} made-up rows per second, some of them bad, and one \
             of {} requests fails",
            self.api.local_addr(),
            API.rows_per_second,
            (1.0 / API.failures).round(),
        )
    }

    fn page(&self) -> (&Site, &'static str) {
        (&self.site, "extraction")
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.extractor.check()?;
        self.application.check()?;
        self.read().map(drop)
    }

    fn figures(&self) -> Option<String> {
        let summary = self.site.figures("extraction/summary")?;
        let number = |name| HumanCount(number(&summary, name));
        Some(format!(
            "{} raw files with {} rows; {} rows normalised, {} rejected; {} references wait",
            number("files_raw"),
            number("rows_raw"),
            number("rows_normalised"),
            number("rows_rejected"),
            number("waiting_references"),
        ))
    }

    fn end_input(&mut self) -> Result<(), Failure> {
        self.extractor.stop()
    }

    fn compare(&mut self) -> Result<Verdict, Failure> {
        self.application.check()?;
        while self.read()? > 0 {}
        let found = Found::below(&self.folders)?;
        let shown = self.site.figures("extraction/summary").unwrap_or_default();
        Ok(compared(&found, &self.told, &shown))
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.application.stop()
    }
}

/// What is told on Kafka: how often each raw file was, and how often it was said to be normalised.
#[derive(Debug, Default)]
struct Told {
    references: BTreeMap<u64, u64>,
    normalised: BTreeMap<u64, u64>,
}

impl Told {
    fn add(&mut self, is_reference: bool, value: Option<&[u8]>) {
        let told = value.and_then(|value| serde_json::from_slice::<Value>(value).ok()).unwrap_or_default();
        let times = if is_reference { &mut self.references } else { &mut self.normalised };
        *times.entry(number(&told, "sequence")).or_default() += 1;
    }

    /// How many raw files were told of once, and normalised once.
    fn once(&self) -> u64 {
        let once = |(sequence, times): (&u64, &u64)| *times == 1 && self.references.contains_key(sequence);
        self.normalised.iter().filter(|told| once(*told)).count() as u64
    }
}

/// The files that are there, and their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    raw_files: u64,
    raw: u64,
    normalised: u64,
    rejected: u64,
}

impl Found {
    fn below(folders: &Folders) -> Result<Found, Failure> {
        let rows = |stage: FileStage| -> Result<(u64, u64), Failure> {
            let (mut files, mut rows) = (0, 0);
            for entry in fs::read_dir(folders.folder(stage))? {
                let entry = entry?;
                // A file under construction is hidden.
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                files += 1;
                rows += ParquetSource::open(&entry.path())?.rows();
            }
            Ok((files, rows))
        };
        let (raw_files, raw) = rows(FileStage::Raw)?;
        let (normalised, rejected) = (rows(FileStage::Normalised)?.1, rows(FileStage::Rejected)?.1);
        Ok(Found { raw_files, raw, normalised, rejected })
    }
}

fn compared(found: &Found, told: &Told, shown: &Value) -> Verdict {
    let Found { raw_files, raw, normalised, rejected } = *found;
    let mut verdict = Verdict::default();
    let good = raw.saturating_sub(rejected);
    verdict.claim(
        "rows",
        ("in the raw files without the rejected", good),
        ("in the normalised files", normalised),
    );
    verdict.claim("references", ("raw files", raw_files), ("told of and normalised once", told.once()));
    let told_of = told.references.len() as u64;
    verdict.claim("raw files", ("in the folder", raw_files), ("told of", told_of));
    for (what, counted, name) in [
        ("raw rows", raw, "rows_raw"),
        ("normalised rows", normalised, "rows_normalised"),
        ("rejected rows", rejected, "rows_rejected"),
    ] {
        verdict.claim(what, ("in the files", counted), ("on the page", number(shown, name)));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(references: &[u64], normalised: &[u64]) -> Told {
        let mut told = Told::default();
        for (is_reference, sequences) in [(true, references), (false, normalised)] {
            for sequence in sequences {
                told.add(is_reference, Some(json!({ "sequence": sequence }).to_string().as_bytes()));
            }
        }
        told
    }

    #[test]
    fn every_row_and_every_reference_has_to_arrive_once() {
        let found = Found { raw_files: 2, raw: 100, normalised: 90, rejected: 10 };
        let shown = json!({ "rows_raw": 100, "rows_normalised": 90, "rows_rejected": 10 });
        let right = compared(&found, &told(&[1, 2], &[1, 2]), &shown);
        assert!(right.passed(), "{right}");
        for wrong in [
            compared(&Found { normalised: 89, ..found }, &told(&[1, 2], &[1, 2]), &shown),
            compared(&Found { raw: 101, ..found }, &told(&[1, 2], &[1, 2]), &shown),
            compared(&found, &told(&[1, 2], &[1]), &shown),
            compared(&found, &told(&[1, 2], &[1, 2, 2]), &shown),
            compared(&found, &told(&[1], &[1, 2]), &shown),
            compared(&found, &told(&[1, 2], &[1, 2]), &json!({ "rows_raw": 100 })),
        ] {
            assert!(!wrong.passed(), "{wrong}");
        }
    }
}
