//! The directory of an application's state on this machine: who owns it, which tasks have state in it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use riacho_topology::{TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::StateError;

const LOCK_FILE: &str = ".lock";
const PROCESS_FILE: &str = "kafka-streams-process-metadata";
const PROCESS_FILE_VERSION: u32 = 1;
const STORES_DIRECTORY: &str = "rocksdb";
/// A task's directory gets this ending before it is deleted, so that what a crash leaves of it is nobody's state.
const DELETED_SUFFIX: &str = ".deleted";

/// Why local state was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WipeReason {
    /// Its files are damaged.
    Corrupt,
    /// It is of other stores than the topology has.
    OtherStores,
    /// Its changelog no longer holds the offset from which it would have to be restored, or never did.
    OffsetOutOfRange,
    /// It has not been used for longer than `state.cleanup.delay.ms`.
    Obsolete,
    /// Somebody asked for it.
    Requested,
}

impl WipeReason {
    /// All reasons.
    pub const ALL: [WipeReason; 5] = [
        WipeReason::Corrupt,
        WipeReason::OtherStores,
        WipeReason::OffsetOutOfRange,
        WipeReason::Obsolete,
        WipeReason::Requested,
    ];

    /// The reason's name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            WipeReason::Corrupt => "corrupt",
            WipeReason::OtherStores => "other_stores",
            WipeReason::OffsetOutOfRange => "offset_out_of_range",
            WipeReason::Obsolete => "obsolete",
            WipeReason::Requested => "requested",
        }
    }
}

impl std::fmt::Display for WipeReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As Kafka Streams writes it.
#[derive(Serialize, Deserialize)]
struct ProcessMetadata {
    #[serde(rename = "processId")]
    process_id: String,
    version: u32,
}

/// `<state.dir>/<application.id>`, owned by this process until it is dropped.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    process_id: Uuid,
    /// Locked as long as it is open; the system unlocks it when the process dies.
    _lock: File,
}

impl StateDirectory {
    /// Creates the directory if it is missing, locks it, and reads or draws the process id.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process owns it, [`StateError::Io`] when it cannot be written,
    /// [`StateError::BadApplicationId`] when the id is not a plain name.
    pub fn open(state_dir: &Path, application_id: &str) -> Result<Self, StateError> {
        let mut parts = Path::new(application_id).components();
        if parts.next() != Some(Component::Normal(application_id.as_ref())) || parts.next().is_some() {
            return Err(StateError::BadApplicationId(application_id.to_owned()));
        }
        let path = state_dir.join(application_id);
        fs::create_dir_all(&path).map_err(|error| StateError::io("create", &path, error))?;
        let lock = lock(&path)?;
        let process_id = process_id(&path)?;
        let directory = StateDirectory { path, process_id, _lock: lock };
        directory.finish_deletions()?;
        Ok(directory)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Identifies this instance for as long as the directory lives: part of transactional ids, so that a restart
    /// fences what it left behind.
    #[must_use]
    pub fn process_id(&self) -> Uuid {
        self.process_id
    }

    /// Where the task's database is, or will be.
    #[must_use]
    pub fn stores_path(&self, task: TaskId) -> PathBuf {
        self.task_path(task).join(STORES_DIRECTORY)
    }

    /// The tasks that have a directory, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn tasks(&self) -> Result<Vec<TaskId>, StateError> {
        let mut tasks: Vec<TaskId> = self.names()?.iter().filter_map(|name| task_of(name)).collect();
        tasks.sort_unstable();
        Ok(tasks)
    }

