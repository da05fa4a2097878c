//! No metric without meaning: each is described, and each that is asked for exists.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;

use riacho::observe::metrics::{METRICS, MetricKind};

use super::board::boards;
use super::expression::{Selector, selectors};
use super::files::{project, text};
use super::rules::rules;

const REFERENCE: &str = "monitoring/METRICS.md";
const TABLE: [&str; 2] = ["<!-- metrics:begin -->\n", "<!-- metrics:end -->\n"];
const WRITE: &str = "RIACHO_METRICS_WRITE";
/// The beginnings of names that are riacho's own.
const OWN: [&str; 3] = ["kstreams_", "rocksdb_", "librdkafka_"];

/// Everything that rules and boards ask for, and where.
pub(super) fn asked_for() -> BTreeMap<Selector, BTreeSet<String>> {
    let mut places: BTreeMap<Selector, BTreeSet<String>> = BTreeMap::new();
    let mut add = |expression: &str, place: &str| {
        for selector in selectors(expression) {
            places.entry(selector).or_default().insert(place.to_owned());
        }
    };
    for rule in rules() {
        add(&rule.expression, &format!("rule {}", rule.name));
    }
    for board in boards() {
        for query in board.queries().into_iter().chain(board.variable_selectors()) {
            add(&query.expression, &query.place);
        }
    }
    places
}

/// The name of the family that a series belongs to.
fn family(series: &str) -> &str {
    let histograms = METRICS.iter().filter(|spec| matches!(spec.kind, MetricKind::Histogram(_)));
    let of_series = |name: &str| {
        series.strip_prefix(name).is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
    };
    histograms.map(|spec| spec.name).find(|name| of_series(name)).unwrap_or(series)
}

#[test]
fn every_metric_of_ours_that_a_rule_or_a_board_asks_for_exists() {
    let known: BTreeSet<&str> = METRICS.iter().map(|spec| spec.name).collect();
    let recorded: BTreeSet<String> = rules().into_iter().map(|rule| rule.name).collect();
    let asked = asked_for();
    let unknown: Vec<_> = asked
        .iter()
        .filter(|(selector, _)| {
            let metric = selector.metric.as_str();
            let is_own = OWN.iter().any(|prefix| metric.starts_with(prefix));
            let is_recorded = metric.contains(':') || metric.starts_with("kafka_stream_");
            is_own && !known.contains(family(metric)) || is_recorded && !recorded.contains(metric)
        })
        .collect();
    assert!(unknown.is_empty(), "nothing has these names: {unknown:#?}");
    assert!(asked.keys().any(|selector| known.contains(family(&selector.metric))), "the rules ask for ours");
}

#[test]
fn the_labels_by_which_ours_are_chosen_exist() {
    let asked = asked_for();
    let mut wrong = vec![];
    for (selector, places) in &asked {
        let Some(spec) = METRICS.iter().find(|spec| spec.name == family(&selector.metric)) else { continue };
        let matchers = selector.text.split_once('{').map_or("", |(_, matchers)| matchers);
        for label in labels(matchers) {
            let of_target = ["job", "application_id", "instance", "le"].contains(&label.as_str());
            if !of_target && !spec.labels.contains(&label.as_str()) {
                wrong.push(format!("{}: no label {label} ({places:?})", selector.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The names before the operators of `a="1",b=~"2"}`, where no value holds an operator.
fn labels(matchers: &str) -> Vec<String> {
    let outside_strings = matchers.split('"').step_by(2);
    let names = outside_strings.filter_map(|part| part.find(['=', '!']).map(|end| &part[..end]));
    names.map(|name| name.trim_start_matches([',', ' ']).to_owned()).collect()
}

/// The table of the reference, from the table in the code.
fn table() -> String {
    let asked = asked_for();
    let mut table =
        String::from("| metric | kind | labels | meaning | asked for by |\n|---|---|---|---|---|\n");
    for spec in METRICS {
        let kind = match spec.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
        let places = asked.iter().filter(|(selector, _)| family(&selector.metric) == spec.name);
        let places: BTreeSet<&String> = places.flat_map(|(_, places)| places).collect();
        let alerts: Vec<&str> = places
            .iter()
            .filter_map(|place| place.strip_prefix("rule "))
            .filter(|name| !name.starts_with("kafka_"))
            .collect();
        let level = if format!("{:?}", spec.level) == "Info" { "" } else { " (DEBUG)" };
        writeln!(
            table,
            "| `{}`{level} | {kind} | {} | {} | {} |",
            spec.name,
            labels.join(", "),
            spec.help,
            alerts.join(", ")
        )
        .expect("a string takes everything");
    }
    table
}

#[test]
fn the_reference_describes_every_metric_as_the_code_does() {
    for spec in METRICS {
        assert!(spec.help.len() > 10, "{} says what it means", spec.name);
    }
    let reference = text(REFERENCE);
    let [begin, end] = TABLE;
    let (head, rest) = reference.split_once(begin).expect("the reference has a table");
    let (found, tail) = rest.split_once(end).expect("its table ends");
    let expected = table();
    if env::var_os(WRITE).is_some() {
        fs::write(project(REFERENCE), format!("{head}{begin}{expected}{end}{tail}")).expect("it is writable");
        return;
    }
    assert_eq!(found, expected, "{REFERENCE} is not what the code says; {WRITE}=1 writes it anew");
}
