//! What every implementation of [`TaskStores`] must do, as a suite that each of them runs in its tests.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::error::StoreError;
use crate::ids::StoreIndex;
use crate::store::TaskStores;

/// Stores whose staged writes the suite can commit and abort.
pub trait CommittableStores: TaskStores {
    /// Makes everything that was staged visible at once.
    ///
    /// # Errors
    /// When the storage engine cannot write; then nothing of it is visible.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Forgets everything that was staged.
    fn abort(&mut self);
}

/// Gives the suite fresh, empty stores with the indexes `0..STORES`.
pub type Make<'m> = dyn FnMut() -> Box<dyn CommittableStores> + 'm;

/// How many stores the suite uses at the same time.
pub const STORES: u16 = 3;

const A: StoreIndex = StoreIndex(0);
const B: StoreIndex = StoreIndex(1);
const C: StoreIndex = StoreIndex(STORES - 1);

/// Runs the whole suite, a few random histories included.
///
/// # Panics
/// When the implementation breaks the contract; the message says where, and with which seed.
pub fn run(make: &mut Make<'_>) {
    a_fresh_store_is_empty(&mut *make());
    staged_writes_are_invisible_until_the_commit(&mut *make());
    an_abort_forgets_what_was_staged_and_nothing_else(&mut *make());
    a_commit_without_writes_changes_nothing(&mut *make());
    the_last_write_of_a_key_wins(&mut *make());
    writes_take_effect_in_the_order_they_were_staged(&mut *make());
    an_empty_value_is_a_value(&mut *make());
    get_clears_what_the_buffer_held(&mut *make());
    keys_are_bytes_in_the_order_of_bytes(&mut *make());
    scans_hold_their_bounds(&mut *make());
    a_range_delete_holds_its_bounds(&mut *make());
    an_empty_or_inverted_range_is_empty(&mut *make());
    the_last_key_follows_writes_and_deletes(&mut *make());
    stores_do_not_see_one_another(&mut *make());
    the_visitor_ends_the_scan_by_break_or_error(&mut *make());
    large_entries_come_back(&mut *make());
    for seed in 1..=8 {
        random_history(&mut *make(), seed, 400);
    }
}

/// Compares `stores` with a model through a random history of `steps` writes, commits, aborts and reads.
///
/// # Panics
/// When they differ; the message holds the seed.
pub fn random_history(stores: &mut dyn CommittableStores, seed: u64, steps: usize) {
    println!("store contract: random history, seed {seed}, {steps} steps");
    let mut random = Random::seeded(seed);
    let mut model = Model::default();
    for step in 0..steps {
        let place = format!("seed {seed}, step {step}");
        let store = StoreIndex(random.below(u64::from(STORES)) as u16);
        let (key, other) = (random.key(), random.key());
        match random.below(100) {
            0..40 => {
                let value = random.bytes(40);
                stores.put(store, &key, &value);
                model.staged.push(Write::Put(store, key, value));
            }
            40..52 => {
                stores.delete(store, &key);
                model.staged.push(Write::Delete(store, key));
            }
            52..58 => {
                stores.delete_range(store, &key, &other);
                model.staged.push(Write::DeleteRange(store, key, other));
            }
            58..70 => {
                done(stores.commit(), &place);
                model.commit();
            }
            70..74 => {
                stores.abort();
                model.staged.clear();
            }
            74..84 => {
                assert_eq!(read(stores, store, &key), model.entries(store).get(&key).cloned(), "{place}")
            }
            84..90 => {
                assert_eq!(last(stores, store), model.entries(store).keys().next_back().cloned(), "{place}")
            }
            90..97 => {
                let to = (random.below(4) > 0).then_some(other.as_slice());
                assert_eq!(entries(stores, store, &key, to), model.range(store, &key, to), "{place}");
            }
            _ => model.compare_all(stores, &place),
        }
    }
    done(stores.commit(), &format!("seed {seed}, the end"));
    model.commit();
    model.compare_all(stores, &format!("seed {seed}, the end"));
}

