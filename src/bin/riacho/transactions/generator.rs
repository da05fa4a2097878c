//! Draws transactions that look real, the same ones for the same seed, faster than any broker takes them.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use compact_str::{CompactString, format_compact};
use fake::Fake;
use fake::faker::internet::raw::Username;
use fake::locales::PT_BR;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use riacho::Timestamp;

use super::money::{Cents, Currency};
use super::transaction::{PaymentMethod, TransactionKind};

/// Where event time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventClock {
    /// The time at which the transaction is drawn.
    Real,
    /// A time of its own that depends on nothing outside: every transaction is `1/per_second` later than the last.
    Simulated {
        /// The time of the first transaction.
        start: Timestamp,
        /// How many transactions happen in a second of event time.
        per_second: NonZeroU32,
    },
}

/// What is drawn. Shares are of all transactions, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GeneratorOptions {
    /// The same seed gives the same transactions, except for times where the clock is real.
    pub(crate) seed: u64,
    /// How many vendors there are.
    pub(crate) vendors: NonZeroU32,
    /// The exponent of Zipf's law: vendor n is drawn in proportion to `n^-skew`. 0 makes all equal.
    pub(crate) skew: f64,
    /// The share of transactions that come out of order, but not so far that they should be late.
    pub(crate) share_out_of_order: f64,
    /// How much earlier those are than their neighbours, in milliseconds.
    pub(crate) out_of_order_ms: RangeInclusive<i64>,
    /// The share of transactions that come so late that their window may be closed.
    pub(crate) share_late: f64,
    /// How much earlier those are than their neighbours, in milliseconds.
    pub(crate) late_ms: RangeInclusive<i64>,
    /// The share of transactions whose value is far above what their vendor usually asks.
    pub(crate) share_atypical: f64,
    /// The share of transactions that begin a burst of their vendor.
    pub(crate) share_bursts: f64,
    /// How many transactions in a row a burst is.
    pub(crate) burst_length: u32,
    /// The currencies; the first is drawn in seven of ten cases, the others share the rest.
    pub(crate) currencies: Vec<Currency>,
    /// Where event time comes from.
    pub(crate) clock: EventClock,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        let others = ["USD", "EUR", "GBP"].map(|code| Currency::parse(code).expect("a code of ISO 4217"));
        GeneratorOptions {
            seed: 42,
            vendors: NonZeroU32::new(1000).expect("not zero"),
            skew: 0.0,
            share_out_of_order: 0.05,
            out_of_order_ms: 0..=10_000,
            share_late: 0.001,
            late_ms: 10_001..=130_000,
            share_atypical: 0.0001,
            share_bursts: 0.0,
            burst_length: 2000,
            currencies: [Currency::BRL].into_iter().chain(others).collect(),
            clock: EventClock::Real,
        }
    }
}

/// The options contradict themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the generator's {option} must be {must}")]
pub(crate) struct BadGeneratorOption {
    option: &'static str,
    must: &'static str,
}

/// A transaction with all its fields. Texts are borrowed from the generator's pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneratedTransaction {
    id: [u8; uuid::fmt::Hyphenated::LENGTH],
    pub(crate) user: CompactString,
    pub(crate) value: Cents,
    pub(crate) time: Timestamp,
    pub(crate) vendor: CompactString,
    pub(crate) kind: TransactionKind,
    pub(crate) place: &'static str,
    pub(crate) method: PaymentMethod,
    pub(crate) abroad: bool,
    pub(crate) currency: Currency,
}

