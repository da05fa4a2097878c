//! The application `transactions`: windowed aggregates and anomalies per vendor of `financial_transactions`.

pub(crate) mod aggregate;
pub(crate) mod anomaly;
pub(crate) mod business;
pub(crate) mod config;
pub(crate) mod generator;
pub(crate) mod money;
pub(crate) mod oracle;
mod scan;
mod top_vendors;
pub(crate) mod topology;
pub(crate) mod transaction;
