//! A real PostgreSQL of its own folder and port, which may be killed.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use riacho::connect::postgres::{PostgresReader, PostgresSettings, Row, ToSql};
use tempfile::TempDir;

use crate::support::{await_until, free_port, leashed};

const START_LIMIT: Duration = Duration::from_secs(60);

/// A server; dropping it kills it.
pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    options: Vec<String>,
}

impl Postgres {
    /// Starts a server with an empty database `sales_db`.
    pub(crate) fn start() -> Postgres {
        let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
        if is_root() {
            // PostgreSQL refuses to run as root, and its own user must reach the folder.
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status();
            assert!(
                owned.is_ok_and(|status| status.success()),
                "the package postgresql makes the user postgres"
            );
        }
        let mut postgres = Postgres { folder, port: free_port(), server: None, options: Vec::new() };
        let data = postgres.data();
        let made = as_owner(Command::new, &tool("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb can be started");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.up();
        postgres.ask_in("postgres", "CREATE DATABASE sales_db");
        postgres
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server where it was killed, and awaits that it answers.
    pub(crate) fn up(&mut self) {
        // Killed servers leave it; it names a process id that may meanwhile be another's.
        let _gone = fs::remove_file(self.data().join("postmaster.pid"));
        let mut server = as_owner(leashed, &tool("postgres"));
        server.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        server.args(&self.options).args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "shared_buffers=32MB",
            // In its folder: what a killed server has in the machine's shared memory stays there for good.
            "-c",
            "dynamic_shared_memory_type=mmap",
            "-k",
        ]);
        server.arg(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("postgres can be started"));
        await_until(START_LIMIT, "PostgreSQL answers", || self.try_ask("postgres", "SELECT 1").is_some());
    }

    /// Kills the server and every process of it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Its children are of the same process group.
            let group = format!("-{}", server.id());
            let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
            assert!(killed.is_ok_and(|status| status.success()), "the group {group} can be killed");
            server.wait().expect("a killed child ends");
        }
    }

    /// Lets the server encrypt, with a certificate of its own, whose place is returned.
    pub(crate) fn encrypt(&mut self) -> PathBuf {
        let [key, certificate] = ["server.key", "server.crt"].map(|name| self.folder.path().join(name));
        let made = as_owner(Command::new, "openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl can be started");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.kill();
        let files = [("ssl_key_file", &key), ("ssl_cert_file", &certificate)];
        let files = files.map(|(name, file)| format!("{name}={}", file.display()));
        let options = ["ssl=on".to_owned()].into_iter().chain(files);
        self.options = options.flat_map(|option| ["-c".to_owned(), option]).collect();
        self.up();
        certificate
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("sales_db")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn reader(&self) -> PostgresReader {
        PostgresReader::of(self.settings())
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresSettings::of(&self.url(), None, "test").expect("the address is one")
    }

    /// Runs SQL as an administrator would, by psql.
    pub(crate) fn run(&self, sql: &str) {
        self.ask_in("sales_db", sql);
    }

    fn ask_in(&self, database: &str, sql: &str) {
        assert!(self.try_ask(database, sql).is_some(), "{sql}");
    }

    fn try_ask(&self, database: &str, sql: &str) -> Option<()> {
        let mut psql = Command::new("psql");
        psql.args(["-qtAX", "-v", "ON_ERROR_STOP=1", "-d", &self.url_of(database), "-c", sql]);
        let asked = psql.stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success()).then_some(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The rows of a question, which must have an answer.
pub(crate) fn rows(reader: &PostgresReader, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
    reader.query(sql, values).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("every Unix has id");
    id.stdout.starts_with(b"0\n")
}

/// A command of PostgreSQL's own user where we are root. One that is waited for is not leashed: waiting ends the leash.
fn as_owner(command: fn(&'static str) -> Command, program: &str) -> Command {
    let mut command = if is_root() {
        let mut command = command("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command
    } else {
        command("env")
    };
    command.arg(program);
    command
}

/// Debian keeps the server's programs beside the path.
fn tool(name: &str) -> String {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().map_or_else(|| name.to_owned(), |path| path.display().to_string())
}
