//! Two instances that share the partitions of stores, with their own HTTP servers.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use riacho_topology::store::{StoreKind, StoreSpec, layout};
use riacho_topology::{BigEndian, StoreIndex, TaskId, TimeWindows, Timestamp, TopicPartition, Utf8};
use serde_json::Value;

use super::read::tests::Shelf;
use super::site::{Neighbours, Site, StoreFacts};
use super::{KeyValueView, Paging, Queries, QueryError, Readers, WindowView};
use crate::clock::SystemClock;
use crate::lifecycle::{Lifecycle, Limits};
use crate::observe::HttpServer;
use crate::observe::http::percent_encoded;
use crate::observe::peer::{PeerRequest, ask_all};
use crate::ports::{ClientError, OwnerDirectory, ReaderRegistry as _};

const PARTITIONS: i32 = 4;
const TOKEN: &str = "abre-te, sésamo";

/// What the instances tell each other.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<BTreeMap<TopicPartition, String>>>);

impl OwnerDirectory for Board {
    fn claim(&self, partitions: &[TopicPartition], address: &str) -> Result<(), ClientError> {
        self.0.lock().unwrap().extend(partitions.iter().map(|at| (at.clone(), address.to_owned())));
        Ok(())
    }

    fn owners(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<String>>, ClientError> {
        let board = self.0.lock().unwrap();
        Ok(partitions.iter().map(|at| board.get(at).cloned()).collect())
    }
}

struct Instance {
    counts: KeyValueView<String, u64>,
    open: WindowView<String, u64>,
    site: Arc<Site>,
    server: HttpServer,
}

fn windows() -> TimeWindows {
    TimeWindows::of_size_and_grace(Duration::from_millis(10), Duration::ZERO).unwrap()
}

fn stores() -> BTreeMap<String, StoreFacts> {
    let kinds = [("counts", StoreKind::KeyValue), ("open", StoreKind::Window(windows()))];
    let facts = |(name, kind): (&str, StoreKind), subtopology| {
        let spec = StoreSpec { name: name.to_owned(), kind };
        let lead = format!("lead-{subtopology}");
        (
            name.to_owned(),
            StoreFacts { spec, index: StoreIndex(0), subtopology, lead, partitions: PARTITIONS },
        )
    };
    kinds.into_iter().zip(0..).map(|(kind, subtopology)| facts(kind, subtopology)).collect()
}

impl Instance {
    fn start(board: &Board, token: &str) -> Instance {
        let queries = Queries::new();
        let counts = queries.key_value("counts", Utf8, BigEndian).show();
        let open = queries.windowed("open", Utf8, BigEndian).show();
        queries.check(&stores()).unwrap();
        let pages = queries.pages().with_token(Some(token.to_owned()));
        let server = HttpServer::start("127.0.0.1:0", pages).unwrap();
        let second = Duration::from_secs(1);
        let limits = Limits { poll_age_max: second, commit_age_max: second };
        let neighbours = Neighbours {
            directory: Box::new(board.clone()),
            address: server.local_addr().to_string(),
            token: Some(token.to_owned()),
        };
        let site = Arc::new(Site::new(
            stores(),
            Arc::new(Readers::default()),
            Some(neighbours),
            Lifecycle::new("app", NonZeroUsize::MIN, limits),
            Arc::new(SystemClock::new()),
        ));
        queries.bind(Arc::clone(&site)).unwrap();
        Instance { counts, open, site, server }
    }

    /// Runs the task of a partition, with these entries of its own.
    fn run(&self, store: &str, partition: i32, entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let task = self.site.stores[store].task(partition);
        self.site.readers.opened(task, Arc::new(Shelf(entries.into_iter().collect())));
        self.site.announce().unwrap();
    }

