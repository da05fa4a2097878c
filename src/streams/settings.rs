//! What a configuration means for each part that is put together.

use std::time::Duration;

use riacho_topology::{BadRecord, BadRecordPolicy};

use crate::config::{ClientRole, Config, Guarantee, OffsetReset, OnBadRecord, TaskIdle};
use crate::kafka::{self, ClientSettings, Overrides};
use crate::rebalance::TaskLayout;
use crate::state::MemoryBudget;
use crate::task::{Policies, TaskSettings};
use crate::worker::WorkerSettings;

/// How a configuration sets up the Kafka clients, for tools beside the application that reach the same cluster.
pub fn client_settings(config: &Config) -> ClientSettings {
    let memory = config.memory();
    let threads = config.stream_threads().get() as u64;
    let properties =
        |role| config.client_properties(role).iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    ClientSettings {
        client_id: config.client_id().to_owned(),
        offset_reset: match config.offset_reset() {
            OffsetReset::Earliest => kafka::OffsetReset::Earliest,
            OffsetReset::Latest => kafka::OffsetReset::Latest,
            OffsetReset::None => kafka::OffsetReset::None,
        },
        session_timeout: config.session_timeout(),
        heartbeat_interval: config.heartbeat_interval(),
        max_poll_interval: config.poll_interval_max(),
        transaction_timeout: config.transaction_timeout(),
        fetch_bytes_max: memory.fetch / threads,
        fetch_wait_max: fetch_wait_max(config),
        send_bytes_max: memory.send / threads,
        report_end_of_partition: false,
        overrides: Overrides {
            common: Vec::new(),
            consumer: properties(ClientRole::MainConsumer),
            producer: properties(ClientRole::Producer),
            restore: properties(ClientRole::RestoreConsumer),
            admin: properties(ClientRole::Admin),
        },
        ..ClientSettings::new(config.bootstrap_servers(), config.application_id())
    }
}

/// Little beside what a result waits for its commit; and not so little that a thread with nothing to do asks all the time.
fn fetch_wait_max(config: &Config) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(5);
    (config.commit_interval() / 5).clamp(SHORTEST, ClientSettings::FETCH_WAIT_MAX)
}

/// Settings of one thread. Its transactional id and, unless somebody chose one, its group instance id come from the
/// state directory: a restart there takes the place of what it was before, at once.
pub(super) fn thread_client_settings(
    config: &Config,
    base: &ClientSettings,
    layout: &TaskLayout,
    (process, number): (&str, usize),
) -> ClientSettings {
    let own = format!("{process}-{number}");
    let chosen = config.group_instance_id().map(|id| format!("{id}-{number}"));
    let leave_on_close = chosen.is_none();
    let generated = config.static_membership().then(|| own.clone());
    let exactly_once = config.guarantee() == Guarantee::ExactlyOnce;
    ClientSettings {
        client_id: format!("{}-StreamThread-{number}", config.client_id()),
        known_topic: layout.subscription().into_iter().next(),
        group_instance_id: chosen.or(generated),
        leave_on_close,
        transactional_id: exactly_once.then(|| format!("{}-{own}", config.application_id())),
        ..base.clone()
    }
}

pub(super) fn memory_budget(config: &Config) -> MemoryBudget {
    let memory = config.memory();
    MemoryBudget::of_bytes(usize::try_from(memory.block_cache + memory.write_buffers).unwrap_or(usize::MAX))
}

pub(super) fn worker_settings(config: &Config) -> WorkerSettings {
    const POLL_WAIT_MAX: Duration = Duration::from_millis(100);
    let threads = config.stream_threads().get() as u64;
    let share = |bytes: u64| usize::try_from(bytes / threads).unwrap_or(usize::MAX);
    let policy = |kind| match config.on_bad_record(kind) {
        OnBadRecord::Fail => BadRecordPolicy::Fail,
        OnBadRecord::Continue => BadRecordPolicy::Continue,
        OnBadRecord::DeadLetter => BadRecordPolicy::DeadLetter,
    };
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    WorkerSettings {
        application_id: config.application_id().to_owned(),
        exactly_once: config.guarantee() == Guarantee::ExactlyOnce,
        commit_interval: config.commit_interval(),
        commit_interval_idle: config.commit_interval_idle(),
        poll_wait_max: POLL_WAIT_MAX,
        poll_records_max: config.poll_records_max().get(),
        cache_bytes: share(config.memory().cache),
        dirty_bytes: share(config.memory().dirty),
        task: TaskSettings {
            policies: Policies {
                by_kind: BadRecord::ALL.into_iter().map(|kind| (kind, policy(kind))).collect(),
                dead_letter_topic: config.dead_letter_topic().to_owned(),
            },
            max_task_idle_ms: match config.task_idle() {
                TaskIdle::Never => -1,
                TaskIdle::UntilFetched => 0,
                TaskIdle::AtMost(wait) => millis(wait),
            },
            buffered_records_max: config.buffered_records_per_partition().get(),
            late_topic: config.late_topic().map(str::to_owned),
            timestamp_ahead_max_ms: millis(config.timestamp_ahead_max()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_holds_a_fetch_back_for_a_fifth_of_the_commit_interval_within_bounds() {
        for (commit_ms, fetch_ms) in [("10", 5), ("50", 10), ("100", 20), ("5000", 20)] {
            let config = Config::of([
                ("application.id", "shop"),
                ("bootstrap.servers", "localhost:9092"),
                ("commit.interval.ms", commit_ms),
            ]);
            let wait = client_settings(&config.unwrap()).fetch_wait_max;
            assert_eq!(wait, Duration::from_millis(fetch_ms), "at {commit_ms} ms");
        }
    }
}
