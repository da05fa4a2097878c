//! What is left of the stores after a crash, a restore cut short, or damage.

use std::fs;
use std::path::Path;
use std::process::Command;

use riacho_topology::StoreIndex;
use riacho_topology::store::TaskStores as _;

use super::super::super::WipeReason;
use super::super::{RocksStores, StateError};
use super::{Entries, MIB, all_entries, copy, memory, meta, open, specs};

/// A put, or with no value a delete.
type Write = (StoreIndex, Vec<u8>, Option<Vec<u8>>);

/// A history whose every commit is known: what the stores must hold after `commits` of them.
struct History {
    commits: Vec<Vec<Write>>,
}

impl History {
    fn of(seed: u64, commits: u64) -> Self {
        let mut random = Random(seed);
        let commit = |_| {
            let entry = |random: &mut Random| {
                let store = StoreIndex(random.below(3) as u16);
                let key = random.below(2_000).to_be_bytes().to_vec();
                let value = (random.below(10) > 0).then(|| {
                    let noise = random.next().to_be_bytes();
                    noise.repeat(4 + random.below(30) as usize)
                });
                (store, key, value)
            };
            (0..1 + random.below(12)).map(|_| entry(&mut random)).collect()
        };
        History { commits: (0..commits).map(commit).collect() }
    }

    /// Goes on after the last commit that `stores` hold.
    fn write(&self, stores: &mut RocksStores, restoring: bool) {
        let reached = stores.meta().map_or(0, |meta| meta.commit.transaction);
        for (done, commit) in self.commits.iter().enumerate().skip(reached as usize) {
            for (store, key, value) in commit {
                match value {
                    Some(value) => stores.put(*store, key, value),
                    None => stores.delete(*store, key),
                }
            }
            let meta = meta(done as u64 + 1);
            let written = if restoring { stores.load(&meta) } else { stores.commit(&meta) };
            written.unwrap();
        }
    }

    fn up_to(mut self, commits: u64) -> Self {
        self.commits.truncate(commits as usize);
        self
    }

