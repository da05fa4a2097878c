//! Interactive queries: what the stores hold, asked while the application runs, from any of its instances.
//!
//! ```text
//! Queries ── key_value(), windowed() ──> KeyValueView, WindowView      typed, for the program's own pages
//!    │                                        │ show(): also at /stores, as JSON
//!    └── handed to Launch::with_queries ──> Site: who has the partition?
//!                                            here ──> Readers: RocksDB, beside the stream thread
//!                                           there ──> the owner, over HTTP, one hop
//! ```
//!
//! Reads are of committed state: RocksDB never holds anything else. They take no lock that a stream thread waits for.
//! An answer is complete or an error; while a partition is restored or moves the error says so, and a little later the
//! answer is there.

mod announce;
mod error;
mod merge;
mod read;
mod readers;
mod shown;
mod site;
#[cfg(test)]
mod site_test;
mod view;
mod web;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use riacho_topology::Serde;

pub(crate) use announce::Announcer;
pub use error::QueryError;
pub use merge::Cursor;
pub(crate) use readers::Readers;
use shown::Shown;
pub use site::PartitionPlace;
pub(crate) use site::{Neighbours, Site, StoreFacts};
use view::Core;
pub use view::{Entry, KeyValueView, Listing, Paging, WindowView};

/// The stores of an application, as its pages and others may ask them.
///
/// Made first, then views of stores are made from it, and then the application is started with it. A clone is of the same
/// stores.
///
/// ```no_run
/// use riacho::config::Config;
/// use riacho::observe::http::{Page, Pages};
/// use riacho::query::{Paging, Queries};
/// use riacho::{BigEndian, Consumed, Grouped, Launch, Materialized, StreamsBuilder, Utf8};
///
/// let builder = StreamsBuilder::new();
/// let views = builder.stream("views", Consumed::<String, String>::with(Utf8, Utf8));
/// let _ = views.group_by_key(Grouped::with(Utf8, Utf8)).count(Materialized::named("per-page", BigEndian));
///
/// let queries = Queries::new();
/// // Also served as JSON: /stores/per-page/keys/home, /stores/per-page/range?limit=10
/// let per_page = queries.key_value::<String, u64>("per-page", Utf8, BigEndian).show();
/// let pages = Pages::new().with("/home", "views of the home page", move |_| {
///     match per_page.get(&"home".to_owned()) {
///         Ok(found) => Page::text(200, found.map_or(0, |entry| entry.value).to_string()),
///         Err(error) => error.page(),
///     }
/// });
/// let config = Config::of([("application.id", "views"), ("bootstrap.servers", "localhost:9092")])?;
/// let streams = Launch::of(builder.build()?, config).with_queries(queries).with_pages(pages).start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The types of a view are those of its serdes:
///
/// ```compile_fail
/// # use riacho::query::Queries;
/// # use riacho::{BigEndian, Utf8};
/// let counts = Queries::new().key_value::<String, u64>("per-page", Utf8, BigEndian);
/// counts.get(&7); // not a String
/// ```
#[derive(Clone, Default)]
pub struct Queries(Arc<Shared>);

#[derive(Default)]
struct Shared {
    site: OnceLock<Arc<Site>>,
    /// The kinds of stores that views were made of, by name.
    wanted: Mutex<BTreeMap<String, &'static str>>,
    /// The views that are served as JSON.
    shown: Mutex<BTreeMap<String, Arc<dyn Shown>>>,
}

impl Shared {
    fn site(&self, store: &str) -> Result<&Arc<Site>, QueryError> {
        self.site.get().ok_or_else(|| QueryError::Unavailable {
            store: store.to_owned(),
            reason: "the application has not started yet".to_owned(),
        })
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, &'static str>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Shown>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queries {
    /// No views yet.
    pub fn new() -> Queries {
        Queries::default()
    }

    /// A view of a key-value store, with the serdes that it was made with.
    pub fn key_value<K, V>(
        &self,
        store: impl Into<String>,
        key: impl Serde<K> + 'static,
        value: impl Serde<V> + 'static,
    ) -> KeyValueView<K, V> {
        KeyValueView::new(self.core(store.into(), site::KEY_VALUE, key, value))
    }

    /// A view of a window store, with the serdes that it was made with. The store holds the windows that are open:
    /// not ended, or ended for no longer than the grace.
    pub fn windowed<K, V>(
        &self,
        store: impl Into<String>,
        key: impl Serde<K> + 'static,
        value: impl Serde<V> + 'static,
    ) -> WindowView<K, V> {
        WindowView::new(self.core(store.into(), site::WINDOW, key, value))
    }

    /// Where the partitions of a store are, by their numbers.
    ///
    /// # Errors
    /// When there is no such store, or the application has not started.
    pub fn partitions(&self, store: &str) -> Result<Vec<PartitionPlace>, QueryError> {
        let site = self.0.site(store)?;
        Ok(site.places_of(site.store(store)?))
    }

    fn core<K, V>(
        &self,
        store: String,
        kind: &'static str,
        key: impl Serde<K> + 'static,
        value: impl Serde<V> + 'static,
    ) -> Arc<Core<K, V>> {
        self.0.wanted().insert(store.clone(), kind);
        Arc::new(Core { shared: Arc::clone(&self.0), store, key: Arc::new(key), value: Arc::new(value) })
    }

    /// Whether anybody may ask anything.
    pub(crate) fn are_wanted(&self) -> bool {
        !self.0.wanted().is_empty()
    }

    /// Checks that there are all the stores that views were made of.
    ///
    /// # Errors
    /// When one is missing or of another kind; the message names those there are.
    pub(crate) fn check(&self, stores: &BTreeMap<String, StoreFacts>) -> Result<(), String> {
        for (name, kind) in self.0.wanted().iter() {
            let known = || stores.values().map(|store| format!("{} ({})", store.spec.name, store.kind()));
            match stores.get(name) {
                Some(store) if store.kind() == *kind => {}
                _ => {
                    let known: Vec<String> = known().collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    return Err(format!("a query wants a {kind} store '{name}': the topology has {known}"));
                }
            }
        }
        Ok(())
    }

    /// From now on views are answered from `site`.
    ///
    /// # Errors
    /// When they are answered from another one already.
    pub(crate) fn bind(&self, site: Arc<Site>) -> Result<(), String> {
        self.0
            .site
            .set(site)
            .map_err(|_| "these queries belong to another application: make new ones".to_owned())
    }
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queries").field(&self.0.wanted().keys().collect::<Vec<_>>()).finish()
    }
}
