//! The order in which Kafka Streams' `describe` prints the neighbours of a node.
//!
//! `-->` and `<--` are Java `TreeSet`s ordered by size, largest subtree first, then by name. Java fills them while the
//! sizes still grow, visiting the nodes in the order of a `HashMap` of their names. Each insertion compares the sizes
//! of its moment along one path of the red-black tree, so neither the final sizes nor the order of insertion explains
//! the result: the tree itself has to be grown.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::plan::NodeId;

/// A node with its parents in the order given.
pub(super) struct Linked<'t> {
    pub(super) id: NodeId,
    pub(super) name: &'t str,
    pub(super) parents: &'t [NodeId],
}

/// A node's rank and its neighbours in printing order.
#[derive(Default)]
pub(super) struct Place {
    /// One for the node itself and one for each node below it, once per path.
    pub(super) size: usize,
    pub(super) successors: Vec<NodeId>,
    pub(super) predecessors: Vec<NodeId>,
}

/// The places of a sub-topology's nodes, which are given in the order in which they were added.
pub(super) fn places(nodes: &[Linked<'_>]) -> BTreeMap<NodeId, Place> {
    let names: BTreeMap<NodeId, &str> = nodes.iter().map(|node| (node.id, node.name)).collect();
    let mut sizes: BTreeMap<NodeId, usize> = nodes.iter().map(|node| (node.id, 1)).collect();
    let mut successors: BTreeMap<NodeId, TreeSet> = BTreeMap::new();
    let mut predecessors: BTreeMap<NodeId, TreeSet> = BTreeMap::new();
    for node in in_hash_order(nodes) {
        for &parent in node.parents {
            let rank = |id: NodeId| (Reverse(sizes.get(&id)), names.get(&id));
            let before = |a: NodeId, b: NodeId| rank(a) < rank(b);
            predecessors.entry(node.id).or_default().insert(parent, &before);
            successors.entry(parent).or_default().insert(node.id, &before);
            let by = sizes.get(&node.id).copied().unwrap_or_default();
            grow(&mut sizes, &predecessors, parent, by);
        }
    }
    let printed =
        |sets: &BTreeMap<NodeId, TreeSet>, id| sets.get(&id).map(TreeSet::in_order).unwrap_or_default();
    let place = |(&id, &size): (&NodeId, &usize)| {
        (id, Place { size, successors: printed(&successors, id), predecessors: printed(&predecessors, id) })
    };
    sizes.iter().map(place).collect()
}

/// Adds `by` to the size of a node, and to all above it that are linked already.
fn grow(
    sizes: &mut BTreeMap<NodeId, usize>,
    predecessors: &BTreeMap<NodeId, TreeSet>,
    node: NodeId,
    by: usize,
) {
    *sizes.entry(node).or_default() += by;
    for parent in predecessors.get(&node).map(TreeSet::in_order).unwrap_or_default() {
        grow(sizes, predecessors, parent, by);
    }
}

/// The order of a Java `HashMap` that was filled one by one: by bucket, and within a bucket as added.
fn in_hash_order<'n, 't>(nodes: &'n [Linked<'t>]) -> Vec<&'n Linked<'t>> {
    let mut buckets: usize = 16;
    while nodes.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    let mut ordered: Vec<_> = nodes.iter().collect();
    ordered.sort_by_key(|node| java_hash(node.name) as usize & (buckets - 1));
    ordered
}

/// `String.hashCode`, spread as `HashMap` does it.
fn java_hash(name: &str) -> u32 {
    let hash =
        name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash ^ (hash >> 16)
}

/// `java.util.TreeSet` for an order that may change between insertions.
#[derive(Default)]
struct TreeSet {
    root: Link,
}

type Link = Option<Box<Branch>>;

struct Branch {
    id: NodeId,
    red: bool,
    left: Link,
    right: Link,
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl TreeSet {
    fn insert(&mut self, id: NodeId, before: &impl Fn(NodeId, NodeId) -> bool) {
        let mut root = Branch::insert(self.root.take(), id, before);
        root.red = false;
        self.root = Some(root);
    }

    fn in_order(&self) -> Vec<NodeId> {
        let mut ids = Vec::new();
        Branch::walk(&self.root, &mut ids);
        ids
    }
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl Branch {
    fn child(&self, side: Side) -> &Link {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn child_mut(&mut self, side: Side) -> &mut Link {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    fn insert(link: Link, id: NodeId, before: &impl Fn(NodeId, NodeId) -> bool) -> Box<Branch> {
        let Some(mut branch) = link else {
            return Box::new(Branch { id, red: true, left: None, right: None });
        };
        if branch.id == id {
            return branch;
        }
        let side = if before(id, branch.id) { Side::Left } else { Side::Right };
        let below = branch.child_mut(side).take();
        *branch.child_mut(side) = Some(Branch::insert(below, id, before));
        branch.repaired(side)
    }

    /// Mends a red child with a red child of its own on `side`, where the insertion was, as Cormen, Leiserson, Rivest
    /// and Stein do: below a red sibling by colour alone, else by rotation.
    fn repaired(mut self: Box<Self>, side: Side) -> Box<Branch> {
        let is_red = |link: &Link| link.as_ref().is_some_and(|branch| branch.red);
        let Some(child) = self.child(side).as_ref().filter(|child| child.red) else { return self };
        let (inner, outer) = (is_red(child.child(side.other())), is_red(child.child(side)));
        if !inner && !outer {
            return self;
        }
        if is_red(self.child(side.other())) {
            for below in [&mut self.left, &mut self.right].into_iter().flatten() {
                below.red = false;
            }
            self.red = true;
            return self;
        }
        if inner {
            let child = self.child_mut(side).take();
            *self.child_mut(side) = child.map(|child| child.rotated(side));
        }
        self.red = true;
        let mut up = self.rotated(side.other());
        up.red = false;
        up
    }

    /// Goes down to `side`; the child on the other side comes up in its place.
    fn rotated(mut self: Box<Self>, side: Side) -> Box<Branch> {
        let Some(mut up) = self.child_mut(side.other()).take() else { return self };
        *self.child_mut(side.other()) = up.child_mut(side).take();
        *up.child_mut(side) = Some(self);
        up
    }

    fn walk(link: &Link, ids: &mut Vec<NodeId>) {
        let Some(branch) = link else { return };
        Branch::walk(&branch.left, ids);
        ids.push(branch.id);
        Branch::walk(&branch.right, ids);
    }
}
