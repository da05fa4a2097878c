//! What the Kafka clients of an application are for.

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The group member of a stream thread.
    Member,
    /// The producer of a stream thread.
    Producer,
    /// Reads changelogs.
    Restore,
    /// Asks for the first and last offsets, open transactions included.
    Watermarks,
    /// Creates and describes topics.
    Admin,
    /// A tool's producer.
    Writer,
    /// A tool's consumer; whether it waits for transactions.
    Reader(bool),
}

impl Role {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Role::Member => "-consumer",
            Role::Producer => "-producer",
            Role::Restore => "-restore-consumer",
            Role::Watermarks => "-watermarks",
            Role::Admin => "-admin",
            Role::Writer => "-writer",
            Role::Reader(_) => "-reader",
        }
    }

    pub(super) fn fetches(self) -> bool {
        matches!(self, Role::Member | Role::Restore | Role::Reader(_))
    }

    pub(super) fn consumes(self) -> bool {
        self.fetches() || self == Role::Watermarks
    }

    pub(super) fn isolation(self) -> &'static str {
        match self {
            Role::Watermarks | Role::Reader(false) => "read_uncommitted",
            _ => "read_committed",
        }
    }
}
