//! `/api/enrolments/...`: the figures of all instances together, and the newest enrolments.

use std::collections::BTreeSet;
use std::time::Duration;

use compact_str::CompactString;
use riacho::observe::http::{Page, Pages, Request};
use riacho::query::{Cursor, KeyValueView, Paging, PartitionPlace, Queries, QueryError};
use riacho::{BigEndian, State, Utf8};
use serde_json::{Value, json};

use super::answer::{self, PageOf};
use super::board::Board;
use super::kept::{AsOf, Kept, MOVING, no_answer};
use crate::enrolments::enrolment::Enrolment;
use crate::enrolments::figures::{Field, Figures};
use crate::enrolments::topology::{BY_ID, COUNTS, NEWEST};

const AGE_MAX: Duration = Duration::from_secs(1);
/// Of fields with more values than these the figures would be guesses.
const COUNTS_MAX: usize = 100_000;
/// The groups of a chart, as many as can be told apart; the rest is one more.
const GROUPS_MAX: usize = 11;

const TOO_MANY: &str = "Há valores diferentes demais para contar nesta página.";

/// The newest enrolments as far as somebody wanted to see them.
struct Newest {
    rows: Vec<Enrolment>,
    /// Where the next ones begin; none when these are all.
    next: Option<Cursor>,
}

/// What the page asks, and the answers that are still good.
struct Asked {
    board: Board,
    queries: Queries,
    counts: KeyValueView<CompactString, u64>,
    newest: KeyValueView<CompactString, Enrolment>,
    table_rows_max: usize,
    /// None when there are too many counts.
    figures: Kept<Option<Figures>>,
    table: Kept<Newest>,
}

/// What the page of the enrolments asks; its table goes back `table_rows_max` enrolments.
pub(crate) fn pages(table_rows_max: usize, queries: &Queries, board: &Board) -> Pages {
    let asked = Asked {
        board: board.clone(),
        queries: queries.clone(),
        counts: queries.key_value(COUNTS, Utf8, BigEndian),
        newest: queries.key_value(NEWEST, Utf8, State::<Enrolment>::new()),
        table_rows_max,
        figures: Kept::new(board, AGE_MAX),
        table: Kept::new(board, AGE_MAX),
    };
    Pages::new().with_prefix("/api/enrolments/", "the enrolments' figures, as JSON", move |request| {
        asked.answer(request).unwrap_or_else(|page| page)
    })
}

impl Asked {
    /// The answer; also where there is none, so that `?` ends with it.
    fn answer(&self, request: &Request) -> Result<Page, Page> {
        match request.rest() {
            "summary" => self.summary(),
            "courses" => self.groups(Field::Course),
            "payments" => self.groups(Field::Payment),
            "shifts" => self.groups(Field::Shift),
            "profile" => self.profile(),
            "table" => self.table(request),
            _ => Err(answer::not_found(self.board.now())),
        }
    }

    fn summary(&self) -> Result<Page, Page> {
        let ((total, duplicates), counted) = self.figures(|figures| (figures.total(), figures.duplicates))?;
        let (last, listed) = self.newest(1, |newest| newest.rows.first().map(|row| row.date.to_string()))?;
        let places = self.places()?;
        let is_lost = |place: &&PartitionPlace| place.owner.is_none() && !place.here;
        let partitions = numbers(places.iter());
        let assigned = partitions - numbers(places.iter().filter(is_lost));
        let data = json!({
            "total": total, "duplicates": duplicates, "last_enrolment": last,
            "instances": instances(&places), "partitions": partitions, "partitions_assigned": assigned,
        });
        let moving = (assigned < partitions).then_some(MOVING);
        Ok(counted.with(listed).because(moving).page(data))
    }

    fn groups(&self, field: Field) -> Result<Page, Page> {
        let group = |name: &str, quantity: u64, other: bool| json!({ "name": name, "quantity": quantity, "other": other });
        let (groups, as_of) = self.figures(|figures| {
            let (groups, rest) = figures.groups(field, GROUPS_MAX);
            let groups = groups.into_iter().map(|(name, quantity)| group(name, quantity, false));
            groups.chain((rest > 0).then(|| group("Outros", rest, true))).collect::<Vec<_>>()
        })?;
        Ok(as_of.page(json!({ "groups": groups })))
    }

