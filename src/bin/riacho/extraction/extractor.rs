//! From the API to raw files and their references.
//!
//! The steps of a file are: take rows, let the file appear, tell of it. Where the process dies between two of them, the
//! next one finds out by looking: what has appeared and was not told of is told of, and what has not appeared is taken
//! again. The position in the API is in the file and in the reference, so that no third thing has to agree with them.

use std::sync::Arc;
use std::time::Duration;

use riacho::connect::files::ParquetError;
use riacho::connect::http_api::{ApiError, HttpApi, Position};
use riacho::ports::{ClientError, ClientErrorKind, Clock};

use super::folders::{Folders, Stage};
use super::raw_file::{RawWriter, reference_of};
use super::reference::Reference;

/// The extraction cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtractError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    File(#[from] ParquetError),
    #[error(transparent)]
    Kafka(#[from] ClientError),
    /// Files and references do not fit together.
    #[error("{0}")]
    Mismatch(String),
}

impl ExtractError {
    /// Whether somebody has to mend the configuration or the files first.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, ExtractError::Mismatch(_))
    }

    /// Whether the same may succeed in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, ExtractError::Kafka(error) if error.kind == ClientErrorKind::Retry)
    }
}

/// Where references are told, and which was the last one.
pub(crate) trait References {
    /// The last reference of a source.
    fn last(&mut self, source: &str) -> Result<Option<Reference>, ClientError>;

    /// Tells of a file, and returns when that is safe.
    fn tell(&mut self, reference: &Reference) -> Result<(), ClientError>;
}

/// When a file is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimits {
    /// At so many rows, or with the answer in which they are reached.
    pub(crate) rows_max: u64,
    /// After so long, if it has a row.
    pub(crate) time_max: Duration,
}

/// Takes the rows of one source.
pub(crate) struct Extractor<R> {
    pub(crate) api: HttpApi,
    pub(crate) references: R,
    pub(crate) folders: Folders,
    pub(crate) source: String,
    pub(crate) limits: FileLimits,
    pub(crate) clock: Arc<dyn Clock>,
}

/// How far an extraction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of the last file.
    pub(crate) sequence: u64,
    /// How many rows there are in all files.
    pub(crate) rows: u64,
    /// Where the API has the next one.
    next: Position,
}

impl Progress {
    fn behind(reference: &Reference) -> Progress {
        let Reference { sequence, first_row, rows, next, .. } = reference;
        Progress { sequence: *sequence, rows: first_row + rows, next: next.clone() }
    }
}

/// What became of an attempt to make a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Extracted {
    /// A file, and whether the API has more rows for now.
    File { reference: Reference, is_end: bool },
    /// There is no new row for now.
    Nothing,
}

impl<R: References> Extractor<R> {
    /// Finds out how far the extraction is, and tells of files that have appeared and were not told of.
    ///
    /// # Errors
    /// When the files are not those that the references tell of, or were extracted with another paging.
    pub(crate) fn resume(&mut self) -> Result<Progress, ExtractError> {
        let last = self.references.last(&self.source)?;
        let start = Progress { sequence: 0, rows: 0, next: self.api.start() };
        let mut progress = last.as_ref().map_or(start, Progress::behind);
        loop {
            let place = self.folders.file(Stage::Raw, &self.source, progress.sequence + 1);
            if !place.exists() {
                break;
            }
            let reference = reference_of(&place).map_err(ExtractError::Mismatch)?;
            if (reference.sequence, reference.first_row) != (progress.sequence + 1, progress.rows) {
                return Err(ExtractError::Mismatch(format!(
                    "{} does not follow the last reference: it begins with row {}, and {} rows are told of. Give the \
                     source another name (extraction.source), or begin with an empty folder and new topics",
                    place.display(),
                    reference.first_row,
                    progress.rows
                )));
            }
            tracing::info!(file = reference.path, "telling of a file that had appeared before a crash");
            self.references.tell(&reference)?;
            progress = Progress::behind(&reference);
        }
        if !self.api.fits(&progress.next) {
            return Err(ExtractError::Mismatch(format!(
                "the source {} was extracted with another paging: give it another name (extraction.source)",
                self.source
            )));
        }
        Ok(progress)
    }

    /// Makes the next file and tells of it. `pause` waits, and says whether to stop: then what was taken becomes a file.
    ///
    /// # Errors
    /// When the API, the disk or Kafka do not go on; [`resume`](Self::resume) then finds out how far it got.
    pub(crate) fn next_file(
        &mut self,
        progress: &mut Progress,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Extracted, ExtractError> {
        let started = self.clock.monotonic();
        let mut writer: Option<RawWriter> = None;
        let mut next = progress.next.clone();
        let mut is_end = false;
        while !is_end {
            let taken = match self.api.next_rows(&next, pause) {
                Ok(taken) => taken,
                Err(ApiError::Stopped) => break,
                Err(error) => return Err(error.into()),
            };
            let now = self.clock.now();
            for row in &taken.rows {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => {
                        let sequence = progress.sequence + 1;
                        writer.insert(RawWriter::create(
                            &self.folders,
                            &self.source,
                            sequence,
                            progress.rows,
                        )?)
                    }
                };
                writer.push(row, now)?;
            }
            next = taken.then;
            is_end = taken.is_end;
            let rows = writer.as_ref().map_or(0, RawWriter::rows);
            let is_old = self.clock.monotonic().saturating_sub(started) >= self.limits.time_max;
            if rows >= self.limits.rows_max || (is_old && rows > 0) {
                break;
            }
        }
        let Some(writer) = writer else {
            // Empty answers may lead on, too.
            progress.next = next;
            return Ok(Extracted::Nothing);
        };
        let reference = writer.publish(&next)?;
        self.references.tell(&reference)?;
        *progress = Progress::behind(&reference);
        Ok(Extracted::File { reference, is_end })
    }
}
