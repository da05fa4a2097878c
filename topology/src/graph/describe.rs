//! The text of a topology, byte for byte as `Topology.describe()` of Kafka Streams prints it, and as dot and JSON.

use crate::graph::java_order::{self, Linked, Place};
use crate::graph::{Subtopology, Topology};
use crate::plan::{Node, NodeId, Role};

impl Topology {
    /// Kafka Streams' text; kafka-streams-viz draws it.
    ///
    /// ```
    /// use riacho_topology::{Consumed, Produced, StreamsBuilder, Utf8};
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream("views", Consumed::<String, String>::with(Utf8, Utf8));
    /// views.filter(|view| !view.value.is_empty()).to("pages", Produced::with(Utf8, Utf8));
    /// let expected = "Topologies:
    ///    Sub-topology: 0
    ///     Source: KSTREAM-SOURCE-0000000000 (topics: [views])
    ///       --> KSTREAM-FILTER-0000000001
    ///     Processor: KSTREAM-FILTER-0000000001 (stores: [])
    ///       --> KSTREAM-SINK-0000000002
    ///       <-- KSTREAM-SOURCE-0000000000
    ///     Sink: KSTREAM-SINK-0000000002 (topic: pages)
    ///       <-- KSTREAM-FILTER-0000000001
    ///
    /// ";
    /// assert_eq!(builder.build()?.describe(), expected);
    /// # Ok::<(), riacho_topology::TopologyError>(())
    /// ```
    pub fn describe(&self) -> String {
        let mut text = String::from("Topologies:\n ");
        for (number, subtopology) in self.subtopologies().iter().enumerate() {
            text += &format!("  Sub-topology: {number}\n");
            for (node, place) in self.in_java_order(subtopology) {
                text += &self.describe_node(node, &place);
            }
            text += "\n";
        }
        text
    }

    /// The nodes of a sub-topology, the largest first, then by name.
    fn in_java_order(&self, subtopology: &Subtopology) -> Vec<(&Node, Place)> {
        let linked = |id| {
            let node: &Node = self.nodes.get(id)?;
            Some(Linked { id, name: &node.name, parents: &node.parents })
        };
        let linked: Vec<_> = subtopology.nodes.iter().filter_map(|&id| linked(id)).collect();
        let places = java_order::places(&linked).into_iter();
        let mut nodes: Vec<_> = places.filter_map(|(id, place)| Some((self.nodes.get(id)?, place))).collect();
        nodes.sort_by(|(a, at), (b, bt)| bt.size.cmp(&at.size).then_with(|| a.name.cmp(&b.name)));
        nodes
    }

    fn describe_node(&self, node: &Node, place: &Place) -> String {
        let names = |ids: &[NodeId]| {
            let names: Vec<_> = ids.iter().map(|&id| self.name_of(id)).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let after = format!("      --> {}\n", names(&place.successors));
        let before = format!("      <-- {}\n", names(&place.predecessors));
        let name = &node.name;
        match &node.role {
            Role::Source(topic) => {
                format!("    Source: {name} (topics: [{}])\n{after}", topic.as_described())
            }
            Role::Processor { store } => {
                let store = store.and_then(|store| self.store_name(store)).unwrap_or_default();
                format!("    Processor: {name} (stores: [{store}])\n{after}{before}")
            }
            Role::Sink(topic) => format!("    Sink: {name} (topic: {})\n{before}", topic.as_described()),
        }
    }

    fn name_of(&self, id: NodeId) -> &str {
        self.nodes.get(id).map_or("", |node| &node.name)
    }

    fn store_of(&self, id: NodeId) -> Option<&str> {
        let Role::Processor { store: Some(store) } = self.nodes.get(id)?.role else { return None };
        self.store_name(store)
    }

    fn store_name(&self, store: usize) -> Option<&str> {
        self.subtopologies().iter().find_map(|subtopology| {
            let place = subtopology.plan_stores.iter().position(|&candidate| candidate == store)?;
            subtopology.stores.get(place).map(|store| store.name.as_str())
        })
    }

    /// The topology for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph topology {\n  rankdir=TB;\n  node [shape=box];\n");
        for (number, subtopology) in self.subtopologies().iter().enumerate() {
            dot += &format!("  subgraph cluster_{number} {{\n    label=\"Sub-topology {number}\";\n");
            for &id in &subtopology.nodes {
                let shape = match self.nodes.get(id).map(|node| &node.role) {
                    Some(Role::Source(_) | Role::Sink(_)) => "ellipse",
                    _ => "box",
                };
                let store = self.store_of(id).map(|store| format!("\\n[{store}]")).unwrap_or_default();
                dot += &format!("    n{id} [label=\"{}{store}\" shape={shape}];\n", self.name_of(id));
            }
            dot += "  }\n";
        }
        for (id, node) in self.nodes.iter().enumerate() {
            for parent in &node.parents {
                dot += &format!("  n{parent} -> n{id};\n");
            }
            let (topic, edge) = match &node.role {
                Role::Source(topic) => (topic, format!("\"{}\" -> n{id}", topic.as_described())),
                Role::Sink(topic) => (topic, format!("n{id} -> \"{}\"", topic.as_described())),
                Role::Processor { .. } => continue,
            };
            dot += &format!("  \"{}\" [shape=cylinder];\n  {edge};\n", topic.as_described());
        }
        dot += "}\n";
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
