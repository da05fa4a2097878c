//! Makes the normalised files of a raw file. The same raw file after the same files before it makes the same bytes under
//! the same names, however often it is done and by whomever: what a crash leaves undone or done twice is done again over
//! itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use riacho::connect::files::{AtomicFile, Checksum, ParquetError, ParquetLimits, ParquetSink, ParquetSource};
use serde::{Deserialize, Serialize};

use super::announcement::{Announcement, Output};
use super::cell::Cell;
use super::columns::{Columns, Declared, KnownColumns};
use super::csv_file::CsvWriter;
use super::duplicates::{RecentFile, SeenIds};
use super::flatten::flatten;
use super::folders::{Folders, Stage, file_name, is_source};
use super::raw_file::rows_of;
use super::reference::{RAW_SCHEMA_VERSION, Reference};
use super::survey::{Reason, Survey};
use super::table::Table;

/// Why a reference has not become files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It does not lead to a whole raw file; others may.
    #[error("{0}")]
    Reference(String),
    /// Nothing can be read or written now: what is the matter has to be mended first.
    #[error("{0}")]
    Storage(String),
}

impl From<ParquetError> for Refusal {
    fn from(error: ParquetError) -> Refusal {
        Refusal::Storage(error.to_string())
    }
}

/// How rows are normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) declared: Declared,
    /// Whether to write CSV too.
    pub(crate) csv: bool,
    /// In how many of the rows before, about, ids are looked for.
    pub(crate) repeated_rows_max: u64,
}

/// What is known of a source after the files before. It is kept and committed together with the position in the topic of
/// references.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceState {
    /// The highest number that was done.
    done: u64,
    /// Numbers below it that were not: their references went to the dead letters, and may come back.
    missing: Vec<u64>,
    columns: KnownColumns,
    recent: Vec<RecentFile>,
}

impl SourceState {
    /// More numbers than this are not kept: what is missing for so long is done when it comes.
    const MISSING_MAX: usize = 1000;

    fn is_done(&self, sequence: u64) -> bool {
        sequence <= self.done && !self.missing.contains(&sequence)
    }

    fn finish(&mut self, sequence: u64) {
        self.missing.retain(|missing| *missing != sequence);
        if sequence > self.done {
            let first = sequence.saturating_sub(Self::MISSING_MAX as u64).max(self.done + 1);
            self.missing.extend(first..sequence);
            let surplus = self.missing.len().saturating_sub(Self::MISSING_MAX);
            self.missing.drain(..surplus);
            self.done = sequence;
        }
    }
}

/// Makes files of raw files.
pub(crate) struct Normaliser {
    folders: Folders,
    rules: Rules,
    /// The ids of the newest files by source: what they hold is in the files, so that nothing is lost with them.
    seen: Mutex<BTreeMap<String, SeenIds>>,
}

impl Normaliser {
    pub(crate) fn new(folders: Folders, rules: Rules) -> Normaliser {
        Normaliser { folders, rules, seen: Mutex::default() }
    }

    /// Makes the files of a raw file; `None` if that was done before. The state is changed only when all is done.
    ///
    /// # Errors
    /// When the raw file is not what the reference says, or files cannot be read or written.
    pub(crate) fn take(
        &self,
        key: &str,
        reference: &Reference,
        state: &mut SourceState,
    ) -> Result<Option<Announcement>, Refusal> {
        if state.is_done(reference.sequence) {
            tracing::info!(source = reference.source, sequence = reference.sequence, "was done before");
            return Ok(None);
        }
        let raw = self.check(key, reference)?;
        let mut seen = self.seen_ids().remove(&reference.source).unwrap_or_default();
        seen.follow(&self.folders, &state.recent)?;
        let made = Making { normaliser: self, reference, state, seen: &mut seen }.files(&raw);
        self.seen_ids().insert(reference.source.clone(), seen);
        let (announcement, columns, newest) = made?;
        state.finish(reference.sequence);
        state.columns = columns;
        if let Some(newest) = newest {
            RecentFile::keep(&mut state.recent, newest, self.rules.repeated_rows_max);
        }
        Ok(Some(announcement))
    }

