//! Processes of the program that are killed, frozen, joined and left while records flow: nothing is lost, nothing counts
//! twice.
//!
//! What is drawn at random is drawn from a seed that is printed; `RIACHO_SEED` gives it back. `RIACHO_KILLS` is the number
//! of kills of the longest test.

mod alone;
mod brokers;
mod commits;
mod floor;
mod flow;
mod outages;
mod together;

use std::env;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A number for which `variable` is asked first.
pub(crate) fn chosen(variable: &str, default: u64) -> u64 {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// What the tests draw from.
pub(crate) fn dice() -> (u64, Xoshiro256PlusPlus) {
    let seed = chosen("RIACHO_SEED", rand::rng().random_range(0..1_000_000));
    println!("RIACHO_SEED={seed} repeats what is drawn here");
    (seed, Xoshiro256PlusPlus::seed_from_u64(seed))
}
