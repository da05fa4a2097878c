//! Describes a stateful computation over Kafka topics, as Kafka Streams does, and knows nothing of how it is run.
//!
//! A [`StreamsBuilder`] collects typed steps and makes a [`Topology`] of them: what is read, how it is grouped and
//! folded, what is kept, what is written. The crate `riacho` runs it as a member of a consumer group;
//! a [`TestDriver`] runs it in a test. Names, sub-topologies, partitions, keys of changelogs and the text of
//! [`Topology::describe`] are those of Kafka Streams, and so is what comes out, proven by the same records sent through
//! both; where they differ on purpose, the tests in `tests/semantics_golden.rs` and `tests/describe_golden.rs` say why.
//!
//! ```
//! use riacho_topology::{BigEndian, Consumed, Grouped, Materialized, Produced, StreamsBuilder, TestDriver, Utf8};
//!
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream("lines", Consumed::<String, String>::with(Utf8, Utf8))
//!     .flat_map_values(|line| line.value.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .group_by(|word| word.value.clone(), Grouped::with(Utf8, Utf8))
//!     .count(Materialized::named("word-counts", BigEndian))
//!     .to_stream()
//!     .to("words", Produced::with(Utf8, BigEndian));
//! let topology = builder.build()?;
//!
//! let mut run = TestDriver::of(topology);
//! run.input::<String, String>("lines", Utf8, Utf8).send("1", "um rio dois rio").send("2", "um mar");
//! let counts = run.output::<String, u64>("words", Utf8, BigEndian);
//! assert_eq!(counts, [("um", 1), ("rio", 1), ("dois", 1), ("rio", 2), ("um", 2), ("mar", 1)]);
//! # Ok::<(), riacho_topology::TopologyError>(())
//! ```
//!
//! # Where things are
//!
//! | module | what it holds |
//! |---|---|
//! | `dsl` | what users type: [`StreamsBuilder`], [`KStream`], [`KGroupedStream`], [`KTable`], and the options of a step |
//! | `record` `serde` `time` `windows` | what flows, and how it becomes bytes, gets its time, and falls into windows |
//! | `plan` | what the DSL writes: named nodes with typed factories |
//! | [`graph`] | the finished topology: checked, cut into sub-topologies, described, and wired for a task |
//! | `operators` | one operator per file; each is a plain function of a record, its state and a [`Context`] |
//! | `processor` | what surrounds an operator: the [`Context`], the [`RecordCollector`] it writes to |
//! | [`store`] | state: the ports, the cache of decoded aggregates, the layout of keys, an implementation in memory |
//! | `partition` | which partition a key belongs to |
//! | [`error`] | what can go wrong, and who can do something about it |
//! | [`driver`] | the [`TestDriver`] |
//!
//! Read `dsl/builder.rs`, `plan/mod.rs` and `graph/instance.rs` in this order to see how a line of the DSL becomes an
//! operator of a task. The arrows: `dsl` → `plan` → `graph`, and `dsl` → `operators` → {`processor`, `store`,
//! `windows`}.

pub mod driver;
mod dsl;
pub mod error;
pub mod graph;
mod ids;
mod operators;
mod partition;
mod plan;
mod processor;
mod record;
mod serde;
pub mod store;
mod time;
mod windows;

pub use driver::TestDriver;
pub use dsl::{
    BranchedKStream, Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Produced,
    StreamsBuilder, TimeWindowedKStream,
};
pub use error::{BadRecord, BadRecordPolicy, CollectError, ProcessError, StoreError, TopologyError};
pub use graph::{Instance, Subtopology, Topology};
pub use ids::{NotATaskId, StoreIndex, TaskId, TopicPartition};
pub use operators::{EmitStrategy, Forward, Tally};
pub use partition::{murmur2, partition_of};
pub use plan::TopicName;
pub use processor::{BadOutput, Context, Counts, Outgoing, RecordCollector, TaskFrame};
pub use record::{Header, Headers, RawRecord, Record};
pub use serde::{
    BigEndian, Bytes, Json, Nullable, Serde, SerdeError, State, StateCodec, TimeWindowed, Utf8, Written,
    read_varint, unzigzag, write_varint, zigzag,
};
pub use time::{EventTime, Timestamp};
pub use windows::{BadWindow, TimeWindows, Window, Windowed};
