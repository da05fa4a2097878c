//! The Kafka side of the ports, on librdkafka. No other module names `rdkafka`.
//!
//! [`KafkaStreamClient`] is what a stream thread works with: a group member and a producer that belong together.
//! [`KafkaChangelogReader`] restores state, [`KafkaAdmin`] looks after topics, [`TopicWriter`] and [`TopicReader`]
//! serve tools and generators. All are set up by [`ClientSettings`]. [`EmbeddedKafka`] is what demos run on.

mod admin;
mod client;
mod committer;
mod complaints;
mod consumer;
mod context;
mod embedded;
mod errors;
mod groups;
mod owners;
mod producer;
mod property;
mod reader;
mod records;
mod reports;
mod restore;
mod role;
mod settings;
mod settle;
mod simple;
mod statistics;
mod wait;

pub use admin::KafkaAdmin;
pub use client::KafkaStreamClient;
pub use embedded::EmbeddedKafka;
pub use groups::{GroupDescription, GroupMemberDescription};
pub use owners::KafkaOwners;
pub use restore::KafkaChangelogReader;
pub use settings::{ClientSettings, OffsetReset, Overrides};
pub use simple::{Isolation, NewRecord, StartAt, TopicReader, TopicWriter, WriterCounts};
pub use statistics::{ClientStatistics, ConnectionStatistics, StatisticsWatch};
