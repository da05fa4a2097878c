//! The envelope of every answer below `/api`: figures with the time they are of, or why there are none.

use std::borrow::Cow;

use riacho::observe::http::{Page, Query};
use serde_json::{Value, json};

/// Longer strings from records are cut: a page shows them, nobody reads a megabyte in it.
pub(crate) const CHARS_MAX: usize = 256;
/// Rows of a table's page.
pub(crate) const SIZE_MAX: u64 = 100;
const SIZE: u64 = 25;

/// Good figures of the instant `at`, in epoch milliseconds.
pub(crate) fn ready(at: i64, data: Value) -> Page {
    envelope(200, "ready", None, at, data)
}

/// Good figures, but those of an earlier instant; `reason` is shown to the user.
pub(crate) fn stale(at: i64, reason: &str, data: Value) -> Page {
    envelope(200, "stale", Some(reason), at, data)
}

/// No figures yet; `reason` says what is waited for. A success, because browsers report every other status as an error
/// of the page, and waiting is none.
pub(crate) fn loading(now: i64, reason: &str) -> Page {
    envelope(200, "loading", Some(reason), now, Value::Null)
}

/// No figures, and none will come until somebody does what `reason` says.
pub(crate) fn error(now: i64, reason: &str) -> Page {
    envelope(503, "error", Some(reason), now, Value::Null)
}

/// The question is wrong.
pub(crate) fn bad_parameter(now: i64, reason: &str) -> Page {
    envelope(400, "error", Some(reason), now, Value::Null)
}

/// There is no such question, or nothing of that name.
pub(crate) fn not_found(now: i64) -> Page {
    envelope(404, "error", Some("Não existe."), now, Value::Null)
}

fn envelope(status: u16, state: &str, reason: Option<&str>, at: i64, data: Value) -> Page {
    Page::compact_json(status, &json!({ "state": state, "reason": reason, "updated_at": at, "data": data }))
}

/// Which page of a table is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageOf {
    /// From 1.
    pub(crate) page: u64,
    /// Rows per page, at most [`SIZE_MAX`].
    pub(crate) size: u64,
}

impl PageOf {
    /// Reads `page` and `size`; what is not given is the first page and 25 rows.
    ///
    /// # Errors
    /// With what the user is told when one of them is not a number in its range.
    pub(crate) fn of(query: Query<'_>) -> Result<PageOf, &'static str> {
        let number = |name, default: u64, max| {
            let asked = query.get(name).map_or(Some(default), |text| text.parse().ok());
            asked.filter(|asked| (1..=max).contains(asked))
        };
        // Beyond any table, and small enough that the offset is a number for every database.
        const PAGE_MAX: u64 = 1_000_000_000;
        Ok(PageOf {
            page: number("page", 1, PAGE_MAX).ok_or("page deve ser um número a partir de 1")?,
            size: number("size", SIZE, SIZE_MAX).ok_or("size deve ser um número de 1 a 100")?,
        })
    }

    /// How many rows stand before this page.
    pub(crate) fn offset(self) -> u64 {
        (self.page - 1) * self.size
    }

    /// Those of `all` rows that are on this page.
    pub(crate) fn rows<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        all.skip(number(self.offset())).take(number(self.size))
    }

    /// The data of a table's answer.
    pub(crate) fn table(self, total: u64, rows: Vec<Value>) -> Value {
        json!({ "page": self.page, "size": self.size, "total": total, "rows": rows })
    }
}

/// The text, or its first 256 characters and an ellipsis.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// An amount in cents as a decimal with two places: exact, which a JSON number is not for whoever reads it.
pub(crate) fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use riacho::observe::http::Request;

    use super::*;

    #[test]
    fn an_answer_that_is_not_ready_says_why() {
        for (page, status, state) in [
            (ready(7, json!({ "n": 1 })), 200, "ready"),
            (stale(7, "Aguardando.", json!({ "n": 1 })), 200, "stale"),
            (loading(7, "Aguardando."), 200, "loading"),
            (error(7, "Aguardando."), 503, "error"),
            (bad_parameter(7, "Aguardando."), 400, "error"),
            (not_found(7), 404, "error"),
        ] {
            let body: Value = serde_json::from_slice(page.body()).unwrap();
            assert_eq!((page.status(), &body["state"]), (status, &json!(state)));
            assert_eq!(body["reason"].is_null(), state == "ready");
            let has_figures = state == "ready" || state == "stale";
            assert_eq!((body["data"].is_object(), &body["updated_at"]), (has_figures, &json!(7)));
        }
    }

    #[test]
    fn a_page_of_a_table_is_bounded() {
        let page_of = |query: &str| {
            let request = Request::to(&format!("/api/sales/table?{query}")).unwrap();
            PageOf::of(request.query()).map(|page| (page.offset(), page.size))
        };
        assert_eq!(page_of(""), Ok((0, 25)));
        assert_eq!(page_of("page=3&size=10"), Ok((20, 10)));
        for bad in ["page=0", "page=-1", "page=x", "size=0", "size=101", "page=99999999999999999999"] {
            assert!(page_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn money_is_exact_beyond_what_a_double_holds() {
        assert_eq!(money(900_719_925_474_099_301), "9007199254740993.01");
        assert_eq!((money(5), money(-100), money(-1)), ("0.05".into(), "-1.00".into(), "-0.01".into()));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "é".repeat(CHARS_MAX + 1);
        assert_eq!(cut(&long), format!("{}…", "é".repeat(CHARS_MAX)));
        assert_eq!(cut("é"), "é");
        assert_eq!(cut(&"é".repeat(CHARS_MAX)), "é".repeat(CHARS_MAX));
    }
}
