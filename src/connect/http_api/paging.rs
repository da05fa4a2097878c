//! How the rows of an API are spread over its answers, and where in them a reader is.

use serde::{Deserialize, Serialize};

use super::Taken;
use super::body::Answer;

/// How to ask for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// One answer holds all rows.
    Single,
    /// Pages have numbers.
    Page {
        /// The parameter with the number.
        parameter: String,
        /// The number of the first page.
        first: u64,
        /// The parameter with the number of rows of a page, and how many to ask for.
        size: (String, u64),
    },
    /// Rows have numbers from 0.
    Offset {
        /// The parameter with the number of the first row.
        parameter: String,
        /// The parameter with the number of rows to answer with, and how many to ask for.
        size: (String, u64),
    },
    /// An answer holds a token for the next one.
    Cursor {
        /// The parameter with the token.
        parameter: String,
        /// The parameter with the number of rows to answer with, and how many to ask for.
        size: Option<(String, u64)>,
        /// The names that lead to the token in an answer.
        path: Vec<String>,
    },
    /// An answer holds the address of the next one.
    Link {
        /// The names that lead to the address in an answer; none for the header `Link` with `rel="next"`.
        path: Vec<String>,
    },
}

/// An answer of an API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The only one.
    Single,
    /// The one with this number.
    Page(u64),
    /// The one that begins with this row.
    Offset(u64),
    /// The one for this token; the first without one.
    Cursor(Option<String>),
    /// The one at this address; the first without one.
    Link(Option<String>),
}

/// Between two rows of an API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The answer with the next row.
    pub place: Place,
    /// How many of its rows are taken.
    pub taken: u64,
}

impl Paging {
    pub(super) fn start(&self) -> Position {
        let place = match self {
            Paging::Single => Place::Single,
            Paging::Page { first, .. } => Place::Page(*first),
            Paging::Offset { .. } => Place::Offset(0),
            Paging::Cursor { .. } => Place::Cursor(None),
            Paging::Link { .. } => Place::Link(None),
        };
        Position { place, taken: 0 }
    }

    /// Whether a reader that stands there can go on with this paging.
    pub(super) fn fits(&self, position: &Position) -> bool {
        std::mem::discriminant(&self.start().place) == std::mem::discriminant(&position.place)
    }

    pub(super) fn parameters(&self, place: &Place) -> Vec<(&str, String)> {
        let sized = |size: &(String, u64)| size.1.to_string();
        match (self, place) {
            (Paging::Page { parameter, size, .. }, Place::Page(number)) => {
                vec![(parameter, number.to_string()), (&size.0, sized(size))]
            }
            (Paging::Offset { parameter, size }, Place::Offset(row)) => {
                vec![(parameter, row.to_string()), (&size.0, sized(size))]
            }
            (Paging::Cursor { parameter, size, .. }, Place::Cursor(cursor)) => {
                let cursor = cursor.iter().map(|cursor| (parameter.as_str(), cursor.clone()));
                cursor.chain(size.iter().map(|size| (size.0.as_str(), sized(size)))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The names that lead to what comes next in an answer; `None` where answers do not say.
    pub(super) fn next_path(&self) -> Option<&[String]> {
        match self {
            Paging::Cursor { path, .. } => Some(path),
            Paging::Link { path } => Some(path).filter(|path| !path.is_empty()).map(Vec::as_slice),
            _ => None,
        }
    }

    /// The place after an answer that will not change any more; `None` when it may yet get more rows.
    fn after(&self, place: &Place, rows: u64, next: Option<String>) -> Option<Place> {
        match (self, place) {
            (Paging::Page { size, .. }, Place::Page(number)) => {
                (rows >= size.1.max(1)).then(|| Place::Page(number.saturating_add(1)))
            }
            (Paging::Offset { .. }, Place::Offset(row)) => {
                (rows > 0).then(|| Place::Offset(row.saturating_add(rows)))
            }
            (Paging::Cursor { .. }, Place::Cursor(_)) => next.map(|next| Place::Cursor(Some(next))),
            (Paging::Link { .. }, Place::Link(_)) => next.map(|next| Place::Link(Some(next))),
            _ => None,
        }
    }

    /// The page behind one that is not full, and not to be trusted to be the last.
    pub(super) fn beyond_short(&self, place: &Place) -> Option<Place> {
        match place {
            Place::Page(number) => Some(Place::Page(number.saturating_add(1))),
            _ => None,
        }
    }

    /// What of an answer is new behind `from`.
    pub(super) fn take(&self, from: &Position, answer: Answer) -> Taken {
        let Answer { mut rows, next } = answer;
        let count = rows.len() as u64;
        let known = usize::try_from(from.taken).unwrap_or(usize::MAX).min(rows.len());
        rows.drain(..known);
        // A token or address that leads to itself would give the same rows for ever.
        let after = self.after(&from.place, count, next).filter(|place| *place != from.place);
        let then = match after {
            Some(place) => Position { place, taken: 0 },
            // A page that has lost rows must not give the others twice.
            None => Position { place: from.place.clone(), taken: count.max(from.taken) },
        };
        let is_end = rows.is_empty() && then.place == from.place;
        Taken { rows, then, is_end }
    }
}

/// The address of the next answer in a `Link` header (RFC 8288): addresses and quoted texts may hold commas.
pub(super) fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (address, behind) = rest.split_once('<')?.1.split_once('>')?;
        let mut is_quoted = false;
        let end = behind.find(|symbol| {
            is_quoted ^= symbol == '"';
            symbol == ',' && !is_quoted
        });
        let (parameters, others) = behind.split_at(end.unwrap_or(behind.len()));
        if parameters.split(';').any(is_next) && !address.contains(char::is_whitespace) {
            return Some(address);
        }
        rest = others;
    }
}

/// Whether a parameter of a link says that it leads to what comes next.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|name| name.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[&str], next: Option<&str>) -> Answer {
        let rows = rows.iter().map(|row| (*row).to_owned()).collect();
        Answer { rows, next: next.map(str::to_owned) }
    }

