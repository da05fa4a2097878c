//! A stream of records and what can be done with it, record by record.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::dsl::{BranchedKStream, Grouped, KGroupedStream, Produced};
use crate::error::{ProcessError, TopologyError};
use crate::operators::{
    Filter, FlatMap, FlatMapValues, Map, MapValues, Pass, Peek, SelectKey, Sink, Tallied, Tally,
};
use crate::plan::{Factory, NodeId, Plan, Role, TopicName, Wiring};
use crate::record::Record;

/// A stream of records with keys of type `K` and values of type `V`.
///
/// A handle on a step of the topology: cheap to clone, and any number of steps may follow it. Each record then goes
/// to all of them, in the order in which they were added. Functions are called with a [`Record`], so they see key,
/// value, time and headers.
///
/// ```
/// use riacho_topology::{Consumed, Produced, StreamsBuilder, TestDriver, Utf8};
/// let builder = StreamsBuilder::new();
/// let views = builder.stream("views", Consumed::<String, String>::with(Utf8, Utf8));
/// let pages = views.filter(|view| view.value.starts_with('/')).map_values(|view| view.value.to_lowercase());
/// pages.to("pages", Produced::with(Utf8, Utf8));
/// views.filter_not(|view| view.value.starts_with('/')).to("strays", Produced::with(Utf8, Utf8));
///
/// let mut run = TestDriver::of(builder.build()?);
/// run.input::<String, String>("views", Utf8, Utf8).send("ana", "/Home").send("bia", "?");
/// assert_eq!(run.output::<String, String>("pages", Utf8, Utf8), [("ana", "/home")]);
/// assert_eq!(run.output::<String, String>("strays", Utf8, Utf8), [("bia", "?")]);
/// # Ok::<(), riacho_topology::TopologyError>(())
/// ```
pub struct KStream<K, V> {
    pub(crate) plan: Rc<RefCell<Plan>>,
    pub(crate) node: NodeId,
    /// Whether the key may have changed since the records were last partitioned by it.
    pub(crate) repartition_required: bool,
    pub(crate) types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        self.at(self.node, self.repartition_required)
    }
}

impl<K, V> KStream<K, V> {
    fn at<K2, V2>(&self, node: NodeId, repartition_required: bool) -> KStream<K2, V2> {
        KStream { plan: Rc::clone(&self.plan), node, repartition_required, types: PhantomData }
    }

    fn add(&self, prefix: &str, name: Option<&str>, role: Role, factory: Factory) -> NodeId {
        let mut plan = self.plan.borrow_mut();
        let name = plan.name(prefix, name);
        plan.add(name, role, vec![self.node], factory)
    }

    fn operator<K2, V2>(
        &self,
        prefix: &str,
        name: Option<&str>,
        rekeys: bool,
        factory: Factory,
    ) -> KStream<K2, V2> {
        let node = self.add(prefix, name, Role::Processor { store: None }, factory);
        self.at(node, self.repartition_required || rekeys)
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Keeps the records that `accept` accepts.
    #[must_use]
    pub fn filter(
        &self,
        accept: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.filter_named(None, accept)
    }

    /// Keeps the records that `reject` does not accept.
    #[must_use]
    pub fn filter_not(
        &self,
        reject: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.filter_not_named(None, reject)
    }

    /// [`filter_not`](Self::filter_not) with a name for the node.
    #[must_use]
    pub fn filter_not_named<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        reject: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.filter_named(name, move |record| !reject(record))
    }

