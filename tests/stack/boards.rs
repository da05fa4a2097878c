//! The boards are whole: what can be known of them without a Grafana to draw them.
//!
//! Whether their queries give data is asked of a real Prometheus elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use riacho::observe::metrics::{METRICS, MetricKind, MetricSpec};
use serde_json::{Value, json};

use crate::transactions::business;

/// What a screen shows before anybody scrolls, in rows of the grid.
const FOLD_Y: u64 = 20;
const ABOVE_FOLD_MAX: usize = 12;
const COLUMNS: u64 = 24;
/// Smaller than the first nobody can read, larger than the second fills the screen.
const HEIGHTS: std::ops::RangeInclusive<u64> = 4..=12;
const WIDTH_MIN: u64 = 3;

struct Board {
    name: String,
    json: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn boards() -> Vec<Board> {
    let folder = root().join("grafana/dashboards");
    let mut boards: Vec<Board> = fs::read_dir(folder)
        .expect("the boards are there")
        .map(|entry| entry.expect("a folder can be read").path())
        .map(|path| {
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a board can be read");
            let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            Board { name, json }
        })
        .collect();
    boards.sort_by(|one, other| one.name.cmp(&other.name));
    boards
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The value at a JSON pointer; null where there is none.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Names in an expression: metrics, labels, functions.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| !word.is_empty())
}

/// The variables that a text uses: `$name` and `${name}`.
fn variables(text: &str) -> BTreeSet<&str> {
    let starts = text.split('$').skip(1).map(|rest| rest.strip_prefix('{').unwrap_or(rest));
    starts.filter_map(|rest| words(rest).next()).collect()
}

/// The labels in a legend: `{{name}}`.
fn legend_labels(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim)
}

impl Board {
    fn uid(&self) -> &str {
        text(&self.json, "uid")
    }

    fn all_panels(&self) -> &[Value] {
        list(&self.json, "panels")
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        self.all_panels().iter().filter(|panel| text(panel, "type") != "row")
    }

    fn expressions(&self) -> impl Iterator<Item = &str> {
        self.panels().flat_map(|panel| list(panel, "targets")).map(|target| text(target, "expr"))
    }

    fn variables(&self) -> &[Value] {
        list(at(&self.json, "/templating"), "list")
    }

    /// Every flaw, as a sentence.
    fn flaws(&self, uids: &BTreeSet<String>) -> Vec<String> {
        let mut flaws = Vec::new();
        self.check_head(&mut flaws);
        self.check_grid(&mut flaws);
        self.check_variables(&mut flaws);
        self.check_links(uids, &mut flaws);
        let mut titles = BTreeSet::new();
        for panel in self.panels() {
            let title = text(panel, "title");
            if title.is_empty() || !titles.insert(title) {
                flaws
                    .push(format!("panel {}: its title '{title}' is empty or there twice", at(panel, "/id")));
            }
            check_panel(panel, &mut |flaw| flaws.push(format!("{title}: {flaw}")));
        }
        flaws.iter().map(|flaw| format!("{}: {flaw}", self.name)).collect()
    }

    fn check_head(&self, flaws: &mut Vec<String>) {
        let json = &self.json;
        let mut unless = |holds: bool, flaw: &str| {
            if !holds {
                flaws.push(flaw.to_owned());
            }
        };
        unless(at(json, "/id").is_null(), "the id is the database's to give");
        unless((1..=40).contains(&self.uid().len()), "no uid of at most 40 characters");
        unless(
            !text(json, "title").is_empty() && !text(json, "description").is_empty(),
            "no title or no description",
        );
        unless(at(json, "/schemaVersion").as_u64().is_some_and(|version| version >= 41), "an old schema");
        unless(text(json, "refresh") == "10s", "is not refreshed as often as is scraped");
        unless(
            *at(json, "/time") == json!({"from": "now-15m", "to": "now"}),
            "does not show the last 15 minutes",
        );
    }

