//! The application `sales`: each sale of the topic `sales` is one row in PostgreSQL, exactly once, or is added up in state
//! stores where there is no PostgreSQL.

pub(crate) mod config;
pub(crate) mod figures;
pub(crate) mod generator;
pub(crate) mod grid;
mod metrics;
pub(crate) mod sale;
pub(crate) mod sink;
pub(crate) mod sold;
pub(crate) mod topology;
