//! A file that appears under its name only when it is whole and on disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::checksum::Checksum;

const SUFFIX: &str = ".tmp";
const BUFFER_BYTES: usize = 256 * 1024;
/// How often a temporary file is made again that another process took for a leftover.
const TRIES_MAX: u32 = 10;

/// What a finished file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size.
    pub bytes: u64,
    /// The checksum of its content.
    pub checksum: Checksum,
}

/// A file under construction.
///
/// It grows under a temporary name beside its place. [`publish`](Self::publish) forces it to disk, gives it its name and
/// forces the folder to disk, so that after a crash at any moment the name stands for the whole file or for what was
/// there before. Dropping it leaves nothing; what a killed process leaves, [`remove_leftovers`] finds.
///
/// ```
/// use std::io::Write as _;
/// use riacho::connect::files::AtomicFile;
/// let folder = tempfile::tempdir()?;
/// let place = folder.path().join("rows.csv");
/// let mut file = AtomicFile::create(&place)?;
/// file.write_all(b"id\n1\n")?;
/// assert!(!place.exists());
/// let facts = file.publish()?;
/// assert_eq!((facts.bytes, std::fs::read(&place)?), (5, b"id\n1\n".to_vec()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    place: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl AtomicFile {
    /// Begins a file that will be at `place`, whose folder must exist.
    ///
    /// # Errors
    /// When the folder is not there or cannot be written to.
    pub fn create(place: &Path) -> io::Result<AtomicFile> {
        let (file, temporary) = create_temporary(place)?;
        Ok(AtomicFile {
            file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)),
            temporary,
            place: place.to_owned(),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lets the file appear at its place, over what was there.
    ///
    /// # Errors
    /// When it cannot be written in full, for example because the disk is full. Then nothing has appeared.
    pub fn publish(mut self) -> io::Result<FileFacts> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.place)?;
        // The lock goes with the file: until here nobody takes it for a leftover.
        self.file = None;
        // The name is on disk when its folder is.
        File::open(folder_of(&self.place))?.sync_all()?;
        let hash = std::mem::replace(&mut self.hash, Sha256::new());
        Ok(FileFacts { bytes: self.bytes, checksum: Checksum::of_hash(hash) })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Nobody will read it: what is buffered need not be written.
            drop(file.into_parts());
            fs::remove_file(&self.temporary).ok();
        }
    }
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file beside `place`, locked so that others see that somebody works on it.
fn create_temporary(place: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = place.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    for _ in 0..TRIES_MAX {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = folder_of(place).join(format!(".{name}.{}-{number}{SUFFIX}", process::id()));
        let file = match File::options().write(true).create_new(true).open(&temporary) {
            Ok(file) => file,
            // Left by a process with our number, in another container perhaps.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        file.lock()?;
        // Between its making and its lock a cleaner may have taken it for a leftover.
        if file.metadata()?.nlink() > 0 {
            return Ok((file, temporary));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("no temporary name is free beside {}", place.display()),
    ))
}

/// Removes the temporary files in `folder` whose makers are gone; tells how many. What living processes work on stays.
///
/// # Errors
/// When the folder cannot be listed.
pub fn remove_leftovers(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with('.') && name.ends_with(SUFFIX)) {
            continue;
        }
        // Its maker may finish at any moment: what is gone is no failure.
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock() {
            Ok(()) => removed += usize::from(fs::remove_file(&path).is_ok()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_not_there_at_every_moment() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.csv");
        let mut first = AtomicFile::create(&place).unwrap();
        first.write_all(b"first").unwrap();
        assert!(!place.exists());
        let facts = first.publish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"first");
        assert_eq!(facts, FileFacts { bytes: 5, checksum: Checksum::of_file(&place).unwrap() });

        let mut second = AtomicFile::create(&place).unwrap();
        second.write_all(&vec![b'x'; 3 * BUFFER_BYTES]).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"first", "the old one stays until the new one is whole");
        drop(second);
        assert_eq!(names(folder.path()), ["a.csv"], "what is given up leaves nothing");
    }

    #[test]
    fn a_file_that_cannot_appear_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.csv");
        fs::create_dir(&place).unwrap();
        let mut file = AtomicFile::create(&place).unwrap();
        file.write_all(b"x").unwrap();
        assert!(file.publish().is_err());
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn leftovers_of_the_dead_are_removed_and_work_under_way_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.csv");
        fs::write(folder.path().join(".a.csv.1-0.tmp"), "of a killed process").unwrap();
        fs::write(folder.path().join("b.tmp"), "somebody else's").unwrap();
        let mut under_way = AtomicFile::create(&place).unwrap();
        under_way.write_all(b"x").unwrap();
        assert_eq!(remove_leftovers(folder.path()).unwrap(), 1);
        under_way.publish().unwrap();
        assert_eq!(names(folder.path()), ["a.csv", "b.tmp"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = AtomicFile::create(&folder.path().join("nowhere/a.csv"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
