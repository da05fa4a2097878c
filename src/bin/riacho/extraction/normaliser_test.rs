//! From raw files to normalised ones, and from references to announcements.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use riacho::connect::files::{Checksum, ParquetSource};
use riacho::connect::http_api::{Place, Position};
use riacho::{BadRecord, BadRecordPolicy, Json, Timestamp, Utf8};
use riacho_topology::TestDriver;

use super::announcement::Announcement;
use super::columns::Declared;
use super::folders::{Folders, Stage};
use super::kind::Kind;
use super::normaliser::{Normaliser, Refusal, Rules, SourceState};
use super::raw_file::RawWriter;
use super::reference::Reference;
use super::rows;
use super::text::write_text;
use super::topology::topology;

/// A folder with raw files, and who normalises them.
struct Bench {
    root: tempfile::TempDir,
    rules: Rules,
    rows: u64,
    files: u64,
}

impl Bench {
    fn new() -> Bench {
        let declared = Declared {
            kinds: vec![("valor".to_owned(), Kind::Decimal(2)), ("dia".to_owned(), Kind::Date)],
            id: vec!["id".to_owned()],
        };
        let rules = Rules { declared, csv: true, repeated_rows_max: 1000 };
        let bench = Bench { root: tempfile::tempdir().unwrap(), rules, rows: 0, files: 0 };
        bench.folders().prepare().unwrap();
        bench
    }

    fn folders(&self) -> Folders {
        Folders::below(self.root.path())
    }

    /// One that remembers nothing.
    fn normaliser(&self) -> Normaliser {
        Normaliser::new(self.folders(), self.rules.clone())
    }

    fn raw(&mut self, rows: &[&str]) -> Reference {
        self.files += 1;
        let mut writer = RawWriter::create(&self.folders(), "a", self.files, self.rows).unwrap();
        rows.iter().for_each(|row| writer.push(row, Timestamp(1)).unwrap());
        self.rows += rows.len() as u64;
        writer.publish(&Position { place: Place::Page(self.files), taken: 0 }).unwrap()
    }

    /// The rows of a file as text, with the names of its columns first.
    fn read(&self, stage: Stage, name: &str) -> Vec<Vec<String>> {
        let source = ParquetSource::open(&self.folders().place(stage, name).unwrap()).unwrap();
        let names = source.schema().fields().iter().map(|field| field.name().clone()).collect();
        let text = |batch: &RecordBatch, column: usize, row: usize| {
            let mut text = String::new();
            if write_text(&mut text, batch.column(column), row) { text } else { "null".to_owned() }
        };
        let mut all = vec![names];
        for batch in source.batches(1000, None).map(Result::unwrap) {
            let columns = 0..batch.num_columns();
            let row = |row| columns.clone().map(|column| text(&batch, column, row)).collect();
            all.extend((0..batch.num_rows()).map(row));
        }
        all
    }

    fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for stage in [Stage::Normalised, Stage::Csv, Stage::Rejected] {
            for entry in std::fs::read_dir(self.folders().folder(stage)).unwrap() {
                let path = entry.unwrap().path();
                all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
        all.sort();
        all
    }
}

#[test]
fn rows_become_columns_with_types_and_what_is_bad_is_kept_with_its_reason() {
    let mut bench = Bench::new();
    let reference = bench.raw(&[
        r#"{"id":1,"valor":"12.50","dia":"31/12/2026","Cliente":{"nomeCompleto":"Ana","Endereço":{"CEP":"01310"}}}"#,
        r#"{"id":2,"valor":3,"ativo":true,"etiquetas":[1,"a"],"Cliente":null}"#,
        r#"{"id":2,"valor":9}"#,
        r#"{"id":3,"valor":"grátis"}"#,
        "[]",
        r#"{"id":4,"valor":null,"dia":null,"observação":"<script>'; DROP TABLE\n\u202e"}"#,
    ]);
    let mut state = SourceState::default();
    let told = bench.normaliser().take("a", &reference, &mut state).unwrap().unwrap();
    assert_eq!((told.rows_read, told.rows_repeated, told.schema_version), (6, 1, 1));
    let parquet = told.parquet.unwrap();
    let rows = bench.read(Stage::Normalised, &parquet.path);
    assert_eq!(
        rows[0],
        [
            "valor",
            "dia",
            "id",
            "cliente_nome_completo",
            "cliente_endereco_cep",
            "ativo",
            "etiquetas",
            "observacao"
        ]
    );
    assert_eq!(rows[1], ["12.50", "2026-12-31", "1", "Ana", "01310", "null", "null", "null"]);
    assert_eq!(rows[2], ["3.00", "null", "2", "null", "null", "true", "[1,\"a\"]", "null"]);
    assert_eq!(rows[3][7], "<script>'; DROP TABLE\n\u{202e}");
    assert_eq!((rows.len(), parquet.rows), (4, 3));

    let rejected = bench.read(Stage::Rejected, &told.rejected.unwrap().path);
    let reasons: Vec<_> = rejected[1..].iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("2", "a row with this id comes before it in this file"),
            ("3", "valor: 'grátis' is no decimal(2)"),
            ("4", "not an object")
        ]
    );
    let csv = bench.folders().place(Stage::Csv, &told.csv.unwrap().path).unwrap();
    assert_eq!(csv::Reader::from_path(csv).unwrap().records().map(Result::unwrap).count(), 3);
}

