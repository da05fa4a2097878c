//! Where a topology begins.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::dsl::{Consumed, KStream};
use crate::error::TopologyError;
use crate::graph::Topology;
use crate::operators::Source;
use crate::plan::{Built, Plan, Role, TopicName};

/// Collects the steps of a computation.
///
/// ```
/// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, Utf8};
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("words", Consumed::<String, String>::with(Utf8, Utf8))
///     .group_by(|word| word.value.clone(), Grouped::with(Utf8, Utf8))
///     .count(Materialized::named("counts", BigEndian))
///     .to_stream()
///     .to("word-counts", Produced::with(Utf8, BigEndian));
/// let topology = builder.build()?;
/// assert_eq!(topology.subtopologies().len(), 2);
/// # Ok::<(), riacho_topology::TopologyError>(())
/// ```
///
/// A wrong edge does not compile: counts are numbers, and numbers are not text.
///
/// ```compile_fail
/// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, Utf8};
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("words", Consumed::<String, String>::with(Utf8, Utf8))
///     .group_by_key(Grouped::with(Utf8, Utf8))
///     .count(Materialized::named("counts", BigEndian))
///     .to_stream()
///     .to("word-counts", Produced::<String, String>::with(Utf8, Utf8));
/// ```
#[derive(Default)]
pub struct StreamsBuilder {
    plan: Rc<RefCell<Plan>>,
}

impl StreamsBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a topic.
    pub fn stream<K: 'static, V: 'static>(
        &self,
        topic: impl Into<String>,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        let Consumed { key_serde, value_serde, event_time, name } = consumed;
        let mut plan = self.plan.borrow_mut();
        let name = plan.name("KSTREAM-SOURCE-", name.as_deref());
        let node = plan.add(
            name,
            Role::Source(TopicName::External(topic.into())),
            Vec::new(),
            Arc::new(move |wiring| {
                Built::Source(Box::new(Source {
                    key_serde: Arc::clone(&key_serde),
                    value_serde: Arc::clone(&value_serde),
                    event_time: event_time.clone(),
                    children: wiring.children::<K, V>(),
                }))
            }),
        );
        KStream { plan: Rc::clone(&self.plan), node, repartition_required: false, types: PhantomData }
    }

    /// Checks the steps and makes them a topology. The handles may live on; they are of no use any more.
    ///
    /// # Errors
    /// When nothing is read, a topic is read twice, or two parts have the same name.
    pub fn build(self) -> Result<Topology, TopologyError> {
        Topology::of(self.plan.take())
    }
}