    fn seen_ids(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SeenIds>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The raw file, if it is what the reference says.
    fn check(&self, key: &str, reference: &Reference) -> Result<PathBuf, Refusal> {
        let refused = |text: String| Err(Refusal::Reference(text));
        let Reference { source, path, schema_version, .. } = reference;
        if key != source || !is_source(source) {
            return refused("the key of the record is not the name of its source".to_owned());
        }
        if *schema_version != RAW_SCHEMA_VERSION {
            return refused(format!(
                "{path} has layout {schema_version} and this program reads {RAW_SCHEMA_VERSION}: update it"
            ));
        }
        let Some(place) = self.folders.place(Stage::Raw, path) else {
            return refused("its file name could lead out of the folder".to_owned());
        };
        let bytes = match place.metadata() {
            Ok(metadata) => metadata.len(),
            // An empty mount point must not turn everything into dead letters.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.folders.folder(Stage::Raw).is_dir() =>
            {
                return refused(format!("{path} is not there"));
            }
            Err(error) => return Err(Refusal::Storage(format!("{}: {error}", place.display()))),
        };
        if bytes != reference.bytes {
            return refused(format!("{path} has {bytes} bytes, and the reference says {}", reference.bytes));
        }
        match Checksum::of_file(&place) {
            Ok(found) if found == reference.checksum => Ok(place),
            Ok(found) => {
                refused(format!("{path} has the checksum {found}, and the reference says otherwise"))
            }
            Err(error) => Err(Refusal::Storage(format!("{}: {error}", place.display()))),
        }
    }
}

/// One raw file under work.
struct Making<'a> {
    normaliser: &'a Normaliser,
    reference: &'a Reference,
    state: &'a SourceState,
    seen: &'a mut SeenIds,
}

/// What came of a raw file: what is told of it, the columns, and the file whose ids count from now on.
type Made = (Announcement, KnownColumns, Option<RecentFile>);

impl Making<'_> {
    fn files(self, raw: &Path) -> Result<Made, Refusal> {
        let Rules { declared, .. } = &self.normaliser.rules;
        let file = ParquetSource::open(raw).map_err(raw_failed)?;
        let columns = Columns::of(&self.state.columns, declared);
        let mut survey = Survey::begin(columns, declared, self.seen);
        let mut rejects = Rejects::begin(self.place(Stage::Rejected));
        let mut is_good = Vec::with_capacity(usize::try_from(file.rows()).unwrap_or_default());
        let mut repeated = 0;
        for rows in rows_of(&file).map_err(Refusal::Reference)? {
            for (ordinal, row) in rows.map_err(raw_failed)?.iter() {
                let looked = survey.look(row);
                is_good.push(looked.is_ok());
                if let Err(reason) = looked {
                    repeated += u64::from(matches!(reason, Reason::Repeated(_)));
                    rejects.push(ordinal, reason.text(), row)?;
                }
            }
            rejects.flush()?;
        }
        let (columns, ids) = survey.end();
        let rejected = rejects.publish(self.name(Stage::Rejected))?;
        let known = columns.known();
        let (parquet, csv) = self.write_good(&file, &columns, known.version, &is_good)?;
        let newest = parquet.as_ref().filter(|_| !declared.id.is_empty()).map(|output| RecentFile {
            path: output.path.clone(),
            rows: output.rows,
            id: declared
                .id
                .iter()
                .filter_map(|path| Some(columns.all().get(columns.find(path)?)?.name.clone()))
                .collect(),
        });
        if let Some(newest) = &newest {
            self.seen.add(newest.path.clone(), ids);
        }
        let announcement = Announcement {
            source: self.reference.source.clone(),
            sequence: self.reference.sequence,
            raw: self.reference.path.clone(),
            schema_version: known.version,
            columns: columns.facts(),
            rows_read: is_good.len() as u64,
            rows_repeated: repeated,
            parquet,
            csv,
            rejected,
        };
        Ok((announcement, known, newest))
    }

    /// The second reading: the good rows, with the columns that the first one has found.
    fn write_good(
        &self,
        raw: &ParquetSource,
        columns: &Columns,
        version: u32,
        is_good: &[bool],
    ) -> Result<(Option<Output>, Option<Output>), Refusal> {
        if !is_good.contains(&true) {
            return Ok((None, None));
        }
        let mut table = Table::of(columns.all());
        let labels = [
            ("riacho.source", self.reference.source.clone()),
            ("riacho.sequence", self.reference.sequence.to_string()),
            ("riacho.schema.version", version.to_string()),
        ];
        let place = self.place(Stage::Normalised);
        let mut parquet = ParquetSink::create(&place, table.schema(), &labels, ParquetLimits::default())?;
        let mut csv = match self.normaliser.rules.csv {
            true => {
                Some(CsvWriter::new(AtomicFile::create(&self.place(Stage::Csv)).map_err(self.csv_failed())?))
            }
            false => None,
        };
        let mut write = |batch: Option<RecordBatch>| -> Result<(), Refusal> {
            let Some(batch) = batch else { return Ok(()) };
            parquet.write(&batch)?;
            csv.as_mut().map_or(Ok(()), |csv| csv.write(&batch)).map_err(self.csv_failed())
        };
        let mut verdicts = is_good.iter();
        let mut path = String::new();
        for rows in rows_of(raw).map_err(Refusal::Reference)? {
            for (_, row) in rows.map_err(raw_failed)?.iter() {
                if verdicts.next() != Some(&true) {
                    continue;
                }
                give_row(&mut table, columns, row, &mut path).map_err(|error| {
                    Refusal::Storage(format!("{} has changed: {error}", self.reference.path))
                })?;
                if table.is_full() {
                    write(table.take())?;
                }
            }
        }
        write(table.take())?;
        let rows = parquet.rows();
        let facts = parquet.publish(&[])?;
        let csv = match csv {
            Some(csv) => {
                let facts = csv.finish().and_then(AtomicFile::publish).map_err(self.csv_failed())?;
                Some(Output::of(self.name(Stage::Csv), rows, facts))
            }
            None => None,
        };
        Ok((Some(Output::of(self.name(Stage::Normalised), rows, facts)), csv))
    }

    fn place(&self, stage: Stage) -> PathBuf {
        self.normaliser.folders.file(stage, &self.reference.source, self.reference.sequence)
    }

    fn name(&self, stage: Stage) -> String {
        file_name(stage, &self.reference.source, self.reference.sequence)
    }

    fn csv_failed<E: std::fmt::Display>(&self) -> impl Fn(E) -> Refusal {
        let place = self.place(Stage::Csv);
        move |error| Refusal::Storage(format!("{}: {error}", place.display()))
    }
}

