//! Why a query has no answer.

use std::time::Duration;

use riacho_topology::SerdeError;

use crate::observe::http::Page;
use crate::state::StateError;

/// A query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The topology has no such store.
    #[error("there is no store '{store}': the topology has {known}")]
    UnknownStore {
        /// The name that was asked for.
        store: String,
        /// The names that there are.
        known: String,
    },
    /// The store is not of the kind that was asked for.
    #[error("'{store}' is a {kind} store: ask it as one")]
    OtherKind {
        /// The store's name.
        store: String,
        /// What it is.
        kind: &'static str,
    },
    /// The partition is being restored, is moving, or its owner does not answer: ask again a little later.
    #[error("'{store}' cannot be read completely now: {reason}. Try again")]
    Unavailable {
        /// The store's name.
        store: String,
        /// What is the matter.
        reason: String,
    },
    /// The key is longer than a query can carry.
    #[error("the key has {bytes} bytes, and a query can carry {max}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The greatest length.
        max: usize,
    },
    /// The key cannot be written as the store's keys are.
    #[error("this cannot be a key: {0}")]
    BadKey(#[source] SerdeError),
    /// What is stored is not what the view's serdes read.
    #[error("what '{store}' holds cannot be read: {error}. Make the view with the serdes of the store")]
    Undecodable {
        /// The store's name.
        store: String,
        /// What does not fit.
        #[source]
        error: SerdeError,
    },
    /// The disk cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// After which time a client should ask again for what is not there at the moment.
const RETRY: Duration = Duration::from_secs(1);

impl QueryError {
    /// The status code for an answer over HTTP.
    pub fn status(&self) -> u16 {
        match self {
            QueryError::UnknownStore { .. } => 404,
            QueryError::OtherKind { .. } | QueryError::BadKey(_) => 400,
            QueryError::KeyTooLong { .. } => 414,
            QueryError::Unavailable { .. } => 503,
            QueryError::Undecodable { .. } | QueryError::State(_) => 500,
        }
    }

    /// The answer over HTTP: JSON with the reason.
    pub fn page(&self) -> Page {
        let page = refusal(self.status(), &self.to_string());
        if self.status() == 503 { page.with_retry_after(RETRY) } else { page }
    }
}

/// An answer that says why there is no other.
pub(super) fn refusal(status: u16, reason: &str) -> Page {
    Page::compact_json(status, &serde_json::json!({ "error": reason }))
}
