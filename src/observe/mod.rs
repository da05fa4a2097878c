//! What an operator sees of a running application: metrics, health, logs. The only place that names prometheus, hyper
//! and tracing-subscriber.

mod client_metrics;
mod families;
pub mod http;
pub mod log;
mod metric_table;
pub mod metrics;
mod observer;
mod own_metrics;
mod page;
mod pages;
pub(crate) mod peer;
mod request;
mod store_metrics;
mod task_metrics;
mod thread_metrics;
mod token;

pub use http::HttpServer;
pub use metrics::Metrics;
pub(crate) use observer::Observer;
