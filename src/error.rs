//! What can go wrong with an application as a whole, and what to do about it.

use crate::config::ConfigErrors;
use crate::lifecycle::IllegalTransition;
use crate::ports::ClientError;
use crate::state::StateError;

/// An application could not be started, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong: mend the keys it names.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Kafka refuses or does not answer.
    #[error(transparent)]
    Kafka(#[from] ClientError),
    /// Local state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A topic is missing that the application does not own.
    #[error("the {role} topic '{topic}' does not exist: create it, for example with `riacho topics create`")]
    NoTopic {
        /// Its name.
        topic: String,
        /// What it is for.
        role: &'static str,
    },
    /// The HTTP server cannot listen.
    #[error("{0}")]
    Http(String),
    /// The operating system gives no thread.
    #[error("no thread could be started: {0}. Raise the limit of processes (ulimit -u)")]
    Thread(String),
    /// The application was asked to stop before it had started.
    #[error("stopped before it had started")]
    Stopped,
    /// The application was started twice.
    #[error(transparent)]
    Started(#[from] IllegalTransition),
    /// A stream thread failed; the others have stopped.
    #[error("{0}")]
    Failed(String),
}
