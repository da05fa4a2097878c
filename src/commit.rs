//! The two commit protocols.

use crate::ports::StreamClient;
use crate::task::{Task, TaskFailure};

use riacho_topology::Timestamp;

/// Commits what the tasks have done since the last commit, exactly once.
///
/// # Errors
/// Up to step 3 the transaction can be aborted and nothing has happened. After it, everything has.
pub(crate) fn commit_exactly_once<C: StreamClient>(
    tasks: &mut [Task],
    client: &mut C,
    now: Timestamp,
) -> Result<(), TaskFailure> {
    for task in progressed(tasks) {
        task.flush(client, now)?; // 1. every change is downstream and in its changelog
        task.mark_commit(client, now)?;
    }
    let positions: Vec<_> = progressed(tasks).flat_map(|task| task.positions().collect::<Vec<_>>()).collect();
    client.send_offsets(&positions)?; // 2. the inputs join the transaction, fenced by the group's generation
    client.commit()?; // 3. the point of no return
    checkpoint(tasks, client) // 4. may lag behind 3: a restore replays the gap
}

/// Commits what the tasks have done since the last commit, at least once: the same, with flushes and the group's
/// offsets in place of the transaction.
///
/// The commit record moves stream time, and with it closes windows for whoever restores the changelog. So it must not be
/// there before their results are: after a crash in between nobody would tell them any more.
///
/// # Errors
/// What was written stays written; its input will be read again.
pub(crate) fn commit_at_least_once<C: StreamClient>(
    tasks: &mut [Task],
    client: &mut C,
    now: Timestamp,
) -> Result<(), TaskFailure> {
    for task in progressed(tasks) {
        task.flush(client, now)?;
    }
    client.flush()?;
    for task in progressed(tasks) {
        task.mark_commit(client, now)?;
    }
    let positions: Vec<_> = progressed(tasks).flat_map(|task| task.positions().collect::<Vec<_>>()).collect();
    client.flush()?;
    client.commit_offsets(&positions)?;
    checkpoint(tasks, client)
}

fn progressed(tasks: &mut [Task]) -> impl Iterator<Item = &mut Task> {
    tasks.iter_mut().filter(|task| task.has_progressed())
}

fn checkpoint<C: StreamClient>(tasks: &mut [Task], client: &mut C) -> Result<(), TaskFailure> {
    for task in progressed(tasks) {
        task.committed(|slot| client.appended(slot))?;
    }
    Ok(())
}
