//! What this process has cost so far, from /proc.

use std::fs;
use std::time::Duration;

/// The kernel shows times to programs in hundredths of a second on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;

/// What the kernel says of this process in `/proc/self/stat`, from its third field on: the first two are the id and the
/// name, which may hold anything.
fn stat() -> Vec<u64> {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    fields_of(&text)
}

fn fields_of(stat: &str) -> Vec<u64> {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS_PER_SECOND)
}

/// Processor time used, all threads together; zero where the system does not tell.
pub(crate) fn cpu_time() -> Duration {
    const USER: usize = 11;
    const SYSTEM: usize = 12;
    let stat = stat();
    ticks(stat.get(USER).unwrap_or(&0) + stat.get(SYSTEM).unwrap_or(&0))
}

/// Time since the process was started; zero where the system does not tell.
pub(crate) fn age() -> Duration {
    const START: usize = 19;
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    let start = stat().get(START).copied().unwrap_or(0);
    Duration::try_from_secs_f64(uptime).unwrap_or_default().saturating_sub(ticks(start))
}

/// The most memory that was resident at a time, in MiB; zero where the system does not tell.
pub(crate) fn peak_memory_mib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_shifts_nothing() {
        assert_eq!(fields_of("12 (a) b) S 1 2 3"), [0, 1, 2, 3]);
    }

    #[test]
    fn the_system_tells_of_this_process() {
        assert!(peak_memory_mib() > 0);
        assert!(age() < Duration::from_secs(3600));
    }
}