    fn pages_of(size: u64) -> Paging {
        Paging::Page { parameter: "page".to_owned(), first: 1, size: ("size".to_owned(), size) }
    }

    #[test]
    fn an_answer_that_leads_to_itself_is_the_last_one() {
        let path = vec!["next".to_owned()];
        for paging in [
            Paging::Cursor { parameter: "cursor".to_owned(), size: None, path: path.clone() },
            Paging::Link { path },
        ] {
            let first = paging.take(&paging.start(), answer(&["1"], Some("b")));
            let last = paging.take(&first.then, answer(&["2"], Some("b")));
            assert_eq!((last.rows.as_slice(), last.is_end), (["2".to_owned()].as_slice(), false));
            let again = paging.take(&last.then, answer(&["2"], Some("b")));
            assert!(again.rows.is_empty() && again.is_end, "{again:?}");
        }
    }

    #[test]
    fn a_full_page_is_left_behind_and_a_short_one_is_asked_again() {
        let paging = pages_of(2);
        let full = paging.take(&paging.start(), answer(&["1", "2"], None));
        assert_eq!(full.then, Position { place: Place::Page(2), taken: 0 });
        let short = paging.take(&full.then, answer(&["3"], None));
        assert_eq!((short.rows.len(), &short.then), (1, &Position { place: Place::Page(2), taken: 1 }));
        let nothing_new = paging.take(&short.then, answer(&["3"], None));
        assert!(nothing_new.is_end && nothing_new.rows.is_empty() && nothing_new.then == short.then);
        let filled = paging.take(&short.then, answer(&["3", "4"], None));
        assert_eq!(
            (filled.rows, filled.then),
            (vec!["4".to_owned()], Position { place: Place::Page(3), taken: 0 })
        );
    }

    #[test]
    fn a_page_that_has_lost_rows_gives_none_twice() {
        let paging = pages_of(4);
        let at = Position { place: Place::Page(3), taken: 3 };
        let taken = paging.take(&at, answer(&["7"], None));
        assert!(taken.is_end && taken.then == at);
    }

    #[test]
    fn offsets_count_what_came() {
        let paging = Paging::Offset { parameter: "from".to_owned(), size: ("limit".to_owned(), 100) };
        let taken = paging.take(&paging.start(), answer(&["1", "2", "3"], None));
        assert_eq!((taken.is_end, &taken.then.place), (false, &Place::Offset(3)));
        assert!(paging.take(&taken.then, answer(&[], None)).is_end);
        assert_eq!(
            paging.parameters(&taken.then.place),
            [("from", "3".to_owned()), ("limit", "100".to_owned())]
        );
    }

    #[test]
    fn a_cursor_is_followed_and_the_last_answer_is_asked_again() {
        let paging = Paging::Cursor { parameter: "c".to_owned(), size: None, path: vec!["next".to_owned()] };
        let first = paging.take(&paging.start(), answer(&["1"], Some("x")));
        assert_eq!(first.then, Position { place: Place::Cursor(Some("x".to_owned())), taken: 0 });
        // An answer may be empty although there is more.
        let empty = paging.take(&first.then, answer(&[], Some("y")));
        assert!(!empty.is_end);
        let last = paging.take(&empty.then, answer(&["2"], None));
        assert_eq!(last.then, Position { place: Place::Cursor(Some("y".to_owned())), taken: 1 });
        assert!(paging.take(&last.then, answer(&["2"], None)).is_end);
    }

    #[test]
    fn the_link_header_is_read() {
        let header = "<https://a/1>; rel=\"prev\", <https://a/3?x=1>; title=\"a\"; rel=\"next last\"";
        assert_eq!(next_link(header), Some("https://a/3?x=1"));
        let commas =
            "<https://a/1?ids=1,2>; rel=prev, <https://a/3?ids=1,2>; title=\"a, <b>\"; Rel = \"NEXT\"";
        assert_eq!(next_link(commas), Some("https://a/3?ids=1,2"));
        assert_eq!(next_link("<https://a/1>; rel=prev"), None);
        assert_eq!(next_link("nonsense, <, >; rel=next"), None);
    }

    #[test]
    fn a_position_is_plain_data() {
        let position = Position { place: Place::Cursor(Some("a\"b".to_owned())), taken: 7 };
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(text, r#"{"place":{"cursor":"a\"b"},"taken":7}"#);
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        assert!(!pages_of(1).fits(&position));
    }
}
