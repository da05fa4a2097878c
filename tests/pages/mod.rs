//! The pages in a real browser, served by the real program.

mod enrolments;
mod extraction;
mod sales;
mod scene;
mod start;
mod transactions;
mod workshop;
