//! The application `extraction` from the API to the files, on a real Kafka, while its processes are killed; what comes out
//! is read by another implementation of Parquet and compared with an independent normalisation of the API's rows.

mod kills;
mod oracle;

#[path = "../../src/bin/riacho/extraction/api.rs"]
mod api;
#[path = "../../src/bin/riacho/extraction/rows.rs"]
pub(crate) mod rows;
