//! What is known of the vendors in a window.

use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::super::aggregate::Aggregated;
use super::Partition;
use super::figures::Figures;
use super::reading::Reading;
use super::rules::OracleRules;

#[derive(Default)]
pub(super) struct WindowRows {
    pub(super) vendors: FxHashMap<CompactString, Row>,
    pub(super) unsettled: usize,
}

impl WindowRows {
    /// The row of a vendor, made if it is not there; `None` if it is settled.
    pub(super) fn unsettled(&mut self, vendor: &str) -> Option<&mut Unsettled> {
        if !self.vendors.contains_key(vendor) {
            self.vendors.insert(CompactString::new(vendor), Row::Unsettled(Box::default()));
            self.unsettled += 1;
        }
        match self.vendors.get_mut(vendor)? {
            Row::Unsettled(row) => Some(row),
            Row::Settled => None,
        }
    }
}

/// What is known of a vendor in a window.
pub(super) enum Row {
    Unsettled(Box<Unsettled>),
    /// Closed and right: nothing may follow.
    Settled,
}

#[derive(Default)]
pub(super) struct Unsettled {
    /// What was counted, and in which partition.
    pub(super) counted: Option<(i32, Figures)>,
    /// The last record of it.
    pub(super) written: Option<Aggregated>,
    /// How many records said that the window is closed.
    pub(super) closings: u32,
}

impl Row {
    /// Whether the window is closed and what is written last is right, and last.
    pub(super) fn is_right_for_ever(
        &self,
        rules: &OracleRules,
        start: i64,
        partitions: &FxHashMap<i32, Partition>,
    ) -> bool {
        let Row::Unsettled(row) = self else { return false };
        let (Some((partition, figures)), Some(written)) = (&row.counted, &row.written) else { return false };
        let closed =
            partitions.get(partition).is_some_and(|state| rules.deadline(start) <= state.stream_time);
        closed
            && rules.closings().contains(&row.closings)
            && (written.closed || !rules.emits_close())
            && figures.difference(written).is_none()
    }
}

impl Unsettled {
    /// Counts a record: `Ok(false)` if a sum has no room for it.
    pub(super) fn add(&mut self, partition: i32, read: &Reading<'_>) -> Result<bool, &'static str> {
        match &mut self.counted {
            None => {
                self.counted = Some((partition, Figures::of(read)));
                Ok(true)
            }
            Some((first, figures)) if *first == partition => Ok(figures.add(read)),
            Some(_) => Err("the vendor is in two partitions, so that the topic is not keyed by vendor"),
        }
    }

    /// Takes a record of the output, and says what is wrong with it if records come exactly once.
    pub(super) fn write(&mut self, written: Aggregated) -> Option<&'static str> {
        let wrong = match &self.written {
            Some(before) if before.closed && written.closed => Some("a second record with final=true"),
            Some(before) if before.closed => Some("an update after the record with final=true"),
            Some(before) if before.count > written.count => Some("its count has gone back"),
            _ => None,
        };
        self.closings = self.closings.saturating_add(u32::from(written.closed));
        self.written = Some(written);
        wrong
    }
}