    fn check_grid(&self, flaws: &mut Vec<String>) {
        let mut ids = BTreeSet::new();
        let mut cells: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        let mut above_fold = 0;
        for panel in self.all_panels() {
            let title = text(panel, "title");
            if !ids.insert(at(panel, "/id").as_u64()) || at(panel, "/id").as_u64().is_none() {
                flaws.push(format!("{title}: its id is there twice, or none"));
            }
            let [x, y, w, h] = ["x", "y", "w", "h"]
                .map(|side| at(panel, &format!("/gridPos/{side}")).as_u64().unwrap_or(u64::MAX));
            let is_row = text(panel, "type") == "row";
            let readable =
                if is_row { (w, h) == (COLUMNS, 1) } else { w >= WIDTH_MIN && HEIGHTS.contains(&h) };
            if !readable || x.saturating_add(w) > COLUMNS || y > 1000 {
                flaws.push(format!(
                    "{title}: its place {} is out of bounds or cannot be read",
                    at(panel, "/gridPos")
                ));
                continue;
            }
            if is_row && !title.contains('?') {
                flaws.push(format!("{title}: the row asks no question"));
            }
            above_fold += usize::from(!is_row && y < FOLD_Y);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                if let Some(other) = cells.insert(cell, title).filter(|other| *other != title) {
                    flaws.push(format!("{title}: lies over {other}"));
                    break;
                }
            }
        }
        if above_fold > ABOVE_FOLD_MAX {
            flaws.push(format!("{above_fold} panels above the fold, where {ABOVE_FOLD_MAX} can be taken in"));
        }
    }

    fn check_variables(&self, flaws: &mut Vec<String>) {
        let defined: BTreeSet<&str> =
            self.variables().iter().map(|variable| text(variable, "name")).collect();
        let page = self.json.to_string();
        for used in variables(&page).difference(&defined) {
            if !["__all", "__range", "__rate_interval"].contains(used) {
                flaws.push(format!("variable ${used} is not defined"));
            }
        }
        for variable in self.variables() {
            let name = text(variable, "name");
            let is_used = page.contains(&format!("${name}")) || page.contains(&format!("${{{name}}}"));
            if !is_used || text(variable, "label").is_empty() || text(variable, "description").is_empty() {
                flaws.push(format!("variable ${name} is not used, or has no label or description"));
            }
            let is_query = text(variable, "type") == "query";
            if is_query && *at(variable, "/refresh") != 2 {
                flaws.push(format!("variable ${name} does not follow what comes and goes"));
            }
            if is_query && *at(variable, "/datasource/uid") != "${datasource}" {
                flaws.push(format!("variable ${name} does not ask the chosen data source"));
            }
        }
        if !["datasource", "instance", "topic"].iter().all(|name| defined.contains(name)) {
            flaws.push("no variable for the data source, the instance or the topic".to_owned());
        }
    }

    fn check_links(&self, uids: &BTreeSet<String>, flaws: &mut Vec<String>) {
        let own: Vec<&str> = list(&self.json, "links").iter().map(|link| text(link, "url")).collect();
        let of_panels = self.panels().flat_map(|panel| list(panel, "links")).map(|link| text(link, "url"));
        for url in own.iter().copied().chain(of_panels) {
            if !url.strip_prefix("/d/").is_some_and(|uid| uids.contains(uid)) {
                flaws.push(format!("the link {url} leads nowhere"));
            }
        }
        for other in uids.iter().filter(|uid| *uid != self.uid()) {
            if !own.contains(&format!("/d/{other}").as_str()) {
                flaws.push(format!("no link to the board {other}"));
            }
        }
    }
}

