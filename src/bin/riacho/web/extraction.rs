//! `/api/extraction/...`: the files of an extraction as they appear, what is in them, and how fast they come.

use std::sync::Arc;

use riacho::observe::http::{Page, Pages, Request};
use serde_json::{Value, json};

use super::answer::{self, PageOf, cut};
use super::board::Board;
use crate::extraction::folders::{Folders, Stage, is_plain};
use crate::extraction::ledger::{Entry, FollowedLedger, INTERVAL_MS, Ledger};
use crate::extraction::preview::{Preview, PreviewLimits};

const STARTING: &str = "A lista de arquivos está sendo lida do Kafka.";
const UNREADABLE: &str = "O arquivo não pode ser lido; o motivo está no registro do processo.";
/// An answer stays small: cells are cut.
const LIMITS: PreviewLimits = PreviewLimits { columns: 64, rows: 20 };
/// Of the cells of a preview.
const BYTES_MAX: usize = 160 * 1024;
/// The throughput of now is that of so many intervals.
const NOW_INTERVALS: usize = 12;

/// What is asked: who answers, and from where.
struct Desk {
    ledger: FollowedLedger,
    folders: Folders,
    source: Option<String>,
    board: Board,
}

/// What the page of the extraction asks. `source` is the address of the API, if this instance knows it.
pub(crate) fn pages(
    ledger: FollowedLedger,
    folders: Folders,
    source: Option<String>,
    board: &Board,
) -> Pages {
    let desk = Arc::new(Desk { ledger, folders, source, board: board.clone() });
    Pages::new().with_prefix("/api/extraction/", "the files of the extraction, as JSON", move |request| {
        desk.answer(request)
    })
}

impl Desk {
    fn answer(&self, request: &Request) -> Page {
        let now = self.board.now();
        let Some(asked) = request.segments() else { return answer::not_found(now) };
        let asked: Vec<&str> = asked.iter().map(AsRef::as_ref).collect();
        if !self.ledger.lock().is_read {
            return answer::loading(now, STARTING);
        }
        match asked.as_slice() {
            ["summary"] => answer::ready(now, summary(&self.ledger.lock(), self.source.as_deref())),
            ["files"] => match PageOf::of(request.query()) {
                Ok(page) => answer::ready(now, files(&self.ledger.lock(), page)),
                Err(reason) => answer::bad_parameter(now, reason),
            },
            ["files", id, "preview"] => self.preview(id),
            ["throughput"] => answer::ready(now, throughput(&self.ledger.lock(), now)),
            _ => answer::not_found(now),
        }
    }

    fn preview(&self, id: &str) -> Page {
        let now = self.board.now();
        let found =
            self.ledger.lock().find(id).map(|entry| (entry.stage, entry.rows)).filter(|_| is_plain(id));
        let Some((stage, rows)) = found else { return answer::not_found(now) };
        let Some(path) = self.folders.place(stage, id).filter(|path| path.exists()) else {
            return answer::not_found(now);
        };
        match Preview::of(&path, LIMITS) {
            Ok(preview) => answer::ready(now, shown(&preview, rows)),
            Err(error) => {
                tracing::error!(error, "a file cannot be shown");
                answer::error(now, UNREADABLE)
            }
        }
    }
}

fn summary(ledger: &Ledger, source: Option<&str>) -> Value {
    let [raw, normalised, csv, rejected] = Stage::ALL.map(|stage| ledger.sum(stage));
    json!({
        "files_raw": raw.files, "files_normalised": normalised.files, "files_csv": csv.files,
        "rows_raw": raw.rows, "rows_normalised": normalised.rows, "rows_rejected": rejected.rows,
        "bytes": ledger.bytes(), "waiting_references": ledger.waiting(), "source": source,
    })
}

fn files(ledger: &Ledger, page: PageOf) -> Value {
    page.table(ledger.len() as u64, page.rows(ledger.newest()).map(row).collect())
}

fn row(entry: &Entry) -> Value {
    json!({
        "id": entry.name, "name": entry.name, "stage": entry.stage.name(), "rows": entry.rows,
        "bytes": entry.bytes, "created_at": entry.created_at, "checksum": entry.checksum,
        "schema_version": entry.schema_version,
    })
}

fn throughput(ledger: &Ledger, now: i64) -> Value {
    // An interval that is not over would look like a stop.
    let points = ledger.points(now - INTERVAL_MS);
    let latest = points.iter().rev().take(NOW_INTERVALS);
    let seconds = (NOW_INTERVALS as i64 * INTERVAL_MS / 1000) as f64;
    let (rows, bytes) =
        latest.fold((0, 0), |(rows, bytes), (_, point)| (rows + point.rows, bytes + point.bytes));
    let point = |(at, point): &(i64, crate::extraction::ledger::Point)| json!({ "at": at, "rows": point.rows, "bytes": point.bytes, "rejected": point.rejected });
    json!({
        "rows_per_second": rows as f64 / seconds, "bytes_per_second": bytes as f64 / seconds,
        "points": points.iter().map(point).collect::<Vec<_>>(),
    })
}

fn shown(preview: &Preview, rows_told: u64) -> Value {
    let columns: Vec<Value> =
        preview.columns.iter().map(|(name, kind)| json!({ "name": cut(name), "type": kind })).collect();
    let cell = |cell: &Option<String>| cell.as_deref().map(|text| cut(text).into_owned());
    let mut rows: Vec<Vec<Option<String>>> =
        preview.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    // Wide rows of long texts: some fewer of them.
    let mut bytes = 0;
    let mut fits = |row: &Vec<Option<String>>| {
        bytes += row.iter().map(|cell| 8 + cell.as_ref().map_or(0, String::len)).sum::<usize>();
        bytes <= BYTES_MAX
    };
    let fitting = rows.iter().take_while(|row| fits(row)).count();
    rows.truncate(fitting.max(1));
    json!({
        "columns": columns, "columns_total": preview.columns_total, "rows": rows,
        "rows_total": preview.rows_total.unwrap_or(rows_told),
    })
}
