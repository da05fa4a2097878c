//! The stack at work and in trouble: what a user has after `docker compose up`, minus what gets killed.

use std::collections::BTreeSet;

use super::compose::Stack;

/// Windows so short that many close while the test runs; the load is what two cores carry beside seven JVMs.
const SETTINGS: [(&str, &str); 4] =
    [("GENERATOR_RATE", "500"), ("PARTITIONS", "6"), ("WINDOW_SIZE_MS", "5000"), ("WINDOW_GRACE_MS", "1000")];
const RUNNING: &str = r#"kstreams_client_state{state="running"} == 1"#;
const ACTIVE_CONTROLLER: &str = "kafka_controller_kafkacontroller_activecontrollercount == 1";

#[test]
fn the_stack_goes_on_right_through_the_death_of_a_broker_and_of_the_active_controller() {
    if let Some(missing) = Stack::missing() {
        println!("{missing}: the stack is not started here");
        return;
    }
    let stack = Stack::start(&SETTINGS);

    // Three controllers, three brokers, two processors found by their name, and Prometheus itself.
    stack.await_value("count(up)", 9.0);
    stack.await_value("sum(up)", 9.0);
    stack.await_value(&format!("count({RUNNING})"), 2.0);
    stack.await_value("max(kafka_controller_kafkacontroller_activebrokercount)", 3.0);
    stack.await_progress(1000.0);
    let before = instances(&stack);

    let controller = stack.await_label(ACTIVE_CONTROLLER, "instance");
    stack.compose(&["kill", "-s", "KILL", "kafka-broker-2", node(&controller)]);
    stack.await_value("max(kafka_controller_kafkacontroller_fencedbrokercount)", 1.0);
    stack.await_value("sum(kafka_controller_kafkacontroller_activecontrollercount)", 1.0);
    stack.await_value("sum(up)", 7.0);
    assert_ne!(stack.await_label(ACTIVE_CONTROLLER, "instance"), controller);
    stack.await_progress(1000.0);

    // Both at once: each finds a state directory again, so no instance is new and nothing is restored in full.
    stack.compose(&["kill", "-s", "KILL", "processor"]);
    assert_eq!(stack.containers("processor").len(), 0);
    stack.up();
    stack.await_value("sum(up)", 9.0);
    stack.await_value(&format!("count({RUNNING})"), 2.0);
    stack.await_progress(1000.0);
    assert_eq!(instances(&stack), before);
    assert_eq!(stack.value("sum(kstreams_store_wipes_total)").unwrap_or(0.0), 0.0);

    stack.compose(&["stop", "-t", "10", "generator"]);
    prove(&stack);
}

/// The names that the processors give themselves: they come from their state directories.
fn instances(stack: &Stack) -> BTreeSet<String> {
    let name = |labels: &serde_json::Value| labels.get("instance")?.as_str().map(str::to_owned);
    stack.series(RUNNING).iter().filter_map(|(labels, _)| name(labels)).collect()
}

/// The service that Prometheus calls `kafka-controller-1` or `kafka-controller-1:9300`.
fn node(instance: &str) -> &str {
    instance.split(':').next().unwrap_or(instance)
}

/// Every closed window equals an independent count of what went in.
fn prove(stack: &Stack) {
    let window = ["--set", "transactions.window.size.ms=5000", "--set", "transactions.window.grace.ms=1000"];
    let verify = ["verify", "transactions", "--wait", "90", "--report", "json"];
    let output = stack.riacho(&[verify.as_slice(), window.as_slice()].concat());
    let report = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{said}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("one report is written as JSON");
    let figure = |name: &str| report.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    assert!(figure("windows_checked") > 100, "{report}");
    assert!(figure("records") > 10_000, "{report}");
}
