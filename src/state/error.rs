//! What can go wrong with local state, and what follows from it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use riacho_topology::StoreError;

use super::WipeReason;

/// Local state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The files contradict themselves or their checksums. Nothing in them is to be trusted: delete them and restore
    /// from the changelog.
    #[error("the state in {path} is damaged and has to be restored from the changelog: {what}", path = path.display())]
    Corrupt {
        /// The task's database.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The files belong to other stores than the topology has: delete them and restore from the changelog.
    #[error(
        "the state in {path} is of other stores and has to be restored from the changelog: it holds {found}, \
         the topology has {expected}", path = path.display()
    )]
    OtherStores {
        /// The task's database.
        path: PathBuf,
        /// The stores it was written for.
        found: String,
        /// The stores that are asked for.
        expected: String,
    },
    /// The files were written by a newer riacho.
    #[error(
        "the state in {path} has layout version {version}, this riacho reads up to {known}: run the newer riacho \
         again, or delete the directory to restore the state from the changelog", path = path.display()
    )]
    UnknownVersion {
        /// The task's database.
        path: PathBuf,
        /// The version found.
        version: u8,
        /// The newest version that is understood.
        known: u8,
    },
    /// Somebody else has the directory open.
    #[error(
        "{path} is in use by another process or by another thread of this one: stop it, or give each instance on a \
         machine its own state.dir", path = path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The application's id would not be a directory of its own below `state.dir`.
    #[error(
        "application.id '{0}' cannot name a directory: use the characters a-z A-Z 0-9 . _ -, and not only dots"
    )]
    BadApplicationId(String),
    /// The disk refuses. What was committed is still there or in the changelog.
    #[error("cannot {action} {path}: {source}. {advice}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operator can do.
        advice: &'static str,
        /// What the system says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StateError {
    pub(super) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        StateError::Corrupt { path: path.to_owned(), what: what.into() }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let advice = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => advice::NO_SPACE,
            io::ErrorKind::PermissionDenied => advice::NO_PERMISSION,
            io::ErrorKind::ReadOnlyFilesystem => advice::READ_ONLY,
            _ => advice::of_text(&source.to_string()),
        };
        StateError::Io { action, path: path.to_owned(), advice, source: Box::new(source) }
    }

    /// Whether somebody else has it open: it can be had once they have given it up.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, StateError::Locked { .. })
    }

    /// Why the task's directory should be deleted before the task is opened again; `None` when deleting it would not
    /// help or is not ours to decide.
    #[must_use]
    pub fn wipe_reason(&self) -> Option<WipeReason> {
        match self {
            StateError::Corrupt { .. } => Some(WipeReason::Corrupt),
            StateError::OtherStores { .. } => Some(WipeReason::OtherStores),
            _ => None,
        }
    }

    /// The state error that made an operator's access to its store fail.
    #[must_use]
    pub fn behind(error: &StoreError) -> Option<&StateError> {
        error.source.as_deref()?.downcast_ref()
    }
}

impl From<StateError> for StoreError {
    fn from(error: StateError) -> Self {
        StoreError { message: error.to_string(), source: Some(Box::new(error)) }
    }
}

/// What an operator can do, by what the system says.
pub(super) mod advice {
    pub(super) const NO_SPACE: &str = "Free space on this disk or point state.dir at a larger one, and start again: committed state is not lost";
    pub(super) const NO_PERMISSION: &str =
        "Let the user that runs riacho read and write there, or point state.dir at a directory of its own";
    pub(super) const READ_ONLY: &str = "Mount the file system writable, or point state.dir elsewhere";
    const TOO_MANY_FILES: &str = "Raise the limit of open files (ulimit -n): a task needs up to 70";
    const OTHER: &str =
        "Look for failures of the disk in the system's log; committed state is in the changelog too";

    pub(in super::super) fn of_text(message: &str) -> &'static str {
        let known = [
            ("No space left", NO_SPACE),
            ("quota exceeded", NO_SPACE),
            ("Permission denied", NO_PERMISSION),
            ("Operation not permitted", NO_PERMISSION),
            ("Read-only file system", READ_ONLY),
            ("Too many open files", TOO_MANY_FILES),
        ];
        known.into_iter().find(|(text, _)| message.contains(text)).map_or(OTHER, |(_, advice)| advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_path_and_cure() {
        let error =
            StateError::io("write", Path::new("/data/0_3"), io::Error::from(io::ErrorKind::StorageFull));
        let text = error.to_string();
        assert!(text.contains("/data/0_3") && text.contains("Free space"), "{text}");
        assert_eq!(error.wipe_reason(), None);
    }

    #[test]
    fn a_state_error_is_found_again_behind_a_store_error() {
        let error = StoreError::from(StateError::corrupt(Path::new("/data/0_3"), "bad block"));
        assert!(error.to_string().contains("bad block"));
        assert_eq!(StateError::behind(&error).and_then(StateError::wipe_reason), Some(WipeReason::Corrupt));
        assert!(StateError::behind(&StoreError::new("something else")).is_none());
    }
}