/// Content that is no Parquet stays so however often it is read.
fn raw_failed(error: ParquetError) -> Refusal {
    match error {
        ParquetError::Content { .. } => Refusal::Reference(error.to_string()),
        ParquetError::File { .. } => Refusal::Storage(error.to_string()),
    }
}

fn give_row(table: &mut Table, columns: &Columns, row: &str, path: &mut String) -> Result<(), String> {
    flatten(row, path, &mut |path, scalar| {
        let Some((at, column)) = columns.find(path).and_then(|at| Some((at, columns.all().get(at)?))) else {
            return Err(format!("{path} is new"));
        };
        table.give(at, &Cell::of(scalar, column.kind)?);
        Ok(())
    })?;
    table.end_row();
    Ok(())
}

/// The file of rows that are not good; made when there is one.
struct Rejects {
    place: PathBuf,
    schema: SchemaRef,
    sink: Option<ParquetSink>,
    ordinals: Int64Builder,
    reasons: StringBuilder,
    rows: StringBuilder,
    waiting: usize,
}

impl Rejects {
    fn begin(place: PathBuf) -> Rejects {
        let schema = Schema::new(vec![
            Field::new("ordinal", DataType::Int64, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("row", DataType::Utf8, false),
        ]);
        Rejects {
            place,
            schema: Arc::new(schema),
            sink: None,
            ordinals: Int64Builder::new(),
            reasons: StringBuilder::new(),
            rows: StringBuilder::new(),
            waiting: 0,
        }
    }

    fn push(&mut self, ordinal: i64, reason: &str, row: &str) -> Result<(), ParquetError> {
        self.ordinals.append_value(ordinal);
        self.reasons.append_value(reason);
        self.rows.append_value(row);
        self.waiting += 1;
        Ok(())
    }

    /// Writes what waits: a batch of the raw file bounds it.
    fn flush(&mut self) -> Result<(), ParquetError> {
        if std::mem::take(&mut self.waiting) == 0 {
            return Ok(());
        }
        let sink = match &mut self.sink {
            Some(sink) => sink,
            None => {
                let created = ParquetSink::create(
                    &self.place,
                    Arc::clone(&self.schema),
                    &[],
                    ParquetLimits::default(),
                )?;
                self.sink.insert(created)
            }
        };
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(self.ordinals.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.rows.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        sink.write(&batch.expect("three columns of one length, of the types of the schema"))
    }

    fn publish(mut self, name: String) -> Result<Option<Output>, ParquetError> {
        self.flush()?;
        let Some(sink) = self.sink else { return Ok(None) };
        let rows = sink.rows();
        Ok(Some(Output::of(name, rows, sink.publish(&[])?)))
    }
}
