//! What the application was told to do, and what follows for its windows.

use std::ops::RangeInclusive;

use riacho::EmitStrategy;

/// What the application was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OracleRules {
    /// How many partitions the input topic has.
    pub(crate) partitions: usize,
    pub(crate) size_ms: i64,
    pub(crate) advance_ms: i64,
    pub(crate) grace_ms: i64,
    /// How far ahead of its reference time an event time may be.
    pub(crate) ahead_ms_max: i64,
    /// Whether the input is keyed by vendor.
    ///
    /// If not, the application repartitions it, and then nobody can know from the input which records were late: the
    /// order in which they came to their vendor's task is not in it. So none is taken for late here, and a window that
    /// misses some is counted as undecided, not as wrong. To decide it, tell the repartition topic
    /// instead and set this.
    pub(crate) keyed_by_vendor: bool,
    pub(crate) emit: EmitStrategy,
    /// Whether every record must have been written exactly once. If not, values may come again.
    pub(crate) exactly_once: bool,
}

impl OracleRules {
    pub(super) fn emits_updates(&self) -> bool {
        self.emit != EmitStrategy::OnWindowClose
    }

    /// Whether the last record of every window says that it is closed. Where only updates are written it may say so too,
    /// if it is written when the window closes.
    pub(super) fn emits_close(&self) -> bool {
        self.emit != EmitStrategy::OnWindowUpdate
    }

    /// How many records of a closed window may say so.
    pub(super) fn closings(&self) -> RangeInclusive<u32> {
        u32::from(self.emits_close())..=if self.exactly_once { 1 } else { u32::MAX }
    }

    /// The starts of the windows that hold `time`, earliest first.
    pub(super) fn starts_of(&self, time: i64) -> impl Iterator<Item = i64> + use<> {
        let advance_ms = self.advance_ms;
        let first = (time - self.size_ms).div_euclid(advance_ms) + 1;
        (first.max(0)..=time.div_euclid(advance_ms)).map(move |number| number * advance_ms)
    }

    /// The stream time from which on the window takes nothing.
    pub(super) fn deadline(&self, start: i64) -> i64 {
        start.saturating_add(self.size_ms).saturating_add(self.grace_ms)
    }
}