fn check_panel(panel: &Value, flaw: &mut dyn FnMut(String)) {
    let kind = text(panel, "type");
    if text(panel, "description").len() < 20 {
        flaw("no description of what it answers".to_owned());
    }
    if kind == "text" {
        return;
    }
    if text(at(panel, "/fieldConfig/defaults"), "unit").is_empty() {
        flaw("no unit".to_owned());
    }
    let is_judged = ["stat", "gauge", "bargauge"].contains(&kind);
    if is_judged && list(at(panel, "/fieldConfig/defaults/thresholds"), "steps").is_empty() {
        flaw("no thresholds".to_owned());
    }
    if *at(panel, "/datasource/uid") != "${datasource}" {
        flaw("does not ask the chosen data source".to_owned());
    }
    let targets = list(panel, "targets");
    if targets.is_empty() {
        flaw("no query".to_owned());
    }
    let ids: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
    if ids.len() != targets.len() || ids.contains("") {
        flaw("queries without a refId of their own".to_owned());
    }
    for target in targets {
        check_target(target, flaw);
    }
}

fn check_target(target: &Value, flaw: &mut dyn FnMut(String)) {
    let (expression, legend) = (text(target, "expr"), text(target, "legendFormat"));
    if expression.is_empty() || legend.is_empty() {
        flaw(format!("a query or a legend is empty: '{expression}' '{legend}'"));
    }
    if *at(target, "/datasource/uid") != "${datasource}" {
        flaw("a query does not ask the chosen data source".to_owned());
    }
    let opened = expression.chars().filter(|c| "([{".contains(*c)).count();
    if opened != expression.chars().filter(|c| ")]}".contains(*c)).count() {
        flaw(format!("brackets that do not match: {expression}"));
    }
    // Series of an instance or a host that is named here would be of this machine only.
    let is_fixed = |value: &str| !value.trim_start_matches('~').trim_start_matches('"').starts_with('$');
    if expression.split("instance=").skip(1).any(is_fixed) || expression.contains("localhost") {
        flaw(format!("an instance is named: {expression}"));
    }
    if expression.split('[').skip(1).any(|range| !range.starts_with("$__")) {
        flaw(format!("a range that does not follow the board's: {expression}"));
    }
    for label in legend_labels(legend) {
        if !words(expression).any(|word| word == label) {
            flaw(format!("the legend's label {label} is not in {expression}"));
        }
    }
}

fn uids(boards: &[Board]) -> BTreeSet<String> {
    boards.iter().map(|board| board.uid().to_owned()).collect()
}

/// Makes a flaw.
type Spoil<'a> = &'a dyn Fn(&mut Value);

