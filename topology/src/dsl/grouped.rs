//! Grouped streams: aggregations per key, and per key and window.

use std::cell::Cell;
use std::hash::Hash;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::dsl::stream::sink_factory;
use crate::dsl::{Grouped, KStream, KTable, Materialized};
use crate::error::ProcessError;
use crate::operators::{
    Aggregate, EmitStrategy, Forward, KeyedStore, ProcessValues, RequireKey, Source, StoreWriter,
};
use crate::operators::{WindowedAggregate, WindowedStore};
use crate::plan::{Built, Factory, NodeId, Role, TopicName, Wiring};
use crate::record::Record;
use crate::serde::SharedSerde;
use crate::store::cache::Slot;
use crate::store::{StoreKind, StoreSpec};
use crate::time::EventTime;
use crate::windows::{TimeWindows, Windowed};

/// A stream whose records are grouped by key; made by [`KStream::group_by_key`] and [`KStream::group_by`].
///
/// Each aggregation keeps one entry per key in a store of its own. A record without a key, which only a
/// [`Nullable`](crate::Nullable) key can be, has no group: it is counted and dropped. An aggregate that becomes null
/// is deleted, and its key begins anew.
///
/// ```
/// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, ProcessError, Produced, StreamsBuilder};
/// use riacho_topology::{TestDriver, Utf8};
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("sales", Consumed::<String, u64>::with(Utf8, BigEndian))
///     .group_by_key(Grouped::with(Utf8, BigEndian))
///     .aggregate(
///         || 0,
///         |_, amount, total: &mut u64| {
///             *total = total.checked_add(*amount).ok_or_else(|| ProcessError::refused("the total overflows"))?;
///             Ok(())
///         },
///         Materialized::named("totals", BigEndian),
///     )
///     .to_stream()
///     .to("totals", Produced::with(Utf8, BigEndian));
///
/// let mut run = TestDriver::of(builder.build()?);
/// run.input::<String, u64>("sales", Utf8, BigEndian).send("ana", 5u64).send("bia", 1u64).send("ana", 2u64);
/// assert_eq!(run.output::<String, u64>("totals", Utf8, BigEndian), [("ana", 5), ("bia", 1), ("ana", 7)]);
/// assert_eq!(run.store::<String, u64>("totals", Utf8, BigEndian), [("ana", 7), ("bia", 1)]);
/// # Ok::<(), riacho_topology::TopologyError>(())
/// ```
pub struct KGroupedStream<K, V> {
    stream: KStream<K, V>,
    grouped: Grouped<K, V>,
    /// The reading end of a repartition topic with a given name, which all aggregations share.
    repartitioned: Rc<Cell<Option<NodeId>>>,
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        KGroupedStream {
            stream: self.stream.clone(),
            grouped: self.grouped.clone(),
            repartitioned: Rc::clone(&self.repartitioned),
        }
    }
}

/// A grouped stream cut into windows; made by [`KGroupedStream::windowed_by`].
///
/// A window takes records until stream time, the highest event time that the task has seen, reaches its end and the
/// grace after it. Then it closes, its entries leave the store, and records for it are late.
///
/// ```
/// use std::time::Duration;
/// use riacho_topology::{BigEndian, Consumed, EmitStrategy, Grouped, Materialized, Produced, StreamsBuilder};
/// use riacho_topology::{TestDriver, TimeWindowed, TimeWindows, Utf8};
/// let (secs, builder) = (Duration::from_secs, StreamsBuilder::new());
/// let per_minute = TimeWindows::of_size_and_grace(secs(60), secs(10))?;
/// builder
///     .stream("views", Consumed::<String, String>::with(Utf8, Utf8))
///     .group_by_key(Grouped::with(Utf8, Utf8))
///     .windowed_by(per_minute)
///     .emit_strategy(EmitStrategy::OnWindowClose)
///     .count(Materialized::named("per-minute", BigEndian))
///     .to_stream()
///     .to("counts", Produced::with(TimeWindowed::of(per_minute, Utf8), BigEndian));
///
/// let mut run = TestDriver::of(builder.build()?);
/// let views = run.input::<String, String>("views", Utf8, Utf8);
/// views.at(secs(5)).send("ana", "/").at(secs(69)).send("bia", "/").at(secs(6)).send("ana", "/in/time");
/// assert_eq!(run.window_store::<String, u64>("per-minute", Utf8, BigEndian).len(), 2);
/// run.input::<String, String>("views", Utf8, Utf8).at(secs(70)).send("bia", "/closes/the/first/minute");
/// let counts = run.output("counts", TimeWindowed::of(per_minute, Utf8), BigEndian);
/// let counts: Vec<(String, u64)> = counts.into_iter().map(|count| (count.key.key, count.value)).collect();
/// assert_eq!(counts, [("ana".to_owned(), 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TimeWindowedKStream<K, V> {
    group: KGroupedStream<K, V>,
    windows: TimeWindows,
    emit: EmitStrategy,
}