fn a_fresh_store_is_empty(stores: &mut dyn CommittableStores) {
    for store in [A, B, C] {
        assert_eq!(read(stores, store, b"ana"), None);
        assert_eq!(read(stores, store, b""), None);
        assert_eq!(entries(stores, store, b"", None), []);
        assert_eq!(last(stores, store), None);
    }
}

fn staged_writes_are_invisible_until_the_commit(stores: &mut dyn CommittableStores) {
    stores.put(A, b"kept", b"1");
    stores.put(A, b"gone", b"1");
    commit(stores);
    stores.put(A, b"kept", b"2");
    stores.delete(A, b"gone");
    stores.put(A, b"new", b"1");
    stores.delete_range(A, b"k", b"l");
    assert_eq!(read(stores, A, b"kept"), some(b"1"));
    assert_eq!(read(stores, A, b"gone"), some(b"1"));
    assert_eq!(read(stores, A, b"new"), None);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"gone", b"1"), (b"kept", b"1")]));
    assert_eq!(last(stores, A), some(b"kept"));
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"new", b"1")]));
}

fn an_abort_forgets_what_was_staged_and_nothing_else(stores: &mut dyn CommittableStores) {
    stores.put(A, b"ana", b"1");
    commit(stores);
    stores.put(A, b"ana", b"2");
    stores.put(B, b"bia", b"2");
    stores.delete_range(A, b"", b"z");
    stores.abort();
    assert_eq!(read(stores, A, b"ana"), some(b"1"));
    stores.put(A, b"caio", b"3");
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"ana", b"1"), (b"caio", b"3")]));
    assert_eq!(entries(stores, B, b"", None), []);
}

fn a_commit_without_writes_changes_nothing(stores: &mut dyn CommittableStores) {
    commit(stores);
    stores.put(A, b"ana", b"1");
    commit(stores);
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"ana", b"1")]));
}

fn the_last_write_of_a_key_wins(stores: &mut dyn CommittableStores) {
    stores.put(A, b"ana", b"1");
    stores.put(A, b"ana", b"2");
    stores.put(A, b"bia", b"1");
    stores.delete(A, b"bia");
    stores.delete(A, b"caio");
    stores.put(A, b"caio", b"3");
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"ana", b"2"), (b"caio", b"3")]));
}

fn writes_take_effect_in_the_order_they_were_staged(stores: &mut dyn CommittableStores) {
    stores.put(A, b"a1", b"before");
    stores.put(A, b"a2", b"before");
    commit(stores);
    stores.put(A, b"a3", b"before");
    stores.delete_range(A, b"a", b"b");
    stores.put(A, b"a2", b"after");
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"a2", b"after")]));
}

fn an_empty_value_is_a_value(stores: &mut dyn CommittableStores) {
    stores.put(A, b"ana", b"");
    commit(stores);
    assert_eq!(read(stores, A, b"ana"), some(b""));
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"ana", b"")]));
}

fn get_clears_what_the_buffer_held(stores: &mut dyn CommittableStores) {
    stores.put(A, b"ana", b"1");
    commit(stores);
    let mut value = b"left over".to_vec();
    assert!(done(stores.get(A, b"ana", &mut value), "get"));
    assert_eq!(value, b"1");
    assert!(!done(stores.get(A, b"bia", &mut value), "get"));
    assert!(value.is_empty(), "an absent key must leave an empty buffer");
}

fn keys_are_bytes_in_the_order_of_bytes(stores: &mut dyn CommittableStores) {
    let mut keys: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    keys.extend([vec![], vec![0, 0], vec![0, 0xff], vec![0xff, 0], vec![0xff; 30], b"\xc3\xa3".to_vec()]);
    for key in keys.iter().rev() {
        stores.put(B, key, key);
    }
    commit(stores);
    keys.sort();
    let found: Vec<Vec<u8>> = entries(stores, B, b"", None).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, keys);
    for key in &keys {
        assert_eq!(read(stores, B, key).as_ref(), Some(key));
    }
    assert_eq!(last(stores, B), Some(vec![0xff; 30]));
}

