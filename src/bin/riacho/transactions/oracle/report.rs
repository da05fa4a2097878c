//! What the comparison found.

use std::fmt;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Input records, each offset once.
    pub(crate) records: u64,
    /// Of these: counted in at least one window.
    pub(crate) counted: u64,
    /// Of these: taken by no window any more.
    pub(crate) late: u64,
    /// Of these: not readable.
    pub(crate) unreadable: u64,
    /// Of these: with an event time that cannot be.
    pub(crate) misdated: u64,
    /// Of these: with another key than their vendor, or with no room in a sum.
    pub(crate) refused: u64,
    /// Output records.
    pub(crate) outputs: u64,
    /// Pairs of vendor and window that were compared.
    pub(crate) windows_checked: u64,
    /// Pairs of vendor and window that were left out since the window was open.
    pub(crate) windows_open: u64,
    /// Pairs of vendor and window that miss records that may have been late.
    pub(crate) windows_undecided: u64,
    /// How many records those miss.
    pub(crate) records_undecided: u64,
    /// Everything that is wrong.
    pub(crate) mismatches: u64,
    /// What the first of these are.
    pub(crate) examples: Vec<String>,
}

impl Report {
    const EXAMPLES_MAX: usize = 5;

    /// Whether something was compared and everything was right.
    pub(crate) fn passed(&self) -> bool {
        self.mismatches == 0 && self.windows_checked > 0
    }

    pub(super) fn mismatch(&mut self, example: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.examples.len() < Self::EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passed(), self.mismatches) {
            (true, _) => "PASS",
            (false, 0) => "FAIL (nothing to compare)",
            (false, _) => "FAIL",
        };
        write!(f, "{verdict}: {} vendor windows compared, {} wrong", self.windows_checked, self.mismatches)?;
        if self.windows_open > 0 {
            write!(f, ", {} still open", self.windows_open)?;
        }
        if self.windows_undecided > 0 {
            let (windows, records) = (self.windows_undecided, self.records_undecided);
            write!(f, ", {windows} undecided (they miss {records} records, which may have been late)")?;
        }
        write!(f, "; {} records in, {} counted, {} late", self.records, self.counted, self.late)?;
        for (count, what) in
            [(self.unreadable, "unreadable"), (self.misdated, "misdated"), (self.refused, "refused")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, "; {} records out", self.outputs)?;
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        let more = self.mismatches - self.examples.len() as u64;
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}
