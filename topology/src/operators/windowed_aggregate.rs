//! Keeps one aggregate per key and window, and closes windows when stream time has passed them.

use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{ProcessError, StoreError};
use crate::operators::StoreWriter;
use crate::processor::{Children, Context, Process, Refusals, Stateful, TaskFrame};
use crate::record::{Headers, Record};
use crate::serde::{SharedSerde, Written};
use crate::store::cache::{AggregateCache, Entry, Slot};
use crate::store::layout;
use crate::time::Timestamp;
use crate::windows::{TimeWindows, Windowed};

/// When a windowed aggregation tells its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EmitStrategy {
    /// Each changed result at each commit. The default, as in Kafka Streams.
    #[default]
    OnWindowUpdate,
    /// Each result once, when its window closes.
    OnWindowClose,
    /// Each changed result at each commit, and each result once more when its window closes, marked
    /// [`closed`](Windowed::closed).
    OnWindowUpdateAndClose,
}

/// The aggregates of one window.
struct Segment<K, A> {
    start: Timestamp,
    cache: AggregateCache<K, A>,
    /// Whether the store holds entries of the window.
    stored: bool,
}

/// The parts that do not change while a record is handled.
pub(crate) struct WindowedStore<K, A> {
    pub(crate) windows: TimeWindows,
    pub(crate) emit: EmitStrategy,
    pub(crate) writer: StoreWriter<K, A>,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) children: Children<Windowed<K>, A>,
    local_key: Vec<u8>,
    changelog_key: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// `windowedBy(TimeWindows)` with `count`, `reduce` or `aggregate`.
pub(crate) struct WindowedAggregate<K, V, A, F> {
    store: WindowedStore<K, A>,
    fold: Arc<F>,
    /// By start, earliest first. There are as many as windows are open, so few that a search from the end wins.
    segments: Vec<Segment<K, A>>,
    next_close: Timestamp,
    cached_bytes: usize,
    dirty_bytes: usize,
    input: std::marker::PhantomData<fn(V)>,
}

impl<K: Hash + Eq + Clone, A> WindowedStore<K, A> {
    pub(crate) fn new(
        windows: TimeWindows,
        emit: EmitStrategy,
        writer: StoreWriter<K, A>,
        children: Children<Windowed<K>, A>,
    ) -> Self {
        let key_serde = Arc::clone(&writer.key_serde);
        let (local_key, changelog_key, key, value) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        WindowedStore { windows, emit, writer, key_serde, children, local_key, changelog_key, key, value }
    }

    fn write(
        &mut self,
        start: Timestamp,
        key: &K,
        entry: &Entry<A>,
        ctx: &mut Context<'_>,
    ) -> Result<usize, ProcessError> {
        self.key.clear();
        self.value.clear();
        self.writer.key_bytes(key, &mut self.key)?;
        let written = self.writer.encode(entry, &mut self.value)?;
        layout::window_key(start, &self.key, &mut self.local_key);
        layout::window_changelog_key(&self.key, start, &mut self.changelog_key);
        match written {
            Written::Bytes => {
                ctx.put(self.writer.store, &self.local_key, &self.changelog_key, &self.value)?
            }
            Written::Null => ctx.delete(self.writer.store, &self.local_key, &self.changelog_key)?,
        }
        Ok(self.local_key.len() + self.value.len())
    }

    fn emit(
        &self,
        start: Timestamp,
        key: &K,
        (value, timestamp): (&A, Timestamp),
        ctx: &mut Context<'_>,
    ) -> Result<(), ProcessError> {
        let closed = self.windows.is_closed(start, ctx.frame.stream_time);
        let key = Windowed { key: key.clone(), window: self.windows.window(start), closed };
        let record = Record { key: &key, value, timestamp, headers: &Headers::EMPTY };
        let forwarded = self.children.forward(record, ctx);
        ctx.tolerate(forwarded)
    }
}