    /// Deletes the state of a task, which must not be open. A task without state is no error.
    ///
    /// # Errors
    /// When the directory cannot be renamed or deleted.
    pub fn wipe(&self, task: TaskId, reason: WipeReason) -> Result<(), StateError> {
        let path = self.task_path(task);
        let deleted = self.path.join(format!("{task}{DELETED_SUFFIX}"));
        remove(&deleted)?;
        match fs::rename(&path, &deleted) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StateError::io("delete", &path, error)),
        }
        tracing::warn!(%task, reason = reason.as_str(), path = %path.display(), "deleting the local state of a task");
        remove(&deleted)
    }

    /// Deletes the state of tasks that are not `in_use` and were not written for longer than `delay`. Returns them.
    ///
    /// # Errors
    /// When a directory cannot be read or deleted. Those before it are deleted.
    pub fn clean_obsolete(
        &self,
        now: Timestamp,
        delay: Duration,
        in_use: &dyn Fn(TaskId) -> bool,
    ) -> Result<Vec<TaskId>, StateError> {
        let mut cleaned = Vec::new();
        for task in self.tasks()?.into_iter().filter(|task| !in_use(*task)) {
            let idle_ms = now.millis_since(last_write(&self.task_path(task))?);
            if u128::try_from(idle_ms).is_ok_and(|idle_ms| idle_ms > delay.as_millis()) {
                self.wipe(task, WipeReason::Obsolete)?;
                cleaned.push(task);
            }
        }
        Ok(cleaned)
    }

    fn task_path(&self, task: TaskId) -> PathBuf {
        self.path.join(task.to_string())
    }

    fn names(&self) -> Result<Vec<String>, StateError> {
        let failed = |error| StateError::io("list", &self.path, error);
        let entries = fs::read_dir(&self.path).map_err(failed)?;
        // Names that are not UTF-8 are not ours.
        entries
            .map(|entry| Ok(entry.map_err(failed)?.file_name().into_string().unwrap_or_default()))
            .collect()
    }

    fn finish_deletions(&self) -> Result<(), StateError> {
        for name in self.names()? {
            if name.strip_suffix(DELETED_SUFFIX).and_then(task_of).is_some() {
                remove(&self.path.join(name))?;
            }
        }
        Ok(())
    }
}

/// The task that has a directory of this name. `00_3` is not the name of `0_3`.
fn task_of(name: &str) -> Option<TaskId> {
    name.parse().ok().filter(|task: &TaskId| task.to_string() == name)
}

fn lock(directory: &Path) -> Result<File, StateError> {
    let path = directory.join(LOCK_FILE);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|error| StateError::io("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StateError::io("lock", &path, error)),
    }
}

fn process_id(directory: &Path) -> Result<Uuid, StateError> {
    let path = directory.join(PROCESS_FILE);
    match fs::read(&path) {
        Ok(bytes) => match parse_process_id(&bytes) {
            Ok(id) => return Ok(id),
            // As Kafka Streams does: the id only has to stay the same for as long as it can.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the process id cannot be read, a new one is drawn");
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StateError::io("read", &path, error)),
    }
    let id = Uuid::new_v4();
    let metadata = ProcessMetadata { process_id: id.to_string(), version: PROCESS_FILE_VERSION };
    let written =
        serde_json::to_vec(&metadata).map_err(io::Error::from).and_then(|bytes| replace(&path, &bytes));
    written.map_err(|error| StateError::io("write", &path, error))?;
    Ok(id)
}

fn parse_process_id(bytes: &[u8]) -> Result<Uuid, Box<dyn std::error::Error>> {
    let metadata: ProcessMetadata = serde_json::from_slice(bytes)?;
    Ok(metadata.process_id.parse()?)
}

/// Writes a file such that a crash leaves the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn remove(directory: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StateError::io("delete", directory, error))
        }
        _ => Ok(()),
    }
}

/// When anything in the task's directory was last written. A directory's own time tells only of files that came and
/// went, so the files of the database are asked too.
fn last_write(task: &Path) -> Result<Timestamp, StateError> {
    let stores = task.join(STORES_DIRECTORY);
    let mut latest = modified(task)?;
    let entries = match fs::read_dir(&stores) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(latest),
        Err(error) => return Err(StateError::io("list", &stores, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| StateError::io("list", &stores, error))?;
        latest = latest.max(modified(&entry.path())?);
    }
    Ok(latest)
}

