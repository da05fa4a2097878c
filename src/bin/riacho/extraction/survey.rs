//! The first reading of a raw file: which rows are good, and what columns they ask for.

use std::collections::HashSet;

use super::cell::Cell;
use super::columns::{COLUMNS_MAX, Columns, Declared};
use super::duplicates::{IdHash, SeenIds};
use super::flatten::{Scalar, flatten};
use super::kind::Kind;

/// Why a row is not among the normalised ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its id was there already.
    Repeated(String),
    /// It cannot be read as it should be.
    Bad(String),
}

impl Reason {
    pub(crate) fn text(&self) -> &str {
        match self {
            Reason::Repeated(text) | Reason::Bad(text) => text,
        }
    }
}

/// What a row asks for, gathered before it is known to be good: a bad row leaves no trace.
#[derive(Default)]
struct Wishes {
    /// Columns that are there, and what their values in this row are.
    known: Vec<(usize, Kind)>,
    new: Vec<(String, Kind)>,
    id: Vec<Option<String>>,
}

/// Looks at the rows of a file one by one.
pub(crate) struct Survey<'a> {
    declared: &'a Declared,
    seen: &'a SeenIds,
    columns: Columns,
    ids: HashSet<IdHash>,
    wishes: Wishes,
    path: String,
}

impl<'a> Survey<'a> {
    pub(crate) fn begin(columns: Columns, declared: &'a Declared, seen: &'a SeenIds) -> Survey<'a> {
        let wishes = Wishes { id: vec![None; declared.id.len()], ..Wishes::default() };
        Survey { declared, seen, columns, ids: HashSet::new(), wishes, path: String::new() }
    }

    /// Takes a good row into account.
    ///
    /// # Errors
    /// With the reason when the row is not good.
    pub(crate) fn look(&mut self, row: &str) -> Result<(), Reason> {
        self.gather(row).map_err(Reason::Bad)?;
        let id = self.id(row).map_err(Reason::Bad)?;
        if let Some(file) = self.seen.find(id) {
            return Err(Reason::Repeated(format!("a row with this id is in {file}")));
        }
        if !self.ids.insert(id) {
            let what = if self.declared.id.is_empty() { "the same row" } else { "a row with this id" };
            return Err(Reason::Repeated(format!("{what} comes before it in this file")));
        }
        for (column, kind) in self.wishes.known.drain(..) {
            self.columns.widen(column, kind);
        }
        for (path, kind) in self.wishes.new.drain(..) {
            let column = self.columns.add(&path);
            self.columns.widen(column, kind);
        }
        Ok(())
    }

    /// The columns, and the ids of the good rows.
    pub(crate) fn end(self) -> (Columns, HashSet<IdHash>) {
        (self.columns, self.ids)
    }

    fn gather(&mut self, row: &str) -> Result<(), String> {
        let Survey { declared, columns, wishes, path, .. } = self;
        wishes.known.clear();
        wishes.new.clear();
        wishes.id.fill(None);
        flatten(row, path, &mut |path, scalar| {
            let at = columns.find(path);
            let kind = match at.and_then(|at| columns.declared_kind(at)) {
                Some(kind) => {
                    let cell = Cell::of(scalar.clone(), kind)
                        .map_err(|error| format!("{}: {error}", shown(path)))?;
                    keep_id(declared, wishes, path, &cell);
                    kind
                }
                None if declared.id_index(path).is_some() => {
                    keep_id(declared, wishes, path, &undeclared_id(&scalar));
                    Kind::of_id(&scalar)
                }
                None => Kind::of(&scalar),
            };
            match at {
                Some(at) if wishes.known.iter().any(|(known, _)| *known == at) => Err(twice(path)),
                Some(at) => {
                    wishes.known.push((at, kind));
                    Ok(())
                }
                None if wishes.new.iter().any(|(new, _)| new == path) => Err(twice(path)),
                None if columns.len() + wishes.new.len() >= COLUMNS_MAX => {
                    Err(format!("{}: the source has {COLUMNS_MAX} columns already", shown(path)))
                }
                None => {
                    wishes.new.push((path.to_owned(), kind));
                    Ok(())
                }
            }
        })
    }

    /// The hash of the row's id; without a declared id it is the row itself.
    fn id(&self, row: &str) -> Result<IdHash, String> {
        if self.declared.id.is_empty() {
            return Ok(IdHash::of([row]));
        }
        for (path, value) in self.declared.id.iter().zip(&self.wishes.id) {
            if value.is_none() {
                return Err(format!("{}: has no value, and it is part of the id", shown(path)));
            }
        }
        Ok(IdHash::of(self.wishes.id.iter().flatten().map(String::as_str)))
    }
}

