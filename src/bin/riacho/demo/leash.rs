//! Ends what the demo started, however the demo ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Becomes the program, and leaves a half in the background that kills the group when its input is closed. The group is
/// the shell's own: no process id is remembered that could meanwhile belong to another.
const LEASHED: &str = r#"
exec 3<&0 </dev/null
{ cat <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&- "$@"
"#;

/// A command that runs `program`, which is killed with all that it has started when this process ends or closes the
/// child's input. The system closes it however this process ends. [`Child::wait`](std::process::Child::wait) closes it
/// too.
pub(super) fn leashed(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASHED, "leashed", program]).stdin(Stdio::piped()).process_group(0);
    command
}
