//! What follows from what RocksDB says.

use std::path::Path;

use ::rocksdb::ErrorKind;

use super::super::error::{StateError, advice};

pub(super) fn failure(path: &Path, action: &'static str, error: ::rocksdb::Error) -> StateError {
    let message = error.to_string();
    let locked = message.contains("While lock file") || message.contains("lock hold by current process");
    match error.kind() {
        ErrorKind::IOError if locked => StateError::Locked { path: path.to_owned() },
        // A file that RocksDB counts on is gone.
        ErrorKind::IOError if message.contains("No such file or directory") => {
            StateError::corrupt(path, message)
        }
        ErrorKind::Corruption | ErrorKind::InvalidArgument => StateError::corrupt(path, message),
        _ => StateError::Io {
            action,
            path: path.to_owned(),
            advice: advice::of_text(&message),
            source: Box::new(error),
        },
    }
}
