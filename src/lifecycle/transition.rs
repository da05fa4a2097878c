//! What becomes of a transition that somebody asks for.

/// A transition that the diagrams do not have: a bug of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} cannot go from {from} to {to}: this is a bug in riacho")]
pub struct IllegalTransition {
    pub(super) who: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

/// What became of a transition that a thread asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused transition means that the thread is to stop"]
pub enum Entered {
    /// The thread is in the new state.
    Yes,
    /// The thread is shutting down and stays so.
    Refused,
}