    fn ask(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        let request = PeerRequest {
            address: self.server.local_addr().to_string(),
            path: path.to_owned(),
            token: token.map(str::to_owned),
        };
        let answer = ask_all(&[request]).remove(0).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask(path, Some(TOKEN))
    }
}

fn stored(value: u64) -> Vec<u8> {
    [5i64.to_be_bytes(), value.to_be_bytes().map(|byte| byte)].concat()
}

/// Puts counts onto two instances, by the partition of their keys.
fn two_with(counts: &BTreeMap<String, u64>) -> (Instance, Instance) {
    let board = Board::default();
    let pair = (Instance::start(&board, TOKEN), Instance::start(&board, TOKEN));
    for partition in 0..PARTITIONS {
        let facts = &stores()["counts"];
        let entries = counts.iter().filter(|(key, _)| facts.partition_of(key.as_bytes()) == partition);
        let instance = if partition % 2 == 0 { &pair.0 } else { &pair.1 };
        instance.run(
            "counts",
            partition,
            entries.map(|(key, &count)| (key.clone().into_bytes(), stored(count))),
        );
    }
    pair
}

fn numbered(keys: usize) -> BTreeMap<String, u64> {
    (0..keys).map(|n| (format!("k{n:03}"), n as u64)).collect()
}

#[test]
fn either_instance_answers_for_every_key() {
    let counts = numbered(40);
    let (one, two) = two_with(&counts);
    for instance in [&one, &two] {
        for (key, &count) in &counts {
            let entry = instance.counts.get(key).unwrap().unwrap();
            assert_eq!((&entry.key, entry.value, entry.time), (key, count, Timestamp(5)));
        }
        assert_eq!(instance.counts.get(&"nobody".to_owned()).unwrap(), None);
    }
}

#[test]
fn ranges_are_merged_over_all_instances_page_by_page() {
    let counts = numbered(40);
    let (one, two) = two_with(&counts);
    for instance in [&one, &two] {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let (from, to) = ("k003".to_owned(), "k031".to_owned());
            let listing =
                instance.counts.range(Some(&from), Some(&to), &Paging::first(7).after(next)).unwrap();
            assert!(listing.entries.len() <= 7);
            found.extend(listing.entries.into_iter().map(|entry| entry.value));
            next = listing.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, (3..=31).collect::<Vec<u64>>());
    }
}

#[test]
fn while_a_partition_is_nowhere_the_answer_is_to_try_again() {
    let board = Board::default();
    let (one, two) = (Instance::start(&board, TOKEN), Instance::start(&board, TOKEN));
    let facts = &stores()["counts"];
    let key = (0..).map(|n| format!("k{n}")).find(|key| facts.partition_of(key.as_bytes()) == 1).unwrap();
    one.run("counts", 0, []);
    let (status, answer) = one.get(&format!("/stores/counts/keys/{key}"));
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().unwrap().contains("partition 1 does not run here"), "{answer}");
    assert!(matches!(one.counts.all(&Paging::default()), Err(QueryError::Unavailable { .. })));

    // It begins to run at the other, which the first finds out by itself.
    two.run("counts", 1, [(key.clone().into_bytes(), stored(7))]);
    assert_eq!(one.counts.get(&key).unwrap().map(|entry| entry.value), Some(7));
    // It has moved, and the other does not have it any more.
    two.site.readers.opened(facts.task(1), Arc::new(Closed));
    one.run("counts", 1, [(key.clone().into_bytes(), stored(8))]);
    for instance in [&one, &two] {
        assert_eq!(instance.counts.get(&key).unwrap().map(|entry| entry.value), Some(8));
    }
}

/// The state of a task that has ended.
struct Closed;

impl crate::ports::StateReader for Closed {
    fn is_open(&self) -> bool {
        false
    }

    fn get(&self, _: StoreIndex, _: &[u8]) -> Result<Option<Vec<u8>>, crate::ports::ReadError> {
        Err(crate::ports::ReadError::Closed)
    }

    fn scan(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: &mut crate::ports::Look<'_>,
    ) -> Result<(), crate::ports::ReadError> {
        Err(crate::ports::ReadError::Closed)
    }
}

#[test]
fn an_instance_that_is_gone_is_named() {
    let (one, two) = two_with(&numbered(40));
    let address = two.server.local_addr().to_string();
    two.server.stop();
    let error = one.counts.all(&Paging::default()).unwrap_err();
    assert_eq!(error.status(), 503);
    assert!(error.to_string().contains(&address), "{error}");
    assert_eq!(error.page().header("retry-after"), Some("1"));
}

#[test]
fn instances_with_different_tokens_do_not_answer_each_other() {
    let board = Board::default();
    let (one, two) = (Instance::start(&board, TOKEN), Instance::start(&board, "another"));
    (0..PARTITIONS).for_each(|partition| two.run("counts", partition, []));
    let error = one.counts.all(&Paging::default()).unwrap_err().to_string();
    assert!(error.contains("riacho.http.token"), "{error}");
}

