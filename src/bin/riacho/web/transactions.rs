//! `/api/transactions/...`: the main job's figures since it started here.

use riacho::observe::http::Page;
use serde_json::json;

use super::answer;
use super::board::Board;

/// Totals of this instance.
pub(super) fn summary(board: &Board) -> Page {
    let shown = board.lock();
    let overview = shown.iter().find(|app| app.id == "transactions").and_then(|app| app.overview.as_ref());
    let Some(overview) = overview else {
        return answer::loading(board.now(), "A aplicação está iniciando.");
    };
    let snapshot = overview.progress();
    answer::ready(
        board.now(),
        json!({
            "transactions": snapshot.records, "lag": snapshot.lag(), "windows_open": snapshot.windows_open,
            "windows_closed": snapshot.windows_closed, "late": snapshot.late,
            "dead_letters": snapshot.dead_letters, "skipped": snapshot.skipped,
        }),
    )
}
