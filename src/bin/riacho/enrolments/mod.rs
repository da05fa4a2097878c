//! The application `enrolments`: distinct enrolments of `registration_topic`, counted by what they say.

pub(crate) mod config;
pub(crate) mod enrolment;
pub(crate) mod figures;
pub(crate) mod generator;
pub(crate) mod topology;
