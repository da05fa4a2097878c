//! The restoring of tasks as a stream thread sees it: requests, their outcomes, and the thread between them.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use riacho_topology::TaskId;
use riacho_topology::store::StoreSpec;

use super::{POLL_WAIT, Restorer};
use crate::ports::{ChangelogReader, ClientError, TaskState};
use crate::state::WipeReason;
use crate::task::TaskFailure;

/// A task whose state is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) task: TaskId,
    /// Tells this request from an earlier one for the same task, whose outcome may still be on its way.
    pub(crate) attempt: u64,
    pub(crate) stores: Vec<StoreSpec>,
    /// The changelog topic of each store.
    pub(crate) changelogs: Vec<String>,
}

/// A task's state, up to date.
pub(crate) struct Restored {
    pub(crate) task: TaskId,
    pub(crate) attempt: u64,
    pub(crate) state: Box<dyn TaskState>,
    pub(crate) records: u64,
    pub(crate) took: Duration,
    /// Why local state was thrown away, if it was.
    pub(crate) wiped: Option<WipeReason>,
}

/// A task whose state could not be had.
pub(crate) struct Failed {
    pub(crate) task: TaskId,
    pub(crate) attempt: u64,
    pub(crate) failure: TaskFailure,
}

/// How a request ended.
pub(crate) type Outcome = Result<Restored, Failed>;

/// Where a stream thread takes its tasks' state from.
pub(crate) trait RestoreService: Send {
    /// Asks for the state of tasks.
    fn request(&mut self, requests: Vec<Request>);
    /// Takes a request back; nothing of the task is open afterwards or it comes as an outcome still.
    fn cancel(&mut self, task: TaskId);
    /// What is done.
    fn outcomes(&mut self) -> Vec<Outcome>;
}

enum Command {
    Begin(Vec<Request>),
    Cancel(TaskId),
}

/// A [`Restorer`] in a thread of its own. Ends when it is dropped.
pub(crate) struct RestoreThread {
    commands: Option<SyncSender<Command>>,
    outcomes: Receiver<Outcome>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RestoreThread {
    /// Starts the thread. `make` runs in it.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start<R: ChangelogReader + 'static>(
        name: String,
        make: impl FnOnce() -> Result<Restorer<R>, ClientError> + Send + 'static,
    ) -> std::io::Result<Self> {
        // Both bounds are above what one rebalance can ask for at once; beyond them the sender waits.
        let (commands, requests) = sync_channel(1024);
        let (results, outcomes) = sync_channel(4096);
        let thread = std::thread::Builder::new().name(name).spawn(move || match make() {
            Ok(restorer) => run(restorer, &requests, &results),
            Err(error) => tracing::error!(%error, "no reader for changelogs"),
        })?;
        Ok(RestoreThread { commands: Some(commands), outcomes, thread: Some(thread) })
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands
            && commands.send(command).is_err()
        {
            tracing::error!("the restore thread has ended");
        }
    }
}

fn run<R: ChangelogReader>(
    mut restorer: Restorer<R>,
    commands: &Receiver<Command>,
    outcomes: &SyncSender<Outcome>,
) {
    loop {
        let command = if restorer.is_idle() {
            match commands.recv() {
                Ok(command) => Some(command),
                Err(_) => return,
            }
        } else {
            match commands.try_recv() {
                Ok(command) => Some(command),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            }
        };
        let done = match command {
            Some(Command::Begin(requests)) => restorer.begin(requests),
            Some(Command::Cancel(task)) => {
                restorer.cancel(task);
                Vec::new()
            }
            None => restorer.step(POLL_WAIT),
        };
        for outcome in done {
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }
}

impl RestoreService for RestoreThread {
    fn request(&mut self, requests: Vec<Request>) {
        self.send(Command::Begin(requests));
    }

    fn cancel(&mut self, task: TaskId) {
        self.send(Command::Cancel(task));
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        self.outcomes.try_iter().collect()
    }
}

impl Drop for RestoreThread {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the restore thread panicked");
        }
    }
}
