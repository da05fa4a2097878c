//! What is known of one vendor in one window: count, sums, extremes.

mod aggregated;
#[cfg(test)]
mod tests;

use riacho::{ProcessError, SerdeError, StateCodec, read_varint, unzigzag, write_varint, zigzag};
use smallvec::SmallVec;

use super::money::{Cents, Currency};
use super::transaction::Transaction;

pub(crate) use aggregated::{Aggregated, AggregatedSerde};

/// How many currencies one vendor may use in one window. ISO 4217 lists some 180; the bound keeps state and output small
/// whatever a producer invents.
pub(crate) const CURRENCIES_MAX: usize = 200;

/// The totals of one currency in sixteen bytes: a currency's three letters and a count of up to 2^40 share a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CurrencyTotal {
    code_and_count: u64,
    total: Cents,
}

impl CurrencyTotal {
    const COUNT_BITS: u32 = 40;
    const COUNT_MAX: u64 = (1 << Self::COUNT_BITS) - 1;

    /// The totals of `count` transactions, or `None` when they are more than can be counted.
    pub(crate) fn new(currency: Currency, count: u64, total: Cents) -> Option<CurrencyTotal> {
        let code = Self::code(currency);
        (count <= Self::COUNT_MAX).then_some(CurrencyTotal { code_and_count: code | count, total })
    }

    fn code(currency: Currency) -> u64 {
        let [first, second, third] = currency.as_bytes();
        u64::from_be_bytes([first, second, third, 0, 0, 0, 0, 0])
    }

    pub(crate) fn currency(&self) -> Currency {
        let [first, second, third, ..] = self.code_and_count.to_be_bytes();
        Currency::from_bytes(&[first, second, third]).expect("new() was given a Currency")
    }

    pub(crate) fn count(&self) -> u64 {
        self.code_and_count & Self::COUNT_MAX
    }

    pub(crate) fn total(&self) -> Cents {
        self.total
    }

    /// Counts one more, or changes nothing when it does not fit.
    fn add(&mut self, value: Cents) -> Option<()> {
        let total = self.total.checked_add(value)?;
        if self.count() == Self::COUNT_MAX {
            return None;
        }
        self.code_and_count += 1;
        self.total = total;
        Some(())
    }
}

impl std::fmt::Debug for CurrencyTotal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} in {}", self.currency(), self.total, self.count())
    }
}

/// The totals of each currency, by code. Up to four need no allocation.
pub(crate) type CurrencyTotals = SmallVec<[CurrencyTotal; 4]>;

/// The state of one vendor in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SellerTotals {
    count: u64,
    total: Cents,
    min: Cents,
    max: Cents,
    currencies: CurrencyTotals,
}

impl Default for SellerTotals {
    /// Nothing counted yet.
    fn default() -> Self {
        SellerTotals {
            count: 0,
            total: Cents(0),
            min: Cents(i64::MAX),
            max: Cents(i64::MIN),
            currencies: CurrencyTotals::new(),
        }
    }
}

impl SellerTotals {
    /// Counts a transaction.
    ///
    /// # Errors
    /// When a sum would overflow or there are too many currencies: the transaction is refused, nothing has changed.
    pub(crate) fn add(&mut self, transaction: &Transaction) -> Result<(), ProcessError> {
        let (value, currency) = (transaction.value, transaction.currency);
        let total = self.total.checked_add(value).ok_or_else(|| too_much(transaction))?;
        let code = CurrencyTotal::code(currency);
        match self
            .currencies
            .iter_mut()
            .find(|entry| entry.code_and_count & !CurrencyTotal::COUNT_MAX == code)
        {
            // The last step that may fail, and it changes nothing when it does.
            Some(entry) => entry.add(value).ok_or_else(|| too_much(transaction))?,
            None => self.insert(CurrencyTotal { code_and_count: code | 1, total: value }, transaction)?,
        }
        self.total = total;
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        Ok(())
    }

    fn insert(&mut self, entry: CurrencyTotal, transaction: &Transaction) -> Result<(), ProcessError> {
        if self.currencies.len() == CURRENCIES_MAX {
            let (id, vendor) = (transaction.id.as_str(), &transaction.vendor);
            return Err(ProcessError::refused(format!(
                "transaction {id}: vendor {vendor} already has {CURRENCIES_MAX} currencies in this window"
            )));
        }
        let place = self.currencies.partition_point(|other| other.code_and_count < entry.code_and_count);
        self.currencies.insert(place, entry);
        Ok(())
    }

    /// How many transactions were counted.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all values, whatever their currency.
    #[cfg(test)]
    pub(crate) fn total(&self) -> Cents {
        self.total
    }

    /// The totals of each currency, by code.
    #[cfg(test)]
    pub(crate) fn currencies(&self) -> &[CurrencyTotal] {
        &self.currencies
    }
}

#[cold]
fn too_much(transaction: &Transaction) -> ProcessError {
    let (id, vendor, value) = (transaction.id.as_str(), &transaction.vendor, transaction.value);
    ProcessError::refused(format!("transaction {id}: the sum of vendor {vendor} has no room for {value}"))
}

/// Layout 1: the number of currencies, then for each by code its letters, count and total; then, unless there is none,
/// the minimum and how far the maximum is above it. Count and total of all are not stored: they follow.
impl StateCodec for SellerTotals {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(self.currencies.len() as u64, out);
        for entry in &self.currencies {
            out.extend_from_slice(&entry.currency().as_bytes());
            write_varint(entry.count(), out);
            write_varint(zigzag(entry.total.0), out);
        }
        if self.count > 0 {
            write_varint(zigzag(self.min.0), out);
            write_varint(self.max.0.abs_diff(self.min.0), out);
        }
    }

    fn decode(version: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        if version != Self::VERSION {
            return Err(SerdeError::new(format!("version {version} of a vendor's totals is unknown")));
        }
        let damaged = |what: &str| SerdeError::new(format!("a vendor's totals are damaged: {what}"));
        let mut totals = SellerTotals::default();
        let currencies = read_varint(&mut bytes)?;
        if currencies > CURRENCIES_MAX as u64 {
            return Err(damaged("too many currencies"));
        }
        for _ in 0..currencies {
            let (&code, rest) =
                bytes.split_first_chunk::<3>().ok_or_else(|| damaged("a currency is cut off"))?;
            bytes = rest;
            let currency = Currency::from_bytes(&code).ok_or_else(|| damaged("a currency is no code"))?;
            let (count, total) = (read_varint(&mut bytes)?, Cents(unzigzag(read_varint(&mut bytes)?)));
            let entry = CurrencyTotal::new(currency, count, total).filter(|_| count > 0);
            let entry = entry.ok_or_else(|| damaged("a count is out of range"))?;
            if totals.currencies.last().is_some_and(|last| last.currency() >= currency) {
                return Err(damaged("the currencies are not in order"));
            }
            totals.count += count;
            totals.total =
                totals.total.checked_add(total).ok_or_else(|| damaged("the total does not fit"))?;
            totals.currencies.push(entry);
        }
        if totals.count > 0 {
            totals.min = Cents(unzigzag(read_varint(&mut bytes)?));
            let max = totals.min.0.checked_add_unsigned(read_varint(&mut bytes)?);
            totals.max = Cents(max.ok_or_else(|| damaged("the maximum does not fit"))?);
        }
        if bytes.is_empty() { Ok(totals) } else { Err(damaged("there are bytes left")) }
    }
}
