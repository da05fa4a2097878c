//! The integration tests of `riacho`, in one binary.

mod architecture;
mod broker;
mod demo;
mod extraction;
mod pages;
mod recovery;
mod registration;
mod replay;
mod sales;
mod security;
mod stack;
mod support;
mod workshop;

/// The application that the tests run in their own process; the program has it too.
#[expect(dead_code, reason = "the program uses what the tests do not")]
#[path = "../src/bin/riacho/transactions/mod.rs"]
mod transactions;

/// As `transactions`.
#[expect(dead_code, reason = "the program uses what the tests do not")]
#[path = "../src/bin/riacho/enrolments/mod.rs"]
mod enrolments;