/// How the parts of an aggregation are named.
#[derive(Clone, Copy)]
struct Naming {
    node_prefix: &'static str,
    store_prefix: &'static str,
    /// Whether a given name takes an index too. Kafka Streams' processValues alone takes none.
    given_name_takes_index: bool,
}

const AGGREGATE: Naming = Naming {
    node_prefix: "KSTREAM-AGGREGATE-",
    store_prefix: "KSTREAM-AGGREGATE-STATE-STORE-",
    given_name_takes_index: true,
};
const REDUCE: Naming = Naming {
    node_prefix: "KSTREAM-REDUCE-",
    store_prefix: "KSTREAM-REDUCE-STATE-STORE-",
    given_name_takes_index: true,
};
const PROCESS_VALUES: Naming = Naming {
    node_prefix: "KSTREAM-PROCESSVALUES-",
    store_prefix: "KSTREAM-PROCESSVALUES-STATE-STORE-",
    given_name_takes_index: false,
};

/// The names and places of one aggregation.
struct Step {
    name: String,
    store: usize,
    parent: NodeId,
}

impl<K, V> KGroupedStream<K, V>
where
    K: Hash + Eq + Clone + 'static,
    V: 'static,
{
    /// How many records each key has had.
    #[must_use]
    pub fn count(&self, materialized: Materialized<u64>) -> KTable<K, u64> {
        self.fold(AGGREGATE, counting, materialized)
    }

    /// Folds the values of each key into one; the first value is the start.
    #[must_use]
    pub fn reduce(
        &self,
        reduce: impl Fn(&V, &V) -> V + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<K, V>
    where
        V: Clone,
    {
        self.fold(REDUCE, reducing(reduce), materialized)
    }

    /// Folds the values of each key into an aggregate. `add` may refuse a record, with [`ProcessError::refused`],
    /// as long as it then leaves the aggregate as it was.
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, &mut A) -> Result<(), ProcessError> + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<K, A> {
        self.fold(AGGREGATE, adding(initial, add), materialized)
    }

    /// Keeps a state per key and forwards at once whatever `step` makes of a record, under its key and time.
    ///
    /// ```
    /// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, TestDriver, Utf8};
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.stream("prices", Consumed::<String, u64>::with(Utf8, BigEndian));
    /// let jumps = prices.group_by_key(Grouped::with(Utf8, BigEndian)).process_values(
    ///     || 0,
    ///     |price, last: &mut u64, forward| {
    ///         if *price.value > 2 * *last {
    ///             forward.value(*price.value);
    ///         }
    ///         *last = *price.value;
    ///         Ok(())
    ///     },
    ///     Materialized::named("last-prices", BigEndian),
    /// );
    /// jumps.to("jumps", Produced::with(Utf8, BigEndian));
    ///
    /// let mut run = TestDriver::of(builder.build()?);
    /// run.input::<String, u64>("prices", Utf8, BigEndian).send("x", 5u64).send("x", 6u64).send("x", 13u64);
    /// assert_eq!(run.output::<String, u64>("jumps", Utf8, BigEndian), [("x", 5), ("x", 13)]);
    /// # Ok::<(), riacho_topology::TopologyError>(())
    /// ```
    #[must_use]
    pub fn process_values<S: 'static, V2: 'static>(
        &self,
        initial: impl Fn() -> S + Send + Sync + 'static,
        step: impl Fn(&Record<'_, K, V>, &mut S, &mut Forward<V2>) -> Result<(), ProcessError>
        + Send
        + Sync
        + 'static,
        materialized: Materialized<S>,
    ) -> KStream<K, V2> {
        let Materialized { store, value_serde, name } = materialized;
        let at = self.step(PROCESS_VALUES, store, name, StoreKind::KeyValue);
        let step =
            Arc::new(move |record: &Record<'_, K, V>, slot: Slot<'_, S>, forward: &mut Forward<V2>| {
                slot.change(&initial, |state| step(record, state, forward))
            });
        let key_serde = Arc::clone(&self.grouped.key_serde);
        let factory = move |wiring: &mut Wiring<'_>| {
            let operator = ProcessValues {
                store: KeyedStore::new(writer(wiring, &key_serde, &value_serde)),
                step: Arc::clone(&step),
                children: wiring.children::<K, V2>(),
                forward: Forward::new(),
                input: PhantomData,
            };
            wiring.stateful_link::<K, V>(operator)
        };
        let node = self.add(at, Arc::new(factory));
        KStream { plan: Rc::clone(&self.stream.plan), node, repartition_required: false, types: PhantomData }
    }

    /// Cuts the stream into windows over event time.
    #[must_use]
    pub fn windowed_by(&self, windows: TimeWindows) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream { group: self.clone(), windows, emit: EmitStrategy::default() }
    }

    fn fold<A: 'static>(
        &self,
        naming: Naming,
        fold: impl Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError> + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<K, A> {
        let Materialized { store, value_serde, name } = materialized;
        let at = self.step(naming, store, name, StoreKind::KeyValue);
        let fold = Arc::new(fold);
        let key_serde = Arc::clone(&self.grouped.key_serde);
        let factory = move |wiring: &mut Wiring<'_>| {
            let operator = Aggregate {
                store: KeyedStore::new(writer(wiring, &key_serde, &value_serde)),
                fold: Arc::clone(&fold),
                children: wiring.children::<K, A>(),
                input: PhantomData,
            };
            wiring.stateful_link::<K, V>(operator)
        };
        let node = self.add(at, Arc::new(factory));
        KTable { plan: Rc::clone(&self.stream.plan), node, types: PhantomData }
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    pub(crate) fn new(stream: KStream<K, V>, grouped: Grouped<K, V>) -> Self {
        KGroupedStream { stream, grouped, repartitioned: Rc::default() }
    }

    /// Takes names in Kafka Streams' order: store, node, then the repartition topic's three nodes.
    fn step(
        &self,
        naming: Naming,
        given_store: Option<String>,
        name: Option<String>,
        kind: StoreKind,
    ) -> Step {
        let (store_name, name, store) = {
            let mut plan = self.stream.plan.borrow_mut();
            let store_name = plan.name_without_index(naming.store_prefix, given_store.as_deref());
            let name = if naming.given_name_takes_index {
                plan.name(naming.node_prefix, name.as_deref())
            } else {
                plan.name_without_index(naming.node_prefix, name.as_deref())
            };
            let store = plan.add_store(StoreSpec { name: store_name.clone(), kind });
            (store_name, name, store)
        };
        let parent = if self.stream.repartition_required {
            let given = self.grouped.name.clone().or(given_store);
            self.repartition(given, &store_name)
        } else {
            self.stream.node
        };
        Step { name, store, parent }
    }

    fn add(&self, at: Step, factory: Factory) -> NodeId {
        let role = Role::Processor { store: Some(at.store) };
        self.stream.plan.borrow_mut().add(at.name, role, vec![at.parent], factory)
    }

    /// Writes the stream to `<name>-repartition` and reads it back. Returns the reading node.
    fn repartition(&self, given: Option<String>, store_name: &str) -> NodeId {
        let mut plan = self.stream.plan.borrow_mut();
        let node_name = |part: &str| given.as_ref().map(|name| format!("{name}-repartition-{part}"));
        let sink = plan.name("KSTREAM-SINK-", node_name("sink").as_deref());
        let filter = plan.name("KSTREAM-FILTER-", node_name("filter").as_deref());
        let source = plan.name("KSTREAM-SOURCE-", node_name("source").as_deref());
        let shared = self.grouped.name.is_some();
        if let Some(node) = self.repartitioned.get().filter(|_| shared) {
            return node;
        }
        let topic = TopicName::Repartition(format!("{}-repartition", given.as_deref().unwrap_or(store_name)));
        let Grouped { key_serde, value_serde, .. } = self.grouped.clone();
        let requires_key = Arc::clone(&key_serde);
        let filters = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(RequireKey {
                key_serde: Arc::clone(&requires_key),
                children: wiring.children(),
            })
        };
        let filter =
            plan.add(filter, Role::Processor { store: None }, vec![self.stream.node], Arc::new(filters));
        let writes = sink_factory(topic.clone(), Arc::clone(&key_serde), Arc::clone(&value_serde));
        plan.add(sink, Role::Sink(topic.clone()), vec![filter], writes);
        let reads = move |wiring: &mut Wiring<'_>| {
            Built::Source(Box::new(Source {
                key_serde: Arc::clone(&key_serde),
                value_serde: Arc::clone(&value_serde),
                // The event time was extracted before the hop and travels as the record's own.
                event_time: EventTime::record_time(),
                children: wiring.children::<K, V>(),
            }))
        };
        let node = plan.add(source, Role::Source(topic), Vec::new(), Arc::new(reads));
        self.repartitioned.set(Some(node));
        node
    }
}

