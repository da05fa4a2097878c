//! `/api/enrolments/...`: the figures of all instances together, and the newest enrolments.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use riacho::observe::http::{Page, Pages, Request};
use riacho::ports::Clock as _;
use riacho::query::{Cursor, KeyValueView, Paging, PartitionPlace, Queries, QueryError};
use riacho::{BigEndian, State, Utf8};
use serde_json::{Value, json};

use super::answer::{self, PageOf};
use super::board::Board;
use crate::enrolments::enrolment::Enrolment;
use crate::enrolments::figures::{Field, Figures};
use crate::enrolments::topology::{BY_ID, COUNTS, NEWEST};

/// How long an answer of the stores is good: a page asks six things at once, and several people look at it.
const AGE_MAX: Duration = Duration::from_secs(1);
/// Of a field with more values than these a figure would be a guess.
const COUNTS_MAX: usize = 100_000;
/// The groups of a chart; the rest is one more.
const GROUPS_MAX: usize = 23;

const MOVING: &str =
    "Parte do estado está sendo restaurada ou muda de instância; os números virão em seguida.";
const UNREADABLE: &str = "O estado não pode ser lido; o motivo está no registro do processo.";
const TOO_MANY: &str = "Há valores diferentes demais para contar nesta página.";

/// What was read, and when.
struct Read<T> {
    since: Duration,
    at: i64,
    what: T,
}

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
    figures: Mutex<Option<Read<Arc<Figures>>>>,
    table: Mutex<Option<Read<Newest>>>,
}

/// Figures with their time, and why they are not those of now.
struct Known {
    figures: Arc<Figures>,
    at: i64,
    stale: Option<&'static str>,
}

/// What the page of the enrolments asks; its table goes back `table_rows_max` enrolments.
pub(crate) fn pages(table_rows_max: usize, queries: &Queries, board: &Board) -> Pages {
    let asked = Asked {
        board: board.clone(),
        queries: queries.clone(),
        counts: queries.key_value(COUNTS, Utf8, BigEndian),
        newest: queries.key_value(NEWEST, Utf8, State::<Enrolment>::new()),
        table_rows_max,
        figures: Mutex::new(None),
        table: Mutex::new(None),
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
        let known = self.figures()?;
        // The tasks of one instance may all be of the counts: every store's partitions are looked at.
        let mut places = Vec::new();
        for store in [BY_ID, COUNTS, NEWEST] {
            places.extend(self.queries.partitions(store).map_err(|error| self.no_answer(&error))?);
        }
        let numbers = |places: &mut dyn Iterator<Item = &PartitionPlace>| {
            places.map(|place| place.partition).collect::<BTreeSet<_>>().len()
        };
        let is_lost = |place: &&PartitionPlace| place.owner.is_none() && !place.here;
        let partitions = numbers(&mut places.iter());
        let answered = partitions - numbers(&mut places.iter().filter(is_lost));
        let (last, stale) = self.with_newest(1, |newest| newest.rows.first().map(|row| row.date))?;
        let data = json!({
            "total": known.figures.total(), "duplicates": known.figures.duplicates,
            "last_enrolment": last.map(|date| date.to_string()),
            "instances": instances(&places), "partitions": partitions, "partitions_answered": answered,
        });
        let moving = (answered < partitions).then_some(MOVING);
        Ok(Known { stale: known.stale.or(stale).or(moving), ..known }.page(data))
    }

    fn groups(&self, field: Field) -> Result<Page, Page> {
        let known = self.figures()?;
        let (groups, rest) = known.figures.groups(field, GROUPS_MAX);
        let groups = groups.iter().map(|(name, quantity)| group(&answer::cut(name), *quantity, false));
        let other = (rest > 0).then(|| group("Outros", rest, true));
        let data = json!({ "groups": groups.chain(other).collect::<Vec<_>>() });
        Ok(known.page(data))
    }

    fn profile(&self) -> Result<Page, Page> {
        let known = self.figures()?;
        let mode = |field: Field| {
            let mode = known.figures.mode(field).map(|(value, quantity)| {
                let number = if field == Field::Age { value.parse::<u64>().ok() } else { None };
                let value = number.map_or_else(|| json!(answer::cut(value)), |number| json!(number));
                json!({ "value": value, "quantity": quantity })
            });
            (field.name().to_owned(), mode.unwrap_or(Value::Null))
        };
        let data = Value::Object(Field::ALL.into_iter().map(mode).collect());
        Ok(known.page(data))
    }

    fn table(&self, request: &Request) -> Result<Page, Page> {
        let page =
            PageOf::of(request.query()).map_err(|reason| answer::bad_parameter(self.board.now(), reason))?;
        let known = self.figures()?;
        let total = usize::try_from(known.figures.total()).unwrap_or(usize::MAX);
        let wanted = usize::try_from(page.offset() + page.size).unwrap_or(usize::MAX);
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let (data, stale) = self.with_newest(wanted, |newest| {
            let rows_max = newest.rows.len().min(self.table_rows_max);
            let total = match newest.next {
                None => rows_max,
                Some(_) => total.min(self.table_rows_max).max(rows_max),
            };
            let shown = newest.rows.iter().take(rows_max).skip(skip).take(wanted - skip).map(row).collect();
            page.table(total as u64, shown)
        })?;
        Ok(Known { stale: known.stale.or(stale), ..known }.page(data))
    }

    /// The counts of all partitions, a second old at most unless it says why.
    fn figures(&self) -> Result<Known, Page> {
        // Whoever comes meanwhile waits for the same answer.
        let mut kept = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, at) = (self.board.clock().monotonic(), self.board.now());
        let mut stale = None;
        if is_old(kept.as_ref(), now) {
            match read_counts(&self.counts) {
                Ok(Some(figures)) => *kept = Some(Read { since: now, at, what: Arc::new(figures) }),
                Ok(None) => return Err(answer::error(at, TOO_MANY)),
                Err(QueryError::Unavailable { .. }) if kept.is_some() => stale = Some(MOVING),
                Err(error) => return Err(self.no_answer(&error)),
            }
        }
        let read = kept.as_ref().ok_or_else(|| answer::loading(at, MOVING))?;
        Ok(Known { figures: Arc::clone(&read.what), at: read.at, stale })
    }

    /// Hands over the newest enrolments, `wanted` of them if there are so many and the table goes back so far; with why
    /// they are not those of now.
    fn with_newest<T>(
        &self,
        wanted: usize,
        look: impl FnOnce(&Newest) -> T,
    ) -> Result<(T, Option<&'static str>), Page> {
        let mut kept = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, at) = (self.board.clock().monotonic(), self.board.now());
        let mut stale = None;
        if is_old(kept.as_ref(), now) {
            match read_newest(&self.newest, None) {
                Ok((rows, next)) => *kept = Some(Read { since: now, at, what: Newest { rows, next } }),
                Err(QueryError::Unavailable { .. }) if kept.is_some() => stale = Some(MOVING),
                Err(error) => return Err(self.no_answer(&error)),
            }
        }
        let newest = &mut kept.as_mut().ok_or_else(|| answer::loading(at, MOVING))?.what;
        while newest.next.is_some() && newest.rows.len() < wanted.min(self.table_rows_max) {
            let (rows, next) = match read_newest(&self.newest, newest.next.clone()) {
                Ok(read) => read,
                Err(error) => return Err(self.no_answer(&error)),
            };
            newest.rows.extend(rows);
            newest.next = next;
        }
        Ok((look(newest), stale))
    }

    fn no_answer(&self, error: &QueryError) -> Page {
        match error {
            QueryError::Unavailable { .. } => answer::loading(self.board.now(), MOVING),
            error => {
                tracing::error!(%error, "the enrolments' stores cannot be read");
                answer::error(self.board.now(), UNREADABLE)
            }
        }
    }
}