#[test]
fn who_does_not_know_the_token_reads_nothing() {
    let (one, _two) = two_with(&numbered(4));
    for path in ["/stores", "/stores/counts/keys/k001", "/stores/counts/range", "/partitions/counts/0?get=6b"]
    {
        for token in [None, Some("sesame"), Some("")] {
            assert_eq!(one.ask(path, token).0, 401, "{path} with {token:?}");
        }
        assert_ne!(one.get(path).0, 401, "{path}");
    }
}

#[test]
fn another_instances_question_is_never_passed_on() {
    let (one, two) = two_with(&numbered(4));
    let here = |instance: &Instance, partition| {
        let path = format!("/partitions/counts/{partition}?scan=&limit=10&bytes=1000");
        instance.get(&path).0
    };
    assert_eq!((here(&one, 0), here(&one, 1)), (200, 503));
    assert_eq!((here(&two, 0), here(&two, 1)), (503, 200));
    assert_eq!(one.get("/partitions/counts/99?get=").0, 503);
    assert_eq!(one.get("/partitions/counts/x?get=").0, 400);
    assert_eq!(one.get("/partitions/counts/0?get=zz").0, 400);
    assert_eq!(one.get("/partitions/none/0?get=").0, 404);
}

#[test]
fn stores_are_described_with_the_owners_of_their_partitions() {
    let (one, two) = two_with(&numbered(4));
    let (status, answer) = one.get("/stores");
    assert_eq!(status, 200);
    let counts = answer["stores"].as_array().unwrap().iter().find(|store| store["name"] == "counts").unwrap();
    assert_eq!((counts["kind"].as_str(), counts["shown"].as_bool()), (Some("key-value"), Some(true)));
    let owners: BTreeSet<_> = (0..PARTITIONS as usize)
        .map(|at| counts["partitions"][at]["owner"].as_str().unwrap().to_owned())
        .collect();
    let addresses = [&one, &two].map(|instance| instance.server.local_addr().to_string());
    assert_eq!(owners, addresses.into_iter().collect());
    assert_eq!(counts["partitions"][1]["state"], "elsewhere");
    let open = one.get("/stores/open").1;
    assert_eq!((open["kind"].as_str(), open["window_size_ms"].as_i64()), (Some("window"), Some(10)));
    assert_eq!(open["partitions"][0]["state"], "unavailable");
}

#[test]
fn pages_say_what_is_wrong_with_a_question() {
    let (one, _two) = two_with(&numbered(40));
    for (path, status) in [
        ("/stores/nothing", 404),
        ("/stores/nothing/keys/a", 404),
        ("/stores/counts/keys/absent", 404),
        ("/stores/counts/keys/a/b", 404),
        ("/stores/counts/else", 404),
        ("/stores/counts/windows/a", 400),
        ("/stores/open/keys/a", 400),
        ("/stores/counts/keys/%ff", 400),
        ("/stores/counts/range?limit=0", 400),
        ("/stores/counts/range?limit=1001", 400),
        ("/stores/counts/range?limit=x", 400),
        ("/stores/counts/range?after=x", 400),
        ("/stores/counts/range?from=%zz", 400),
        ("/stores/open/windows/a?from=x", 400),
    ] {
        let (found, answer) = one.get(path);
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|reason| reason.len() > 10), "{path}: {answer}");
    }
    let long = "k".repeat(5000);
    assert_eq!(one.get(&format!("/stores/counts/keys/{long}")).0, 414);
    let (status, page) = one.get("/stores/counts/range?from=k010&to=k012&limit=2");
    assert_eq!((status, page["entries"][1]["key"].as_str()), (200, Some("k011")));
    let next = page["next"].as_str().unwrap();
    let (_, page) = one.get(&format!("/stores/counts/range?from=k010&to=k012&limit=2&after={next}"));
    assert_eq!(page["entries"], serde_json::json!([{ "key": "k012", "value": 12, "time": 5 }]));
    assert_eq!(page["next"], Value::Null);
}

fn local(start: i64, key: &str) -> Vec<u8> {
    let mut out = Vec::new();
    layout::window_key(Timestamp(start), key.as_bytes(), &mut out);
    out
}

