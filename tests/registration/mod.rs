//! The application `enrolments`: what it counts, in a test driver and on a real Kafka.

mod distinct;
mod figures;
mod hall;

pub(crate) use hall::Hall;
