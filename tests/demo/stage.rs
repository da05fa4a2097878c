//! A demo in a process of its own, whose output a test reads.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{await_some, await_until, leashed};

/// A demo starts several processes, and the tests share few processors.
const LIMIT: Duration = Duration::from_secs(240);

/// A demo; dropping it kills it.
pub(super) struct Demo {
    child: Child,
    /// Where it may put files.
    temporary: TempDir,
    output: TempDir,
}

impl Demo {
    /// Starts `riacho demo` with these arguments and a folder for temporary files of its own.
    pub(super) fn start(arguments: &[&str]) -> Demo {
        let [temporary, output] =
            [(); 2].map(|()| tempfile::tempdir().expect("the folder for temporary files is writable"));
        let file = File::create(output.path().join("output")).expect("the folder is writable");
        let mut command = leashed(env!("CARGO_BIN_EXE_riacho"));
        command.arg("demo").args(arguments).env("TMPDIR", temporary.path());
        command.stdout(Stdio::from(file.try_clone().expect("a file handle can be doubled")));
        let child = command.stderr(Stdio::from(file)).spawn().expect("the program was built with this test");
        Demo { child, temporary, output }
    }

    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.output.path().join("output")).unwrap_or_default()
    }

    /// Returns as soon as it has written `text`.
    pub(super) fn await_output(&mut self, text: &str) {
        await_until(LIMIT, &format!("it writes {text:?}"), || {
            let end = self.child.try_wait().expect("a child can be asked");
            assert!(end.is_none(), "it ended ({end:?}):\n{}", self.output());
            self.output().contains(text)
        });
    }

    /// Returns the host and port of its page, once it is served.
    pub(super) fn await_page(&mut self) -> String {
        const PAGE: &str = "\npage at http://";
        self.await_output(PAGE);
        let output = self.output();
        let (_, rest) = output.split_once(PAGE).expect("it was awaited");
        rest.split_once('/').expect("an address has a path").0.to_owned()
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the demo is gone:\n{}", self.output());
    }

    /// Returns how it ended. What it had started it may have left behind: nothing kills that here.
    pub(super) fn await_end(&mut self) -> ExitStatus {
        await_some(LIMIT, "the demo ends", || self.child.try_wait().expect("a child can be asked"))
    }

    /// What is left in the folder for temporary files.
    pub(super) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.temporary.path()).expect("the folder is there");
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// The processes of the program that have this demo's folder for temporary files, but for the demo itself.
    pub(super) fn processes(&self) -> BTreeSet<PathBuf> {
        let variable = format!("TMPDIR={}", self.temporary.path().display());
        let program = fs::canonicalize(env!("CARGO_BIN_EXE_riacho")).expect("it was built with this test");
        let has_it = |process: &Path| {
            if fs::read_link(process.join("exe")).ok().as_ref() != Some(&program) {
                return false;
            }
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes())
        };
        let own = Path::new("/proc").join(self.child.id().to_string());
        let entries = fs::read_dir("/proc").expect("Linux has it").filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| *path != own && has_it(path)).collect()
    }

    /// Returns when none of these processes is there any more.
    pub(super) fn await_gone(&self, processes: &BTreeSet<PathBuf>) {
        await_until(LIMIT, "every process of the demo ends", || self.processes().is_disjoint(processes));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|end| end.is_none()) {
            self.child.kill().expect("a child that was not waited for can be killed");
        }
        // Closes the leash too.
        self.child.wait().expect("a child can be waited for");
    }
}
