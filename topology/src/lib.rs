//! Describes a stateful computation over Kafka topics, as Kafka Streams does, and knows nothing of how it is run.

mod dsl;
pub mod error;
pub mod graph;
mod ids;
mod operators;
mod plan;
mod processor;
mod record;
mod serde;
pub mod store;
mod time;
mod windows;

pub use dsl::{
    BranchedKStream, Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Produced, StreamsBuilder,
    TimeWindowedKStream,
};
pub use error::{BadRecord, BadRecordPolicy, CollectError, ProcessError, StoreError, TopologyError};
pub use graph::{Instance, Subtopology, Topology};
pub use ids::{NotATaskId, StoreIndex, TaskId, TopicPartition};
pub use operators::{EmitStrategy, Forward};
pub use plan::TopicName;
pub use processor::{BadOutput, Context, Counts, Outgoing, RecordCollector, TaskFrame};
pub use record::{Header, Headers, RawRecord, Record};
pub use serde::{
    BigEndian, Bytes, Json, Nullable, Serde, SerdeError, State, StateCodec, Utf8, Written, read_varint, unzigzag,
    write_varint, zigzag,
};
pub use time::{EventTime, Timestamp};
pub use windows::{BadWindow, TimeWindows, Window, Windowed};