fn keep_id(declared: &Declared, wishes: &mut Wishes, path: &str, cell: &Cell<'_>) {
    let slot = declared.id_index(path).and_then(|at| wishes.id.get_mut(at));
    if let Some(slot) = slot {
        *slot = cell.id().map(std::borrow::Cow::into_owned);
    }
}

/// An id as it will be read back: an integer, or text.
fn undeclared_id<'a>(scalar: &Scalar<'a>) -> Cell<'a> {
    let kind = match Kind::of_id(scalar) {
        Kind::Text => Kind::Text,
        _ => Kind::WideInteger,
    };
    Cell::of(scalar.clone(), kind).unwrap_or(Cell::Null)
}

fn twice(path: &str) -> String {
    format!("{}: is there twice", shown(path))
}

/// A path may be as long as a row.
fn shown(path: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut text: String = path.chars().take(CHARS_MAX).collect();
    if text.len() < path.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::columns::KnownColumns;
    use super::*;

    fn declared() -> Declared {
        let kinds = vec![("valor".to_owned(), Kind::Decimal(2))];
        Declared { kinds, id: vec!["id".to_owned()] }
    }

    fn reasons(rows: &[&str], declared: &Declared) -> (Vec<Option<String>>, Columns) {
        let seen = SeenIds::default();
        let mut survey = Survey::begin(Columns::of(&KnownColumns::default(), declared), declared, &seen);
        let told =
            rows.iter().map(|row| survey.look(row).err().map(|reason| reason.text().to_owned())).collect();
        (told, survey.end().0)
    }

    #[test]
    fn each_bad_row_is_told_with_its_reason_and_leaves_no_trace() {
        let rows = [
            (r#"{"id": 1, "valor": "1.50"}"#, None),
            ("[1]", Some("not an object")),
            (r#"{"valor": 1}"#, Some("id: has no value, and it is part of the id")),
            (r#"{"id": null}"#, Some("id: has no value, and it is part of the id")),
            (r#"{"id": 2, "valor": "abc", "nova": 1}"#, Some("valor: 'abc' is no decimal(2)")),
            (r#"{"id": 3, "a": 1, "a": 2}"#, Some("a: is there twice")),
            (r#"{"id": 4, "id": 4}"#, Some("id: is there twice")),
            (r#"{"id": 1, "outra": true}"#, Some("a row with this id comes before it in this file")),
            (r#"{"id": 5, "valor": null}"#, None),
        ];
        let (told, columns) = reasons(&rows.map(|(row, _)| row), &declared());
        assert_eq!(told, rows.map(|(_, reason)| reason.map(str::to_owned)));
        let names: Vec<_> = columns.all().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["valor", "id"]);
    }

    #[test]
    fn without_an_id_only_equal_rows_are_repeated() {
        let (told, _) = reasons(&["{\"a\":1}", "{\"a\":2}", "{\"a\":1}"], &Declared::default());
        assert_eq!(told, [None, None, Some("the same row comes before it in this file".to_owned())]);
    }

    #[test]
    fn types_widen_to_hold_every_good_value() {
        let (_, columns) = reasons(
            &[r#"{"id":1,"a":1,"b":1,"c":null,"d":"2026-01-01"}"#, r#"{"id":2,"a":1.5,"b":"x","c":null}"#],
            &declared(),
        );
        let kinds: Vec<_> = columns.all().iter().skip(2).map(|column| column.kind).collect();
        assert_eq!(kinds, [Kind::Float, Kind::Text, Kind::Null, Kind::Date]);
    }

    #[test]
    fn a_source_cannot_have_columns_without_end() {
        let fields: Vec<_> = (0..=COLUMNS_MAX).map(|at| format!("\"c{at}\":1")).collect();
        let row = format!("{{{}}}", fields.join(","));
        let (told, columns) = reasons(&[&row, "{\"a\":1}"], &Declared::default());
        assert_eq!(told, [Some("c1000: the source has 1000 columns already".to_owned()), None]);
        assert_eq!(columns.len(), 1);
    }
}
