//! The words of a PromQL expression: enough to tell what it asks for.

use std::collections::BTreeSet;

/// A series that an expression asks for: `up{job="riacho"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selector {
    /// Empty if only labels choose.
    pub(super) metric: String,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    Name(&'a str),
    /// A number, a duration, a string, or a board's variable in the place of one.
    Literal(&'a str),
    Sign(&'a str),
}

impl<'a> Word<'a> {
    fn text(self) -> &'a str {
        match self {
            Word::Name(text) | Word::Literal(text) | Word::Sign(text) => text,
        }
    }
}

/// Words that stand before a list of labels in brackets.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OTHER_KEYWORDS: [&str; 8] = ["and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"];
const BOOL: Word<'static> = Word::Name("bool");
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];

/// What the expression asks for.
pub(super) fn selectors(expression: &str) -> BTreeSet<Selector> {
    let words = words(expression);
    let mut found = BTreeSet::new();
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        let before = rest;
        rest = after;
        let opens = |sign: &str| after.first() == Some(&Word::Sign(sign));
        match word {
            Word::Name(name) if LISTS.contains(name) && opens("(") => (_, rest) = split_behind(after, ")"),
            Word::Name(name) if LISTS.contains(name) => {}
            Word::Name(name) if OTHER_KEYWORDS.contains(&name.to_ascii_lowercase().as_str()) => {}
            // A function, or an aggregation with its labels before or behind its argument.
            Word::Name(_) if opens("(") => {}
            Word::Name(_) if matches!(after.first(), Some(Word::Name("by" | "without"))) => {}
            Word::Name(name) => {
                let matchers;
                (matchers, rest) =
                    if opens("{") { split_behind(after, "}") } else { (Default::default(), after) };
                found.insert(selector(name, matchers));
            }
            Word::Sign("{") => {
                let matchers;
                (matchers, rest) = split_behind(before, "}");
                found.insert(selector("", matchers));
            }
            _ => {}
        }
    }
    found
}

fn selector(name: &str, matchers: &[Word<'_>]) -> Selector {
    let text: String = matchers.iter().map(|word| word.text()).collect();
    let named = matchers.windows(3).find_map(|three| match three {
        [Word::Name("__name__"), Word::Sign("="), Word::Literal(value)] => {
            Some(value.trim_matches(['"', '\'']))
        }
        _ => None,
    });
    Selector { metric: named.unwrap_or(name).to_owned(), text: format!("{name}{text}") }
}

/// The words up to and with the first `sign`, and those behind it.
fn split_behind<'a, 'b>(words: &'a [Word<'b>], sign: &str) -> (&'a [Word<'b>], &'a [Word<'b>]) {
    let end = words.iter().position(|word| *word == Word::Sign(sign)).map_or(words.len(), |at| at + 1);
    words.split_at(end)
}

/// The same expression with comparisons that answer 0 or 1 instead of leaving out: it gives data if its parts do.
pub(super) fn without_thresholds(expression: &str) -> String {
    let words = words(expression);
    let mut text = Vec::new();
    let mut in_matchers = false;
    for (at, word) in words.iter().enumerate() {
        text.push(word.text());
        let next = words.get(at + 1);
        match word {
            Word::Sign("{") => in_matchers = true,
            Word::Sign("}") => in_matchers = false,
            Word::Sign(sign) if COMPARISONS.contains(sign) && !in_matchers && next != Some(&BOOL) => {
                text.push(BOOL.text());
            }
            _ => {}
        }
    }
    text.join(" ")
}

fn words(expression: &str) -> Vec<Word<'_>> {
    let mut words = vec![];
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
                continue;
            }
            '"' | '\'' | '`' => string_length(rest, first),
            '$' if rest.starts_with("${") => rest.find('}').map_or(rest.len(), |end| end + 1),
            '$' => 1 + length_while(rest.trim_start_matches('$'), |c| is_of_name(c) || c.is_ascii_digit()),
            first if first.is_ascii_digit() || first == '.' => {
                length_while(rest, |c| c.is_ascii_alphanumeric() || c == '.')
            }
            first if is_of_name(first) => {
                length_while(rest, |c| is_of_name(c) || c.is_ascii_digit() || c == ':')
            }
            _ => {
                let two = ["==", "!=", ">=", "<=", "=~", "!~"];
                if two.iter().any(|sign| rest.starts_with(sign)) { 2 } else { first.len_utf8() }
            }
        };
        let (text, after) = rest.split_at(length);
        words.push(match first {
            '"' | '\'' | '`' | '$' => Word::Literal(text),
            first if first.is_ascii_digit() || first == '.' => Word::Literal(text),
            first if is_of_name(first) => Word::Name(text),
            _ => Word::Sign(text),
        });
        rest = after.trim_start();
    }
    words
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn length_while(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn what_an_expression_asks_for_is_found_among_functions_labels_and_strings() {
    let cases: [(&str, &[&str]); 9] = [
        ("up", &["up"]),
        (
            r#"sum by (job, up) (rate(a:b_total{job=~"x|}y", le!="1"}[5m])) > 0"#,
            &[r#"a:b_total{job=~"x|}y",le!="1"}"#],
        ),
        ("sum(a) by (b) / on (c) group_left (d) count without (e) (f)", &["a", "f"]),
        ("a and on (b) c unless d or e offset 5m", &["a", "c", "d", "e"]),
        ("histogram_quantile(0.99, sum by (le) (rate(h_bucket[1m:10s])))", &["h_bucket"]),
        ("time() - start > bool 900 # not: a_name", &["start"]),
        ("rate(a[$__rate_interval]) / increase(b[${__range}])", &["a", "b"]),
        (r#"{__name__=~"kafka_.+", job="x"}"#, &[r#"{__name__=~"kafka_.+",job="x"}"#]),
        (r#"label_join(a{b="c\"d"}, "e", "-", "f") <= +Inf"#, &[r#"a{b="c\"d"}"#]),
    ];
    for (expression, expected) in cases {
        let found: Vec<String> = selectors(expression).into_iter().map(|selector| selector.text).collect();
        assert_eq!(found, expected, "{expression}");
    }
    let named: Vec<String> = selectors(r#"{__name__="up"}"#).into_iter().map(|found| found.metric).collect();
    assert_eq!(named, ["up"]);
}

#[test]
fn thresholds_are_taken_off_and_matchers_are_not() {
    let cases = [
        (r#"up{job!="a"} == 0"#, r#"up { job != "a" } == bool 0"#),
        ("a > bool 1", "a > bool 1"),
        ("rate(a[5m]) > 2 and b <= 3", "rate ( a [ 5m ] ) > bool 2 and b <= bool 3"),
    ];
    for (expression, expected) in cases {
        assert_eq!(without_thresholds(expression), expected);
    }
}
