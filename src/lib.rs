//! Kafka Streams for Rust: runs a [`Topology`] on a Kafka cluster, exactly once, with its state in RocksDB.

mod clock;
mod commit;
mod commit_pace;
pub mod config;
pub mod connect;
mod error;
mod housekeeping;
mod internal_topics;
pub mod kafka;
pub mod lifecycle;
pub mod observe;
mod overview;
pub mod ports;
mod progress;
pub mod query;
mod rebalance;
mod restore;
mod start_line;
pub mod state;
mod streams;
mod task;
mod worker;

pub use clock::SystemClock;
pub use error::Error;
pub use overview::Overview;
pub use progress::Snapshot;
pub use riacho_topology::store;
pub use riacho_topology::{
    BadRecord, BadRecordPolicy, BadWindow, BigEndian, BranchedKStream, Bytes, Consumed, Context,
    EmitStrategy, EventTime, Forward, Grouped, Header, Headers, Json, KGroupedStream, KStream, KTable,
    Materialized, Nullable, Outgoing, ProcessError, Produced, RawRecord, Record, Serde, SerdeError, State,
    StateCodec, StreamsBuilder, Tally, TaskId, TimeWindowed, TimeWindowedKStream, TimeWindows, Timestamp,
    TopicName, TopicPartition, Topology, TopologyError, Utf8, Window, Windowed, Written, partition_of,
    read_varint, unzigzag, write_varint, zigzag,
};
pub use streams::{Launch, OwnTopics, Streams, client_settings};
