//! The integration tests of `riacho-topology`, in one binary.

mod building;
mod bytes;
mod describe_golden;
mod driver;
mod keyed_properties;
mod script;
mod semantics_golden;
mod serdes;
mod windowed_properties;
mod windows;
