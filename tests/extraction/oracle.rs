//! The files of an extraction as pyarrow reads them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compares the files below `dir` with what `oracle.py` makes of these rows, which are JSON.
///
/// # Panics
/// When they differ, or there is no Python with pyarrow.
pub(super) fn prove(dir: &Path, rows: &[String]) {
    let list = dir.join("rows.jsonl");
    std::fs::write(&list, rows.join("\n")).expect("the folder is writable");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/extraction/oracle.py");
    let python = python();
    let output = Command::new(&python).arg(script).arg(dir).arg(list).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "{}: {error}. `scripts/setup.sh test` installs it, or RIACHO_PYTHON names another",
            python.display()
        )
    });
    let told =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{told}");
    println!("{told}");
}

/// A Python that has pyarrow.
fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("RIACHO_PYTHON") {
        return python.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    cache.unwrap_or_else(|| home.join(".cache")).join("riacho/python/bin/python")
}
