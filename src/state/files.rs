//! Looks at the files of a task's database before RocksDB opens them: RocksDB would repair some damage in silence that
//! has to be told, and never come back from some other.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::StateError;
use super::trail::ManifestLength;

/// Logs and MANIFESTs are written in blocks; a record's header never crosses the end of one.
const BLOCK_BYTES: u64 = 32 * 1024;

/// The MANIFEST that is in use.
#[derive(Debug)]
pub(super) struct Manifest {
    number: u64,
    path: PathBuf,
}

impl Manifest {
    /// The one that the file `CURRENT` in `database` names.
    pub(super) fn current(database: &Path) -> Result<Self, StateError> {
        let path = database.join("CURRENT");
        let bytes = fs::read(&path).map_err(|error| StateError::io("read", &path, error))?;
        let text = String::from_utf8_lossy(&bytes);
        let name = text.strip_suffix('\n').unwrap_or_default();
        let number = name.strip_prefix("MANIFEST-").and_then(|number| number.parse().ok());
        let number =
            number.ok_or_else(|| StateError::corrupt(database, format!("CURRENT holds {text:?}")))?;
        Ok(Manifest { number, path: database.join(name) })
    }

    /// How long it is; `None` when RocksDB has started another one and deleted it.
    pub(super) fn length(&self) -> Result<Option<ManifestLength>, StateError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(ManifestLength { number: self.number, bytes: metadata.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &self.path, error)),
        }
    }
}

/// Checks that RocksDB can be let loose on what is in `database`, and tells how long its MANIFEST is; a length of 0
/// when there is no database yet.
///
/// # Errors
/// [`StateError::Corrupt`] when a file is missing or damaged such that RocksDB would not tell.
pub(super) fn check(database: &Path) -> Result<ManifestLength, StateError> {
    let listed = |error| StateError::io("list", database, error);
    let mut logs = Vec::new();
    let mut tables = false;
    for entry in fs::read_dir(database).map_err(listed)? {
        let path = entry.map_err(listed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        tables |= name.ends_with(".sst");
        if name.starts_with("MANIFEST-") || name.ends_with(".log") {
            logs.push(path);
        }
    }
    let current = database.join("CURRENT");
    if !current.try_exists().map_err(|error| StateError::io("read", &current, error))? {
        // RocksDB would start a new database and replay the old one's log into it.
        let new = logs.is_empty() && !tables;
        return if new {
            Ok(ManifestLength::default())
        } else {
            Err(StateError::corrupt(database, "CURRENT is missing"))
        };
    }
    for log in &logs {
        let file = File::open(log).map_err(|error| StateError::io("open", log, error))?;
        if let Some(at) = find_recycled(file).map_err(|error| StateError::io("read", log, error))? {
            let what = format!("byte {at} of {} cannot be the type of a record there", log.display());
            return Err(StateError::corrupt(database, what));
        }
    }
    let manifest = Manifest::current(database)?;
    let length = manifest.length()?;
    length.ok_or_else(|| StateError::corrupt(database, format!("{} is missing", manifest.path.display())))
}

/// The place of the first record of a type that only recycled logs have.
///
/// We recycle none, but one flipped bit makes such a record of an ordinary one, and RocksDB 11.8 then reads it again
/// and again without end. Checksums are left to RocksDB: where they are wrong it skips the rest of the block, so this
/// sees all records that it sees.
fn find_recycled(mut log: impl Read) -> io::Result<Option<u64>> {
    const HEADER_BYTES: usize = 7;
    const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
    let mut block = Vec::new();
    for start in (0..).step_by(BLOCK_BYTES as usize) {
        block.clear();
        if log.by_ref().take(BLOCK_BYTES).read_to_end(&mut block)? == 0 {
            break;
        }
        let mut at = 0;
        // Checksum, length, type. A length of 0 with type 0 is where a block was filled up.
        while let Some(&[_, _, _, _, low, high, kind]) =
            block.get(at..).and_then(<[u8]>::first_chunk::<HEADER_BYTES>)
        {
            if RECYCLED.contains(&kind) {
                return Ok(Some(start + at as u64 + 6));
            }
            let length = usize::from(u16::from_le_bytes([low, high]));
            if length == 0 && kind == 0 {
                break;
            }
            at += HEADER_BYTES + length;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: usize) -> Vec<u8> {
        let [low, high] = (length as u16).to_le_bytes();
        [vec![1, 2, 3, 4, low, high, kind], vec![kind; length]].concat()
    }

    #[test]
    fn a_recycled_record_is_found_where_it_stands() {
        let log = [record(1, 100), record(130, 8), record(5, 10)].concat();
        assert_eq!(find_recycled(log.as_slice()).unwrap(), Some(107 + 15 + 6));
        let two_blocks = [record(2, BLOCK_BYTES as usize - 7), record(4, 50), record(131, 0)].concat();
        assert_eq!(find_recycled(two_blocks.as_slice()).unwrap(), Some(BLOCK_BYTES + 57 + 6));
    }

    #[test]
    fn bytes_that_are_not_types_are_not_taken_for_them() {
        let padded = [record(1, BLOCK_BYTES as usize - 7 - 6), vec![5; 6], record(1, 9)].concat();
        let cut = record(1, 100)[..60].to_vec();
        let zeroed = [record(1, 10), vec![0; 500], record(5, 10)].concat();
        for log in [vec![], record(1, 0), [record(1, 5), record(1, 8)].concat(), padded, cut, zeroed] {
            assert_eq!(find_recycled(log.as_slice()).unwrap(), None);
        }
    }
}
