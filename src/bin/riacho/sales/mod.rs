//! The application `sales`: each sale of the topic `sales` is one row in PostgreSQL, exactly once.

pub(crate) mod config;
pub(crate) mod generator;
mod metrics;
pub(crate) mod sale;
pub(crate) mod sink;