    fn profile(&self) -> Result<Page, Page> {
        let (modes, as_of) = self.figures(|figures| {
            let mode = |field: Field| {
                let mode = figures.mode(field).map(|(value, quantity)| {
                    let age = if field == Field::Age { value.parse::<u64>().ok() } else { None };
                    let value = age.map_or_else(|| json!(value), |age| json!(age));
                    json!({ "value": value, "quantity": quantity, "of": figures.sum(field) })
                });
                (field.name().to_owned(), mode.unwrap_or(Value::Null))
            };
            Value::Object(Field::ALL.into_iter().map(mode).collect())
        })?;
        Ok(as_of.page(modes))
    }

    fn table(&self, request: &Request) -> Result<Page, Page> {
        let page =
            PageOf::of(request.query()).map_err(|reason| answer::bad_parameter(self.board.now(), reason))?;
        let (total, counted) = self.figures(Figures::total)?;
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let wanted = usize::try_from(page.offset() + page.size).unwrap_or(usize::MAX);
        let (data, listed) = self.newest(wanted, |newest| {
            // Whoever has read to the end knows better than the counts, which may be a commit behind.
            let rows = if newest.next.is_some() { total.max(newest.rows.len()) } else { newest.rows.len() };
            let shown = page.rows(newest.rows.iter().take(self.table_rows_max)).map(|row| json!(row));
            page.table(rows.min(self.table_rows_max) as u64, shown.collect())
        })?;
        Ok(counted.with(listed).page(data))
    }

    /// Shows all counts.
    fn figures<R>(&self, look: impl FnOnce(&Figures) -> R) -> Result<(R, AsOf), Page> {
        let (seen, as_of) =
            self.figures.look(|| read_counts(&self.counts), |figures| Ok(figures.as_ref().map(look)))?;
        Ok((seen.ok_or_else(|| answer::error(as_of.at, TOO_MANY))?, as_of))
    }

    /// Shows the newest enrolments, `wanted` of them if there are so many and the table goes back so far.
    fn newest<R>(&self, wanted: usize, look: impl FnOnce(&Newest) -> R) -> Result<(R, AsOf), Page> {
        self.table.look(
            || read_newest(&self.newest, None),
            |newest| {
                while newest.next.is_some() && newest.rows.len() < wanted.min(self.table_rows_max) {
                    let more = read_newest(&self.newest, newest.next.clone())?;
                    newest.rows.extend(more.rows);
                    newest.next = more.next;
                }
                Ok(look(newest))
            },
        )
    }

    /// Where the partitions of all stores are: the tasks of an instance may all be of the same one.
    fn places(&self) -> Result<Vec<PartitionPlace>, Page> {
        let mut places = Vec::new();
        for store in [BY_ID, COUNTS, NEWEST] {
            let found = self.queries.partitions(store);
            places.extend(found.map_err(|error| no_answer(self.board.now(), &error))?);
        }
        Ok(places)
    }
}

/// All counts; none when there are too many.
fn read_counts(view: &KeyValueView<CompactString, u64>) -> Result<Option<Figures>, QueryError> {
    let (mut figures, mut paging, mut read) = (Figures::default(), Paging::first(Paging::LIMIT_MAX), 0);
    loop {
        let listing = view.all(&paging)?;
        listing.entries.iter().for_each(|entry| figures.add(&entry.key, entry.value));
        read += listing.entries.len();
        match listing.next {
            None => return Ok(Some(figures)),
            Some(_) if read > COUNTS_MAX => return Ok(None),
            next => paging = paging.after(next),
        }
    }
}

fn read_newest(
    view: &KeyValueView<CompactString, Enrolment>,
    after: Option<Cursor>,
) -> Result<Newest, QueryError> {
    let listing = view.all(&Paging::first(Paging::LIMIT_MAX).after(after))?;
    let rows = listing.entries.into_iter().map(|entry| entry.value).collect();
    Ok(Newest { rows, next: listing.next })
}

/// How many partitions there are among these places.
fn numbers<'a>(places: impl Iterator<Item = &'a PartitionPlace>) -> usize {
    places.map(|place| place.partition).collect::<BTreeSet<_>>().len()
}

/// How many instances hold the partitions.
fn instances(places: &[PartitionPlace]) -> usize {
    let owners: BTreeSet<&str> = places.iter().filter_map(|place| place.owner.as_deref()).collect();
    let nameless = places.iter().any(|place| place.here && place.owner.is_none());
    owners.len() + usize::from(nameless)
}