impl<K, V> TimeWindowedKStream<K, V>
where
    K: Hash + Eq + Clone + 'static,
    V: 'static,
{
    /// When results are told; by default at each commit.
    #[must_use]
    pub fn emit_strategy(mut self, emit: EmitStrategy) -> Self {
        self.emit = emit;
        self
    }

    /// How many records each key has had in each window.
    #[must_use]
    pub fn count(&self, materialized: Materialized<u64>) -> KTable<Windowed<K>, u64> {
        self.fold(AGGREGATE, counting, materialized)
    }

    /// Folds the values of each key and window into one; the first value is the start.
    #[must_use]
    pub fn reduce(
        &self,
        reduce: impl Fn(&V, &V) -> V + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<Windowed<K>, V>
    where
        V: Clone,
    {
        self.fold(REDUCE, reducing(reduce), materialized)
    }

    /// Folds the values of each key and window into an aggregate. `add` may refuse a record, with
    /// [`ProcessError::refused`], as long as it then leaves the aggregate as it was. Where windows overlap, each of a
    /// record's windows takes or refuses it on its own.
    #[must_use]
    pub fn aggregate<A: 'static>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, &mut A) -> Result<(), ProcessError> + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        self.fold(AGGREGATE, adding(initial, add), materialized)
    }

    fn fold<A: 'static>(
        &self,
        naming: Naming,
        fold: impl Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError> + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let Materialized { store, value_serde, name } = materialized;
        let at = self.group.step(naming, store, name, StoreKind::Window(self.windows));
        let fold = Arc::new(fold);
        let key_serde = Arc::clone(&self.group.grouped.key_serde);
        let (windows, emit) = (self.windows, self.emit);
        let factory = move |wiring: &mut Wiring<'_>| {
            let writer = writer(wiring, &key_serde, &value_serde);
            let store = WindowedStore::new(windows, emit, writer, wiring.children());
            let operator = WindowedAggregate::new(store, Arc::clone(&fold));
            wiring.stateful_link::<K, V>(operator)
        };
        let node = self.group.add(at, Arc::new(factory));
        KTable { plan: Rc::clone(&self.group.stream.plan), node, types: PhantomData }
    }
}

