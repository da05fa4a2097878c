//! What users type: streams, groups, windows and tables as typed handles.

mod branched;
mod builder;
mod grouped;
mod options;
mod stream;
mod table;

pub use branched::BranchedKStream;
pub use builder::StreamsBuilder;
pub use grouped::{KGroupedStream, TimeWindowedKStream};
pub use options::{Consumed, Grouped, Materialized, Produced};
pub use stream::KStream;
pub use table::KTable;