impl<K, V, A, F> WindowedAggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
{
    pub(crate) fn new(store: WindowedStore<K, A>, fold: Arc<F>) -> Self {
        WindowedAggregate {
            store,
            fold,
            segments: Vec::new(),
            next_close: Timestamp(i64::MAX),
            cached_bytes: 0,
            dirty_bytes: 0,
            input: std::marker::PhantomData,
        }
    }

    /// The place of the window's segment, made if it is new. What is new is complete: `open` has found every window
    /// that the store holds.
    fn segment(segments: &mut Vec<Segment<K, A>>, start: Timestamp) -> usize {
        match segments.iter().rposition(|segment| segment.start <= start) {
            Some(place) if segments.get(place).is_some_and(|segment| segment.start == start) => place,
            before => {
                let place = before.map_or(0, |place| place + 1);
                segments.insert(place, Segment { start, cache: AggregateCache::complete(), stored: false });
                place
            }
        }
    }

    fn recount(&mut self) {
        let windows = &self.store.windows;
        self.next_close = self.segments.first().map_or(Timestamp(i64::MAX), |segment| {
            segment.start.plus_millis(windows.size_ms()).plus_millis(windows.grace_ms())
        });
        self.cached_bytes = self.segments.iter().map(|segment| segment.cache.bytes()).sum();
        self.dirty_bytes = self.segments.iter().map(|segment| segment.cache.dirty_bytes()).sum();
    }

    /// Emits what a closing window still has to tell.
    fn close(
        store: &mut WindowedStore<K, A>,
        segment: &mut Segment<K, A>,
        ctx: &mut Context<'_>,
    ) -> Result<(), ProcessError> {
        let start = segment.start;
        if store.emit == EmitStrategy::OnWindowUpdate {
            return segment.cache.for_each_dirty(|key, entry| {
                store.emit(start, key, (&entry.value, entry.timestamp), ctx)?;
                Ok(0)
            });
        }
        for (key, value, timestamp) in Self::all_entries(store, segment, ctx)? {
            store.emit(start, &key, (&value, timestamp), ctx)?;
        }
        Ok(())
    }

