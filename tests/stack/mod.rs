//! The cluster and its glass: what `docker compose up` starts, looked at from outside.

mod boards;
mod compose;
mod compose_faults;
mod compose_file;
mod deploy;
mod promql;
