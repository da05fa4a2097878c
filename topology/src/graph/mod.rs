//! The physical graph: checked, cut into sub-topologies, described, and instantiated per task.

mod describe;
mod instance;
mod java_order;

pub use instance::Instance;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::TopologyError;
use crate::plan::{Node, NodeId, Plan, Role, TopicName};
use crate::store::StoreSpec;

/// A computation, ready to run. Made by [`StreamsBuilder::build`](crate::StreamsBuilder::build).
///
/// It is cut where records go through a topic: each [`Subtopology`] runs on its own, once per partition.
///
/// ```
/// use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, StreamsBuilder, TopicName, Utf8};
/// let builder = StreamsBuilder::new();
/// let views = builder.stream("views", Consumed::<String, String>::with(Utf8, Utf8));
/// let per_page = views.group_by(|view| view.value.clone(), Grouped::with(Utf8, Utf8));
/// let _ = per_page.count(Materialized::named("per-page", BigEndian));
/// let topology = builder.build()?;
/// let [reading, counting] = topology.subtopologies() else { panic!("two sub-topologies") };
/// assert_eq!(reading.sinks, [TopicName::Repartition("per-page-repartition".to_owned())]);
/// assert_eq!(counting.sources, reading.sinks);
/// assert_eq!(counting.stores[0].name, "per-page");
/// # Ok::<(), riacho_topology::TopologyError>(())
/// ```
pub struct Topology {
    pub(crate) nodes: Vec<Node>,
    subtopologies: Vec<Subtopology>,
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

/// A part of a topology that shares no topic-free path with the others. It runs as one task per partition.
#[derive(Clone, Debug)]
pub struct Subtopology {
    pub(crate) nodes: Vec<NodeId>,
    /// The topics it reads. All have to be partitioned alike.
    pub sources: Vec<TopicName>,
    /// The topics it writes.
    pub sinks: Vec<TopicName>,
    /// Its stores; a [`StoreIndex`](crate::StoreIndex) is a place in this list.
    pub stores: Vec<StoreSpec>,
    pub(crate) plan_stores: Vec<usize>,
}

impl Topology {
    pub(crate) fn of(mut plan: Plan) -> Result<Self, TopologyError> {
        plan.refused.take().map_or(Ok(()), Err)?;
        validate(&plan)?;
        let subtopologies = cut(&plan);
        Ok(Topology { nodes: plan.nodes, subtopologies })
    }

    /// The sub-topologies, in the order of their numbers.
    pub fn subtopologies(&self) -> &[Subtopology] {
        &self.subtopologies
    }

    /// The topics it reads that are not its own.
    pub fn external_sources(&self) -> BTreeSet<&str> {
        self.topics(|subtopology| &subtopology.sources)
    }

    /// The topics it writes that are not its own.
    pub fn external_sinks(&self) -> BTreeSet<&str> {
        self.topics(|subtopology| &subtopology.sinks)
    }

    fn topics<'t>(&'t self, of: impl Fn(&'t Subtopology) -> &'t Vec<TopicName>) -> BTreeSet<&'t str> {
        self.subtopologies
            .iter()
            .flat_map(of)
            .filter_map(|topic| match topic {
                TopicName::External(name) => Some(name.as_str()),
                TopicName::Repartition(_) => None,
            })
            .collect()
    }

    pub(crate) fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes
            .iter()
            .enumerate()
            .filter(move |(_, child)| child.parents.contains(&node))
            .map(|(id, _)| id)
    }
}

fn validate(plan: &Plan) -> Result<(), TopologyError> {
    let mut sources = BTreeSet::new();
    let mut names = BTreeSet::new();
    for node in &plan.nodes {
        if !names.insert(&node.name) {
            return Err(TopologyError::DuplicateName { what: "node", name: node.name.clone() });
        }
        match &node.role {
            Role::Source(topic) if !sources.insert(topic) => {
                return Err(TopologyError::TopicReadTwice(topic.as_described().to_owned()));
            }
            Role::Source(topic) | Role::Sink(topic) => check_topic_name(topic.as_described())?,
            Role::Processor { .. } => {}
        }
    }
    if sources.is_empty() {
        return Err(TopologyError::NoSource);
    }
    let mut stores = BTreeSet::new();
    for store in &plan.stores {
        check_topic_name(&store.name)?;
        if !stores.insert(&store.name) {
            return Err(TopologyError::DuplicateName { what: "store", name: store.name.clone() });
        }
    }
    Ok(())
}

fn check_topic_name(name: &str) -> Result<(), TopologyError> {
    const LENGTH_MAX: usize = 249;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LENGTH_MAX || !name.chars().all(legal) {
        return Err(TopologyError::BadTopicName(name.to_owned()));
    }
    Ok(())
}

/// Nodes that are connected without a topic in between are one sub-topology; they are numbered by their first node.
fn cut(plan: &Plan) -> Vec<Subtopology> {
    let mut group: Vec<NodeId> = (0..plan.nodes.len()).collect();
    let root = |group: &[NodeId], mut node: NodeId| {
        while let Some(&up) = group.get(node).filter(|&&up| up != node) {
            node = up;
        }
        node
    };
    for (id, node) in plan.nodes.iter().enumerate() {
        for &parent in &node.parents {
            let (a, b) = (root(&group, id), root(&group, parent));
            if let Some(slot) = group.get_mut(a.max(b)) {
                *slot = a.min(b);
            }
        }
    }
    let mut members: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in 0..plan.nodes.len() {
        members.entry(root(&group, id)).or_default().push(id);
    }
    members.into_values().map(|nodes| subtopology(plan, nodes)).collect()
}

fn subtopology(plan: &Plan, nodes: Vec<NodeId>) -> Subtopology {
    let (mut sources, mut sinks, mut plan_stores) = (Vec::new(), Vec::new(), Vec::new());
    for node in nodes.iter().filter_map(|&id| plan.nodes.get(id)) {
        match &node.role {
            Role::Source(topic) => sources.push(topic.clone()),
            Role::Sink(topic) => sinks.push(topic.clone()),
            Role::Processor { store: Some(store) } => plan_stores.push(*store),
            Role::Processor { store: None } => {}
        }
    }
    let stores = plan_stores.iter().filter_map(|&store| plan.stores.get(store)).cloned().collect();
    Subtopology { nodes, sources, sinks, stores, plan_stores }
}
