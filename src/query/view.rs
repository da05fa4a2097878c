//! A store with its types: what the program's own pages ask, and what is shown as JSON.

use std::str::FromStr;
use std::sync::Arc;

use riacho_topology::store::StoreKind;
use riacho_topology::store::layout;
use riacho_topology::{Serde, SerdeError, TimeWindows, Timestamp, Windowed, Written};
use serde::Serialize;
use serde_json::Value;

use super::Shared;
use super::error::QueryError;
use super::merge::{Cursor, merge};
use super::read::{BYTES_MAX, Bounds, ENTRIES_MAX, RawEntry, Read};
use super::shown::{Form, Shown};
use super::site::{KEY_VALUE, Site, StoreFacts, WINDOW};

/// The longest key that can be asked for, in bytes: it has to fit into an address on the way to its owner.
const KEY_BYTES_MAX: usize = 4096;
/// The least that a partition may answer, in bytes, however many there are.
const PARTITION_BYTES_MIN: usize = 64 << 10;

/// What a store holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The event time of the latest record in it.
    pub time: Timestamp,
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<K, V> {
    /// The entries, in the order of the bytes of their keys.
    pub entries: Vec<Entry<K, V>>,
    /// Where the next page begins; none when this is the last one.
    pub next: Option<Cursor>,
}

/// Which page of entries is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    limit: usize,
    after: Option<Cursor>,
}

impl Default for Paging {
    /// The first hundred.
    fn default() -> Self {
        Paging::first(100)
    }
}

impl Paging {
    /// The most entries that a page has.
    pub const LIMIT_MAX: usize = ENTRIES_MAX;

    /// The first entries, `limit` of them: 1 to 1000. A page of more than 1 MiB is cut short.
    pub fn first(limit: usize) -> Paging {
        Paging { limit: limit.clamp(1, Self::LIMIT_MAX), after: None }
    }

    /// The entries from where the page before ended.
    #[must_use]
    pub fn after(self, cursor: Option<Cursor>) -> Paging {
        Paging { after: cursor, ..self }
    }

    fn bounds(&self, partitions: i32) -> Bounds {
        let partitions = usize::try_from(partitions).unwrap_or(1).max(1);
        Bounds {
            entries: self.limit,
            bytes: (4 * BYTES_MAX / partitions).clamp(PARTITION_BYTES_MIN, BYTES_MAX),
        }
    }
}

/// A store's name and serdes.
pub(super) struct Core<K, V> {
    pub(super) shared: Arc<Shared>,
    pub(super) store: String,
    pub(super) key: Arc<dyn Serde<K>>,
    pub(super) value: Arc<dyn Serde<V>>,
}

impl<K, V> Core<K, V> {
    /// Serves the store as JSON too.
    fn show(&self, shown: impl Shown + 'static) {
        self.shared.shown().insert(self.store.clone(), Arc::new(shown));
    }

    fn facts(&self, kind: &'static str) -> Result<(&Site, &StoreFacts), QueryError> {
        let site = self.shared.site(&self.store)?;
        let facts = site.store(&self.store)?;
        if facts.kind() != kind {
            return Err(QueryError::OtherKind { store: self.store.clone(), kind: facts.kind() });
        }
        Ok((site, facts))
    }

    fn key_bytes(&self, key: &K) -> Result<Vec<u8>, QueryError> {
        let mut bytes = Vec::new();
        match self.key.serialize(key, &mut bytes).map_err(QueryError::BadKey)? {
            Written::Null => Err(QueryError::BadKey(SerdeError::new("no entry has null for a key"))),
            Written::Bytes if bytes.len() > KEY_BYTES_MAX => {
                Err(QueryError::KeyTooLong { bytes: bytes.len(), max: KEY_BYTES_MAX })
            }
            Written::Bytes => Ok(bytes),
        }
    }

    fn read_key(&self, bytes: &[u8]) -> Result<K, QueryError> {
        self.key.deserialize(Some(bytes)).map_err(|error| self.undecodable(error))
    }

    fn undecodable(&self, error: SerdeError) -> QueryError {
        QueryError::Undecodable { store: self.store.clone(), error }
    }

    fn entry<L>(&self, key: L, stored: &[u8]) -> Result<Entry<L, V>, QueryError> {
        let (time, value) = layout::split_value(stored)
            .map_err(|error| self.undecodable(SerdeError::new(error.to_string())))?;
        let value = self.value.deserialize(Some(value)).map_err(|error| self.undecodable(error))?;
        Ok(Entry { key, value, time })
    }

