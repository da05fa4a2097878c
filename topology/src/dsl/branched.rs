//! A stream that is being split.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use crate::dsl::KStream;
use crate::operators::{Pass, Predicate, Split};
use crate::plan::{NodeId, Role, Wiring};
use crate::record::Record;

type Predicates<K, V> = Arc<Mutex<Vec<Box<Predicate<K, V>>>>>;

/// Collects branches; made by [`KStream::split`].
///
/// ```
/// use riacho_topology::{BigEndian, Consumed, Produced, StreamsBuilder, TestDriver, Utf8};
/// let builder = StreamsBuilder::new();
/// let amounts = builder.stream("amounts", Consumed::<String, i64>::with(Utf8, BigEndian));
/// let branches = amounts.split().branch(|amount| *amount.value < 0).default_branch();
/// for (branch, topic) in branches.iter().zip(["refunds", "sales"]) {
///     branch.to(topic, Produced::with(Utf8, BigEndian));
/// }
///
/// let mut run = TestDriver::of(builder.build()?);
/// run.input::<String, i64>("amounts", Utf8, BigEndian).send("ana", 5).send("ana", -5);
/// assert_eq!(run.output::<String, i64>("sales", Utf8, BigEndian), [("ana", 5)]);
/// assert_eq!(run.output::<String, i64>("refunds", Utf8, BigEndian), [("ana", -5)]);
/// # Ok::<(), riacho_topology::TopologyError>(())
/// ```
pub struct BranchedKStream<K, V> {
    stream: KStream<K, V>,
    node: NodeId,
    name: String,
    predicates: Predicates<K, V>,
    branches: Vec<KStream<K, V>>,
}

impl<K: 'static, V: 'static> BranchedKStream<K, V> {
    pub(crate) fn new(stream: KStream<K, V>, name: Option<String>) -> Self {
        let predicates: Predicates<K, V> = Arc::default();
        let shared = Arc::clone(&predicates);
        // The branches are added after the node; by the time that a task is wired the list is whole.
        let frozen = std::sync::OnceLock::new();
        let factory = move |wiring: &mut Wiring<'_>| {
            let predicates = frozen.get_or_init(|| {
                let mut list = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Arc::from(std::mem::take(&mut *list))
            });
            Wiring::link::<K, V>(Split { predicates: Arc::clone(predicates), arms: wiring.children() })
        };
        let (node, name) = {
            let mut plan = stream.plan.borrow_mut();
            let name = plan.name("KSTREAM-BRANCH-", name.as_deref());
            let role = Role::Processor { store: None };
            (plan.add(name.clone(), role, vec![stream.node], Arc::new(factory)), name)
        };
        BranchedKStream { stream, node, name, predicates, branches: Vec::new() }
    }

    fn arm(&mut self, suffix: String) {
        let mut plan = self.stream.plan.borrow_mut();
        // Kafka Streams takes an index for each branch although its name does not show it.
        plan.name("", None);
        let factory =
            |wiring: &mut Wiring<'_>| Wiring::link::<K, V>(Pass::<K, V> { children: wiring.children() });
        let name = format!("{}{suffix}", self.name);
        let node = plan.add(name, Role::Processor { store: None }, vec![self.node], Arc::new(factory));
        self.branches.push(KStream {
            plan: Rc::clone(&self.stream.plan),
            node,
            repartition_required: self.stream.repartition_required,
            types: PhantomData,
        });
    }

    fn accept(&self, predicate: Box<Predicate<K, V>>) {
        self.predicates.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(predicate);
    }

    /// A branch for the records that `accept` accepts and no branch before did.
    #[must_use]
    pub fn branch(mut self, accept: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static) -> Self {
        self.accept(Box::new(accept));
        self.arm((self.branches.len() + 1).to_string());
        self
    }

    /// [`branch`](Self::branch) with a name, put after the split's.
    #[must_use]
    pub fn branch_named(
        mut self,
        name: &str,
        accept: impl Fn(&Record<'_, K, V>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.accept(Box::new(accept));
        self.arm(name.to_owned());
        self
    }

    /// The branches in order, and last the one for all other records.
    #[must_use]
    pub fn default_branch(mut self) -> Vec<KStream<K, V>> {
        self.arm("0".to_owned());
        self.branches
    }

    /// [`default_branch`](Self::default_branch) with a name, put after the split's.
    #[must_use]
    pub fn default_branch_named(mut self, name: &str) -> Vec<KStream<K, V>> {
        self.arm(name.to_owned());
        self.branches
    }

    /// The branches in order; other records are dropped.
    #[must_use]
    pub fn no_default_branch(self) -> Vec<KStream<K, V>> {
        self.branches
    }
}
