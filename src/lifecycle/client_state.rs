//! The states of an application and the arrows between them.

use std::fmt;

/// The state of an application.
///
/// ```text
///                +--------------+
///        +<------| CREATED      |
///        |       +------+-------+
///        |              v
///        |       +------+-------+
///        +<------| REBALANCING  |------->+
///        |       +---+------+---+        |
///        |           |      ^            |
///        |           v      |            |
///        |       +---+------+---+        v
///        +<------| RUNNING      |------->+
///        |       +--------------+        |
///        v                               v
/// +------+-----------+         +---------+-----+
/// | PENDING_SHUTDOWN |         | PENDING_ERROR |
/// +------+-----------+         +---------+-----+
///        v                               v
/// +------+-----------+         +---------+-----+
/// | NOT_RUNNING      |         | ERROR         |
/// +------------------+         +---------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// Built, not started.
    Created,
    /// Some thread waits for its tasks or restores their state.
    Rebalancing,
    /// Every thread processes.
    Running,
    /// Asked to stop; threads commit and leave.
    PendingShutdown,
    /// Stopped as asked.
    NotRunning,
    /// A thread failed; the others commit and leave.
    PendingError,
    /// Stopped because a thread failed.
    Error,
}

impl ClientState {
    /// All states.
    pub const ALL: [ClientState; 7] = [
        ClientState::Created,
        ClientState::Rebalancing,
        ClientState::Running,
        ClientState::PendingShutdown,
        ClientState::NotRunning,
        ClientState::PendingError,
        ClientState::Error,
    ];

    /// Kafka Streams' name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientState::Created => "CREATED",
            ClientState::Rebalancing => "REBALANCING",
            ClientState::Running => "RUNNING",
            ClientState::PendingShutdown => "PENDING_SHUTDOWN",
            ClientState::NotRunning => "NOT_RUNNING",
            ClientState::PendingError => "PENDING_ERROR",
            ClientState::Error => "ERROR",
        }
    }

    /// Whether an arrow of the diagram leads from this state to `next`.
    pub fn may_become(self, next: ClientState) -> bool {
        use ClientState::{Created, Error, NotRunning, PendingError, PendingShutdown, Rebalancing, Running};
        match self {
            Created => matches!(next, Rebalancing | PendingShutdown),
            Rebalancing => matches!(next, Running | PendingShutdown | PendingError),
            Running => matches!(next, Rebalancing | PendingShutdown | PendingError),
            PendingShutdown => next == NotRunning,
            PendingError => next == Error,
            NotRunning | Error => false,
        }
    }

    /// Whether the application has stopped for good.
    pub fn has_ended(self) -> bool {
        matches!(self, ClientState::NotRunning | ClientState::Error)
    }

    /// Whether the application has started and nobody has asked it to stop.
    pub(super) fn is_up(self) -> bool {
        matches!(self, ClientState::Rebalancing | ClientState::Running)
    }
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
