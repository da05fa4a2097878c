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
    let manifest = Manifest::current(database)?;
    let mut length = None;
    for log in &logs {
        let file = File::open(log).map_err(|error| StateError::io("open", log, error))?;
        let records = walk(file).map_err(|error| StateError::io("read", log, error))?;
        if let Some(at) = records.recycled_at {
            let what = format!("byte {at} of {} cannot be the type of a record there", log.display());
            return Err(StateError::corrupt(database, what));
        }
        if *log == manifest.path {
            length = Some(ManifestLength { number: manifest.number, bytes: records.whole_bytes });
        }
    }
    length.ok_or_else(|| StateError::corrupt(database, format!("{} is missing", manifest.path.display())))
}

/// What the headers of a log's records tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Records {
    /// The place of the first record's type that only recycled logs have.
    ///
    /// We recycle none, but one flipped bit makes such a record of an ordinary one, and RocksDB 11.8 then reads it
    /// again and again without end.
    recycled_at: Option<u64>,
    /// Where the last record ends before the first one that is cut off or zeroed. RocksDB takes that for the end.
    whole_bytes: u64,
}

/// Reads the headers. Checksums are left to RocksDB: where they are wrong it skips the rest of the block, so this sees
/// all records that it sees.
fn walk(mut log: impl Read) -> io::Result<Records> {
    const HEADER_BYTES: usize = 7;
    const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];
    let mut records = Records::default();
    let mut whole = true;
    let mut block = Vec::new();
    for start in (0..).step_by(BLOCK_BYTES as usize) {
        block.clear();
        if log.by_ref().take(BLOCK_BYTES).read_to_end(&mut block)? == 0 {
            break;
        }
        let mut at = 0;
        // Checksum, length, type.
        while let Some(&[_, _, _, _, low, high, kind]) =
            block.get(at..).and_then(<[u8]>::first_chunk::<HEADER_BYTES>)
        {
            let end = at + HEADER_BYTES + usize::from(u16::from_le_bytes([low, high]));
            let zeroed = kind == 0 && end == at + HEADER_BYTES;
            if zeroed || end > block.len() {
                whole = false;
                break;
            }
            if RECYCLED.contains(&kind) {
                records.recycled_at.get_or_insert(start + at as u64 + 6);
            }
            if whole {
                records.whole_bytes = start + end as u64;
            }
            at = end;
        }
    }
    Ok(records)
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
        assert_eq!(walk(log.as_slice()).unwrap().recycled_at, Some(107 + 15 + 6));
        let two_blocks = [record(2, BLOCK_BYTES as usize - 7), record(4, 50), record(131, 0)].concat();
        assert_eq!(walk(two_blocks.as_slice()).unwrap().recycled_at, Some(BLOCK_BYTES + 57 + 6));
    }

    #[test]
    fn a_log_is_whole_up_to_what_is_cut_off_or_zeroed() {
        let block = BLOCK_BYTES as usize;
        let whole = |log: &[u8]| {
            let records = walk(log).unwrap();
            assert_eq!(records.recycled_at, None);
            records.whole_bytes as usize
        };
        assert_eq!(whole(&[]), 0);
        assert_eq!(whole(&record(1, 0)), 7);
        let padded = [record(1, block - 7 - 6), vec![5; 6], record(1, 9)].concat();
        assert_eq!(whole(&padded), padded.len());
        assert_eq!(whole(&padded[..block]), block - 6);
        assert_eq!(whole(&[record(1, 20), record(1, 100)].concat()[..60]), 27);
        assert_eq!(whole(&[record(1, 20), record(1, 100)].concat()[..30]), 27);
        assert_eq!(whole(&[record(1, 20), vec![0; 500], record(1, 9)].concat()), 27);
        assert_eq!(whole(&[record(1, 20), vec![0; block - 27], record(1, 9)].concat()), 27);
    }
}