#[test]
fn windows_of_a_key_and_of_all_keys_come_oldest_first() {
    let board = Board::default();
    let (one, two) = (Instance::start(&board, TOKEN), Instance::start(&board, TOKEN));
    let facts = &stores()["open"];
    let entries: Vec<(i64, &str)> =
        [0, 10, 20].into_iter().flat_map(|start| ["a", "b", "c"].map(|key| (start, key))).collect();
    for partition in 0..PARTITIONS {
        let instance = if partition % 2 == 0 { &one } else { &two };
        let own = entries.iter().filter(|(_, key)| facts.partition_of(key.as_bytes()) == partition);
        instance.run("open", partition, own.map(|(start, key)| (local(*start, key), stored(*start as u64))));
    }
    for instance in [&one, &two] {
        let fetched = |from, to, paging: &Paging| {
            let listing =
                instance.open.fetch(&"b".to_owned(), Timestamp(from), Timestamp(to), paging).unwrap();
            (listing.entries.iter().map(|entry| entry.value).collect::<Vec<_>>(), listing.next)
        };
        assert_eq!(fetched(0, 20, &Paging::default()).0, [0, 10, 20]);
        assert_eq!(fetched(1, 19, &Paging::default()).0, [10]);
        let (first, next) = fetched(0, 20, &Paging::first(2));
        assert_eq!((first, fetched(0, 20, &Paging::first(2).after(next))), (vec![0, 10], (vec![20], None)));
        let all = instance.open.all(Timestamp(0), Timestamp(10), &Paging::default()).unwrap();
        let found: Vec<_> = all.entries.iter().map(|e| (e.key.window.start.0, e.key.key.as_str())).collect();
        assert_eq!(found, entries[..6]);
        let (_, page) = instance.get("/stores/open/windows/b?from=10&to=10");
        let expected = serde_json::json!([{ "key": "b", "start": 10, "end": 20, "value": 10, "time": 5 }]);
        assert_eq!(page["entries"], expected);
        let (_, page) = instance.get("/stores/open/windows?limit=4");
        assert_eq!(page["entries"][3]["start"], 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_key_is_too_strange_to_be_asked_for(
        keys in proptest::collection::btree_set("\\PC{0,12}|[%/?&#+ .\0\n\"]{1,6}|(\u{202e}|\u{1F600}|é){1,4}", 1..12),
    ) {
        let counts: BTreeMap<String, u64> = keys.into_iter().zip(1..).collect();
        let (one, two) = two_with(&counts);
        for instance in [&one, &two] {
            for (key, &count) in &counts {
                let (status, answer) = instance.get(&format!("/stores/counts/keys/{}", percent_encoded(key)));
                prop_assert_eq!(status, 200, "{:?}", key);
                prop_assert_eq!((answer["key"].as_str(), answer["value"].as_u64()), (Some(key.as_str()), Some(count)));
            }
            let (_, page) = instance.get("/stores/counts/range");
            let found: Vec<_> = page["entries"].as_array().unwrap().iter().map(|e| e["key"].as_str().unwrap()).collect();
            prop_assert_eq!(found, counts.keys().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_key_of_a_mebibyte_is_listed_and_does_not_end_the_paging() {
    let long = "m".repeat(1 << 20);
    let counts = BTreeMap::from([("a".to_owned(), 1), (long.clone(), 2), ("z".to_owned(), 3)]);
    let (one, _two) = two_with(&counts);
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = one.get(&format!("/stores/counts/range?limit=1&after={after}"));
        assert_eq!(status, 200);
        found.push(page["entries"][0]["value"].as_u64().unwrap());
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(found, [1, 2, 3]);
    assert!(matches!(one.counts.get(&long), Err(QueryError::KeyTooLong { bytes, .. }) if bytes == 1 << 20));
}

#[test]
fn a_view_of_what_is_not_there_is_refused_at_the_start() {
    let queries = Queries::new();
    let _ = queries.key_value::<String, u64>("open", Utf8, BigEndian);
    let refused = queries.check(&stores()).unwrap_err();
    assert!(refused.contains("key-value store 'open'") && refused.contains("open (window)"), "{refused}");
    let before =
        queries.key_value::<String, u64>("counts", Utf8, BigEndian).get(&"a".to_owned()).unwrap_err();
    assert!(before.to_string().contains("not started"), "{before}");
}

#[test]
fn a_view_with_other_serdes_says_so() {
    let (one, _two) = two_with(&numbered(1));
    let key = TaskId { subtopology: 0, partition: stores()["counts"].partition_of(b"k000") };
    one.site.readers.opened(key, Arc::new(Shelf([(b"k000".to_vec(), vec![1, 2, 3])].into_iter().collect())));
    assert_eq!(one.counts.get(&"k000".to_owned()).unwrap_err().status(), 500);
}
