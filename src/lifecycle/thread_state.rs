//! The states of a stream thread and the arrows between them.

use std::fmt;

/// The state of a stream thread.
///
/// ```text
///           +---------------------+
///   +<------| CREATED             |
///   |       +----------+----------+
///   |                  v
///   |       +----------+----------+
///   +<------| STARTING            |------->+
///   |       +----------+----------+        |
///   |                  v                   |
///   |       +----------+----------+        |
///   +<------| PARTITIONS_REVOKED  |<---+   |
///   |       +----+-----------+----+    |   |
///   |            v           ^         |   |
///   |       +----+-----------+----+    |   |
///   +<------| PARTITIONS_ASSIGNED |<---+---+
///   |       +----------+----------+    |
///   |                  v               |
///   |       +----------+----------+    |
///   +<------| RUNNING             |----+
///   |       +---------------------+
///   v
/// +-+----------------+       +------+
/// | PENDING_SHUTDOWN |------>| DEAD |
/// +------------------+       +------+
/// ```
/// `PARTITIONS_REVOKED` and `PARTITIONS_ASSIGNED` may follow themselves, and so may `RUNNING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadState {
    /// Not started.
    Created,
    /// Joins the group.
    Starting,
    /// Has given partitions up and waits for others.
    PartitionsRevoked,
    /// Has new partitions; their tasks are created and restored.
    PartitionsAssigned,
    /// Processes all its tasks.
    Running,
    /// Commits and leaves.
    PendingShutdown,
    /// Has ended.
    Dead,
}

impl ThreadState {
    /// All states.
    pub const ALL: [ThreadState; 7] = [
        ThreadState::Created,
        ThreadState::Starting,
        ThreadState::PartitionsRevoked,
        ThreadState::PartitionsAssigned,
        ThreadState::Running,
        ThreadState::PendingShutdown,
        ThreadState::Dead,
    ];

    /// Kafka Streams' name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            ThreadState::Created => "CREATED",
            ThreadState::Starting => "STARTING",
            ThreadState::PartitionsRevoked => "PARTITIONS_REVOKED",
            ThreadState::PartitionsAssigned => "PARTITIONS_ASSIGNED",
            ThreadState::Running => "RUNNING",
            ThreadState::PendingShutdown => "PENDING_SHUTDOWN",
            ThreadState::Dead => "DEAD",
        }
    }

    /// Whether an arrow of the diagram leads from this state to `next`.
    pub fn may_become(self, next: ThreadState) -> bool {
        use ThreadState::{
            Created, Dead, PartitionsAssigned, PartitionsRevoked, PendingShutdown, Running, Starting,
        };
        match self {
            Created => matches!(next, Starting | PendingShutdown),
            Starting | PartitionsRevoked => {
                matches!(next, PartitionsRevoked | PartitionsAssigned | PendingShutdown)
            }
            PartitionsAssigned | Running => {
                matches!(next, PartitionsRevoked | PartitionsAssigned | Running | PendingShutdown)
            }
            PendingShutdown => next == Dead,
            Dead => false,
        }
    }

    /// Whether a thread in this state must poll to be alive.
    pub(super) fn polls(self) -> bool {
        !matches!(self, ThreadState::Created | ThreadState::PendingShutdown | ThreadState::Dead)
    }

    /// Whether a thread in this state holds nothing that a shutdown has to wait for.
    pub(super) fn holds_nothing(self) -> bool {
        matches!(self, ThreadState::Created | ThreadState::Dead)
    }
}

impl fmt::Display for ThreadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