    fn after(&self, commits: u64) -> Entries {
        let mut entries = Entries::new();
        for (store, key, value) in self.commits.iter().take(commits as usize).flatten() {
            match value {
                Some(value) => entries.insert((*store, key.clone()), value.clone()),
                None => entries.remove(&(*store, key.clone())),
            };
        }
        entries
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const HISTORY_COMMITS: u64 = 1_000;
const PROCESS: &str = "process";
const RESTORE: &str = "restore";
const CHILD: &str = "RIACHO_STATE_TEST_CHILD";

/// Runs in a process of its own, see [`crashed`]: dies in the middle of its work.
#[test]
fn child_that_dies() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let mut arguments = arguments.splitn(4, ' ');
    let mut argument = || arguments.next().unwrap();
    let restoring = argument() == RESTORE;
    let (seed, commits) = (argument().parse().unwrap(), argument().parse().unwrap());
    let mut stores = RocksStores::open(Path::new(argument()), &specs(), &memory(MIB / 2)).unwrap();
    History::of(seed, HISTORY_COMMITS).up_to(commits).write(&mut stores, restoring);
    std::process::abort();
}

/// The directory that a process left which died right after commit `commits` of the history of `seed`.
fn crashed(how: &str, seed: u64, commits: u64, path: &Path) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::child_that_dies")])
        .env(CHILD, format!("{how} {seed} {commits} {}", path.display()))
        .output()
        .unwrap();
    assert!(!child.status.success() && path.exists(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn a_killed_process_loses_no_commit() {
    for seed in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        let commits = 150 * seed;
        crashed(PROCESS, seed, commits, dir.path());
        crashed(PROCESS, seed, commits + 7, dir.path());
        let mut stores = open(dir.path()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(stores.meta(), Some(&meta(commits + 7)), "seed {seed}");
        let expected = History::of(seed, HISTORY_COMMITS).after(commits + 7);
        assert!(all_entries(&mut stores).unwrap() == expected, "seed {seed}");
    }
}

#[test]
fn a_restore_cut_short_goes_on_where_its_offsets_say() {
    for seed in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        let mut reached = 0;
        for loads in [300, 600, 1_000] {
            crashed(RESTORE, seed, loads, dir.path());
            let mut stores = open(dir.path()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let before = reached;
            reached = stores.meta().map_or(0, |meta| meta.commit.transaction);
            assert!(
                before < reached && reached < loads,
                "seed {seed}: some loads were kept, not all: {reached}"
            );
            let expected = History::of(seed, HISTORY_COMMITS).after(reached);
            assert!(all_entries(&mut stores).unwrap() == expected, "seed {seed}, load {reached}");
        }
    }
}

#[test]
fn damage_is_found_or_costs_only_the_last_commits() {
    for seed in 1..=3 {
        let (found, lost) = damage_all_files(seed, 40);
        assert!(found > 0, "seed {seed}: no damage was found");
        println!("seed {seed}: {found} times found, {lost} times only the last commits were lost");
    }
}

/// Damages copies of a crashed directory in `tries` random ways. Each must be refused as corrupt, or open as the exact
/// state of the commit that the meta tells.
fn damage_all_files(seed: u64, tries: u64) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(seed);
    let image = dir.path().join("image");
    let mut commits = 0;
    for _ in 0..1 + random.below(3) {
        commits += 1 + random.below(HISTORY_COMMITS / 3);
        crashed(PROCESS, seed, commits, &image);
    }
    let history = History::of(seed, HISTORY_COMMITS);
    let mut files: Vec<_> = fs::read_dir(&image).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    let (mut found, mut lost) = (0, 0);
    for damage in 0..tries {
        let copied = dir.path().join(damage.to_string());
        copy(&image, &copied);
        // The MANIFEST is one file of many and the most delicate.
        let any = &files[random.below(files.len() as u64) as usize];
        let manifest = files.iter().find(|name| name.to_string_lossy().starts_with("MANIFEST")).unwrap();
        let file = copied.join(if random.below(3) == 0 { manifest } else { any });
        let what = damage_file(&file, &mut random);
        let place = format!("seed {seed}, damage {damage}: {what} of {}", file.display());
        let mut stores = match open(&copied) {
            Ok(stores) => stores,
            Err(error) => {
                assert_eq!(error.wipe_reason(), Some(WipeReason::Corrupt), "{place}: {error}");
                found += 1;
                continue;
            }
        };
        let reached = stores.meta().map_or(0, |meta| meta.commit.transaction);
        match all_entries(&mut stores) {
            Err(error) => {
                let reason = StateError::behind(&error).and_then(StateError::wipe_reason);
                assert_eq!(reason, Some(WipeReason::Corrupt), "{place}: {error}");
                found += 1;
            }
            Ok(entries) => {
                assert!(
                    entries == history.after(reached),
                    "{place}: wrong state at commit {reached} of {commits}"
                );
                lost += u64::from(reached < commits);
            }
        }
        drop(stores);
        fs::remove_dir_all(&copied).unwrap();
    }
    (found, lost)
}

fn damage_file(file: &Path, random: &mut Random) -> String {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len() as u64;
    let at = random.below(length.max(1));
    let what = match random.below(5) {
        0 => {
            fs::remove_file(file).unwrap();
            return "loss".to_owned();
        }
        1 => {
            bytes.truncate(at as usize);
            format!("truncation to {at} of {length} bytes")
        }
        2 => {
            bytes.truncate(length.saturating_sub(1 + random.below(200)) as usize);
            format!("truncation to {} of {length} bytes", bytes.len())
        }
        3 => {
            let end = (at + 512).min(length);
            bytes[at as usize..end as usize].fill(0);
            format!("zeroing of bytes {at}..{end} of {length}")
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at as usize) {
                *byte ^= 1 << random.below(8);
            }
            format!("a flipped bit in byte {at} of {length}")
        }
    };
    fs::write(file, bytes).unwrap();
    what
}