impl Known {
    fn page(&self, data: Value) -> Page {
        match self.stale {
            None => answer::ready(self.at, data),
            Some(reason) => answer::stale(self.at, reason, data),
        }
    }
}

fn is_old<T>(kept: Option<&Read<T>>, now: Duration) -> bool {
    kept.is_none_or(|read| now.saturating_sub(read.since) > AGE_MAX)
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
) -> Result<(Vec<Enrolment>, Option<Cursor>), QueryError> {
    let listing = view.all(&Paging::first(Paging::LIMIT_MAX).after(after))?;
    Ok((listing.entries.into_iter().map(|entry| entry.value).collect(), listing.next))
}

/// How many instances hold the partitions.
fn instances(places: &[PartitionPlace]) -> usize {
    let owners: BTreeSet<&str> = places.iter().filter_map(|place| place.owner.as_deref()).collect();
    let nameless = places.iter().any(|place| place.here && place.owner.is_none());
    owners.len() + usize::from(nameless)
}

fn group(name: &str, quantity: u64, other: bool) -> Value {
    json!({ "name": name, "quantity": quantity, "other": other })
}

/// By the names of the record's fields.
fn row(enrolment: &Enrolment) -> Value {
    json!({
        "id_matricula": answer::cut(&enrolment.id), "ds_curso_nome": answer::cut(&enrolment.course),
        "ds_curso_turno": answer::cut(&enrolment.shift), "ds_curso_duracao": enrolment.duration,
        "ds_curso_inicio": enrolment.begins.to_string(), "ds_aluno_idade": enrolment.age,
        "ds_aluno_sexo": answer::cut(&enrolment.sex),
        "ds_aluno_responsavel_financeiro": answer::cut(&enrolment.payer),
        "ds_matricula_pagamento": answer::cut(&enrolment.payment), "dt_matricula": enrolment.date.to_string(),
    })
}
