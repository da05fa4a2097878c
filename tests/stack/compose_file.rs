//! What `docker-compose.yml` promises, read from the file: it holds for every service, the next one too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::compose::compose_is_there;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text() -> String {
    fs::read_to_string(Path::new(ROOT).join("docker-compose.yml")).expect("the compose file is there")
}

/// `NAME=default` of every variable that the compose file asks for.
fn variables(text: &str) -> BTreeSet<String> {
    let asked = text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    asked.map(|variable| variable.replacen(":-", "=", 1)).collect()
}

/// The services of all profiles, with every variable and anchor resolved by compose itself.
fn resolved() -> Option<Vec<(String, Value)>> {
    if !compose_is_there() {
        println!("docker has no compose plugin: the file is only read as text here");
        return None;
    }
    let mut command = Command::new("docker");
    command.args(["compose", "-f", "docker-compose.yml", "--env-file", "/dev/null", "--profile", "all"]);
    command.args(["config", "--format", "json"]).current_dir(ROOT).stdin(Stdio::null());
    let output = command.output().expect("compose was found before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file: Value = serde_json::from_slice(&output.stdout).expect("compose writes JSON");
    let services = file.get("services").and_then(Value::as_object).expect("there are services");
    Some(services.iter().map(|(name, service)| (name.clone(), service.clone())).collect())
}

fn list<'a>(service: &'a Value, name: &str) -> Vec<&'a Value> {
    service.get(name).and_then(Value::as_array).map(|items| items.iter().collect()).unwrap_or_default()
}

#[test]
fn ports_are_published_where_bind_says_and_to_this_machine_only_by_default() {
    let text = text();
    let published: Vec<&str> = text.lines().filter(|line| line.contains("_PORT")).collect();
    let published = published.iter().filter(|line| !line.contains("ADVERTISED_LISTENERS"));
    assert!(published.clone().count() >= 10, "the ports were not found");
    for line in published {
        assert!(line.contains("\"${BIND:-127.0.0.1}:${"), "{line}");
    }
    for (name, service) in resolved().unwrap_or_default() {
        for port in list(&service, "ports") {
            assert_eq!(port.get("host_ip").and_then(Value::as_str), Some("127.0.0.1"), "{name}");
        }
    }
}

#[test]
fn images_are_pinned_to_a_version_that_a_variable_can_change() {
    let text = text();
    let images: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert!(images.len() >= 6, "the images were not found");
    for image in images {
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        let default = tag.strip_prefix("${").and_then(|tag| tag.split_once(":-"));
        let (_, version) = default.unwrap_or_else(|| panic!("{image}: no variable with a default"));
        assert!(version.contains(|c: char| c.is_ascii_digit()) && version.contains('.'), "{image}");
    }
}

#[test]
fn every_service_is_bounded_and_comes_back_and_runs_without_privileges() {
    for (name, service) in resolved().unwrap_or_default() {
        assert!(service.get("mem_limit").is_some(), "{name} may take all memory");
        assert!(service.get("restart").is_some(), "{name} stays dead");
        assert_eq!(list(&service, "cap_drop"), ["ALL"], "{name}");
        assert!(list(&service, "security_opt").contains(&&"no-new-privileges:true".into()), "{name}");
        let image = service.get("image").and_then(Value::as_str).unwrap_or_default();
        if image.starts_with("riacho:") {
            assert_eq!(service.get("read_only"), Some(&Value::Bool(true)), "{name}");
        }
    }
}

#[test]
fn nothing_starts_before_what_it_needs_is_healthy() {
    for (name, service) in resolved().unwrap_or_default() {
        let needs = service.get("depends_on").and_then(Value::as_object).cloned().unwrap_or_default();
        for (needed, how) in needs {
            let condition = how.get("condition").and_then(Value::as_str).unwrap_or_default();
            let waits = ["service_healthy", "service_completed_successfully"].contains(&condition);
            assert!(waits, "{name} does not wait for {needed}: {condition}");
        }
    }
}

#[test]
fn every_variable_is_in_the_example_with_the_default_it_has() {
    let example = fs::read_to_string(Path::new(ROOT).join(".env.example")).expect("the example is there");
    let shown =
        example.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    let shown: BTreeSet<String> = shown.map(str::to_owned).collect();
    assert!(shown.len() > 20, "the variables were not found");
    assert_eq!(shown, variables(&text()));
}
