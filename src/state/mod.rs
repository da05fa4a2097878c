//! The state that tasks keep on this machine's disk.
//!
//! ```text
//! <state.dir>/<application.id>/        directory.rs   locked by one process
//!   kafka-streams-process-metadata                    who we are, for as long as the directory lives
//!   0_3/rocksdb/                       rocksdb/       all stores of task 0_3 and how far they are, in one database
//! ```
//!
//! A database only ever holds committed writes: state, changelog offsets, input positions and stream time change
//! together in one atomic batch. So a crash never costs more than reading the changelog from the stored offset.
//! All databases of the process share one [`Memory`].

mod directory;
mod error;
mod files;
mod memory;
mod meta;
mod rocksdb;
mod staging;
mod stateless;
mod trail;

pub use directory::{StateDirectory, WipeReason};
pub use error::StateError;
pub use memory::MemoryBudget;
pub use meta::TaskMeta;
pub use rocksdb::{Memory, MemoryStatistics, RocksReader, RocksStores, StoreStatistics};
pub use stateless::Stateless;