#[test]
fn the_boards_have_no_flaw() {
    let boards = boards();
    let uids = uids(&boards);
    assert_eq!(uids.len(), boards.len(), "a uid is there twice");
    let known = ["riacho", "riacho-kafka", "riacho-transactions"].map(str::to_owned);
    assert_eq!(uids, BTreeSet::from(known), "a uid is part of people's bookmarks");
    let flaws: Vec<String> = boards.iter().flat_map(|board| board.flaws(&uids)).collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn a_flaw_is_found() {
    let uids = uids(&boards());
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut board = boards().into_iter().find(|board| board.uid() == "riacho").expect("the board riacho");
        spoil(&mut board.json);
        board.flaws(&uids).join("\n")
    };
    // Panel 0 is a row, 1 a figure, 7 a graph.
    let cases: [(&str, Spoil<'_>); 19] = [
        ("database's", &|board| board["id"] = json!(7)),
        ("old schema", &|board| board["schemaVersion"] = json!(30)),
        ("last 15 minutes", &|board| board["time"]["from"] = json!("now-6h")),
        ("id is there twice", &|board| board["panels"][2]["id"] = json!(1)),
        ("lies over", &|board| board["panels"][2]["gridPos"]["x"] = json!(1)),
        ("out of bounds", &|board| board["panels"][6]["gridPos"]["w"] = json!(5)),
        ("cannot be read", &|board| board["panels"][7]["gridPos"]["h"] = json!(2)),
        ("asks no question", &|board| board["panels"][0]["title"] = json!("Overview")),
        ("above the fold", &|board| {
            for (n, panel) in board["panels"].as_array_mut().unwrap().iter_mut().enumerate() {
                panel["gridPos"]["y"] = json!(n % 20);
            }
        }),
        ("empty or there twice", &|board| board["panels"][1]["title"] = json!("Lag")),
        ("no description", &|board| board["panels"][1]["description"] = json!("")),
        ("no unit", &|board| board["panels"][7]["fieldConfig"]["defaults"]["unit"] = json!("")),
        ("no thresholds", &|board| board["panels"][1]["fieldConfig"]["defaults"]["thresholds"] = json!({})),
        ("chosen data source", &|board| board["panels"][7]["datasource"]["uid"] = json!("prometheus")),
        ("or a legend is empty", &|board| board["panels"][7]["targets"][0]["legendFormat"] = json!("")),
        ("an instance is named", &|board| {
            board["panels"][7]["targets"][0]["expr"] = json!(r#"sum by (topic) (up{instance="a:1"})"#);
        }),
        ("follow the board's", &|board| {
            board["panels"][7]["targets"][0]["expr"] = json!("sum by (topic) (rate(a[5m]))")
        }),
        ("$region is not defined", &|board| board["panels"][7]["title"] = json!("Lag of $region")),
        ("leads nowhere", &|board| board["panels"][7]["links"][0]["url"] = json!("/d/other")),
    ];
    for (expected, spoil) in cases {
        let found = spoilt(spoil);
        assert!(found.contains(expected), "not found: {expected}; only: {found}");
    }
}

/// What a metric may be called in an expression.
fn names(spec: &MetricSpec) -> Vec<String> {
    match spec.kind {
        MetricKind::Histogram(_) => {
            ["bucket", "sum", "count"].map(|part| format!("{}_{part}", spec.name)).into()
        }
        _ => vec![spec.name.to_owned()],
    }
}

#[test]
fn boards_and_program_know_the_same_metrics() {
    let boards = boards();
    let queries = boards.iter().flat_map(|board| {
        let variables = board.variables().iter().map(|variable| text(&variable["query"], "query"));
        board.expressions().chain(variables).collect::<Vec<_>>()
    });
    let shown: BTreeSet<&str> = queries.flat_map(words).collect();
    let of_program: Vec<&MetricSpec> = METRICS.iter().chain(&business::METRICS).collect();
    let known: BTreeSet<String> = of_program.iter().flat_map(|spec| names(spec)).collect();
    let ours = ["kstreams_", "rocksdb_", "librdkafka_", "financial_transactions_"];
    let unknown: Vec<&&str> = shown
        .iter()
        .filter(|word| ours.iter().any(|prefix| word.starts_with(prefix)) && !known.contains(**word))
        .collect();
    assert!(unknown.is_empty(), "the program has no metric {unknown:?}");
    let unseen: Vec<&str> = of_program
        .iter()
        .filter(|spec| !names(spec).iter().any(|name| shown.contains(name.as_str())))
        .map(|spec| spec.name)
        .collect();
    assert!(unseen.is_empty(), "no board shows {unseen:?}");
}

/// The value of `key: value` in a small YAML file.
fn setting<'a>(yaml: &'a str, key: &str) -> &'a str {
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn grafana_finds_its_data_source_and_boards_where_the_stack_puts_them() {
    let source = read("grafana/provisioning/datasources/prometheus.yml");
    let provider = read("grafana/provisioning/dashboards/riacho.yml");
    let compose = read("docker-compose.yml");
    assert_eq!(setting(&source, "uid"), "prometheus");
    assert_eq!(setting(&source, "url"), "http://prometheus:9090");
    let interval = setting(&source, "timeInterval");
    assert!(read("monitoring/prometheus.yml").contains(&format!("scrape_interval: {interval}")));
    let boards = setting(&provider, "path");
    for mount in [
        "./grafana/provisioning:/etc/grafana/provisioning".to_owned(),
        format!("./grafana/dashboards:{boards}"),
    ] {
        assert!(compose.contains(&mount), "docker-compose.yml does not mount {mount}");
    }
    for board in self::boards() {
        let current = &board.variables()[0]["current"]["value"];
        assert_eq!(current, setting(&source, "uid"), "{}: the data source it begins with", board.name);
    }
}
