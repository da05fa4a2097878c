//! Which rows were there already, by their id.

use std::collections::{BTreeMap, HashSet, VecDeque};

use riacho::connect::files::{Checksum, ParquetError, ParquetSource};
use serde::{Deserialize, Serialize};

use super::folders::{Folders, Stage};
use super::text::write_text;

/// An id, by its hash: ids may be long, and there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdHash(u128);

impl IdHash {
    /// The hash of the parts of an id.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> IdHash {
        let mut bytes = Vec::with_capacity(64);
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        let checksum = Checksum::of_bytes(&bytes);
        let half = checksum.as_bytes().first_chunk().copied().unwrap_or_default();
        IdHash(u128::from_le_bytes(half))
    }
}

/// A normalised file whose ids count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecentFile {
    pub(crate) path: String,
    pub(crate) rows: u64,
    /// The names of the columns that make the id.
    pub(crate) id: Vec<String>,
}

impl RecentFile {
    /// The files whose ids still count once this one has come: the newest, up to so many rows and files.
    pub(crate) fn keep(recent: &mut Vec<RecentFile>, newest: RecentFile, rows_max: u64) {
        /// Beyond this many files looking into each costs more than it finds.
        const FILES_MAX: usize = 64;
        recent.push(newest);
        let mut rows = 0u64;
        let kept = recent.iter().rev().take(FILES_MAX).take_while(|file| {
            rows = rows.saturating_add(file.rows);
            rows <= rows_max
        });
        let kept = kept.count();
        recent.drain(..recent.len() - kept);
    }
}

/// The ids of a source's newest files, kept from one file to the next so that each is read once.
#[derive(Debug, Default)]
pub(crate) struct SeenIds {
    files: VecDeque<(String, HashSet<IdHash>)>,
}

impl SeenIds {
    /// Reads what is missing and forgets what does not count any more.
    ///
    /// # Errors
    /// When a file cannot be read. One that is gone is taken for empty: somebody has tidied up.
    pub(crate) fn follow(&mut self, folders: &Folders, recent: &[RecentFile]) -> Result<(), ParquetError> {
        let mut known: BTreeMap<String, HashSet<IdHash>> = self.files.drain(..).collect();
        for file in recent {
            let ids = match known.remove(&file.path) {
                Some(ids) => ids,
                None => ids_of(folders, file)?,
            };
            self.files.push_back((file.path.clone(), ids));
        }
        Ok(())
    }

    /// The file that has this id.
    pub(crate) fn find(&self, id: IdHash) -> Option<&str> {
        self.files.iter().find(|(_, ids)| ids.contains(&id)).map(|(path, _)| path.as_str())
    }

    /// Keeps the ids of a file that was just made, so that it need not be read.
    pub(crate) fn add(&mut self, path: String, ids: HashSet<IdHash>) {
        self.files.push_back((path, ids));
    }
}

fn ids_of(folders: &Folders, file: &RecentFile) -> Result<HashSet<IdHash>, ParquetError> {
    let Some(path) = folders.place(Stage::Normalised, &file.path).filter(|path| path.exists()) else {
        tracing::warn!(file = file.path, "the file is gone: rows that it holds are not known again");
        return Ok(HashSet::new());
    };
    let source = ParquetSource::open(&path)?;
    let at = |name: &String| source.schema().index_of(name).ok();
    let Some(columns) = file.id.iter().map(at).collect::<Option<Vec<usize>>>() else {
        return Ok(HashSet::new());
    };
    let mut ids = HashSet::with_capacity(usize::try_from(source.rows()).unwrap_or_default());
    for batch in source.batches(8 * 1024, Some(&columns)) {
        let batch = batch?;
        // A projection has its columns in the order of the file, an id in the order of its parts.
        let names = batch.schema();
        let parts: Vec<_> = file.id.iter().filter_map(|name| names.index_of(name).ok()).collect();
        let mut texts = vec![String::new(); parts.len()];
        for row in 0..batch.num_rows() {
            for (text, part) in texts.iter_mut().zip(&parts) {
                text.clear();
                write_text(text, batch.column(*part), row);
            }
            ids.insert(IdHash::of(texts.iter().map(String::as_str)));
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(path: &str, rows: u64) -> RecentFile {
        RecentFile { path: path.to_owned(), rows, id: vec!["id".to_owned()] }
    }

    #[test]
    fn parts_of_an_id_do_not_run_into_one_another() {
        assert_ne!(IdHash::of(["a", "bc"]), IdHash::of(["ab", "c"]));
        assert_ne!(IdHash::of(["a"]), IdHash::of(["a", ""]));
        assert_eq!(IdHash::of(["a", "b"]), IdHash::of(["a", "b"]));
    }

    #[test]
    fn only_the_newest_files_count() {
        let mut files = Vec::new();
        for (path, rows) in [("a", 10), ("b", 10), ("c", 10)] {
            RecentFile::keep(&mut files, recent(path, rows), 25);
        }
        assert_eq!(files, [recent("b", 10), recent("c", 10)]);
        RecentFile::keep(&mut files, recent("d", 26), 25);
        assert_eq!(files, [], "a file beyond the bound is not looked into");
        (0..100).for_each(|_| RecentFile::keep(&mut files, recent("e", 0), 25));
        assert_eq!(files.len(), 64);
    }
}
