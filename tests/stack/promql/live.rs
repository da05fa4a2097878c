//! A real Prometheus scrapes a real cluster and real processors under load: every expression gives data, and the right
//! alerts fire and end when servers are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::{
    App, Client, Cluster, LIMIT, NodeId, Process, Role, Shape, TestRecord, await_until, free_port, leashed,
};

use super::agent;
use super::board::{boards, filled_in};
use super::expression::{selectors, without_thresholds};
use super::files::text;
use super::prometheus::{Prometheus, Sample};

const INPUT: &str = "financial_transactions";
const PARTITIONS: i32 = 4;

/// Parts of expressions that may give no data while all is well, and why. A board's give some while servers die, below.
const EMPTY_WHEN_WELL: &[(&str, &str)] = &[
    ("absent", "it asks whether something is missing: its unit test takes it away"),
    ("ALERTS", "no alert fires"),
    ("_partition_load_time_max", "no coordinator has moved in the last 30 seconds"),
];

fn may_be_empty(expression: &str) -> bool {
    EMPTY_WHEN_WELL.iter().any(|(part, _)| expression.contains(part))
}

/// Where the nodes tell their metrics, under the names they have in the compose file.
struct Exporters(BTreeMap<NodeId, (Role, String, u16)>);

impl Exporters {
    fn new() -> Exporters {
        let controllers =
            (1..=3).map(|n| (NodeId(n), (Role::Controller, format!("kafka-controller-{n}"), free_port())));
        let brokers =
            (1..=3).map(|n| (NodeId(10 + n), (Role::Broker, format!("kafka-broker-{n}"), free_port())));
        Exporters(controllers.chain(brokers).collect())
    }

    fn port(&self, node: NodeId) -> u16 {
        self.0.get(&node).map(|(_, _, port)| *port).expect("every node has an exporter")
    }

    fn node(&self, name: &str) -> NodeId {
        let found = self.0.iter().find(|(_, (_, known, _))| known == name);
        *found.unwrap_or_else(|| panic!("no node is {name}")).0
    }

    fn targets(&self, role: Role) -> String {
        let of_role = self.0.values().filter(|(of, _, _)| *of == role);
        let target = |(_, name, port): &(Role, String, u16)| {
            format!("      - targets: [\"127.0.0.1:{port}\"]\n        labels: {{ instance: {name} }}\n")
        };
        of_role.map(target).collect()
    }
}

/// The project's scrape configuration for servers on this machine, faster than a user wants it.
fn configuration(exporters: &Exporters, port: u16) -> String {
    let replaced = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "prometheus.yml has {from:?}");
        text.replace(from, to)
    };
    let mut text = text("monitoring/prometheus.yml");
    let names = |role: &str| (1..=3).map(|n| format!("kafka-{role}-{n}:9300")).collect::<Vec<_>>().join(", ");
    text = replaced(&text, "scrape_interval: 10s", "scrape_interval: 2s");
    text = replaced(&text, "scrape_timeout: 8s", "scrape_timeout: 2s");
    text = replaced(&text, "evaluation_interval: 10s", "evaluation_interval: 2s");
    for (name, role) in [("broker", Role::Broker), ("controller", Role::Controller)] {
        let line = format!("      - targets: [{}]\n", names(name));
        text = replaced(&text, &line, &exporters.targets(role));
    }
    text = replaced(&text, "localhost:9090", &format!("127.0.0.1:{port}"));
    // Processes come and go under other ports: a file names them, as the service's name does in the stack.
    let (before, service) =
        text.split_once("    dns_sd_configs:\n").expect("the service is found by its name");
    let after = service.split_once("\n\n").map_or("", |(_, after)| after);
    format!("{before}    file_sd_configs:\n      - files: [processors.json]\n\n{after}")
}

/// The rules as they are, but with patience for a test.
fn impatient(rules: &str) -> String {
    let hurried = rules.lines().map(|line| {
        let indented = line.trim_start();
        if indented.starts_with("for: ") {
            format!("{}for: 4s\n", &line[..line.len() - indented.len()])
        } else {
            format!("{line}\n")
        }
    });
    hurried.collect()
}

fn name_processors(folder: &Path, processes: &[&Process]) {
    let targets: Vec<String> =
        processes.iter().map(|process| format!("\"127.0.0.1:{}\"", process.port)).collect();
    let partial = folder.join("processors.partial");
    fs::write(&partial, format!("[{{\"targets\": [{}]}}]", targets.join(", ")))
        .expect("the folder is writable");
    fs::rename(partial, folder.join("processors.json")).expect("the folder is writable");
}