fn scans_hold_their_bounds(stores: &mut dyn CommittableStores) {
    for key in [b"a", b"b", b"c", b"d"] {
        stores.put(B, key, key);
        stores.put(A, key, b"another store's");
        stores.put(C, key, b"another store's");
    }
    commit(stores);
    let mut keys = |from: &[u8], to: Option<&[u8]>| -> Vec<u8> {
        entries(stores, B, from, to).into_iter().flat_map(|(key, _)| key).collect()
    };
    assert_eq!(keys(b"b", Some(b"d")), b"bc", "from inclusive, to exclusive");
    assert_eq!(keys(b"b", None), b"bcd");
    assert_eq!(keys(b"", Some(b"b")), b"a");
    assert_eq!(keys(b"a\0", Some(b"c\0")), b"bc", "bounds that are not keys");
    assert_eq!(keys(b"e", None), b"");
    assert_eq!(keys(b"", Some(b"")), b"");
    assert_eq!(keys(&[0xff; 9], None), b"");
}

fn a_range_delete_holds_its_bounds(stores: &mut dyn CommittableStores) {
    for key in [b"a".as_slice(), b"b", b"c", b"c\0", b"d"] {
        for store in [A, B, C] {
            stores.put(store, key, b"1");
        }
    }
    commit(stores);
    stores.delete_range(B, b"b", b"c\0");
    commit(stores);
    assert_eq!(entries(stores, B, b"", None), pairs(&[(b"a", b"1"), (b"c\0", b"1"), (b"d", b"1")]));
    assert_eq!(read(stores, B, b"b"), None);
    stores.delete_range(B, b"", b"\xff\xff");
    commit(stores);
    assert_eq!(entries(stores, B, b"", None), []);
    assert_eq!(entries(stores, A, b"", None).len(), 5);
    assert_eq!(entries(stores, C, b"", None).len(), 5);
}

fn an_empty_or_inverted_range_is_empty(stores: &mut dyn CommittableStores) {
    stores.put(A, b"b", b"1");
    commit(stores);
    stores.delete_range(A, b"b", b"b");
    stores.delete_range(A, b"c", b"a");
    stores.put(A, b"c", b"1");
    commit(stores);
    assert_eq!(entries(stores, A, b"", None), pairs(&[(b"b", b"1"), (b"c", b"1")]));
    assert_eq!(entries(stores, A, b"c", Some(b"a")), []);
    assert_eq!(entries(stores, A, b"b", Some(b"b")), []);
}

fn the_last_key_follows_writes_and_deletes(stores: &mut dyn CommittableStores) {
    for key in [b"a", b"b", b"c"] {
        stores.put(B, key, b"1");
    }
    stores.put(A, b"z", b"1");
    stores.put(C, b"", b"the empty key of the store after");
    commit(stores);
    assert_eq!(last(stores, B), some(b"c"));
    stores.delete(B, b"c");
    commit(stores);
    assert_eq!(last(stores, B), some(b"b"));
    stores.delete_range(B, b"b", b"z");
    commit(stores);
    assert_eq!(last(stores, B), some(b"a"));
    stores.delete(B, b"a");
    commit(stores);
    assert_eq!(last(stores, B), None);
    assert_eq!(last(stores, C), some(b""));
}

fn stores_do_not_see_one_another(stores: &mut dyn CommittableStores) {
    for (store, value) in [(A, b"a"), (B, b"b"), (C, b"c")] {
        stores.put(store, b"key", value);
        stores.put(store, &[0xff; 20], value);
    }
    commit(stores);
    stores.delete(B, b"key");
    commit(stores);
    assert_eq!(read(stores, A, b"key"), some(b"a"));
    assert_eq!(read(stores, B, b"key"), None);
    assert_eq!(read(stores, C, b"key"), some(b"c"));
    assert_eq!(entries(stores, A, b"", None).len(), 2);
    assert_eq!(entries(stores, B, b"", None), [([0xff; 20].to_vec(), b"b".to_vec())]);
}

