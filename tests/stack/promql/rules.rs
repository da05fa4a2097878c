//! What stands in `monitoring/` is sound, and every alert is tested and tells what to do.

use std::collections::BTreeSet;

use super::files::{files, text};
use super::prometheus::{Prometheus, Rule};
use super::tools::told;

/// A Prometheus that has the rules and looks at nothing.
pub(super) fn rules() -> Vec<Rule> {
    let configuration = |_| "rule_files: [rules/*.yml]\n".to_owned();
    Prometheus::start(configuration, str::to_owned).rules()
}

#[test]
fn prometheus_and_alertmanager_accept_their_configuration() {
    println!("{}", told("promtool", &["check", "config", "monitoring/prometheus.yml"]));
    for rules in files("monitoring/rules", "yml") {
        println!("{}", told("promtool", &["check", "rules", &rules.display().to_string()]));
    }
    println!("{}", told("amtool", &["check-config", "monitoring/alertmanager.yml"]));
}

#[test]
fn rules_do_what_their_unit_tests_say() {
    let tests = files("monitoring/tests", "yml");
    assert!(!tests.is_empty(), "there are unit tests");
    for test in tests {
        println!("{}", told("promtool", &["test", "rules", &test.display().to_string()]));
    }
}

#[test]
fn every_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests = text("monitoring/tests/alerts.yml");
    let (mut fires, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    let mut asked = None;
    for line in tests.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix(r#"- expr: ALERTS{alertname=""#) {
            asked = rest.split('"').next();
        } else if let (Some(alert), Some(expected)) = (asked, line.strip_prefix("exp_samples:")) {
            if expected.is_empty() { &mut fires } else { &mut quiet }.insert(alert.to_owned());
        }
    }
    let alerts: BTreeSet<String> =
        rules().into_iter().filter(|rule| rule.is_alert).map(|alert| alert.name).collect();
    assert!(!alerts.is_empty());
    assert_eq!(fires, alerts, "alerts with a test in which they fire, and alerts");
    assert_eq!(quiet, alerts, "alerts with a test in which they are quiet, and alerts");
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() {
    let book = text("monitoring/RUNBOOK.md");
    let sections: BTreeSet<&str> = book.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts: Vec<Rule> = rules().into_iter().filter(|rule| rule.is_alert).collect();
    for alert in &alerts {
        let severity = alert.labels.get("severity").map_or("", String::as_str);
        assert!(["critical", "warning"].contains(&severity), "{}: severity {severity:?}", alert.name);
        for annotation in ["summary", "description", "runbook"] {
            let text = alert.annotations.get(annotation).map_or("", String::as_str);
            assert!(text.len() > 10, "{}: {annotation} is {text:?}", alert.name);
        }
        assert!(sections.contains(alert.name.as_str()), "RUNBOOK.md has no section on {}", alert.name);
    }
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(
        sections.difference(&names).collect::<Vec<_>>(),
        [&""; 0],
        "sections on alerts that are no more"
    );
}

#[test]
fn the_compose_file_and_the_scrape_configuration_name_the_same_places() {
    let (compose, scrape) = (text("docker-compose.yml"), text("monitoring/prometheus.yml"));
    for node in ["kafka-broker-1", "kafka-broker-2", "kafka-broker-3", "processor"].into_iter().chain([
        "kafka-controller-1",
        "kafka-controller-2",
        "kafka-controller-3",
    ]) {
        assert!(compose.contains(&format!("\n  {node}:\n")), "{node} is a service");
        assert!(scrape.contains(node), "{node} is scraped");
    }
}
