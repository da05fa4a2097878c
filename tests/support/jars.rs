//! The jars of the real Apache Kafka, fetched once by Maven into the user's cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The version under test; the pom and the Docker image name it too.
pub(crate) const KAFKA_VERSION: &str = "4.1.1";

const POM: &str = include_str!("kafka-jars/pom.xml");

/// The folder with the jars, fetched if it is not there yet.
pub(crate) fn jars() -> &'static Path {
    static JARS: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = folder();
        if !folder.is_dir() {
            fetch(&folder);
        }
        folder
    });
    &JARS
}

/// Says whether [`jars`] can work here, and with it a Kafka in a JVM.
pub(crate) fn available() -> bool {
    answers("java", &["-version"]) && (folder().is_dir() || answers("mvn", &["--version"]))
}

/// Says whether `program` exists and ends well.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn folder() -> PathBuf {
    cache().join(format!("kafka-{KAFKA_VERSION}"))
}

/// Where things are kept that are fetched once.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("RIACHO_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("riacho")))
        .or_else(|| Some(set("HOME")?.join(".cache").join("riacho")))
        .expect("HOME, XDG_CACHE_HOME or RIACHO_CACHE says where fetched things are kept")
}

fn fetch(folder: &Path) {
    assert!(
        POM.contains(&format!("<kafka.version>{KAFKA_VERSION}<")),
        "the pom fetches the version under test"
    );
    let cache = folder.parent().expect("the folder was joined to the cache");
    fs::create_dir_all(cache).expect("the cache folder can be made");
    // Renamed only when complete: a killed or concurrent fetch leaves no half-filled folder behind.
    let partial =
        tempfile::Builder::new().prefix(".kafka-").tempdir_in(cache).expect("the cache folder is writable");
    let jars = partial.path().join("jars");
    fs::write(partial.path().join("pom.xml"), POM).expect("the temporary folder is writable");
    eprintln!("fetching Apache Kafka {KAFKA_VERSION} from Maven Central into {}", folder.display());
    let maven = Command::new("mvn")
        .args(["-q", "-B", "-ntp", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .current_dir(partial.path())
        .stdin(Stdio::null())
        .output()
        .expect("mvn can be run: install Maven");
    let said = [maven.stdout, maven.stderr].concat();
    assert!(maven.status.success(), "mvn could not fetch Kafka's jars:\n{}", String::from_utf8_lossy(&said));
    if let Err(error) = fs::rename(&jars, folder) {
        assert!(folder.is_dir(), "the jars cannot be moved to {}: {error}", folder.display());
    }
}
