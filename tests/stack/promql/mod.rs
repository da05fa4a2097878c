//! Everything that is asked of Prometheus: scrape configuration, rules, alerts and boards.
//!
//! The rules are checked by promtool and by unit tests of their own; then a real Prometheus scrapes a real cluster and
//! real processors under load, and every expression there is has to give data.

mod agent;
mod board;
mod expression;
mod files;
mod live;
mod names;
mod prometheus;
mod rules;
mod tools;
