//! The operators: each takes records, may keep state, and forwards to its children.

mod aggregate;
mod filter;
mod flat_map;
mod keyed_store;
mod map;
mod pass;
mod peek;
mod process_values;
mod require_key;
mod sink;
mod source;
mod split;
mod store_writer;
mod tally;
mod windowed_aggregate;

pub(crate) use aggregate::Aggregate;
pub(crate) use filter::Filter;
pub(crate) use flat_map::{FlatMap, FlatMapValues};
pub(crate) use keyed_store::KeyedStore;
pub(crate) use map::{Map, MapValues, SelectKey};
pub(crate) use pass::Pass;
pub(crate) use peek::Peek;
pub use process_values::Forward;
pub(crate) use process_values::ProcessValues;
pub(crate) use require_key::RequireKey;
pub(crate) use sink::Sink;
pub(crate) use source::{Source, SourceOperator};
pub(crate) use split::{Predicate, Split};
pub(crate) use store_writer::StoreWriter;
pub(crate) use tally::Tallied;
pub use tally::Tally;
pub use windowed_aggregate::EmitStrategy;
pub(crate) use windowed_aggregate::{WindowedAggregate, WindowedStore};
