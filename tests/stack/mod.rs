//! The cluster and its glass: what `docker compose up` starts, looked at from outside.

mod compose;
mod compose_faults;
mod compose_file;
mod promql;
