//! Sources and sinks outside of Kafka, for applications that read from or write to other systems.
//!
//! [`files`] are written whole or not at all; [`http_api`] asks a paged JSON API with patience; [`postgres`]
//! takes the rows of a topic exactly once.

pub mod files;
pub mod http_api;
pub mod postgres;
