//! The operators of one task, wired.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::ProcessError;
use crate::graph::Topology;
use crate::ids::StoreIndex;
use crate::operators::SourceOperator;
use crate::plan::{Built, NodeId, Role, Wiring};
use crate::processor::{Context, Stateful, TaskFrame};
use crate::record::RawRecord;
use crate::time::Timestamp;

/// A sub-topology instantiated for one task. It knows nothing of Kafka: records come in, the context takes what
/// comes out.
pub struct Instance {
    sources: Vec<Box<dyn SourceOperator>>,
    /// Upstream first, so that what a flush forwards is flushed with it.
    stateful: Vec<Rc<RefCell<dyn Stateful>>>,
    next_close: Timestamp,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

impl Topology {
    /// Wires the operators of sub-topology `number` for one task. Sources are in the order of
    /// [`Subtopology::sources`](crate::graph::Subtopology::sources).
    pub fn instantiate(&self, number: usize, application_id: &str) -> Option<Instance> {
        let subtopology = self.subtopologies().get(number)?;
        let mut stateful = Vec::new();
        let mut sources = Vec::new();
        let mut links: BTreeMap<NodeId, Rc<dyn Any>> = BTreeMap::new();
        for &id in subtopology.nodes.iter().rev() {
            let node = self.nodes.get(id)?;
            let store = match node.role {
                Role::Processor { store: Some(store) } => {
                    let place = subtopology.plan_stores.iter().position(|&candidate| candidate == store)?;
                    Some(StoreIndex(u16::try_from(place).ok()?))
                }
                _ => None,
            };
            let children = self.children(id).filter_map(|child| links.get(&child).cloned()).collect();
            let mut wiring = Wiring { application_id, children, store, stateful: &mut stateful };
            match (node.factory)(&mut wiring) {
                Built::Source(source) => sources.push(source),
                Built::Link(link) => {
                    links.insert(id, Rc::from(link));
                }
            }
        }
        sources.reverse();
        stateful.reverse();
        Some(Instance { sources, stateful, next_close: Timestamp::MIN })
    }
}

impl Instance {
    /// Learns from the stores what committed state there is. Before the first record, and after an abort.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn open(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        for operator in &self.stateful {
            operator.borrow_mut().open(ctx)?;
        }
        self.see_next_close();
        Ok(())
    }

    /// Processes one record of source `source`, moves stream time up to it, and closes the windows that are due.
    ///
    /// # Errors
    /// [`ProcessError::BadRecord`] concerns this record only; the others end the transaction.
    pub fn process(
        &mut self,
        source: usize,
        raw: &RawRecord<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), ProcessError> {
        let before = ctx.frame.stream_time;
        let Some(operator) = self.sources.get_mut(source) else { return Ok(()) };
        let result = operator.process(raw, ctx);
        if ctx.frame.stream_time > before {
            self.advance(ctx)?;
        }
        result
    }

    fn advance(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        // A window that opened meanwhile may close before those known here, so the operators are asked again.
        self.see_next_close();
        if ctx.frame.stream_time < self.next_close {
            return Ok(());
        }
        let source = ctx.source.take();
        for operator in &self.stateful {
            operator.borrow_mut().advance(ctx)?;
        }
        ctx.source = source;
        self.see_next_close();
        Ok(())
    }

    /// The event time of a record that waits to be chosen.
    ///
    /// # Errors
    /// When the record is bad.
    pub fn event_time(
        &self,
        source: usize,
        raw: &RawRecord<'_>,
        now: Timestamp,
        frame: &TaskFrame,
    ) -> Result<Timestamp, ProcessError> {
        match self.sources.get(source) {
            Some(operator) => operator.event_time(raw, now, frame.timestamp_ahead_max_ms),
            None => Ok(raw.timestamp),
        }
    }

    /// Writes every change since the last commit: changelog, staged batch, and downstream.
    ///
    /// # Errors
    /// When a store or the producer fails; the transaction has to be aborted.
    pub fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), ProcessError> {
        for operator in &self.stateful {
            operator.borrow_mut().flush(ctx)?;
        }
        Ok(())
    }

    /// The flush is committed: changed entries may leave the caches again.
    pub fn committed(&mut self, frame: &TaskFrame) {
        for operator in &self.stateful {
            operator.borrow_mut().committed(frame);
        }
    }

    /// Forgets everything that is not committed; [`open`](Self::open) comes next.
    pub fn aborted(&mut self) {
        for operator in &self.stateful {
            operator.borrow_mut().aborted();
        }
    }

    /// How many bytes of decoded state the operators hold, about.
    pub fn cached_bytes(&self) -> usize {
        self.stateful.iter().map(|operator| operator.borrow().cached_bytes()).sum()
    }

    /// How many of them are changed and not committed.
    pub fn dirty_bytes(&self) -> usize {
        self.stateful.iter().map(|operator| operator.borrow().dirty_bytes()).sum()
    }

    /// How many windows are open.
    pub fn open_windows(&self) -> usize {
        self.stateful.iter().map(|operator| operator.borrow().open_windows()).sum()
    }

    /// Whether the task keeps state.
    pub fn is_stateful(&self) -> bool {
        !self.stateful.is_empty()
    }

    fn see_next_close(&mut self) {
        let earliest = self.stateful.iter().map(|operator| operator.borrow().next_close()).min();
        self.next_close = earliest.unwrap_or(Timestamp(i64::MAX));
    }
}