    /// The whole window in the order of the keys' bytes: what is in memory and what only the store holds.
    fn all_entries(
        store: &mut WindowedStore<K, A>,
        segment: &mut Segment<K, A>,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<(K, A, Timestamp)>, ProcessError> {
        let mut stored = Vec::new();
        if segment.stored && !segment.cache.is_complete() {
            let (from, to) = layout::window_bounds(segment.start);
            let WindowedStore { writer, key_serde, .. } = &*store;
            let cache = &segment.cache;
            ctx.stores.scan(writer.store, &from, Some(&to), &mut |local_key, value| {
                let (_, key_bytes) = layout::split_window_key(local_key)?;
                let key = key_serde
                    .deserialize(Some(key_bytes))
                    .map_err(|error| StoreError::caused_by("a stored key cannot be read", error))?;
                if cache.get(&key).is_none() {
                    let (value, timestamp) = writer.decode(value)?;
                    stored.push((key_bytes.to_vec(), (key, value, timestamp)));
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let cache = std::mem::replace(&mut segment.cache, AggregateCache::over_committed_state());
        let mut entries = stored;
        for (key, entry) in cache.into_entries() {
            // What was deleted is no result; but a deletion that nobody has been told of yet is news.
            let news = store.emit == EmitStrategy::OnWindowUpdateAndClose && entry.is_dirty();
            if store.writer.value_serde.is_null(&entry.value) && !news {
                continue;
            }
            let mut bytes = Vec::new();
            store.writer.key_bytes(&key, &mut bytes)?;
            entries.push((bytes, (key, entry.value, entry.timestamp)));
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }
}

impl<K, V, A, F> Process<K, V> for WindowedAggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
    F: Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError>,
{
    fn process(&mut self, record: Record<'_, K, V>, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        if !self.store.writer.takes(record.key, ctx.frame) {
            return Ok(());
        }
        let windows = self.store.windows;
        let (mut accepted, mut refusals) = (false, Refusals::default());
        for start in windows.starts_of(record.timestamp) {
            if windows.is_closed(start, ctx.frame.stream_time) {
                continue;
            }
            accepted = true;
            let known = self.segments.len();
            let place = Self::segment(&mut self.segments, start);
            let Some(segment) = self.segments.get_mut(place) else { continue };
            let before = (segment.cache.len(), segment.cache.dirty_bytes());
            let WindowedStore { writer, local_key, key: key_buffer, value: value_buffer, .. } =
                &mut self.store;
            let writer = &*writer;
            let result = segment.cache.update(
                record.key,
                record.timestamp,
                |value| writer.value_serde.is_null(value),
                |key| {
                    key_buffer.clear();
                    writer.key_bytes(key, key_buffer)?;
                    layout::window_key(start, key_buffer, local_key);
                    Ok(writer.load(local_key, value_buffer, ctx)?)
                },
                |slot| (self.fold)(record.key, record.value, slot),
            );
            self.cached_bytes += (segment.cache.len() - before.0) * AggregateCache::<K, A>::ENTRY_BYTES;
            self.dirty_bytes += segment.cache.dirty_bytes() - before.1;
            if self.segments.len() > known {
                // A record that is refused opens no window.
                if result.is_err() {
                    self.segments.remove(place);
                }
                self.recount();
            }
            refusals.note(result)?;
        }
        if !accepted {
            ctx.late()?;
        }
        if self.dirty_bytes > ctx.frame.dirty_bytes_per_store {
            ctx.frame.commit_requested = true;
        }
        refusals.first()
    }
}

impl<K, V, A, F> Stateful for WindowedAggregate<K, V, A, F>
where
    K: Hash + Eq + Clone,
{
    fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        self.segments.clear();
        let store = self.store.writer.store;
        let mut from = Vec::new();
        loop {
            let mut found = None;
            ctx.stores.scan(store, &from, None, &mut |local_key, _| {
                found = Some(layout::split_window_key(local_key)?.0);
                Ok(ControlFlow::Break(()))
            })?;
            let Some(start) = found else { break };
            self.segments.push(Segment {
                start,
                cache: AggregateCache::over_committed_state(),
                stored: true,
            });
            from = layout::window_bounds(start).1.to_vec();
        }
        self.recount();
        Ok(())
    }

    fn advance(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let windows = self.store.windows;
        let closed = self
            .segments
            .iter()
            .take_while(|segment| windows.is_closed(segment.start, ctx.frame.stream_time))
            .count();
        let Some(last) =
            closed.checked_sub(1).and_then(|last| self.segments.get(last)).map(|segment| segment.start)
        else {
            return Ok(());
        };
        let mut stored = false;
        for mut segment in self.segments.drain(..closed) {
            stored |= segment.stored;
            Self::close(&mut self.store, &mut segment, ctx)?;
            ctx.frame.counts.windows_closed += 1;
        }
        if stored {
            let (_, end) = layout::window_bounds(last);
            ctx.stores.delete_range(self.store.writer.store, &[], &end);
        }
        self.recount();
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        let emits = self.store.emit != EmitStrategy::OnWindowClose;
        for segment in &mut self.segments {
            let start = segment.start;
            let store = &mut self.store;
            segment.cache.for_each_dirty(|key, entry| {
                let bytes = store.write(start, key, entry, ctx)?;
                if emits {
                    store.emit(start, key, (&entry.value, entry.timestamp), ctx)?;
                }
                Ok::<_, ProcessError>(bytes)
            })?;
        }
        Ok(())
    }

    fn committed(&mut self, frame: &TaskFrame) {
        for segment in &mut self.segments {
            segment.stored |= segment.cache.has_dirty();
            segment.cache.committed();
        }
        self.recount();
        let mut excess = self.cached_bytes.saturating_sub(frame.cache_bytes_per_store);
        for segment in &mut self.segments {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(segment.cache.evict(excess));
        }
        self.recount();
    }

    fn aborted(&mut self) {
        self.segments.clear();
        self.recount();
    }

    fn cached_bytes(&self) -> usize {
        self.cached_bytes
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    fn open_windows(&self) -> usize {
        self.segments.len()
    }

    fn next_close(&self) -> Timestamp {
        self.next_close
    }
}