fn writer<K, A>(
    wiring: &Wiring<'_>,
    key_serde: &SharedSerde<K>,
    value_serde: &SharedSerde<A>,
) -> StoreWriter<K, A> {
    StoreWriter {
        store: wiring.store(),
        key_serde: Arc::clone(key_serde),
        value_serde: Arc::clone(value_serde),
    }
}

fn counting<K, V>(_: &K, _: &V, slot: Slot<'_, u64>) -> Result<(), ProcessError> {
    slot.change(&|| 0, |count| {
        *count += 1;
        Ok(())
    })
}

fn adding<K, V, A>(
    initial: impl Fn() -> A,
    add: impl Fn(&K, &V, &mut A) -> Result<(), ProcessError>,
) -> impl Fn(&K, &V, Slot<'_, A>) -> Result<(), ProcessError> {
    move |key, value, slot| slot.change(&initial, |aggregate| add(key, value, aggregate))
}

fn reducing<K, V: Clone>(
    reduce: impl Fn(&V, &V) -> V,
) -> impl Fn(&K, &V, Slot<'_, V>) -> Result<(), ProcessError> {
    move |_, value, slot| {
        match slot {
            Slot::Present(kept) => *kept = reduce(kept, value),
            Slot::Absent(kept) => *kept = Some(value.clone()),
        }
        Ok(())
    }
}
