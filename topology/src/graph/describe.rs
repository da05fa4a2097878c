//! The text of a topology, byte for byte as `Topology.describe()` of Kafka Streams prints it, and as dot and JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::graph::{Subtopology, Topology};
use crate::plan::{NodeId, Role};

impl Topology {
    /// Kafka Streams' text; kafka-streams-viz draws it.
    pub fn describe(&self) -> String {
        let mut text = String::from("Topologies:\n ");
        for (number, subtopology) in self.subtopologies().iter().enumerate() {
            let _ = writeln!(text, "  Sub-topology: {number}");
            let sizes = self.sizes(subtopology);
            for id in self.by_size(subtopology.nodes.clone(), &sizes) {
                self.describe_node(id, &sizes, &mut text);
            }
            text.push('\n');
        }
        text
    }

    fn describe_node(&self, id: NodeId, sizes: &BTreeMap<NodeId, usize>, text: &mut String) {
        let Some(node) = self.nodes.get(id) else { return };
        let name = &node.name;
        let _ = match &node.role {
            Role::Source(topic) => writeln!(text, "    Source: {name} (topics: [{}])", topic.as_described()),
            Role::Sink(topic) => writeln!(text, "    Sink: {name} (topic: {})", topic.as_described()),
            Role::Processor { .. } => {
                writeln!(text, "    Processor: {name} (stores: [{}])", self.store_of(id).unwrap_or_default())
            }
        };
        let names = |ids: Vec<NodeId>| {
            let names: Vec<_> = self.by_size(ids, sizes).into_iter().map(|id| self.name_of(id)).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        if !matches!(node.role, Role::Sink(_)) {
            let _ = writeln!(text, "      --> {}", names(self.children(id).collect()));
        }
        if !matches!(node.role, Role::Source(_)) {
            let _ = writeln!(text, "      <-- {}", names(node.parents.clone()));
        }
    }

    fn name_of(&self, id: NodeId) -> &str {
        self.nodes.get(id).map_or("", |node| &node.name)
    }

    fn store_of(&self, id: NodeId) -> Option<&str> {
        let Role::Processor { store: Some(store) } = self.nodes.get(id)?.role else { return None };
        self.subtopologies().iter().find_map(|subtopology| {
            let place = subtopology.plan_stores.iter().position(|&candidate| candidate == store)?;
            subtopology.stores.get(place).map(|store| store.name.as_str())
        })
    }

    /// Kafka Streams' order: larger subtrees first, then by name. A node's size is one plus its children's, counted
    /// once per path. Children have larger ids than their parents, so one pass from the end suffices.
    fn sizes(&self, subtopology: &Subtopology) -> BTreeMap<NodeId, usize> {
        let mut sizes = BTreeMap::new();
        for &id in subtopology.nodes.iter().rev() {
            let size = 1 + self.children(id).filter_map(|child| sizes.get(&child)).sum::<usize>();
            sizes.insert(id, size);
        }
        sizes
    }

    fn by_size(&self, mut ids: Vec<NodeId>, sizes: &BTreeMap<NodeId, usize>) -> Vec<NodeId> {
        ids.sort_by_key(|id| (std::cmp::Reverse(sizes.get(id).copied()), self.name_of(*id)));
        ids
    }

    /// The topology for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph topology {\n  rankdir=TB;\n  node [shape=box];\n");
        for (number, subtopology) in self.subtopologies().iter().enumerate() {
            let _ = writeln!(dot, "  subgraph cluster_{number} {{\n    label=\"Sub-topology {number}\";");
            for &id in &subtopology.nodes {
                let shape = match self.nodes.get(id).map(|node| &node.role) {
                    Some(Role::Source(_) | Role::Sink(_)) => "ellipse",
                    _ => "box",
                };
                let store = self.store_of(id).map(|store| format!("\\n[{store}]")).unwrap_or_default();
                let _ = writeln!(dot, "    n{id} [label=\"{}{store}\" shape={shape}];", self.name_of(id));
            }
            dot.push_str("  }\n");
        }
        for (id, node) in self.nodes.iter().enumerate() {
            for parent in &node.parents {
                let _ = writeln!(dot, "  n{parent} -> n{id};");
            }
            let _ = match &node.role {
                Role::Source(topic) => writeln!(dot, "  \"{0}\" [shape=cylinder];\n  \"{0}\" -> n{id};", topic.as_described()),
                Role::Sink(topic) => writeln!(dot, "  \"{0}\" [shape=cylinder];\n  n{id} -> \"{0}\";", topic.as_described()),
                Role::Processor { .. } => Ok(()),
            };
        }
        dot.push_str("}\n");
        dot
    }

    /// The topology as JSON: sub-topologies with their nodes, stores, and who follows whom.
    pub fn to_json(&self) -> serde_json::Value {
        let node = |id: NodeId| {
            let role = self.nodes.get(id).map(|node| &node.role);
            let (kind, topic) = match role {
                Some(Role::Source(topic)) => ("source", Some(topic.as_described())),
                Some(Role::Sink(topic)) => ("sink", Some(topic.as_described())),
                _ => ("processor", None),
            };
            let children: Vec<_> = self.children(id).map(|child| self.name_of(child)).collect();
            serde_json::json!({
                "name": self.name_of(id), "type": kind, "topic": topic, "store": self.store_of(id), "children": children,
            })
        };
        let subtopologies: Vec<_> = self
            .subtopologies()
            .iter()
            .enumerate()
            .map(|(id, subtopology)| {
                let nodes: Vec<_> = subtopology.nodes.iter().copied().map(node).collect();
                serde_json::json!({ "id": id, "nodes": nodes })
            })
            .collect();
        serde_json::json!({ "subtopologies": subtopologies })
    }
}
