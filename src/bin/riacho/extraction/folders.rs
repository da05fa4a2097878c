//! Where the files of an extraction lie, and what they are called.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use riacho::connect::files::remove_leftovers;

/// Digits of a sequence number, so that names sort as numbers do.
const DIGITS: usize = 8;
/// The longest name of a source: with the rest of a file's name it stays within 64 characters.
const SOURCE_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 64;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// Rows as they came.
    Raw,
    /// Rows with columns and types.
    Normalised,
    /// The same for other programs.
    Csv,
    /// Rows that could not be normalised, with the reason.
    Rejected,
}

impl Stage {
    pub(crate) const ALL: [Stage; 4] = [Stage::Raw, Stage::Normalised, Stage::Csv, Stage::Rejected];

    /// The name of its folder, and in answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Raw => "raw",
            Stage::Normalised => "normalised",
            Stage::Csv => "csv",
            Stage::Rejected => "rejected",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Stage::Raw => ".raw.parquet",
            Stage::Normalised => ".parquet",
            Stage::Csv => ".csv",
            Stage::Rejected => ".rejected.parquet",
        }
    }
}

/// The folders below `extraction.dir`, one per stage.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    root: PathBuf,
}

impl Folders {
    pub(crate) fn below(root: &Path) -> Folders {
        Folders { root: root.to_owned() }
    }

    /// Makes the folders that are missing and removes what killed processes have left in them.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        for stage in Stage::ALL {
            let folder = self.folder(stage);
            let told =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
            fs::create_dir_all(&folder).map_err(told)?;
            remove_leftovers(&folder).map_err(told)?;
        }
        Ok(())
    }

    pub(crate) fn folder(&self, stage: Stage) -> PathBuf {
        self.root.join(stage.name())
    }

    /// Where a file lies; `None` when the name could lead elsewhere.
    pub(crate) fn place(&self, stage: Stage, name: &str) -> Option<PathBuf> {
        is_plain(name).then(|| self.folder(stage).join(name))
    }

    /// The file of a stage that is made of the raw file with this number.
    pub(crate) fn file(&self, stage: Stage, source: &str, sequence: u64) -> PathBuf {
        self.folder(stage).join(file_name(stage, source, sequence))
    }
}

/// The name of a file, the same whenever and by whomever it is made.
pub(crate) fn file_name(stage: Stage, source: &str, sequence: u64) -> String {
    format!("{source}-{sequence:0DIGITS$}{}", stage.suffix())
}

/// Whether a name is that of a file in its folder and cannot be anything else.
pub(crate) fn is_plain(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a source may be called so.
pub(crate) fn is_source(name: &str) -> bool {
    (1..=SOURCE_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_their_numbers() {
        let names = [1, 9, 10, 99_999_999].map(|number| file_name(Stage::Raw, "vendas", number));
        assert_eq!(names[0], "vendas-00000001.raw.parquet");
        assert!(names.is_sorted());
        let longest = file_name(Stage::Rejected, &"a".repeat(SOURCE_CHARS_MAX), 99_999_999);
        assert!(is_plain(&longest), "{longest}");
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        let folders = Folders::below(Path::new("/dados"));
        for name in ["", "..", "../a", "a/b", ".a.tmp", "a\0b", "a\nb", "é", &"a".repeat(65)] {
            assert_eq!(folders.place(Stage::Raw, name), None, "{name:?}");
        }
        assert_eq!(folders.place(Stage::Raw, "a-1.parquet"), Some("/dados/raw/a-1.parquet".into()));
        assert!(!is_source("A") && !is_source("a/b") && !is_source("") && is_source("vendas-2"));
    }
}
