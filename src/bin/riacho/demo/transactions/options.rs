//! What can be chosen of the demo of `transactions` only.

use std::num::NonZeroU32;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of transactions")]
pub(crate) struct Options {
    /// Transactions per second, as far as the application keeps up [default: 50000]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Different vendors [default: 1000]
    #[arg(long, value_name = "N")]
    vendors: Option<NonZeroU32>,
    /// The same seed draws the same transactions [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stream threads [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: Option<u8>,
}

impl Options {
    pub(super) fn rate(&self) -> NonZeroU32 {
        self.rate.unwrap_or(const { NonZeroU32::new(50_000).expect("not zero") })
    }

    pub(super) fn vendors(&self) -> NonZeroU32 {
        self.vendors.unwrap_or(const { NonZeroU32::new(1_000).expect("not zero") })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(42)
    }

    pub(super) fn threads(&self) -> u8 {
        self.threads.unwrap_or(2)
    }

    /// The first of them that is given.
    pub(in crate::demo) fn given(&self) -> Option<&'static str> {
        let Options { rate, vendors, seed, threads } = self;
        let given = [
            ("--rate", rate.is_some()),
            ("--vendors", vendors.is_some()),
            ("--seed", seed.is_some()),
            ("--threads", threads.is_some()),
        ];
        given.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
    }
}