#[test]
fn a_file_that_is_made_again_is_the_same_to_the_byte() {
    let mut bench = Bench::new();
    bench.rules.declared = Declared::default();
    let made_up: Vec<String> = (0..3000).map(|index| rows::row(7, index)).collect();
    let reference = bench.raw(&made_up.iter().map(String::as_str).collect::<Vec<_>>());
    let state = SourceState::default();
    let (mut first, mut second) = (state.clone(), state);
    let told = bench.normaliser().take("a", &reference, &mut first).unwrap();
    let bytes = bench.bytes();
    assert_eq!(bytes.len(), 3);
    assert_eq!(bench.normaliser().take("a", &reference, &mut second).unwrap(), told);
    assert_eq!((bench.bytes(), second), (bytes, first));
}

#[test]
fn a_row_that_was_in_an_earlier_file_is_rejected_also_by_another_process() {
    let mut bench = Bench::new();
    let references = [
        bench.raw(&[r#"{"id":1}"#, r#"{"id":"1"}"#, r#"{"id":"x"}"#]),
        bench.raw(&[r#"{"id":1}"#, r#"{"id":2}"#]),
    ];
    let mut state = SourceState::default();
    for reference in &references {
        bench.normaliser().take("a", reference, &mut state).unwrap();
    }
    assert_eq!(bench.read(Stage::Normalised, "a-00000001.parquet").len(), 3, "1 and \"1\" are the same id");
    let rejected = bench.read(Stage::Rejected, "a-00000002.rejected.parquet");
    assert_eq!(rejected[1], ["3", "a row with this id is in a-00000001.parquet", r#"{"id":1}"#]);
}

#[test]
fn columns_widen_from_file_to_file_and_their_version_tells() {
    let mut bench = Bench::new();
    let mut state = SourceState::default();
    let normaliser = bench.normaliser();
    let mut version = |bench: &mut Bench, row: &str| {
        let reference = bench.raw(&[row]);
        let told = normaliser.take("a", &reference, &mut state).unwrap().unwrap();
        let kind = told.columns.iter().find(|column| column.name == "x").map(|column| column.kind.clone());
        (told.schema_version, kind.unwrap_or_default())
    };
    assert_eq!(version(&mut bench, r#"{"id":1,"x":1}"#), (1, "integer".to_owned()));
    assert_eq!(version(&mut bench, r#"{"id":2,"x":2}"#), (1, "integer".to_owned()));
    assert_eq!(version(&mut bench, r#"{"id":3}"#), (1, "integer".to_owned()));
    assert_eq!(version(&mut bench, r#"{"id":4,"x":1.5}"#), (2, "float".to_owned()));
    assert_eq!(version(&mut bench, r#"{"id":5,"x":"a"}"#), (3, "text".to_owned()));
}

#[test]
fn a_file_without_a_good_row_leaves_its_rejects_only() {
    let mut bench = Bench::new();
    let reference = bench.raw(&["1", "2"]);
    let told = bench.normaliser().take("a", &reference, &mut SourceState::default()).unwrap().unwrap();
    assert_eq!((told.parquet, told.csv, told.rejected.map(|output| output.rows)), (None, None, Some(2)));
    assert_eq!(bench.bytes().len(), 1);
}

#[test]
fn a_reference_that_does_not_lead_to_a_whole_raw_file_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let good = bench.raw(&[r#"{"id":1}"#]);
    let refused = |key: &str, reference: Reference, part: &str| {
        let mut state = SourceState::default();
        match bench.normaliser().take(key, &reference, &mut state) {
            Err(Refusal::Reference(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
        assert_eq!(state, SourceState::default());
    };
    refused("b", good.clone(), "key of the record");
    refused("../a", Reference { source: "../a".to_owned(), ..good.clone() }, "key of the record");
    refused("a", Reference { path: "../../etc/passwd".to_owned(), ..good.clone() }, "out of the folder");
    refused("a", Reference { path: "b.parquet".to_owned(), ..good.clone() }, "is not there");
    refused("a", Reference { bytes: good.bytes + 1, ..good.clone() }, "bytes");
    refused("a", Reference { checksum: Checksum::of_bytes(b""), ..good.clone() }, "checksum");
    refused("a", Reference { schema_version: 2, ..good.clone() }, "update it");
    let place = bench.folders().place(Stage::Raw, &good.path).unwrap();
    std::fs::write(&place, "no parquet").unwrap();
    let (bytes, checksum) = (10, Checksum::of_file(&place).unwrap());
    refused("a", Reference { bytes, checksum, ..good }, &place.display().to_string());
    assert_eq!(bench.bytes(), []);
}

#[test]
fn a_disk_that_is_not_there_is_no_fault_of_the_reference() {
    let mut bench = Bench::new();
    let reference = bench.raw(&[r#"{"id":1}"#]);
    std::fs::remove_dir_all(bench.folders().folder(Stage::Raw)).unwrap();
    let taken = bench.normaliser().take("a", &reference, &mut SourceState::default());
    assert!(matches!(taken, Err(Refusal::Storage(_))), "{taken:?}");
}

fn driver(bench: &Bench) -> TestDriver {
    let topology = topology("files", "normalised", Arc::new(bench.normaliser())).unwrap();
    TestDriver::of(topology).bad_records_of(BadRecord::Processing, BadRecordPolicy::DeadLetter)
}

fn send(run: &mut TestDriver, reference: &Reference) {
    run.input::<String, Reference>("files", Utf8, Json::new()).send("a", reference.clone());
}

fn told(run: &mut TestDriver) -> Vec<u64> {
    let told = run.output::<String, Announcement>("normalised", Utf8, Json::new());
    told.into_iter().map(|record| record.value.sequence).collect()
}

#[test]
fn each_reference_is_told_of_once_whatever_is_aborted_repeated_or_restarted() {
    let mut bench = Bench::new();
    let references: Vec<Reference> = (0..6)
        .map(|at| bench.raw(&[&format!(r#"{{"id":{at}}}"#), &format!(r#"{{"id":{}}}"#, at / 2)]))
        .collect();
    let mut run = driver(&bench).commit_every_record(false);
    for reference in &references {
        send(&mut run, reference);
        run.abort();
        run.replay();
        send(&mut run, reference);
        run.fail_commit();
        run.replay();
        run.restart();
        run.replay();
        run.commit();
        send(&mut run, reference);
        run.commit();
    }
    assert_eq!(told(&mut run), [1, 2, 3, 4, 5, 6]);
    let mut straight = Bench::new();
    std::mem::swap(&mut straight.rules, &mut bench.rules);
    let again: Vec<Reference> = (0..6)
        .map(|at| straight.raw(&[&format!(r#"{{"id":{at}}}"#), &format!(r#"{{"id":{}}}"#, at / 2)]))
        .collect();
    let mut plain = driver(&straight);
    again.iter().for_each(|reference| send(&mut plain, reference));
    let content = |bench: &Bench| bench.bytes().into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    assert_eq!(content(&bench), content(&straight), "the files are those of a run without a fault");
}

#[test]
fn a_reference_that_leads_nowhere_is_a_dead_letter_and_may_come_back() {
    let mut bench = Bench::new();
    let references: Vec<Reference> = (0..3).map(|at| bench.raw(&[&format!(r#"{{"id":{at}}}"#)])).collect();
    let hidden = bench.folders().place(Stage::Raw, &references[1].path).unwrap();
    let aside = Path::new(bench.root.path()).join("aside");
    std::fs::rename(&hidden, &aside).unwrap();
    let mut run = driver(&bench);
    references.iter().for_each(|reference| send(&mut run, reference));
    assert_eq!((told(&mut run), run.dead_letters().len()), (vec![1, 3], 1));
    std::fs::rename(&aside, &hidden).unwrap();
    references.iter().for_each(|reference| send(&mut run, reference));
    assert_eq!(told(&mut run), [2]);
}