fn modified(path: &Path) -> Result<Timestamp, StateError> {
    let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
    let time: SystemTime = metadata.map_err(|error| StateError::io("read", path, error))?;
    let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Ok(Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskId = TaskId { subtopology: 0, partition: 3 };
    const OTHER: TaskId = TaskId { subtopology: 1, partition: 10 };
    const DELAY: Duration = Duration::from_secs(600);

    fn open(state_dir: &Path) -> StateDirectory {
        StateDirectory::open(state_dir, "app").unwrap()
    }

    fn with_tasks(state_dir: &Path) -> StateDirectory {
        let directory = open(state_dir);
        for task in [OTHER, TASK] {
            fs::create_dir_all(directory.stores_path(task)).unwrap();
            fs::write(directory.stores_path(task).join("000004.log"), b"x").unwrap();
        }
        directory
    }

    #[test]
    fn a_second_owner_is_refused_and_told_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        let error = StateDirectory::open(dir.path(), "app").unwrap_err();
        assert!(matches!(&error, StateError::Locked { path } if *path == dir.path().join("app")), "{error}");
        assert!(error.to_string().contains("in use by another process"), "{error}");
        StateDirectory::open(dir.path(), "other-app").unwrap();
        drop(first);
        open(dir.path());
    }

    #[test]
    fn the_process_id_is_drawn_once_and_written_as_kafka_streams_does() {
        let dir = tempfile::tempdir().unwrap();
        let id = open(dir.path()).process_id();
        assert_eq!(open(dir.path()).process_id(), id);
        let text = fs::read_to_string(dir.path().join("app/kafka-streams-process-metadata")).unwrap();
        assert_eq!(text, format!(r#"{{"processId":"{id}","version":1}}"#));
    }

    #[test]
    fn a_process_id_of_kafka_streams_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("app")).unwrap();
        let text = r#"{"processId":"8d2ed5d7-9c6b-4c3e-9f0a-2f4f3f1f7b11","version":1,"more":true}"#;
        fs::write(dir.path().join("app/kafka-streams-process-metadata"), text).unwrap();
        assert_eq!(open(dir.path()).process_id().to_string(), "8d2ed5d7-9c6b-4c3e-9f0a-2f4f3f1f7b11");
    }

    #[test]
    fn a_garbled_process_id_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app/kafka-streams-process-metadata");
        let first = open(dir.path()).process_id();
        fs::write(&file, b"{\"proc").unwrap();
        let second = open(dir.path()).process_id();
        assert_ne!(first, second);
        assert_eq!(open(dir.path()).process_id(), second);
    }

    #[test]
    fn only_directories_named_like_tasks_are_tasks() {
        let dir = tempfile::tempdir().unwrap();
        let directory = with_tasks(dir.path());
        for name in ["00_3", "+0_3", "0_3.bak", "lost+found", "0"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        assert_eq!(directory.tasks().unwrap(), [TASK, OTHER]);
        assert_eq!(directory.stores_path(TASK), dir.path().join("app/0_3/rocksdb"));
    }

    #[test]
    fn a_wipe_deletes_one_task_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let directory = with_tasks(dir.path());
        directory.wipe(TASK, WipeReason::Corrupt).unwrap();
        directory.wipe(TASK, WipeReason::Corrupt).unwrap();
        assert_eq!(directory.tasks().unwrap(), [OTHER]);
        assert!(!dir.path().join("app/0_3.deleted").exists());
    }

    #[test]
    fn a_deletion_cut_short_by_a_crash_is_finished_by_the_next_owner() {
        let dir = tempfile::tempdir().unwrap();
        let directory = with_tasks(dir.path());
        fs::rename(dir.path().join("app/0_3"), dir.path().join("app/0_3.deleted")).unwrap();
        drop(directory);
        let directory = open(dir.path());
        assert_eq!(directory.tasks().unwrap(), [OTHER]);
        assert!(!dir.path().join("app/0_3.deleted").exists());
    }

    #[test]
    fn obsolete_tasks_go_after_the_delay_and_those_in_use_stay() {
        let dir = tempfile::tempdir().unwrap();
        let directory = with_tasks(dir.path());
        let written = last_write(&directory.task_path(TASK)).unwrap();
        let soon = written.plus_millis(590_000);
        let later = written.plus_millis(700_000);
        assert_eq!(directory.clean_obsolete(soon, DELAY, &|_| false).unwrap(), []);
        assert_eq!(directory.clean_obsolete(Timestamp(0), DELAY, &|_| false).unwrap(), []);
        assert_eq!(directory.clean_obsolete(later, DELAY, &|task| task == TASK).unwrap(), [OTHER]);
        assert_eq!(directory.tasks().unwrap(), [TASK]);
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = StateDirectory::open(&file, "app").unwrap_err();
        assert!(matches!(&error, StateError::Io { path, .. } if path.starts_with(&file)), "{error}");
    }

    #[test]
    fn an_application_id_that_is_a_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["", "..", ".", "a/b", "a/", "a/.", "/etc", "../x"] {
            let error = StateDirectory::open(dir.path(), id).unwrap_err();
            assert!(matches!(error, StateError::BadApplicationId(_)), "{id}: {error}");
        }
    }
}