    /// [`filter`](Self::filter) with a name for the node.
    #[must_use]
    pub fn filter_named<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        accept: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        let accept = Arc::new(accept);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(Filter { accept: Arc::clone(&accept), children: wiring.children() })
        };
        self.operator("KSTREAM-FILTER-", name.into(), false, Arc::new(factory))
    }

    /// Makes one record of each, with a new key: a following aggregation repartitions.
    #[must_use]
    pub fn map<K2: 'static, V2: 'static>(
        &self,
        map: impl Fn(&Record<'_, K, V>) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.map_named(None, map)
    }

    /// [`map`](Self::map) with a name for the node.
    #[must_use]
    pub fn map_named<'n, K2: 'static, V2: 'static>(
        &self,
        name: impl Into<Option<&'n str>>,
        map: impl Fn(&Record<'_, K, V>) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        let map = Arc::new(map);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(Map { map: Arc::clone(&map), children: wiring.children() })
        };
        self.operator("KSTREAM-MAP-", name.into(), true, Arc::new(factory))
    }

    /// Makes a new value of each record; key and partition stay.
    #[must_use]
    pub fn map_values<V2: 'static>(
        &self,
        map: impl Fn(&Record<'_, K, V>) -> V2 + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.map_values_named(None, move |record| Ok(map(record)))
    }

    /// [`map_values`](Self::map_values) with a name for the node and a function that may refuse a record, with
    /// [`ProcessError::refused`].
    #[must_use]
    pub fn map_values_named<'n, V2: 'static>(
        &self,
        name: impl Into<Option<&'n str>>,
        map: impl Fn(&Record<'_, K, V>) -> Result<V2, ProcessError> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        let map = Arc::new(map);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(MapValues { map: Arc::clone(&map), children: wiring.children() })
        };
        self.operator("KSTREAM-MAPVALUES-", name.into(), false, Arc::new(factory))
    }

    /// Makes any number of records of each, with new keys: a following aggregation repartitions.
    #[must_use]
    pub fn flat_map<K2: 'static, V2: 'static, I: IntoIterator<Item = (K2, V2)>>(
        &self,
        map: impl Fn(&Record<'_, K, V>) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.flat_map_named(None, map)
    }

    /// [`flat_map`](Self::flat_map) with a name for the node.
    #[must_use]
    pub fn flat_map_named<'n, K2: 'static, V2: 'static, I: IntoIterator<Item = (K2, V2)>>(
        &self,
        name: impl Into<Option<&'n str>>,
        map: impl Fn(&Record<'_, K, V>) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        let map = Arc::new(map);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(FlatMap { map: Arc::clone(&map), children: wiring.children() })
        };
        self.operator("KSTREAM-FLATMAP-", name.into(), true, Arc::new(factory))
    }

    /// Makes any number of values of each record; key and partition stay.
    #[must_use]
    pub fn flat_map_values<V2: 'static, I: IntoIterator<Item = V2>>(
        &self,
        map: impl Fn(&Record<'_, K, V>) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.flat_map_values_named(None, map)
    }

    /// [`flat_map_values`](Self::flat_map_values) with a name for the node.
    #[must_use]
    pub fn flat_map_values_named<'n, V2: 'static, I: IntoIterator<Item = V2>>(
        &self,
        name: impl Into<Option<&'n str>>,
        map: impl Fn(&Record<'_, K, V>) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        let map = Arc::new(map);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(FlatMapValues { map: Arc::clone(&map), children: wiring.children() })
        };
        self.operator("KSTREAM-FLATMAPVALUES-", name.into(), false, Arc::new(factory))
    }

    /// Gives each record another key: a following aggregation repartitions.
    #[must_use]
    pub fn select_key<K2: 'static>(
        &self,
        select: impl Fn(&Record<'_, K, V>) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        self.select_key_named(None, select)
    }

    /// [`select_key`](Self::select_key) with a name for the node.
    #[must_use]
    pub fn select_key_named<'n, K2: 'static>(
        &self,
        name: impl Into<Option<&'n str>>,
        select: impl Fn(&Record<'_, K, V>) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        let select = Arc::new(select);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(SelectKey { select: Arc::clone(&select), children: wiring.children() })
        };
        self.operator("KSTREAM-KEY-SELECT-", name.into(), true, Arc::new(factory))
    }

    /// Looks at each record and passes it on.
    #[must_use]
    pub fn peek(&self, look: impl Fn(&Record<'_, K, V>) + Send + Sync + 'static) -> KStream<K, V> {
        self.look("KSTREAM-PEEK-", None, look)
    }

    /// [`peek`](Self::peek) with a name for the node.
    #[must_use]
    pub fn peek_named(
        &self,
        name: &str,
        look: impl Fn(&Record<'_, K, V>) + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.look("KSTREAM-PEEK-", Some(name), look)
    }

    /// Looks at each record; nothing follows.
    pub fn for_each(&self, look: impl Fn(&Record<'_, K, V>) + Send + Sync + 'static) {
        let _: KStream<K, V> = self.look("KSTREAM-FOREACH-", None, look);
    }

    /// [`for_each`](Self::for_each) with a name for the node.
    pub fn for_each_named(&self, name: &str, look: impl Fn(&Record<'_, K, V>) + Send + Sync + 'static) {
        let _: KStream<K, V> = self.look("KSTREAM-FOREACH-", Some(name), look);
    }

    fn look(
        &self,
        prefix: &str,
        name: Option<&str>,
        look: impl Fn(&Record<'_, K, V>) + Send + Sync + 'static,
    ) -> KStream<K, V> {
        let look = Arc::new(look);
        let factory = move |wiring: &mut Wiring<'_>| {
            Wiring::link::<K, V>(Peek { look: Arc::clone(&look), children: wiring.children() })
        };
        self.operator(prefix, name, false, Arc::new(factory))
    }

    /// Has a [`Tally`] look at each record and passes it on. `make` makes one for each task.
    #[must_use]
    pub fn tally<T: Tally<K, V> + 'static>(
        &self,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.tally_named(None, make)
    }

    /// [`tally`](Self::tally) with a name for the node.
    #[must_use]
    pub fn tally_named<'n, T: Tally<K, V> + 'static>(
        &self,
        name: impl Into<Option<&'n str>>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> KStream<K, V> {
        let make = Arc::new(make);
        let factory = move |wiring: &mut Wiring<'_>| {
            let children = wiring.children();
            wiring.stateful_link::<K, V>(Tallied { tally: make(), children })
        };
        self.operator("KSTREAM-PEEK-", name.into(), false, Arc::new(factory))
    }

    /// The records of both streams, in no particular order between them. Both must come from one builder.
    #[must_use]
    pub fn merge(&self, other: &KStream<K, V>) -> KStream<K, V> {
        self.merge_named(None, other)
    }

    /// [`merge`](Self::merge) with a name for the node.
    #[must_use]
    pub fn merge_named<'n>(&self, name: impl Into<Option<&'n str>>, other: &KStream<K, V>) -> KStream<K, V> {
        let mut plan = self.plan.borrow_mut();
        let name = plan.name("KSTREAM-MERGE-", name.into());
        let factory =
            |wiring: &mut Wiring<'_>| Wiring::link::<K, V>(Pass::<K, V> { children: wiring.children() });
        let parents = if Rc::ptr_eq(&self.plan, &other.plan) {
            vec![self.node, other.node]
        } else {
            plan.refuse(TopologyError::TwoBuilders(name.clone()));
            vec![self.node]
        };
        let node = plan.add(name, Role::Processor { store: None }, parents, Arc::new(factory));
        self.at(node, self.repartition_required || other.repartition_required)
    }

    /// Begins to split the stream: each record goes to the first branch that accepts it.
    #[must_use]
    pub fn split(&self) -> BranchedKStream<K, V> {
        BranchedKStream::new(self.clone(), None)
    }

    /// [`split`](Self::split) with a name, which the branches' names begin with.
    #[must_use]
    pub fn split_named(&self, name: impl Into<String>) -> BranchedKStream<K, V> {
        BranchedKStream::new(self.clone(), Some(name.into()))
    }

    /// Groups by the key the records have. Repartitions where that may have changed.
    #[must_use]
    pub fn group_by_key(&self, grouped: Grouped<K, V>) -> KGroupedStream<K, V> {
        KGroupedStream::new(self.clone(), grouped)
    }

    /// Groups by another key: records go through a repartition topic.
    #[must_use]
    pub fn group_by<K2: 'static>(
        &self,
        select: impl Fn(&Record<'_, K, V>) -> K2 + Send + Sync + 'static,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V> {
        let stream = self.select_key_named(grouped.name.as_deref(), select);
        KGroupedStream::new(stream, grouped)
    }

    /// Writes the stream to a topic.
    pub fn to(&self, topic: impl Into<String>, produced: Produced<K, V>) {
        let topic = TopicName::External(topic.into());
        let Produced { key_serde, value_serde, name } = produced;
        let factory = sink_factory(topic.clone(), key_serde, value_serde);
        self.add("KSTREAM-SINK-", name.as_deref(), Role::Sink(topic), factory);
    }
}

pub(crate) fn sink_factory<K: 'static, V: 'static>(
    topic: TopicName,
    key_serde: crate::serde::SharedSerde<K>,
    value_serde: crate::serde::SharedSerde<V>,
) -> Factory {
    Arc::new(move |wiring| {
        Wiring::link::<K, V>(Sink {
            topic: topic.resolve(wiring.application_id).into(),
            key_serde: Arc::clone(&key_serde),
            value_serde: Arc::clone(&value_serde),
            key_buffer: Vec::new(),
            value_buffer: Vec::new(),
        })
    })
}
