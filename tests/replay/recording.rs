//! Reads recordings, and compares with what is expected of them.

use std::env;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::TestRecord;

fn path(name: &str, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay").join(format!("{name}.{ending}"))
}

/// The records of a recording.
pub(super) fn input(name: &str) -> Vec<TestRecord> {
    let text = fs::read_to_string(path(name, "input.jsonl")).expect("the recording is there");
    text.lines().filter(|line| !line.starts_with('#')).map(record).collect()
}

fn record(line: &str) -> TestRecord {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    TestRecord {
        partition: line["partition"]
            .as_i64()
            .map(|partition| i32::try_from(partition).expect("a partition is small")),
        key: bytes(&line["key"]),
        value: bytes(&line["value"]),
        timestamp: line["timestamp"].as_i64(),
        headers: vec![],
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) if object.contains_key("hex") => {
            let hex = object["hex"].as_str().expect("hex is text");
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex has pairs of digits");
            Some((0..hex.len()).step_by(2).map(byte).collect())
        }
        Value::Object(object) if object.contains_key("repeat") => {
            let times = object["times"].as_u64().expect("times is a number");
            let text = object["repeat"].as_str().expect("repeat is text").repeat(times as usize);
            Some(
                [value["before"].as_str(), Some(&text), value["after"].as_str()]
                    .into_iter()
                    .flatten()
                    .collect::<String>()
                    .into_bytes(),
            )
        }
        other => Some(other.to_string().into_bytes()),
    }
}

/// Compares with the expected outcome of a recording.
pub(super) fn compare(name: &str, found: &Value) {
    let path = path(name, "expected.json");
    let found = format!("{found:#}\n");
    if env::var_os("RIACHO_REPLAY_WRITE").is_some() {
        fs::write(&path, &found).expect("the folder of the recordings is writable");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {}", line + 1, path.display());
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "lines of {}", path.display());
}
