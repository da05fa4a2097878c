//! The verdicts behind `/health` and `/ready`, and from when on silence is a fault.

use std::time::Duration;

use super::client_state::ClientState;
use super::thread_state::ThreadState;
use super::vitals::ThreadFacts;
use crate::config::Config;

/// From when on silence is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A thread that has not polled for longer is not healthy.
    pub poll_age_max: Duration,
    /// A thread that has not committed, although it had to, for longer is not ready.
    pub commit_age_max: Duration,
}

impl Limits {
    /// The limits that follow from a configuration: `max.poll.interval.ms`; three commit intervals, at least a minute.
    pub fn of(config: &Config) -> Limits {
        let commit_age_max = config.commit_interval().saturating_mul(3).max(Duration::from_secs(60));
        Limits { poll_age_max: config.poll_interval_max(), commit_age_max }
    }
}

/// An answer of `/health` or `/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What speaks against it; nothing when all is well.
    pub objections: Vec<String>,
}

impl Verdict {
    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.objections.is_empty()
    }

    /// Alive unless the application is in `ERROR` or a thread does not poll.
    pub(super) fn of_health(
        state: ClientState,
        failure: Option<&str>,
        threads: &[ThreadFacts],
        limits: Limits,
    ) -> Verdict {
        let mut objections = Vec::new();
        if state == ClientState::Error {
            objections.push(format!("the state is {state}: {}", failure.unwrap_or("unknown reason")));
        }
        for thread in threads {
            if thread.state.polls() && thread.poll_age > limits.poll_age_max {
                objections.push(format!(
                    "thread {} has not polled for {} s (max.poll.interval.ms allows {} s)",
                    thread.number,
                    thread.poll_age.as_secs(),
                    limits.poll_age_max.as_secs()
                ));
            }
        }
        Verdict { objections }
    }

    /// Ready when the application is `RUNNING`, nothing is restoring and commits are fresh.
    pub(super) fn of_readiness(state: ClientState, threads: &[ThreadFacts], limits: Limits) -> Verdict {
        let mut objections = Vec::new();
        if state != ClientState::Running {
            objections.push(format!("the state is {state}"));
        }
        let restoring: usize = threads.iter().map(|thread| thread.restoring_tasks).sum();
        if restoring > 0 {
            let remaining: u64 = threads.iter().map(|thread| thread.restore_remaining_records).sum();
            objections.push(format!("{restoring} tasks are being restored, {remaining} records to go"));
        }
        for thread in threads {
            if thread.state == ThreadState::Running && thread.commit_age > limits.commit_age_max {
                objections.push(format!(
                    "thread {} has not committed for {} s (allowed are {} s)",
                    thread.number,
                    thread.commit_age.as_secs(),
                    limits.commit_age_max.as_secs()
                ));
            }
        }
        Verdict { objections }
    }
}
