//! The design's arrows hold: read from the sources, not believed.
//!
//! Each table says which modules of its crate a module may name. A new module fails until it has its line here; an arrow
//! that is not in the table is a decision, and belongs into ARCHITECTURE.md first.

mod source;

use std::collections::BTreeSet;

use riacho::observe::metrics::METRICS;
use source::SourceFile;

/// What every part of riacho-topology may name: values without behaviour towards others.
const VALUES: &[&str] = &["error", "ids", "partition", "record", "serde", "time", "windows"];

/// `dsl -> plan`, `graph -> plan`, `dsl -> operators -> {processor, store}`; the driver runs what the graph holds.
const TOPOLOGY: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("ids", &[]),
    ("partition", &[]),
    ("record", &[]),
    ("serde", &[]),
    ("time", &[]),
    ("windows", &[]),
    ("store", &[]),
    ("processor", &["store"]),
    ("operators", &["processor", "store"]),
    ("plan", &["operators", "processor", "store"]),
    ("graph", &["operators", "plan", "processor", "store"]),
    ("dsl", &["graph", "operators", "plan", "store"]),
    ("driver", &["graph", "plan", "processor", "store"]),
];

/// `streams -> worker -> {task, rebalance, commit, restore} -> {ports, lifecycle}`. The concrete Kafka is named by
/// `streams`, which puts everything together, and by `housekeeping`, whose chores are an admin client's.
const RUNTIME: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("lifecycle", &["config"]),
    ("progress", &[]),
    ("rebalance", &[]),
    // A task without stores is a port's simplest implementation.
    ("state", &["ports"]),
    ("ports", &["lifecycle", "state"]),
    ("clock", &["ports"]),
    ("internal_topics", &["ports"]),
    ("task", &["ports", "state"]),
    ("commit", &["ports", "task"]),
    ("commit_pace", &[]),
    ("start_line", &[]),
    // Other systems, for applications: no stream thread knows of them.
    ("connect", &["clock", "kafka", "ports"]),
    ("restore", &["ports", "state", "task"]),
    (
        "worker",
        &[
            "commit",
            "commit_pace",
            "lifecycle",
            "ports",
            "rebalance",
            "restore",
            "start_line",
            "state",
            "task",
        ],
    ),
    ("kafka", &["ports"]),
    ("observe", &["config", "lifecycle", "ports", "progress", "state"]),
    ("overview", &["lifecycle", "observe", "progress", "rebalance"]),
    ("error", &["config", "lifecycle", "ports", "state"]),
    ("housekeeping", &["kafka", "ports", "progress", "state"]),
    ("query", &["lifecycle", "observe", "ports", "rebalance", "state"]),
    (
        "streams",
        &[
            "clock",
            "config",
            "error",
            "housekeeping",
            "internal_topics",
            "kafka",
            "lifecycle",
            "observe",
            "overview",
            "ports",
            "progress",
            "query",
            "rebalance",
            "restore",
            "start_line",
            "state",
            "task",
            "worker",
        ],
    ),
];

/// Crates that are named in one place only, and that place.
const CONFINED: &[(&str, &[&str])] = &[
    ("rdkafka", &["src/kafka/"]),
    ("rocksdb", &["src/state/rocksdb/"]),
    ("prometheus", &["src/observe/"]),
    ("hyper", &["src/observe/"]),
    ("hyper_util", &["src/observe/"]),
    ("http_body_util", &["src/observe/"]),
    ("tracing_subscriber", &["src/observe/"]),
    // In the program: a demo asks an application for the figures of its page.
    ("ureq", &["src/connect/", "src/bin/riacho/demo/"]),
    ("parquet", &["src/connect/"]),
    ("native_tls", &["src/connect/"]),
    ("postgres", &["src/connect/"]),
    ("postgres_native_tls", &["src/connect/"]),
    // HTTP, and in the program also signals: the stream threads are synchronous.
    ("tokio", &["src/observe/", "src/bin/riacho/"]),
];

/// Above this a file has more than one subject.
const LINES_MAX: usize = 700;

fn library() -> Vec<SourceFile> {
    let mut files = SourceFile::all_in("src");
    files.retain(|file| !file.path.starts_with("src/bin/"));
    files
}

fn everything() -> Vec<SourceFile> {
    ["src", "topology/src"].into_iter().flat_map(SourceFile::all_in).collect()
}

/// Arrows of `files` that `table` does not have.
fn wrong_arrows(files: &[SourceFile], table: &[(&str, &[&str])], always: &[&str]) -> Vec<String> {
    let modules: BTreeSet<&str> = table.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.top().is_empty()) {
        let Some((_, allowed)) = table.iter().find(|(module, _)| *module == file.top()) else {
            wrong.push(format!("{}: the module has no line in this test's table", file.path));
            continue;
        };
        for name in &file.names {
            let [root, target, ..] = name.as_slice() else { continue };
            let own = target == file.top();
            if root == "crate"
                && modules.contains(target.as_str())
                && !own
                && !always.contains(&target.as_str())
            {
                if !allowed.contains(&target.as_str()) {
                    wrong.push(format!("{} names {}", file.path, name.join("::")));
                }
            } else if root == "crate" && !modules.contains(target.as_str()) {
                // By way of the root's re-exports every arrow could be hidden.
                wrong.push(format!("{} names {} by way of the crate's root", file.path, name.join("::")));
            }
        }
    }
    wrong
}

fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "against the design:\n{}", wrong.join("\n"));
}

#[test]
fn topology_keeps_its_arrows() {
    nothing(&wrong_arrows(&SourceFile::all_in("topology/src"), TOPOLOGY, VALUES));
}

#[test]
fn runtime_keeps_its_arrows() {
    nothing(&wrong_arrows(&library(), RUNTIME, &[]));
}

#[test]
fn an_arrow_that_runs_backward_is_seen() {
    let backward = |path: &str, text: &str| {
        let module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        SourceFile::of(path.to_owned(), module, text)
    };
    let files = [
        backward("operators/map.rs", "use crate::{error::ProcessError, dsl::KStream};"),
        backward("graph.rs", "fn f() -> super::driver::TestDriver { crate::KTable::new() }"),
        backward("plan.rs", "#[cfg(test)]\nmod tests {\n    use crate::dsl::KStream;\n}"),
        backward("gossip.rs", ""),
    ];
    let wrong = wrong_arrows(&files, TOPOLOGY, VALUES);
    assert_eq!(
        wrong,
        [
            "operators/map.rs names crate::dsl::KStream",
            "graph.rs names crate::driver::TestDriver",
            "graph.rs names crate::KTable::new by way of the crate's root",
            "gossip.rs: the module has no line in this test's table",
        ]
    );
}

#[test]
fn topology_is_pure() {
    const NO_IO: &[&str] = &["tokio", "rdkafka", "rocksdb", "hyper", "prometheus", "tracing", "riacho"];
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/topology/Cargo.toml"));
    let manifest = manifest.expect("the package has a manifest");
    let dependencies: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.split_once(['=', '.', ' ']))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(
        NO_IO.iter().find(|name| dependencies.contains(name)),
        None,
        "a dependency of riacho-topology"
    );
    let io = |name: &&Vec<String>| {
        matches!(name.as_slice(), [std, module, ..]
            if std == "std" && ["fs", "net", "process", "thread", "env", "io"].contains(&module.as_str()))
    };
    let files = SourceFile::all_in("topology/src");
    let named = files.iter().flat_map(|file| {
        file.names.iter().filter(io).map(|name| format!("{} names {}", file.path, name.join("::")))
    });
    nothing(&named.collect::<Vec<_>>());
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in everything() {
        for name in &file.names {
            let first = name.first().map_or("", String::as_str);
            let confined = CONFINED.iter().find(|(crate_name, _)| *crate_name == first);
            if confined.is_some_and(|(_, places)| !places.iter().any(|place| file.path.starts_with(place))) {
                wrong.push(format!("{} names {}", file.path, name.join("::")));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn the_program_uses_the_public_library_alone() {
    let files = SourceFile::all_in("src/bin/riacho");
    let inside = |name: &&Vec<String>| name.first().is_some_and(|first| first == "riacho_topology");
    let named = files.iter().flat_map(|file| {
        file.names.iter().filter(inside).map(|name| format!("{} names {}", file.path, name.join("::")))
    });
    nothing(&named.collect::<Vec<_>>());
    // `#[path]` is the one way past the compiler's walls.
    let included = files.iter().filter(|file| {
        let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&file.path));
        text.expect("it was read before").contains("#[path")
    });
    assert_eq!(included.map(|file| &file.path).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn concrete_stores_are_named_where_everything_is_put_together() {
    const CONCRETE: &[&str] = &["RocksStores", "rocksdb"];
    let names_one = |file: &SourceFile| {
        let of_state = |name: &&Vec<String>| {
            matches!(name.as_slice(), [root, state, rest @ ..] if root == "crate" && state == "state"
                && rest.iter().any(|segment| CONCRETE.contains(&segment.as_str())))
        };
        file.names.iter().find(of_state).map(|name| format!("{} names {}", file.path, name.join("::")))
    };
    let outside = library().into_iter().filter(|file| !["state", "streams"].contains(&file.top()));
    nothing(&outside.filter_map(|file| names_one(&file)).collect::<Vec<_>>());
}

#[test]
fn no_file_has_two_subjects() {
    let long =
        |file: SourceFile| (file.lines > LINES_MAX).then(|| format!("{}: {} lines", file.path, file.lines));
    nothing(&everything().into_iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn every_metric_says_what_it_means() {
    let silent = METRICS.iter().filter(|metric| metric.help.len() < 10).map(|metric| metric.name.to_owned());
    nothing(&silent.collect::<Vec<_>>());
    assert!(METRICS.len() > 40, "the table is read");
}
