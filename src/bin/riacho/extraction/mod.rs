//! The application `extraction`: rows of an HTTP API as raw Parquet files, told of on Kafka, and made into normalised
//! Parquet and CSV.

pub(crate) mod announcement;
pub(crate) mod api;
mod calendar;
mod cell;
mod columns;
pub(crate) mod config;
pub(crate) mod csv_file;
mod duplicates;
pub(crate) mod extractor;
mod flatten;
pub(crate) mod folders;
pub(crate) mod kafka_references;
mod kind;
pub(crate) mod ledger;
mod normaliser;
pub(crate) mod preview;
mod raw_file;
pub(crate) mod reference;
mod rows;
mod snake_case;
mod survey;
mod table;
mod text;
pub(crate) mod topology;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod normaliser_test;
