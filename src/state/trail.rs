//! The trail of the last commits in a task's database: proof, when it is opened again, that no commit before the last
//! one is missing.
//!
//! RocksDB's checksums find damaged bytes, but not bytes that are cleanly gone. When the MANIFEST loses its last
//! records, a flushed file is forgotten whose log has long been deleted, and the writes that came after it are
//! replayed over the hole. So each commit leaves a mark, in the same batch, in one of [`MARKS`] slots in turn: its
//! number, and how long the MANIFEST was. A hole then shows as a missing number, or as a MANIFEST that has become
//! shorter.

/// How many commits back the trail goes. More than can happen while one write buffer is flushed: what was flushed
/// earlier has its record in a MANIFEST whose length later marks hold.
pub(super) const MARKS: u64 = 128;

/// Which MANIFEST, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ManifestLength {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// What a commit leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Counted from 1.
    pub(super) commit: u64,
    pub(super) manifest: ManifestLength,
}

impl Mark {
    pub(super) fn slot(&self) -> u8 {
        (self.commit % MARKS) as u8
    }

    pub(super) fn encode(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (eight, number) in
            bytes.chunks_exact_mut(8).zip([self.commit, self.manifest.number, self.manifest.bytes])
        {
            eight.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (commit, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let length = rest.try_into().ok()?;
        let manifest =
            ManifestLength { number: u64::from_be_bytes(*number), bytes: u64::from_be_bytes(length) };
        Some(Mark { commit: u64::from_be_bytes(*commit), manifest })
    }
}

/// The number of the last commit, if `marks` and the MANIFEST as it was `found` before the database was opened prove
/// that none before it is missing; else what contradicts it.
pub(super) fn verify(marks: &[Mark], found: ManifestLength) -> Result<u64, String> {
    let Some(last) = marks.iter().max_by_key(|mark| mark.commit) else { return Ok(0) };
    for expected in last.commit.saturating_sub(MARKS - 1).max(1)..=last.commit {
        if !marks.iter().any(|mark| mark.commit == expected) {
            return Err(format!("commit {expected} is missing although commit {} is there", last.commit));
        }
    }
    let then = last.manifest;
    if found.number < then.number || (found.number == then.number && found.bytes < then.bytes) {
        return Err(format!(
            "MANIFEST-{:06} has {} bytes, at the last commit it was MANIFEST-{:06} with {}",
            found.number, found.bytes, then.number, then.bytes
        ));
    }
    Ok(last.commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: ManifestLength = ManifestLength { number: 5, bytes: 300 };

    fn trail(last: u64) -> Vec<Mark> {
        (last.saturating_sub(MARKS - 1).max(1)..=last)
            .map(|commit| Mark { commit, manifest: MANIFEST })
            .collect()
    }

    #[test]
    fn marks_come_back_and_share_a_slot_only_with_their_successors() {
        let mark = Mark { commit: 77, manifest: MANIFEST };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        assert_eq!(Mark::decode(&mark.encode()[1..]), None);
        assert_eq!(mark.slot(), Mark { commit: 77 + MARKS, ..mark }.slot());
    }

    #[test]
    fn a_whole_trail_gives_the_last_commit() {
        for last in [0, 1, MARKS - 1, MARKS, MARKS + 1, 1_000_000] {
            assert_eq!(verify(&trail(last), MANIFEST), Ok(last));
        }
    }

    #[test]
    fn a_gap_in_the_trail_is_found() {
        for gap in 0..MARKS as usize - 1 {
            let mut marks = trail(1_000);
            marks[gap].commit -= MARKS;
            assert!(verify(&marks, MANIFEST).is_err(), "gap at {gap}");
            marks.remove(gap);
            assert!(verify(&marks, MANIFEST).is_err(), "gap at {gap}");
        }
    }

    #[test]
    fn a_manifest_that_shrank_or_went_back_is_found() {
        assert!(verify(&trail(9), ManifestLength { bytes: 299, ..MANIFEST }).is_err());
        assert!(verify(&trail(9), ManifestLength { number: 4, bytes: 9_999 }).is_err());
        assert_eq!(verify(&trail(9), ManifestLength { bytes: 301, ..MANIFEST }), Ok(9));
        assert_eq!(verify(&trail(9), ManifestLength { number: 6, bytes: 10 }), Ok(9));
    }
}