    fn windowed(
        &self,
        windows: &TimeWindows,
        (local, stored): &RawEntry,
    ) -> Result<Entry<Windowed<K>, V>, QueryError> {
        let (start, key) = layout::split_window_key(local)
            .map_err(|error| self.undecodable(SerdeError::new(error.to_string())))?;
        let key = Windowed { key: self.read_key(key)?, window: windows.window(start), closed: false };
        self.entry(key, stored)
    }

    /// A page of the entries with `from <= key < to`, out of all partitions.
    fn page(
        &self,
        (site, facts): (&Site, &StoreFacts),
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        paging: &Paging,
    ) -> Result<(Vec<RawEntry>, Option<Cursor>), QueryError> {
        let from = match &paging.after {
            Some(Cursor(after)) if *after > from => after.clone(),
            _ => from,
        };
        let read = Read::Scan { from, to, bounds: paging.bounds(facts.partitions) };
        let answers = site.ask(facts, &facts.all_partitions(), &read)?;
        Ok(merge(answers, Bounds { entries: paging.limit, bytes: BYTES_MAX }))
    }
}

/// A key-value store, as its application and others may ask it. A clone is the same view.
///
/// Calls block until the owners of the partitions have answered, at most some 15 seconds: call them on a thread that
/// may wait, such as that of a page, and not in an asynchronous function.
pub struct KeyValueView<K, V>(Arc<Core<K, V>>);

impl<K, V> Clone for KeyValueView<K, V> {
    fn clone(&self) -> Self {
        KeyValueView(Arc::clone(&self.0))
    }
}

impl<K, V> KeyValueView<K, V> {
    pub(super) fn new(core: Arc<Core<K, V>>) -> Self {
        KeyValueView(core)
    }

    pub(super) fn store(&self) -> &str {
        &self.0.store
    }

    fn shown(self, form: Form<K, V>) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.0.show((self.clone(), form));
        self
    }

    /// The entry of a key, as of the last commit of its task.
    ///
    /// # Errors
    /// [`QueryError::Unavailable`] while the key's partition is restored or moves; see there for the others.
    pub fn get(&self, key: &K) -> Result<Option<Entry<K, V>>, QueryError> {
        let (site, facts) = self.0.facts(KEY_VALUE)?;
        let key = self.0.key_bytes(key)?;
        let partition = facts.partition_of(&key);
        let found = site.ask(facts, &[partition], &Read::Get { key })?;
        let entry = found.into_iter().flat_map(|found| found.entries).next();
        entry.map(|(key, value)| self.0.entry(self.0.read_key(&key)?, &value)).transpose()
    }

    /// A page of the entries whose keys' bytes are from those of `from` up to those of `to`, both included. Where a
    /// bound is none there is none. All entries of a partition are as of one commit.
    ///
    /// # Errors
    /// As [`get`](Self::get), for any of the partitions.
    pub fn range(
        &self,
        from: Option<&K>,
        to: Option<&K>,
        paging: &Paging,
    ) -> Result<Listing<K, V>, QueryError> {
        let facts = self.0.facts(KEY_VALUE)?;
        let bytes = |key: Option<&K>| key.map(|key| self.0.key_bytes(key)).transpose();
        let to = bytes(to)?.map(|mut to| {
            to.push(0);
            to
        });
        let (entries, next) = self.0.page(facts, bytes(from)?.unwrap_or_default(), to, paging)?;
        let entries = entries.iter().map(|(key, value)| self.0.entry(self.0.read_key(key)?, value));
        Ok(Listing { entries: entries.collect::<Result<_, _>>()?, next })
    }

    /// A page of all entries.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn all(&self, paging: &Paging) -> Result<Listing<K, V>, QueryError> {
        self.range(None, None, paging)
    }

    /// Serves the store as JSON too: `/stores/{store}/keys/{key}` and `/stores/{store}/range`.
    #[must_use]
    pub fn show(self) -> Self
    where
        K: FromStr + Serialize + 'static,
        V: Serialize + 'static,
    {
        self.shown(Form::of_serde())
    }

    /// As [`show`](Self::show), where keys are read from addresses by `parse`, and keys and values become JSON in another
    /// way than that of `Serialize`.
    #[must_use]
    pub fn show_as(
        self,
        parse: impl Fn(&str) -> Option<K> + Send + Sync + 'static,
        key: impl Fn(&K) -> Value + Send + Sync + 'static,
        value: impl Fn(&V) -> Value + Send + Sync + 'static,
    ) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.shown(Form::new(parse, key, value))
    }
}

