//! A Kafka cluster of JVM processes, in one of two shapes, whose nodes can be killed one by one.

use std::path::Path;

use super::client::Client;
use super::node::{Node, NodeId, Role};
use super::ports::free_port;
use super::settings::settings;
use super::turn::Turn;

type Settings = Vec<(&'static str, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One server, broker and controller at once, with one replica of everything.
    Single,
    /// Three controllers and three brokers; three replicas, two of them in sync.
    ThreePlusThree,
}

impl Shape {
    fn nodes(self) -> Vec<(NodeId, Role)> {
        match self {
            Shape::Single => vec![(NodeId(1), Role::Both)],
            Shape::ThreePlusThree => (1..=3)
                .map(|n| (NodeId(n), Role::Controller))
                .chain((11..=13).map(|n| (NodeId(n), Role::Broker)))
                .collect(),
        }
    }
}

/// One more listener of every broker, beside those that clients and brokers have.
pub(crate) struct Door {
    /// Its security protocol.
    pub(crate) protocol: &'static str,
    /// Where the broker listens.
    pub(crate) port: u16,
    /// Where clients are told to come.
    pub(crate) advertised: u16,
    /// What the broker has to know besides.
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Door {
    /// What the server calls it.
    const NAME: &str = "DOOR";

    fn add_to(&self, settings: &mut Settings) {
        let Door { protocol, port, advertised, settings: own } = self;
        let mut outside = String::new();
        for (name, value) in settings.iter_mut() {
            match *name {
                "listeners" => {
                    let of_clients = value.split(',').filter(|listener| !listener.starts_with("CONTROLLER"));
                    outside = of_clients.map(|listener| format!("{listener},")).collect();
                    value.push_str(&format!(",{}://127.0.0.1:{port}", Door::NAME));
                }
                "listener.security.protocol.map" => value.push_str(&format!(",{}:{protocol}", Door::NAME)),
                _ => {}
            }
        }
        outside.push_str(&format!("{}://127.0.0.1:{advertised}", Door::NAME));
        settings.push(("advertised.listeners", outside));
        settings.extend(own.iter().cloned());
    }
}

/// A running cluster; dropping it kills every node.
pub(crate) struct Cluster {
    bootstrap: String,
    nodes: Vec<Node>,
    /// Given back last, when the nodes are gone.
    _turn: Option<Turn>,
}

impl Cluster {
    /// Starts a cluster that keeps its data and logs in `dir`, and returns when every broker serves.
    pub(crate) fn start(shape: Shape, dir: &Path) -> Cluster {
        Cluster::start_with(shape, dir, |_| {}, |_, _| vec![])
    }

    /// Starts a single server with a door.
    pub(crate) fn start_with_door(dir: &Path, door: &Door) -> Cluster {
        Cluster::start_with(Shape::Single, dir, |settings| door.add_to(settings), |_, _| vec![])
    }

    /// As [`Cluster::start`]; the JVM of each server gets the options that `jvm_options` gives for it.
    pub(crate) fn start_in_jvms(
        shape: Shape,
        dir: &Path,
        jvm_options: impl Fn(NodeId, Role) -> Vec<String>,
    ) -> Cluster {
        Cluster::start_with(shape, dir, |_| {}, jvm_options)
    }

    fn start_with(
        shape: Shape,
        dir: &Path,
        adjust: impl Fn(&mut Settings),
        jvm_options: impl Fn(NodeId, Role) -> Vec<String>,
    ) -> Cluster {
        struct Place {
            id: NodeId,
            role: Role,
            client: u16,
            internal: u16,
            quorum: u16,
        }
        let turn = (shape == Shape::ThreePlusThree).then(Turn::take);
        let place = |(id, role)| {
            let (client, internal, quorum) = (free_port(), free_port(), free_port());
            Place { id, role, client, internal, quorum }
        };
        let places: Vec<Place> = shape.nodes().into_iter().map(place).collect();
        let is_broker = |place: &&Place| place.role != Role::Controller;
        let voters: Vec<String> = places
            .iter()
            .filter(|place| place.role != Role::Broker)
            .map(|place| format!("{}@127.0.0.1:{}", place.id.0, place.quorum))
            .collect();
        let common = settings(places.iter().filter(is_broker).count());
        let mut nodes: Vec<Node> = places
            .iter()
            .map(|&Place { id, role, client, internal, quorum }| {
                let brokering = format!("CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal}");
                let voting = format!("CONTROLLER://127.0.0.1:{quorum}");
                let (roles, port, listeners) = match role {
                    Role::Broker => ("broker", client, brokering),
                    Role::Controller => ("controller", quorum, voting),
                    Role::Both => ("broker,controller", client, format!("{brokering},{voting}")),
                };
                let mut settings = common.clone();
                settings.extend([
                    ("node.id", id.0.to_string()),
                    ("process.roles", roles.to_owned()),
                    ("controller.quorum.voters", voters.join(",")),
                    ("listeners", listeners),
                ]);
                adjust(&mut settings);
                let dir = dir.join(format!("node-{}", id.0));
                Node::new(id, role, port, dir, &settings).with_jvm_options(jvm_options(id, role))
            })
            .collect();

        let formatting: Vec<_> = nodes.iter().map(Node::format).collect();
        formatting.into_iter().for_each(|formatting| formatting.done());
        nodes.iter_mut().for_each(Node::launch);
        nodes.iter_mut().for_each(Node::await_serving);
        let brokers: Vec<String> =
            nodes.iter().filter(|node| node.role != Role::Controller).map(Node::address).collect();
        Cluster { bootstrap: brokers.join(","), nodes, _turn: turn }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.bootstrap)
    }

    /// The nodes that serve clients, in the order of their ids.
    pub(crate) fn brokers(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|node| node.role != Role::Controller).map(|node| node.id).collect()
    }

    /// The nodes of the quorum, in the order of their ids.
    pub(crate) fn controllers(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|node| node.role != Role::Broker).map(|node| node.id).collect()
    }

    /// Sends SIGKILL and returns when the process is gone.
    pub(crate) fn kill(&mut self, node: NodeId) {
        self.node(node).kill();
    }

    /// Sends SIGTERM and returns when the process has ended by itself.
    pub(crate) fn stop(&mut self, node: NodeId) {
        self.node(node).stop();
    }

    /// Starts a node on the data and port it had, after stopping it if it runs, and returns when it serves.
    pub(crate) fn restart(&mut self, node: NodeId) {
        let node = self.node(node);
        if node.runs() {
            node.stop();
        }
        node.launch();
        node.await_serving();
    }

    /// Sends SIGSTOP: the node keeps its connections and answers nothing.
    pub(crate) fn pause(&mut self, node: NodeId) {
        self.node(node).pause();
    }

    /// Sends SIGCONT.
    pub(crate) fn resume(&mut self, node: NodeId) {
        self.node(node).resume();
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id == id).unwrap_or_else(|| panic!("the cluster has no {id}"))
    }
}