impl GeneratedTransaction {
    /// The transaction's id, a random UUID.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.id).expect("a UUID is written in ASCII")
    }

    /// The record's key.
    pub(crate) fn key(&self) -> &[u8] {
        self.vendor.as_bytes()
    }

    /// Appends the record's value: JSON with the ten fields of `financial_transactions`.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let mut parts = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        // No text in the pools needs an escape.
        parts(&[
            b"{\"id_transacao\":\"",
            &self.id,
            b"\",\"id_usuario\":\"",
            self.user.as_bytes(),
            b"\",\"valor\":",
        ]);
        self.value.write(out);
        let mut digits = itoa::Buffer::new();
        for part in [
            ",\"hora_transacao\":",
            digits.format(self.time.as_millis()),
            ",\"id_vendedor\":\"",
            &self.vendor,
            "\",\"tipo_transacao\":\"",
            self.kind.as_str(),
            "\",\"localizacao\":\"",
            self.place,
            "\",\"metodo_pagamento\":\"",
            self.method.as_str(),
            "\",\"compra_internacional\":\"",
            if self.abroad { "true" } else { "false" },
            "\",\"moeda\":\"",
            self.currency.as_str(),
            "\"}",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Draws transactions.
pub(crate) struct Generator {
    options: GeneratorOptions,
    rng: Xoshiro256PlusPlus,
    users: Vec<CompactString>,
    vendors: Vec<Vendor>,
    drawn: u64,
    burst: Option<Burst>,
    current: GeneratedTransaction,
}

struct Vendor {
    id: CompactString,
    /// What it asks on average.
    usual: Cents,
    /// The share of draws that fall on this vendor or one before it.
    up_to: f64,
}

struct Burst {
    vendor: usize,
    left: u32,
}

const USERS: usize = 4096;

const AT_HOME: [&str; 27] = [
    "São Paulo",
    "Rio de Janeiro",
    "Brasília",
    "Fortaleza",
    "Salvador",
    "Belo Horizonte",
    "Manaus",
    "Curitiba",
    "Recife",
    "Goiânia",
    "Porto Alegre",
    "Belém",
    "Guarulhos",
    "Campinas",
    "São Luís",
    "Maceió",
    "Campo Grande",
    "São Gonçalo",
    "Teresina",
    "João Pessoa",
    "Natal",
    "Ribeirão Preto",
    "Uberlândia",
    "Florianópolis",
    "Vitória",
    "Cuiabá",
    "Aracaju",
];
const ABROAD: [&str; 8] =
    ["Lisboa", "Buenos Aires", "Nova York", "Londres", "Tóquio", "Paris", "Santiago", "Montevidéu"];

impl Generator {
    /// A generator at its first transaction.
    ///
    /// # Errors
    /// When a share is not one, a range is empty, or there is no currency.
    pub(crate) fn new(options: GeneratorOptions) -> Result<Generator, BadGeneratorOption> {
        let refuse = |option, must| Err(BadGeneratorOption { option, must });
        let shares = [
            options.share_out_of_order,
            options.share_late,
            options.share_atypical,
            options.share_bursts,
            options.share_out_of_order + options.share_late,
        ];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return refuse(
                "shares",
                "from 0 to 1, also those of late and out-of-order transactions together",
            );
        }
        if !(0.0..=10.0).contains(&options.skew) {
            return refuse("skew", "from 0 to 10");
        }
        if options.out_of_order_ms.is_empty() || options.late_ms.is_empty() {
            return refuse("ranges of lateness", "from a smaller to a larger number");
        }
        let Some(&currency) = options.currencies.first() else { return refuse("currencies", "one at least") };

        let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
        let users = (0..USERS).map(|_| {
            let name: String = Username(PT_BR).fake_with_rng(&mut rng);
            name.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect()
        });
        let users: Vec<CompactString> = users.collect();
        let mut sum = 0.0;
        let vendors = (0..options.vendors.get()).map(|number| {
            sum += f64::from(number + 1).powf(-options.skew);
            let id = format_compact!("vendor_{number:06}");
            Vendor { id, usual: Cents(rng.random_range(2_000..=50_000)), up_to: sum }
        });
        let mut vendors: Vec<Vendor> = vendors.collect();
        for vendor in &mut vendors {
            vendor.up_to /= sum;
        }
        let current = GeneratedTransaction {
            id: [b'0'; uuid::fmt::Hyphenated::LENGTH],
            user: CompactString::default(),
            value: Cents(0),
            time: Timestamp(0),
            vendor: CompactString::default(),
            kind: TransactionKind::Purchase,
            place: "",
            method: PaymentMethod::Pix,
            abroad: false,
            currency,
        };
        Ok(Generator { options, rng, users, vendors, drawn: 0, burst: None, current })
    }

    /// How many transactions were drawn.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Draws the next transaction; `now` is its time where the clock is real.
    pub(crate) fn next(&mut self, now: Timestamp) -> &GeneratedTransaction {
        let time = self.draw_time(now);
        let vendor = self.draw_vendor();
        let Generator { options, rng, users, vendors, current, .. } = self;
        self.drawn += 1;

        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        uuid::Builder::from_random_bytes(id).as_uuid().hyphenated().encode_lower(&mut current.id);
        current.user.clone_from(pick(rng, users));
        current.time = time;
        let vendor = vendors.get(vendor).expect("draw_vendor() gives the place of a vendor");
        current.vendor.clone_from(&vendor.id);
        let percent = if chance(rng, options.share_atypical) {
            rng.random_range(4_000..=10_000)
        } else {
            rng.random_range(50..=150)
        };
        current.value = Cents(vendor.usual.0 * percent / 100 + rng.random_range(0..100));
        current.kind = match rng.random_range(0..100u32) {
            0..80 => TransactionKind::Purchase,
            80..88 => TransactionKind::Transfer,
            88..95 => TransactionKind::Withdrawal,
            _ => TransactionKind::Refund,
        };
        current.method = match rng.random_range(0..100u32) {
            0..40 => PaymentMethod::Pix,
            40..70 => PaymentMethod::CreditCard,
            70..85 => PaymentMethod::DebitCard,
            85..95 => PaymentMethod::Boleto,
            _ => PaymentMethod::PayPal,
        };
        current.abroad = rng.random_range(0..8u32) == 0;
        current.place =
            *if current.abroad { pick::<&str>(rng, &ABROAD) } else { pick::<&str>(rng, &AT_HOME) };
        current.currency = match options.currencies.split_first() {
            Some((_, others)) if !others.is_empty() && rng.random_range(0..10u32) >= 7 => *pick(rng, others),
            Some((first, _)) => *first,
            None => unreachable!("new() refuses an empty list of currencies"),
        };
        current
    }

    fn draw_time(&mut self, now: Timestamp) -> Timestamp {
        let time = match self.options.clock {
            EventClock::Real => now,
            EventClock::Simulated { start, per_second } => {
                let passed = u128::from(self.drawn) * 1000 / u128::from(per_second.get());
                start.plus_millis(i64::try_from(passed).unwrap_or(i64::MAX))
            }
        };
        let drawn = unit(&mut self.rng);
        let earlier = if drawn < self.options.share_late {
            self.rng.random_range(self.options.late_ms.clone())
        } else if drawn < self.options.share_late + self.options.share_out_of_order {
            self.rng.random_range(self.options.out_of_order_ms.clone())
        } else {
            0
        };
        // Event time does not begin before the epoch.
        time.plus_millis(earlier.saturating_neg()).max(Timestamp(0))
    }

    fn draw_vendor(&mut self) -> usize {
        if let Some(burst) = &mut self.burst {
            let vendor = burst.vendor;
            burst.left -= 1;
            if burst.left == 0 {
                self.burst = None;
            }
            return vendor;
        }
        let drawn = unit(&mut self.rng);
        let last = self.vendors.len() - 1;
        let vendor = if self.options.skew == 0.0 {
            self.rng.random_range(0..=last)
        } else {
            // The last share is 1 but for rounding, so that a draw may lie above it.
            self.vendors.partition_point(|vendor| vendor.up_to <= drawn).min(last)
        };
        if self.options.burst_length > 1 && chance(&mut self.rng, self.options.share_bursts) {
            self.burst = Some(Burst { vendor, left: self.options.burst_length - 1 });
        }
        vendor
    }
}

/// A number from 0 up to, but not including, 1.
fn unit(rng: &mut impl Rng) -> f64 {
    rng.random::<f64>()
}

fn chance(rng: &mut impl Rng, share: f64) -> bool {
    share > 0.0 && unit(rng) < share
}

fn pick<'a, T>(rng: &mut impl Rng, pool: &'a [T]) -> &'a T {
    pool.get(rng.random_range(0..pool.len())).expect("the range ends at the pool's length")
}
