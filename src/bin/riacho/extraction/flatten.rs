//! A row of JSON as paths and scalars.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Objects within objects beyond this depth are refused.
const DEPTH_MAX: usize = 32;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Boolean(bool),
    /// As it is written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array, as it is written.
    Json(&'a str),
}

/// Takes what is told, and may refuse it.
type Tell<'t, 'a> = dyn FnMut(&str, Scalar<'a>) -> Result<(), String> + 't;

/// Tells each scalar of an object with its path: names joined by dots, a dot in a name written as `~1`, a tilde as
/// `~0` and an empty name as `~2`. An empty object has no scalars.
///
/// # Errors
/// When the row is no object, no JSON or too deep, or with what `tell` refuses.
pub(crate) fn flatten<'a>(row: &'a str, path: &mut String, tell: &mut Tell<'_, 'a>) -> Result<(), String> {
    path.clear();
    let mut reader = Reader { text: row, at: 0 };
    if reader.next_byte() != Some(b'{') {
        return Err("not an object".to_owned());
    }
    reader.object(path, 1, tell)?;
    match reader.next_byte() {
        None => Ok(()),
        Some(_) => Err(reader.unreadable()),
    }
}

/// Walks JSON text once. What is rare or intricate is left to serde_json, piece by piece.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The byte at which the reader stands, behind blanks.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    fn skip(&mut self, expected: u8) -> Result<(), String> {
        if self.next_byte() != Some(expected) {
            return Err(self.unreadable());
        }
        self.at += 1;
        Ok(())
    }

    fn unreadable(&self) -> String {
        format!("not readable from byte {} on", self.at)
    }

    /// Moves on by so many bytes, which are told.
    fn take(&mut self, bytes: usize) -> Result<&'a str, String> {
        let taken = self.text.get(self.at..self.at + bytes).ok_or_else(|| self.unreadable())?;
        self.at += bytes;
        Ok(taken)
    }

    fn object(&mut self, path: &mut String, depth: usize, tell: &mut Tell<'_, 'a>) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("objects within objects deeper than {DEPTH_MAX}"));
        }
        self.skip(b'{')?;
        if self.next_byte() == Some(b'}') {
            return self.skip(b'}');
        }
        loop {
            self.next_byte();
            let name = self.string()?;
            self.skip(b':')?;
            let parent = path.len();
            append(path, &name);
            match self.next_byte() {
                Some(b'{') => self.object(path, depth + 1, tell)?,
                Some(first) => {
                    let scalar = self.scalar(first)?;
                    tell(path, scalar)?;
                }
                None => return Err(self.unreadable()),
            }
            path.truncate(parent);
            match self.next_byte() {
                Some(b',') => self.at += 1,
                _ => return self.skip(b'}'),
            }
        }
    }

    fn scalar(&mut self, first: u8) -> Result<Scalar<'a>, String> {
        match first {
            b'"' => self.string().map(Scalar::Text),
            b'[' => self.array().map(Scalar::Json),
            b'n' => self.word("null", Scalar::Null),
            b't' => self.word("true", Scalar::Boolean(true)),
            b'f' => self.word("false", Scalar::Boolean(false)),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn word(&mut self, word: &str, meaning: Scalar<'a>) -> Result<Scalar<'a>, String> {
        let is_it = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if !is_it {
            return Err(self.unreadable());
        }
        self.at += word.len();
        Ok(meaning)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        #[derive(Deserialize)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

        let length = self.string_length().ok_or_else(|| self.unreadable())?;
        let quoted = self.take(length)?;
        let inner = quoted.get(1..length - 1).unwrap_or_default();
        if !inner.bytes().any(|byte| byte == b'\\' || byte < b' ') {
            return Ok(Cow::Borrowed(inner));
        }
        let Text(text) = serde_json::from_str(quoted).map_err(|error| format!("not readable: {error}"))?;
        Ok(text)
    }

    /// With its quotes.
    fn string_length(&self) -> Option<usize> {
        let mut rest = self.text.as_bytes().get(self.at..)?.iter().enumerate();
        rest.next().filter(|(_, first)| **first == b'"')?;
        while let Some((at, byte)) = rest.next() {
            match byte {
                b'"' => return Some(at + 1),
                b'\\' => _ = rest.next(),
                _ => {}
            }
        }
        None
    }

    fn number(&mut self) -> Result<&'a str, String> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let text = self.take(rest.iter().take_while(is_part).count())?;
        if is_number(text) { Ok(text) } else { Err(format!("not readable: '{text}' is no number")) }
    }

    fn array(&mut self) -> Result<&'a str, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let array = values.next().transpose().map_err(|error| format!("not readable: {error}"))?;
        let array = array.ok_or_else(|| self.unreadable())?;
        self.take(array.get().len())
    }
}

