//! Reads the `.properties` format as `java.util.Properties` does, except that the text is UTF-8.

/// A line of a properties file that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
    /// The number of the line on which it begins, from 1.
    pub(super) line: usize,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) message: &'static str,
}

const BAD_UNICODE_ESCAPE: &str = "\\u must be followed by four hexadecimal digits that make a character";

/// Reads every property; lines that cannot be read are told apart and do not hide the others.
pub(super) fn parse(text: &str) -> (Vec<Property>, Vec<BadLine>) {
    let (mut properties, mut bad) = (Vec::new(), Vec::new());
    for (line, logical) in logical_lines(text) {
        match property(&logical) {
            Ok((key, value)) => properties.push(Property { key, value, line }),
            Err(message) => bad.push(BadLine { line, message }),
        }
    }
    (properties, bad)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Joins continued lines and drops comments and blank lines. Escapes are still in place.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    // The byte order mark that some editors write is not part of the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').zip(1..);
    let mut logical = Vec::new();
    while let Some((first, number)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        while ends_in_continuation(&whole) {
            whole.pop();
            // A comment sign at the start of a continuation is text, as in Java.
            let Some((next, _)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches(is_blank));
        }
        logical.push((number, whole));
    }
    logical
}

fn ends_in_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that is not escaped.
fn property(line: &str) -> Result<(String, String), &'static str> {
    let mut escaped = false;
    let end_of_key = line
        .find(|c: char| {
            let ends = !escaped && (is_blank(c) || matches!(c, '=' | ':'));
            escaped = !escaped && c == '\\';
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end_of_key);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    Ok((unescape(key)?, unescape(rest.trim_start_matches(is_blank))?))
}

/// Writes `value` so that it is read back as it is.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\x0c' => escaped.push_str("\\f"),
            // Only here would they belong to the separator.
            ' ' | '=' | ':' if escaped.is_empty() => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => plain.push(unicode_escape(&mut chars)?),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

/// Reads what follows `\u`; characters outside the basic plane are two escapes, as Java writes them.
fn unicode_escape(chars: &mut std::str::Chars<'_>) -> Result<char, &'static str> {
    let first = utf16_unit(chars)?;
    let units = if (0xd800..0xdc00).contains(&first) {
        if chars.next() != Some('\\') || chars.next() != Some('u') {
            return Err(BAD_UNICODE_ESCAPE);
        }
        vec![first, utf16_unit(chars)?]
    } else {
        vec![first]
    };
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => Ok(c),
        _ => Err(BAD_UNICODE_ESCAPE),
    }
}

fn utf16_unit(chars: &mut std::str::Chars<'_>) -> Result<u16, &'static str> {
    let mut unit: u16 = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(BAD_UNICODE_ESCAPE)?;
        unit = unit << 4 | u16::try_from(digit).map_err(|_| BAD_UNICODE_ESCAPE)?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let (properties, bad) = parse(text);
        assert_eq!(bad, []);
        properties.into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn text_is_read_as_java_reads_it() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("a=b", &[("a", "b")]),
            ("a:b", &[("a", "b")]),
            ("a b", &[("a", "b")]),
            ("  a \t=  b c  ", &[("a", "b c  ")]),
            ("a = = b", &[("a", "= b")]),
            ("a==b", &[("a", "=b")]),
            ("a : b : c", &[("a", "b : c")]),
            ("a", &[("a", "")]),
            ("a=", &[("a", "")]),
            ("=b", &[("", "b")]),
            ("# c\n! d\n   # e\n\n \t \na=b", &[("a", "b")]),
            ("a=b#c", &[("a", "b#c")]),
            ("a=b\r\nc=d\re=f", &[("a", "b"), ("c", "d"), ("e", "f")]),
            ("a=b,\\\n    c,\\\r\n\td", &[("a", "b,c,d")]),
            ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
            ("a=b\\\\\\\nc", &[("a", "b\\c")]),
            ("a=b\\\n# c", &[("a", "b# c")]),
            ("a=b\\", &[("a", "b")]),
            ("# c \\\na=b", &[("a", "b")]),
            ("a\\ b\\=c\\:d=e", &[("a b=c:d", "e")]),
            ("a=\\t\\n\\r\\f\\\\\\q", &[("a", "\t\n\r\x0c\\q")]),
            ("a=\\u00e7\\u00E3o", &[("a", "ção")]),
            ("a=\\ud83d\\ude00", &[("a", "😀")]),
            ("a=ção", &[("a", "ção")]),
            ("\u{feff}a=b", &[("a", "b")]),
            ("a=1\na=2", &[("a", "1"), ("a", "2")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_hides_no_other() {
        let (properties, bad) = parse("a=1\nb=\\u12\nc=\\ud83dx\nd=\\ude00\n\ne=2");
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 4]);
        let read: Vec<_> = properties.iter().map(|p| (p.key.as_str(), p.line)).collect();
        assert_eq!(read, [("a", 1), ("e", 6)]);
    }

    #[test]
    fn a_continued_line_is_known_by_its_first_line() {
        let (properties, _) = parse("\na=1,\\\n2\nb=3");
        assert_eq!(properties.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 4]);
    }

    proptest::proptest! {
        #[test]
        fn an_escaped_value_is_read_back(value in "[a\\\\=: #!u\n\r\t\x0cé]{0,40}") {
            let text = format!("key={}\n", escape(&value));
            proptest::prop_assert_eq!(read(&text), [("key".to_owned(), value)]);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a\\\\=: #!u0d8\n\r\té]{0,60}") {
            parse(&text);
        }
    }
}