fn the_visitor_ends_the_scan_by_break_or_error(stores: &mut dyn CommittableStores) {
    for key in [b"a", b"b", b"c"] {
        stores.put(A, key, b"1");
    }
    commit(stores);
    for (at_second, error) in [(Ok(ControlFlow::Break(())), None), (Err("enough"), Some("enough".to_owned()))]
    {
        let mut visits = 0;
        let result = stores.scan(A, b"", None, &mut |_, _| {
            visits += 1;
            if visits == 2 { at_second.map_err(StoreError::new) } else { Ok(ControlFlow::Continue(())) }
        });
        assert_eq!(result.err().map(|error| error.message), error);
        assert_eq!(visits, 2);
    }
}

fn large_entries_come_back(stores: &mut dyn CommittableStores) {
    let (key, value) = (vec![7; 60_000], vec![9; 1_000_000]);
    stores.put(A, &key, &value);
    commit(stores);
    assert!(read(stores, A, &key) == Some(value), "a value of a megabyte came back different");
    assert!(last(stores, A) == Some(key), "a key of 60,000 bytes came back different");
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn pairs(expected: &[(&[u8], &[u8])]) -> Pairs {
    expected.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn done<T>(result: Result<T, StoreError>, place: &str) -> T {
    result.unwrap_or_else(|error| panic!("{place}: {error} ({:?})", error.source))
}

fn commit(stores: &mut dyn CommittableStores) {
    done(stores.commit(), "commit");
}

fn read(stores: &mut dyn CommittableStores, store: StoreIndex, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    done(stores.get(store, key, &mut value), "get").then_some(value)
}

fn last(stores: &mut dyn CommittableStores, store: StoreIndex) -> Option<Vec<u8>> {
    done(stores.last_key(store), "last_key")
}

fn entries(stores: &mut dyn CommittableStores, store: StoreIndex, from: &[u8], to: Option<&[u8]>) -> Pairs {
    let mut found = Vec::new();
    let scan = stores.scan(store, from, to, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    });
    done(scan, "scan");
    found
}

enum Write {
    Put(StoreIndex, Vec<u8>, Vec<u8>),
    Delete(StoreIndex, Vec<u8>),
    DeleteRange(StoreIndex, Vec<u8>, Vec<u8>),
}

/// The contract in its simplest form. It is not `MemoryStores`: that one is on trial too.
#[derive(Default)]
struct Model {
    committed: BTreeMap<StoreIndex, BTreeMap<Vec<u8>, Vec<u8>>>,
    staged: Vec<Write>,
}

impl Model {
    fn entries(&mut self, store: StoreIndex) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        self.committed.entry(store).or_default()
    }

    fn commit(&mut self) {
        for write in std::mem::take(&mut self.staged) {
            match write {
                Write::Put(store, key, value) => drop(self.entries(store).insert(key, value)),
                Write::Delete(store, key) => drop(self.entries(store).remove(&key)),
                Write::DeleteRange(store, from, to) => {
                    self.entries(store).retain(|key, _| *key < from || to <= *key)
                }
            }
        }
    }

    fn range(&mut self, store: StoreIndex, from: &[u8], to: Option<&[u8]>) -> Pairs {
        let from = (Bound::Included(from), Bound::Unbounded);
        let entries = self.entries(store).range::<[u8], _>(from);
        let below = entries.take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to));
        below.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn compare_all(&mut self, stores: &mut dyn CommittableStores, place: &str) {
        for store in (0..STORES).map(StoreIndex) {
            assert_eq!(entries(stores, store, b"", None), self.range(store, b"", None), "{place}, {store:?}");
        }
    }
}

/// xorshift64*: the suite is used from other crates' tests and must not bring dependencies with it.
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        // Zero is the one state that a xorshift never leaves.
        Random((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    fn bytes(&mut self, length_max: u64) -> Vec<u8> {
        (0..self.below(length_max + 1)).map(|_| self.next() as u8).collect()
    }

    /// Few different keys, so that histories meet them again, among them the empty one and the largest bytes.
    fn key(&mut self) -> Vec<u8> {
        const BYTES: [u8; 4] = [0, 1, b'k', 0xff];
        (0..self.below(4)).filter_map(|_| BYTES.get(self.below(4) as usize).copied()).collect()
    }
}
