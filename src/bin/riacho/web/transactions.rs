//! `/api/transactions/...`: the main job's figures since it started here, and the windows that are open, everywhere.

use std::time::Duration;

use compact_str::CompactString;
use riacho::observe::http::{Page, Pages, Request};
use riacho::query::{Paging, Queries, QueryError, WindowView};
use riacho::{State, Timestamp, Utf8};
use serde_json::{Value, json};

use super::answer::{self, PageOf};
use super::board::Board;
use super::kept::Kept;
use crate::transactions::aggregate::{Aggregated, SellerTotals};
use crate::transactions::topology::TOTALS;

/// So many windows are put in order, whoever asks; more of them are open only with many thousands of vendors.
const WINDOWS_MAX: usize = 5_000;
/// How long a listing of the windows is good: several pages and several people ask for the same one.
const LISTING_AGE_MAX: Duration = Duration::from_secs(2);
/// Of one vendor in one window.
const CURRENCIES_MAX: usize = 8;

const STARTING: &str = "A aplicação está iniciando.";

type View = WindowView<CompactString, SellerTotals>;

/// The latest windows first.
type Listing = Kept<Vec<Aggregated>>;

/// What the page of the main job asks.
pub(crate) fn pages(queries: &Queries, board: &Board) -> Pages {
    let totals: View = queries.windowed(TOTALS, Utf8, State::<SellerTotals>::new());
    let (summed, now) = (board.clone(), board.clone());
    let listing = Listing::new(board, LISTING_AGE_MAX);
    Pages::new()
        .with("/api/transactions/summary", "the main job's figures, as JSON", move |_| summary(&summed))
        .with("/api/transactions/vendors", "the open windows, as JSON", move |request| {
            vendors(request, &totals, &now, &listing).unwrap_or_else(|page| page)
        })
}

/// Totals of this instance.
fn summary(board: &Board) -> Page {
    let shown = board.lock();
    let overview = shown.iter().find(|app| app.id == "transactions").and_then(|app| app.overview.as_ref());
    let Some(overview) = overview else { return answer::loading(board.now(), STARTING) };
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

fn vendors(request: &Request, totals: &View, board: &Board, listing: &Listing) -> Result<Page, Page> {
    let page = PageOf::of(request.query()).map_err(|reason| answer::bad_parameter(board.now(), reason))?;
    let (table, as_of) = listing.look(
        || list(totals),
        |rows| Ok(page.table(rows.len() as u64, page.rows(rows.iter()).map(row).collect())),
    )?;
    Ok(as_of.page(table))
}

fn list(totals: &View) -> Result<Vec<Aggregated>, QueryError> {
    let mut rows = Vec::new();
    let mut paging = Paging::first(Paging::LIMIT_MAX);
    loop {
        let listing = totals.all(Timestamp(0), Timestamp(i64::MAX), &paging)?;
        rows.extend(listing.entries.iter().map(|entry| Aggregated::of(&entry.key, &entry.value)));
        match listing.next {
            Some(next) if rows.len() < WINDOWS_MAX => paging = paging.after(Some(next)),
            _ => break,
        }
    }
    rows.sort_by(|one, other| {
        other.window.start.cmp(&one.window.start).then_with(|| one.vendor.cmp(&other.vendor))
    });
    Ok(rows)
}

/// By the names of the output's fields; money as text.
fn row(aggregated: &Aggregated) -> Value {
    let money = |cents: crate::transactions::money::Cents| answer::money(i128::from(cents.0));
    let currencies = aggregated.currencies.iter().take(CURRENCIES_MAX).map(|total| {
        json!({ "moeda": total.currency().as_str(), "total": money(total.total()), "numero": total.count() })
    });
    json!({
        "id_vendedor": answer::cut(&aggregated.vendor),
        "janela_inicio": aggregated.window.start.0, "janela_fim": aggregated.window.end.0,
        "numero_transacoes": aggregated.count,
        "valor_total_por_vendedor": money(aggregated.total), "valor_minimo": money(aggregated.min),
        "valor_maximo": money(aggregated.max), "valor_medio": money(aggregated.mean),
        "totais_por_moeda": currencies.collect::<Vec<_>>(),
    })
}
