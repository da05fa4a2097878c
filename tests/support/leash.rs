//! Ends what the test process started, however the test process ends.
//!
//! Statics are not dropped and a killed process drops nothing, so a shell waits for the end of a pipe whose other
//! end only the test process holds (Rust opens its pipes close-on-exec). The system closes it in every case.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

// The shell becomes the program, so the child's id is the program's; its background half stays to watch the pipe.
// Group 0 is the shell's own process group: no process id is remembered that could meanwhile belong to another.
const LEASHED: &str = r#"
exec 3<&0 </dev/null
{ cat <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&- "$@"
"#;

/// A command that runs `program` and is killed when the test process ends or the child's `stdin` is closed.
///
/// `Child::wait` closes `stdin` and so kills; to await a polite end, poll `Child::try_wait`.
pub(crate) fn leashed(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASHED, "leashed", program]).stdin(Stdio::piped()).process_group(0);
    command
}

/// Runs a shell command when dropped, at the latest when the test process has ended.
pub(crate) struct LastWill {
    _waiting: Child,
}

impl LastWill {
    /// The command is run with `args` as `$1`, `$2`, …
    pub(crate) fn new(script: &str, args: &[&str]) -> LastWill {
        let waiting = Command::new("sh")
            .args(["-c", &format!("cat >/dev/null\n{script}"), "last-will"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("every Unix has sh");
        LastWill { _waiting: waiting }
    }
}