/// Transactions that flow in until it is dropped.
struct Generator(Child);

impl Generator {
    fn start(client: &Client, log: &Path) -> Generator {
        let log = fs::File::create(log).expect("the folder of the test is writable");
        let mut command = leashed(env!("CARGO_BIN_EXE_riacho"));
        command.args(["generate", "transactions", "--rate", "400", "--late", "0.02", "--atypical", "0.01"]);
        command.args(["--set", &format!("bootstrap.servers={}", client.bootstrap())]);
        command.stdout(Stdio::from(log.try_clone().expect("a file handle can be doubled")));
        command.stderr(Stdio::from(log)).env("NO_COLOR", "1");
        Generator(command.spawn().expect("the program was built with this test"))
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|end| end.is_none())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().expect("a killed child ends");
        }
    }
}

fn app(client: &Client) -> App {
    for topic in [INPUT, "aggregated_transactions", "anomalies_transactions"] {
        client.create_topic(topic, PARTITIONS);
    }
    App::on(client, "watched")
        .with("riacho.late.topic", "late_transactions")
        .with("metrics.recording.level", "DEBUG")
        .with("num.stream.threads", "2")
        .with("transactions.window.size.ms", "5000")
        .with("transactions.window.grace.ms", "1000")
}

fn feed_unreadable(client: &Client) {
    client.produce(INPUT, &[TestRecord::new("vendor", "{\"unreadable\":")]);
}

/// What gives no data now, with its place.
fn without_data(prometheus: &Prometheus) -> Vec<String> {
    let mut missing = vec![];
    let mut asked = vec![];
    for rule in prometheus.rules() {
        let place = format!("rule {}", rule.name);
        missing.extend(rule.error.map(|error| format!("{place}: {error}")));
        asked.push((place.clone(), without_thresholds(&rule.expression)));
        let selectors = selectors(&rule.expression).into_iter();
        asked.extend(selectors.map(|selector| (place.clone(), selector.text)));
    }
    for board in boards() {
        match board.variables(prometheus) {
            Err(error) => missing.push(error),
            Ok(variables) => {
                let filled_in = |expression: &str| filled_in(expression, &variables);
                let queries = board.queries().into_iter();
                asked.extend(queries.map(|query| (query.place, filled_in(&query.expression))));
            }
        }
    }
    assert!(asked.len() > 100, "{} expressions are asked for", asked.len());
    for (place, expression) in asked {
        assert!(!has_variable(&expression), "{place}: unknown variable: {expression}");
        if may_be_empty(&expression) {
            continue;
        }
        match prometheus.query(&expression) {
            Err(error) => missing.push(format!("{place}: {error}: {expression}")),
            Ok(samples) if !has_data(&samples) => missing.push(format!("{place}: no data: {expression}")),
            Ok(_) => {}
        }
    }
    missing
}

fn has_data(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| !sample.value.is_nan())
}

/// Whether a `$` is left that is not the end of a regular expression.
fn has_variable(expression: &str) -> bool {
    expression
        .split('$')
        .skip(1)
        .any(|after| after.starts_with(|c: char| c == '{' || c == '_' || c.is_alphabetic()))
}

/// Every family on the page of the processor says what it is.
fn assert_described(process: &Process) {
    let (_, page) = process.get("/metrics").expect("the processor serves its metrics");
    let lines = |prefix: &str| -> BTreeMap<String, String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(' '));
        lines.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    };
    let (help, kinds) = (lines("# HELP "), lines("# TYPE "));
    assert!(kinds.len() > 40, "{kinds:?}");
    for name in kinds.keys() {
        assert!(help.get(name).is_some_and(|text| text.len() > 5), "{name} says what it means");
        let book = [text("monitoring/METRICS.md"), text("README.md")].concat();
        assert!(book.contains(&format!("`{name}`")), "METRICS.md or README.md describes {name}");
    }
}

/// The places on boards that may be empty while all is well, and whose answer now is as wanted.
fn places_in_trouble(prometheus: &Prometheus, is_wanted: impl Fn(&[Sample]) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for board in boards() {
        let variables = board.variables(prometheus).unwrap_or_default();
        for query in board.queries().into_iter().filter(|query| may_be_empty(&query.expression)) {
            let answer = prometheus.query(&filled_in(&query.expression, &variables));
            if is_wanted(&answer.unwrap_or_else(|error| panic!("{}: {error}", query.place))) {
                found.insert(format!("{}: {}", query.place, query.expression));
            }
        }
    }
    found
}

