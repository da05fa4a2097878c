//! The programs of Prometheus, as Debian packages them.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::support::cache;

/// A program of Prometheus: on the path, or where `scripts/setup.sh test` has unpacked it.
///
/// # Panics
/// When it is nowhere; the message says what to do.
pub(super) fn tool(names: &[&str]) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([cache().join("prometheus/usr/bin")]);
    let places = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    let mut found = places.filter(|place| place.is_file());
    found.next().unwrap_or_else(|| panic!("{names:?} is missing: run scripts/setup.sh test"))
}

/// What the program says; both of its outputs.
///
/// # Panics
/// When it does not end well; with what it said.
pub(super) fn told(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(tool(&[program]));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}:\n{said}");
    said
}
