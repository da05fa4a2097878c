//! What the tests need around riacho: a real Kafka, its clients, and waiting for a condition.
//!
//! [`Kafka::shared`] is one broker for the whole test process; [`Cluster`] is made of processes that a test may kill.
//! Both hand out a [`Client`], which fills topics and reads them back. Nothing here outlives the test process.

mod app;
mod browser;
mod client;
mod cluster;
mod container;
mod jars;
mod kafka;
mod leash;
mod node;
mod ports;
mod proof;
mod proxy;
mod record;
mod settings;
mod topics;
mod transaction;
mod turn;
mod wait;
mod webdriver;

pub(crate) use app::{App, LIMIT, Process, Running, get, get_with, metric};
pub(crate) use browser::{Browser, Key};
pub(crate) use client::{Client, Isolation, unique};
pub(crate) use cluster::{Cluster, Door, Shape};
pub(crate) use jars::cache;
pub(crate) use kafka::Kafka;
pub(crate) use leash::{LastWill, leashed};
pub(crate) use node::{NodeId, Role};
pub(crate) use ports::free_port;
pub(crate) use proxy::{ApiKey, Proxy};
pub(crate) use record::{Received, TestRecord};
pub(crate) use settings::OFFSETS_PARTITIONS;
pub(crate) use topics::Topics;
pub(crate) use turn::Turn;
pub(crate) use wait::{await_some, await_until};