#[test]
fn every_expression_gives_data_and_alerts_fire_and_end_as_servers_die_and_come_back() {
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let exporters = Exporters::new();
    let jvm_options = |node, role| agent::options(role, exporters.port(node));
    let mut cluster = Cluster::start_in_jvms(Shape::ThreePlusThree, dir.path(), jvm_options);
    let client = cluster.client();
    let app = app(&client);
    let mut stays = app.spawn();
    let mut killed = app.sibling().spawn();
    let mut generator = Generator::start(&client, &dir.path().join("generator.log"));
    let prometheus = Prometheus::start(|port| configuration(&exporters, port), impatient);
    name_processors(prometheus.folder(), &[&stays, &killed]);

    let tasks = |process: &Process| process.metric("kstreams_assigned_tasks", "role=\"active\"");
    stays.await_that("two share the tasks, and prometheus sees them", |stays| {
        feed_unreadable(&client);
        let seen = prometheus.query(r#"sum(kstreams_assigned_tasks{role="active"})"#);
        tasks(stays) == Some(2.0)
            && tasks(&killed) == Some(2.0)
            && seen.is_ok_and(|seen| seen.iter().any(|sample| sample.value == 4.0))
            && prometheus.targets_down().is_empty()
    });

    // The one that stays restores what the other had.
    let mut shown = BTreeSet::new();
    killed.kill();
    stays.await_that("it has all tasks, and the loss is told", |stays| {
        feed_unreadable(&client);
        shown.append(&mut places_in_trouble(&prometheus, has_data));
        tasks(stays) == Some(4.0) && prometheus.firing().iter().any(|name| name == "RiachoInstanceDown")
    });
    let comes_back = app.sibling().spawn();
    name_processors(prometheus.folder(), &[&stays, &comes_back]);
    let mut rounds = 0;
    await_until(LIMIT, "every expression gives data", || {
        feed_unreadable(&client);
        let empty = without_data(&prometheus);
        rounds += 1;
        assert!(rounds < 40, "{} expressions give no data:\n{}", empty.len(), empty.join("\n"));
        empty.is_empty()
    });
    assert_described(&stays);

    let calm = || !prometheus.firing().iter().any(|name| name.starts_with("Kafka"));
    await_until(LIMIT, "no alert of Kafka fires", calm);
    let active = prometheus.query("kafka_controller_kafkacontroller_activecontrollercount == 1");
    let active = active.expect("it can be asked").into_iter().next().expect("some controller leads");
    let active = exporters.node(&active.labels["instance"]);
    let of_broker: &[&str] = &["KafkaBrokerDown", "KafkaBrokerMissing", "KafkaUnderReplicated"];
    for (node, expected) in [(client.leader(INPUT, 0), of_broker), (active, &["KafkaControllerDown"])] {
        cluster.kill(node);
        let mut firing = BTreeSet::new();
        await_until(LIMIT, &format!("{expected:?} fire without {node}"), || {
            assert!(generator.runs(), "{}", text_of(&dir.path().join("generator.log")));
            firing.extend(prometheus.firing());
            shown.append(&mut places_in_trouble(&prometheus, has_data));
            expected.iter().all(|name| firing.contains(*name))
        });
        println!("without {node}: {firing:?}");
        let before = consumed(&stays);
        stays.await_that("it goes on without the server", |stays| consumed(stays) > before + 500.0);
        for wrong in ["KafkaOfflinePartitions", "KafkaUnderMinIsr", "RiachoAbsent"] {
            assert!(!prometheus.firing().iter().any(|name| name == wrong), "{wrong} fires without {node}");
        }
        cluster.restart(node);
        await_until(LIMIT, &format!("the alerts end with {node}"), calm);
    }
    await_until(LIMIT, "both processors run again", || {
        let running = prometheus.query(r#"sum(kstreams_client_state{state="running"})"#);
        running.is_ok_and(|running| running.iter().any(|sample| sample.value == 2.0))
    });
    assert_eq!(shown, places_in_trouble(&prometheus, |_| true), "boards showed it");
    assert!(stays.terminate().success());
    drop(comes_back);
}

fn consumed(process: &Process) -> f64 {
    process.metric("kstreams_records_consumed_total", "").unwrap_or(0.0)
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
