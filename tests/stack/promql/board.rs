//! What the boards ask for: every query of every panel and variable, with its variables filled in.

#![expect(clippy::indexing_slicing, reason = "a field that a JSON value lacks is null")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::files::files;
use super::prometheus::Prometheus;

/// What Grafana fills in by itself.
const BUILT_IN: [(&str, &str); 9] = [
    ("__rate_interval", "30s"),
    ("__interval", "10s"),
    ("__range", "5m"),
    ("__range_s", "300"),
    ("__range_ms", "300000"),
    ("__interval_ms", "10000"),
    ("__rate_interval_ms", "30000"),
    ("__from", "0"),
    ("__to", "0"),
];

/// A query of a board, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// Board and panel.
    pub(super) place: String,
    pub(super) expression: String,
}

/// A board that Grafana is given.
pub(super) struct Board {
    title: String,
    json: Value,
}

/// Every board of the project.
pub(super) fn boards() -> Vec<Board> {
    files("grafana/dashboards", "json")
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a file of the project can be read");
            let json: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Board { title: json["title"].as_str().unwrap_or("?").to_owned(), json }
        })
        .collect()
}

impl Board {
    /// The queries of its panels, folded rows and annotations included.
    pub(super) fn queries(&self) -> Vec<Query> {
        let mut found = vec![];
        let mut collect = |title: &Value, targets: &Value| {
            for target in targets.as_array().into_iter().flatten() {
                if let Some(expression) = target["expr"].as_str() {
                    let place = format!("{}: {}", self.title, title.as_str().unwrap_or("?"));
                    found.push(Query { place, expression: expression.to_owned() });
                }
            }
        };
        for panel in list(&self.json["panels"]) {
            collect(&panel["title"], &panel["targets"]);
            for folded in list(&panel["panels"]) {
                collect(&folded["title"], &folded["targets"]);
            }
        }
        for annotation in list(&self.json["annotations"]["list"]) {
            collect(
                &annotation["name"],
                &Value::Array(vec![annotation.clone(), annotation["target"].clone()]),
            );
        }
        found
    }

    /// The selectors by which its variables get their values, as they are written.
    pub(super) fn variable_selectors(&self) -> Vec<Query> {
        let variables = list(&self.json["templating"]["list"]).filter_map(|variable| {
            let (selector, _) = label_values(&question(variable)?)?;
            let place = format!("{}: variable {}", self.title, variable["name"]);
            Some(Query { place, expression: selector? })
        });
        variables.collect()
    }

    /// The value of each variable, by what `prometheus` has now.
    ///
    /// # Errors
    /// What is wrong with a variable, or that it has no value.
    pub(super) fn variables(&self, prometheus: &Prometheus) -> Result<BTreeMap<String, String>, String> {
        let mut values: BTreeMap<String, String> =
            BUILT_IN.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for variable in list(&self.json["templating"]["list"]) {
            let name = variable["name"].as_str().unwrap_or("?").to_owned();
            let query = question(variable).unwrap_or_default();
            let value = if variable["type"] == "query" {
                let (selector, label) = label_values(&query)
                    .ok_or_else(|| format!("{}: ${name}: {query} is no label_values()", self.title))?;
                let selector = selector.map(|selector| filled_in(&selector, &values));
                let found = prometheus.label_values(selector.as_deref(), &label)?;
                if found.is_empty() {
                    return Err(format!("{}: ${name}: {query} gives no value", self.title));
                }
                if let Some(all) = variable["allValue"].as_str().filter(|all| !all.is_empty()) {
                    all.to_owned()
                } else if variable["multi"] == true || variable["includeAll"] == true {
                    let quoted: Vec<String> = found.iter().map(|value| quoted(value)).collect();
                    format!("({})", quoted.join("|"))
                } else {
                    found.into_iter().next().unwrap_or_default()
                }
            } else {
                query.split(',').next().unwrap_or_default().trim().to_owned()
            };
            values.insert(name, value);
        }
        Ok(values)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a variable asks: a string, or an object that holds it.
fn question(variable: &Value) -> Option<String> {
    let query = &variable["query"];
    query.as_str().or_else(|| query["query"].as_str()).map(str::to_owned)
}

/// `label_values(selector, label)` or `label_values(label)`, taken apart.
fn label_values(query: &str) -> Option<(Option<String>, String)> {
    let inside = query.trim().strip_prefix("label_values(")?.strip_suffix(')')?;
    Some(match inside.rsplit_once(',') {
        Some((selector, label)) => (Some(selector.trim().to_owned()), label.trim().to_owned()),
        None => (None, inside.trim().to_owned()),
    })
}

/// The expression with `$name`, `${name}` and `${name:format}` replaced. Unknown names stay.
pub(super) fn filled_in(expression: &str, values: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, behind) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some((inside, behind)) => (inside.split(':').next().unwrap_or_default(), behind),
            None => after.split_at(after.find(|c| !is_of_name(c)).unwrap_or(after.len())),
        };
        match values.get(name) {
            Some(value) => {
                text.push_str(value);
                rest = behind;
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// As Grafana writes a value into a regular expression inside a string.
fn quoted(value: &str) -> String {
    value.chars().fold(String::new(), |mut quoted, c| {
        if r"\^$*+?.()|{}[]".contains(c) {
            quoted.push_str(r"\\");
        }
        quoted.push(c);
        quoted
    })
}

#[test]
fn variables_are_filled_in_however_they_are_written() {
    let values =
        [("a", "1"), ("job", "(x|y)")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let cases = [
        (r#"up{job=~"$job"}[$a]"#, r#"up{job=~"(x|y)"}[1]"#),
        ("${job:regex} ${a}$a", "(x|y) 11"),
        ("$unknown ${unknown} $ab $", "$unknown ${unknown} $ab $"),
    ];
    for (expression, expected) in cases {
        assert_eq!(filled_in(expression, &values), expected);
    }
    assert_eq!(
        label_values(r#"label_values(up{a="b,c"}, job)"#),
        Some((Some(r#"up{a="b,c"}"#.to_owned()), "job".to_owned()))
    );
    assert_eq!(label_values("label_values(job)"), Some((None, "job".to_owned())));
}
