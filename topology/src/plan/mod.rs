//! The plan that the DSL writes: named nodes with typed factories, erased so that they fit in one list.
//!
//! A node's factory makes its operator for one task. The typed handles of the DSL are the only way to connect
//! nodes, so an operator's children always have the types it was written for.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::TopologyError;
use crate::ids::StoreIndex;
use crate::operators::SourceOperator;
use crate::processor::{Children, Link, Process, Stateful};
use crate::store::StoreSpec;

/// A node of the plan, by its place.
pub(crate) type NodeId = usize;

/// A topic as the topology names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicName {
    /// A topic that somebody else owns too.
    External(String),
    /// A repartition topic: `<application.id>-<name>`, made and purged by the application.
    Repartition(String),
}

impl TopicName {
    /// The name in the cluster.
    pub fn resolve(&self, application_id: &str) -> String {
        match self {
            TopicName::External(name) => name.clone(),
            TopicName::Repartition(name) => format!("{application_id}-{name}"),
        }
    }

    /// The name as `describe` prints it.
    pub fn as_described(&self) -> &str {
        let (TopicName::External(name) | TopicName::Repartition(name)) = self;
        name
    }
}

/// What a node is to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Source(TopicName),
    Processor { store: Option<usize> },
    Sink(TopicName),
}

/// What a factory makes.
pub(crate) enum Built {
    Source(Box<dyn SourceOperator>),
    Link(Box<dyn Any>),
}

pub(crate) type Factory = Arc<dyn Fn(&mut Wiring<'_>) -> Built + Send + Sync>;

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) parents: Vec<NodeId>,
    pub(crate) factory: Factory,
}

/// What a factory may use: the operators that come after its own, and the task's names for things.
pub(crate) struct Wiring<'w> {
    pub(crate) application_id: &'w str,
    pub(crate) children: Vec<Rc<dyn Any>>,
    pub(crate) store: Option<StoreIndex>,
    pub(crate) stateful: &'w mut Vec<Rc<RefCell<dyn Stateful>>>,
}

impl Wiring<'_> {
    pub(crate) fn children<K: 'static, V: 'static>(&self) -> Children<K, V> {
        let link = |child: &Rc<dyn Any>| {
            child
                .downcast_ref::<Link<K, V>>()
                .expect("typed handles connect nodes of matching types only")
                .clone()
        };
        Children::new(self.children.iter().map(link).collect())
    }

    pub(crate) fn store(&self) -> StoreIndex {
        self.store.expect("a factory that asks for its store was added with one")
    }

    pub(crate) fn link<K: 'static, V: 'static>(operator: impl Process<K, V> + 'static) -> Built {
        let link: Link<K, V> = Rc::new(RefCell::new(operator));
        Built::Link(Box::new(link))
    }

    pub(crate) fn stateful_link<K: 'static, V: 'static>(
        &mut self,
        operator: impl Process<K, V> + Stateful + 'static,
    ) -> Built {
        let operator = Rc::new(RefCell::new(operator));
        self.stateful.push(operator.clone());
        let link: Link<K, V> = operator;
        Built::Link(Box::new(link))
    }
}

/// Nodes, stores and the counter that Kafka Streams' generated names come from.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) stores: Vec<StoreSpec>,
    /// What was described and cannot be built.
    pub(crate) refused: Option<TopologyError>,
    next_index: usize,
}

impl Plan {
    /// The next generated name. Kafka Streams takes an index also where a name is given: later names depend on it.
    pub(crate) fn name(&mut self, prefix: &str, given: Option<&str>) -> String {
        let index = self.next_index;
        self.next_index += 1;
        given.map_or_else(|| format!("{prefix}{index:010}"), str::to_owned)
    }

    /// A name of which a given one takes no index, like a store's.
    pub(crate) fn name_without_index(&mut self, prefix: &str, given: Option<&str>) -> String {
        match given {
            Some(name) => name.to_owned(),
            None => self.name(prefix, None),
        }
    }

    pub(crate) fn add(&mut self, name: String, role: Role, parents: Vec<NodeId>, factory: Factory) -> NodeId {
        self.nodes.push(Node { name, role, parents, factory });
        self.nodes.len() - 1
    }

    /// Remembers the first thing that cannot be built, for the end of the description.
    pub(crate) fn refuse(&mut self, error: TopologyError) {
        self.refused.get_or_insert(error);
    }

    pub(crate) fn add_store(&mut self, store: StoreSpec) -> usize {
        self.stores.push(store);
        self.stores.len() - 1
    }
}
