//! What is deployed on Kubernetes are settings that riacho takes. The manifests themselves: `deploy/check.sh`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use riacho::config::{Config, RawConfig};

use crate::transactions::config::{KEYS, TransactionsConfig};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The variables of riacho that a manifest sets; a name and an address stand for what only the pod knows.
fn environment(manifest: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join(manifest)).expect("the manifest is there");
    let mut variables = BTreeMap::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("- name: ").filter(|name| name.starts_with("RIACHO_")) {
            let value = lines.peek().and_then(|next| next.strip_prefix("value: ")).unwrap_or("riacho-0");
            variables.insert(name.to_owned(), value.replace("$(POD_IP)", "10.1.2.3"));
        }
    }
    variables
}

fn config_of(folder: &str, variables: &BTreeMap<String, String>) -> Config {
    let raw = RawConfig::new(&[KEYS]).file(&root().join(folder).join("transactions.properties"));
    Config::try_from(raw.environment(variables)).unwrap_or_else(|error| panic!("{folder}: {error}"))
}

#[test]
fn what_is_deployed_is_a_sound_configuration() {
    let pod = environment("deploy/base/statefulset.yaml");
    assert_eq!(pod.len(), 6, "{pod:?}");
    let config = config_of("deploy/base", &pod);
    TransactionsConfig::of(&config).expect("the application's settings fit together");
    assert_eq!((config.client_id(), config.group_instance_id()), ("riacho-0", Some("riacho-0")));
    assert_eq!(config.state_dir(), Path::new("/var/lib/riacho"));
}

#[test]
fn the_secret_of_the_example_comes_from_a_file() {
    let mut pod = environment("deploy/base/statefulset.yaml");
    pod.extend(environment("deploy/sasl/statefulset.yaml"));
    let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
    let file = folder.path().join("password");
    fs::write(&file, "from a file").expect("a new file can be written");
    let named = pod.insert("RIACHO_SASL_PASSWORD_FILE".to_owned(), file.display().to_string());
    assert_eq!(named.as_deref(), Some("/run/secrets/kafka/password"));
    let config = config_of("deploy/example", &pod);
    TransactionsConfig::of(&config).expect("the application's settings fit together");
}
