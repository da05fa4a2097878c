//! A table: the latest value of each key, as a stream of changes.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use crate::dsl::KStream;
use crate::operators::Pass;
use crate::plan::{NodeId, Plan, Role, Wiring};

/// The latest aggregate per key, made by `count`, `reduce` and `aggregate`.
///
/// Its content lies in a store, which the application can be asked for; its changes are a stream. A key that changes
/// several times between two commits is one change in it.
pub struct KTable<K, V> {
    pub(crate) plan: Rc<RefCell<Plan>>,
    pub(crate) node: NodeId,
    pub(crate) types: PhantomData<fn() -> (K, V)>,
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// The changes of the table as a stream.
    #[must_use]
    pub fn to_stream(&self) -> KStream<K, V> {
        self.to_stream_named(None)
    }

    /// [`to_stream`](Self::to_stream) with a name for the node.
    #[must_use]
    pub fn to_stream_named<'n>(&self, name: impl Into<Option<&'n str>>) -> KStream<K, V> {
        let mut plan = self.plan.borrow_mut();
        let name = plan.name("KTABLE-TOSTREAM-", name.into());
        let factory =
            |wiring: &mut Wiring<'_>| Wiring::link::<K, V>(Pass::<K, V> { children: wiring.children() });
        let node = plan.add(name, Role::Processor { store: None }, vec![self.node], Arc::new(factory));
        KStream { plan: Rc::clone(&self.plan), node, repartition_required: false, types: PhantomData }
    }
}