/// By the grammar of JSON: no leading zeros, no lone point, no plus in front.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(unsigned);
    let (Some(_), Some(mut rest)) = (unsigned.get(..whole).filter(|_| whole > 0), unsigned.get(whole..))
    else {
        return false;
    };
    if whole > 1 && unsigned.starts_with('0') {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let places = digits(fraction);
        rest = fraction.get(places..).unwrap_or_default();
        if places == 0 {
            return false;
        }
    }
    match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        None => rest.is_empty(),
    }
}

fn append(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    if name.is_empty() {
        path.push_str("~2");
    } else if name.bytes().any(|byte| byte == b'.' || byte == b'~') {
        path.push_str(&name.replace('~', "~0").replace('.', "~1"));
    } else {
        path.push_str(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(row: &str) -> Result<Vec<(String, Scalar<'_>)>, String> {
        let mut found = Vec::new();
        flatten(row, &mut String::new(), &mut |path, scalar| {
            found.push((path.to_owned(), scalar));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn nested_objects_become_paths_and_numbers_stay_as_written() {
        let row = r#"{"id": 12345678901234567890, "contato": {"e.mail": "a\nb", "end~": {"uf": "SP"}, "x": {}},
            "preço": 1.50, "ok": true, "nada": null, "etiquetas": [1, {"a": 2}]}"#;
        let found = told(row).unwrap();
        let expected = [
            ("id", Scalar::Number("12345678901234567890")),
            ("contato.e~1mail", Scalar::Text("a\nb".into())),
            ("contato.end~0.uf", Scalar::Text("SP".into())),
            ("preço", Scalar::Number("1.50")),
            ("ok", Scalar::Boolean(true)),
            ("nada", Scalar::Null),
            ("etiquetas", Scalar::Json("[1, {\"a\": 2}]")),
        ];
        let found: Vec<_> = found.iter().map(|(path, scalar)| (path.as_str(), scalar.clone())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_object_or_too_deep_is_refused() {
        for row in ["null", "[1]", "\"{}\"", "7", "", "  "] {
            assert_eq!(told(row).unwrap_err(), "not an object", "{row}");
        }
        let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(told(&deep(DEPTH_MAX)).unwrap().len(), 1);
        assert!(told(&deep(DEPTH_MAX + 1)).unwrap_err().contains("deeper"));
        assert!(told(&deep(100_000)).unwrap_err().contains("deeper"));
    }

    #[test]
    fn what_serde_json_refuses_is_refused_and_nothing_else() {
        let values = [
            "0",
            "-0",
            "01",
            "1.",
            ".5",
            "1.5e",
            "1e5",
            "1E+5",
            "1e-05",
            "+1",
            "-",
            "--1",
            "1-1",
            "1.2.3",
            "NaN",
            "tru",
            "truex",
            "nul",
            "null",
            "false",
            "\"a",
            "\"\\q\"",
            "\"\\u12\"",
            "\"a\tb\"",
            "\"\u{1}\"",
            "\"é\"",
            "[1,]",
            "[1",
            "[\"]\"]",
            "[[],{}]",
            "[}",
            "{}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1",
            "",
            "'a'",
            "\"\\\"\"",
            "\"\\\\\"",
            "1 2",
            "/**/1",
        ];
        for value in values {
            for row in [format!("{{\"x\":{value}}}"), format!(" {{ \"x\" : {value} , \"y\":1}} ")] {
                let expected = serde_json::from_str::<serde_json::Value>(&row).is_ok();
                assert_eq!(told(&row).is_ok(), expected, "{row}: {:?}", told(&row));
            }
        }
        for row in ["{\"x\":1}}", "{\"x\":1} x", "{x:1}", "{\"x\" 1}", "{\"x\":1 \"y\":2}", "{"] {
            assert!(told(row).is_err(), "{row}");
        }
    }

    #[test]
    fn hostile_names_and_texts_stay_text() {
        let long = "x".repeat(1 << 20);
        let row =
            format!(r#"{{"'; DROP TABLE": "<script>\u202e", "": "", "l": "{long}", "e": "\ud83d\ude00"}}"#);
        let found = told(&row).unwrap();
        assert_eq!(found[0], ("'; DROP TABLE".to_owned(), Scalar::Text("<script>\u{202e}".into())));
        assert_eq!(found[1], ("~2".to_owned(), Scalar::Text("".into())));
        assert_eq!(found[2].1, Scalar::Text(long.into()));
        assert_eq!(found[3].1, Scalar::Text("😀".into()));
        assert!(told(r#"{"a": "\ud800"}"#).unwrap_err().contains("not readable"));
    }
}
