//! What an answer holds: rows, and where the next ones are.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::settings::ApiSettings;

/// An answer that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rows: Vec<String>,
    /// A token or an address.
    pub(super) next: Option<String>,
}

impl Answer {
    /// Reads an answer; `link` is what its headers say of the next one.
    pub(super) fn of(body: &[u8], settings: &ApiSettings, link: Option<String>) -> Result<Answer, String> {
        let broken = |error: serde_json::Error| format!("the answer is not JSON: {error}");
        let whole: &RawValue = serde_json::from_slice(body).map_err(broken)?;
        let rows = at(whole, &settings.rows).ok_or_else(|| {
            format!("the answer has nothing under '{}': check where its rows are", settings.rows.join("."))
        })?;
        let rows: Vec<&RawValue> = serde_json::from_str(rows.get()).map_err(|_| {
            "what should be the rows is no array: check where in the answer they are".to_owned()
        })?;
        let next = match settings.paging.next_path() {
            Some(path) => at(whole, path).and_then(token),
            None => link,
        };
        Ok(Answer { rows: rows.into_iter().map(|row| row.get().to_owned()).collect(), next })
    }
}

/// What lies under these names, one within the other.
fn at<'a>(whole: &'a RawValue, names: &[String]) -> Option<&'a RawValue> {
    #[derive(Deserialize)]
    struct Fields<'a>(#[serde(borrow)] HashMap<Cow<'a, str>, &'a RawValue>);

    names.iter().try_fold(whole, |value, name| {
        let Fields(fields) = serde_json::from_str(value.get()).ok()?;
        fields.get(name.as_str()).copied()
    })
}

/// A token as text; numbers are tokens too, and `null`, `false` and empty text say that there is none.
fn token(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        serde_json::Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        serde_json::Value::Number(_) => Some(value.get().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::paging::Paging;
    use super::*;

    fn settings(rows: &[&str], next: &[&str]) -> ApiSettings {
        let path = next.iter().map(|name| (*name).to_owned()).collect();
        let paging = Paging::Cursor { parameter: "c".to_owned(), size: None, path };
        ApiSettings::new("http://a", paging).unwrap().rows_at(rows.iter().copied())
    }

    #[test]
    fn rows_are_taken_as_they_are_written() {
        let body =
            r#"{"data":{"itens":[ {"a": 1.50} , "x\u0000", [1], null, 12345678901234567890 ]},"next":7}"#;
        let answer = Answer::of(body.as_bytes(), &settings(&["data", "itens"], &["next"]), None).unwrap();
        assert_eq!(answer.rows, ["{\"a\": 1.50}", "\"x\\u0000\"", "[1]", "null", "12345678901234567890"]);
        assert_eq!(answer.next.as_deref(), Some("7"));
        for none in ["null", "\"\"", "false"] {
            let body = format!("{{\"r\":[],\"next\":{none}}}");
            assert_eq!(Answer::of(body.as_bytes(), &settings(&["r"], &["next"]), None).unwrap().next, None);
        }
    }

    #[test]
    fn an_answer_that_is_no_list_of_rows_says_what_is_wrong() {
        for (body, part) in [
            ("<html>", "is not JSON"),
            ("{\"rows\":[1,", "is not JSON"),
            ("{\"erro\":\"x\"}", "nothing under 'rows'"),
            ("[]", "nothing under 'rows'"),
            ("{\"rows\":{}}", "is no array"),
            ("{\"rows\":[]} trailing", "is not JSON"),
        ] {
            let error = Answer::of(body.as_bytes(), &settings(&["rows"], &["next"]), None).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
        assert!(
            Answer::of(b"[\"\xff\"]", &settings(&[], &["next"]), None).is_err(),
            "bytes that are no text"
        );
    }

    #[test]
    fn rows_that_are_nested_deeply_are_only_carried() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        let answer = Answer::of(deep.as_bytes(), &settings(&[], &["next"]), None).unwrap();
        assert_eq!(answer.rows.len(), 1);
    }
}