/// A window store, as its application and others may ask it. A clone is the same view. Calls block as those of
/// [`KeyValueView`].
///
/// A store holds the windows that are open; of those that have closed the results are in the output topic.
pub struct WindowView<K, V>(Arc<Core<K, V>>);

impl<K, V> Clone for WindowView<K, V> {
    fn clone(&self) -> Self {
        WindowView(Arc::clone(&self.0))
    }
}

impl<K, V> WindowView<K, V> {
    pub(super) fn new(core: Arc<Core<K, V>>) -> Self {
        WindowView(core)
    }

    pub(super) fn store(&self) -> &str {
        &self.0.store
    }

    fn shown(self, form: Form<K, V>) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.0.show((self.clone(), form));
        self
    }

    fn facts(&self) -> Result<((&Site, &StoreFacts), TimeWindows), QueryError> {
        let (site, facts) = self.0.facts(WINDOW)?;
        match facts.spec.kind {
            StoreKind::Window(windows) => Ok(((site, facts), windows)),
            _ => Err(QueryError::OtherKind { store: self.0.store.clone(), kind: facts.kind() }),
        }
    }

    /// The windows of a key that start at `from` or later and not after `to`, oldest first.
    ///
    /// # Errors
    /// As [`KeyValueView::get`].
    pub fn fetch(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
        paging: &Paging,
    ) -> Result<Listing<Windowed<K>, V>, QueryError> {
        let ((site, facts), windows) = self.facts()?;
        let key = self.0.key_bytes(key)?;
        let partition = facts.partition_of(&key);
        let after = paging.after.as_ref().and_then(|Cursor(at)| layout::split_window_key(at).ok());
        let from = after.map_or(from, |(start, _)| from.max(start));
        let read = Read::WindowsOf { key, from, to, bounds: paging.bounds(1) };
        let found = site.ask(facts, &[partition], &read)?.into_iter().next().unwrap_or_default();
        let entries: Vec<_> =
            found.entries.iter().map(|entry| self.0.windowed(&windows, entry)).collect::<Result<_, _>>()?;
        let behind = |entry: &Entry<Windowed<K>, V>| {
            Cursor(layout::window_bounds(entry.key.window.start.plus_millis(1)).0.to_vec())
        };
        let next = entries.last().filter(|_| found.more).map(behind);
        Ok(Listing { entries, next })
    }

    /// A page of the windows of all keys that start at `from` or later and not after `to`, oldest first, those of one
    /// window by the bytes of their keys.
    ///
    /// # Errors
    /// As [`KeyValueView::range`].
    pub fn all(
        &self,
        from: Timestamp,
        to: Timestamp,
        paging: &Paging,
    ) -> Result<Listing<Windowed<K>, V>, QueryError> {
        let (facts, windows) = self.facts()?;
        let (from, _) = layout::window_bounds(from);
        let (_, end) = layout::window_bounds(to);
        let (entries, next) = self.0.page(facts, from.to_vec(), Some(end.to_vec()), paging)?;
        let entries = entries.iter().map(|entry| self.0.windowed(&windows, entry));
        Ok(Listing { entries: entries.collect::<Result<_, _>>()?, next })
    }

    /// Serves the store as JSON too: `/stores/{store}/windows` and `/stores/{store}/windows/{key}`.
    #[must_use]
    pub fn show(self) -> Self
    where
        K: FromStr + Serialize + 'static,
        V: Serialize + 'static,
    {
        self.shown(Form::of_serde())
    }

    /// As [`show`](Self::show), where keys are read from addresses by `parse`, and keys and values become JSON in another
    /// way than that of `Serialize`.
    #[must_use]
    pub fn show_as(
        self,
        parse: impl Fn(&str) -> Option<K> + Send + Sync + 'static,
        key: impl Fn(&K) -> Value + Send + Sync + 'static,
        value: impl Fn(&V) -> Value + Send + Sync + 'static,
    ) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.shown(Form::new(parse, key, value))
    }
}
