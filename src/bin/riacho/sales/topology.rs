//! The computation where sales are kept in state stores: totals by day and by cell of the map, and the newest sales.

use compact_str::{CompactString, format_compact};
use riacho::{
    Bytes, Consumed, Grouped, Materialized, Nullable, ProcessError, State, StreamsBuilder, Topology,
    TopologyError, Utf8,
};

use super::grid::{Cell, LEVEL_MAX};
use super::sold::{Newest, Sold, Sums};

/// The store of the totals by day and product. Its name is part of the changelog's, as are the others'.
pub(crate) const BY_DAY: &str = "sales-by-day";
/// The store of the totals by cell and product.
pub(crate) const BY_CELL: &str = "sales-by-cell";
/// The store of the newest sales, which has one key.
pub(crate) const NEWEST: &str = "newest-sales";
/// That key.
pub(crate) const ALL: CompactString = CompactString::const_new("all");

/// Describes the application.
///
/// # Errors
/// When the topic is given a name that Kafka refuses.
pub(crate) fn topology(input_topic: &str) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let sold = builder
        .stream(
            input_topic,
            Consumed::<Option<Vec<u8>>, Option<Vec<u8>>>::with(Nullable(Bytes), Nullable(Bytes)),
        )
        .map_values_named("sold", |record| {
            Sold::parse(record.value.as_deref()).map_err(ProcessError::refused)
        });

    // The key of a sale says nothing of its day or place: regrouped, one task has each of the sums.
    let grouped = |name: &str| Grouped::with(Utf8, State::<Sold>::new()).named(name);
    let summed = |store: &str, node: &str| Materialized::named(store, State::<Sums>::new()).node(node);
    let by_day = sold.flat_map_named("when", |record| Some((day(record.value), record.value.clone())));
    let _table = by_day.group_by_key(grouped("by-day")).aggregate(
        Sums::default,
        |_, sold, sums| {
            sums.add(sold);
            Ok(())
        },
        summed(BY_DAY, "sum-by-day"),
    );
    let by_cell = sold.flat_map_named("where", |record| {
        let key = |level| format_compact!("{}", Cell::of(level, record.value));
        (0..=LEVEL_MAX).map(|level| (key(level), record.value.clone())).collect::<Vec<_>>()
    });
    let _table = by_cell.group_by_key(grouped("by-cell")).aggregate(
        Sums::default,
        |_, sold, sums| {
            sums.add(sold);
            Ok(())
        },
        summed(BY_CELL, "sum-by-cell"),
    );
    let together = sold.flat_map_named("together", |record| Some((ALL, record.value.clone())));
    let _table = together.group_by_key(grouped("newest")).aggregate(
        Newest::default,
        |_, sold, newest: &mut Newest| {
            newest.add(sold);
            Ok(())
        },
        Materialized::named(NEWEST, State::<Newest>::new()).node("newest"),
    );
    builder.build()
}

/// The key of the totals that a sale belongs to.
fn day(sold: &Sold) -> CompactString {
    format_compact!("{}:{}", sold.date, sold.product)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// As in `application`: who changes this text leaves the state of running applications behind.
    #[test]
    fn state_is_kept_under_the_names_it_always_had() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/describe/sales-stores.txt");
        let golden = std::fs::read_to_string(golden).unwrap_or_default();
        assert_eq!(super::topology("sales").unwrap().describe().trim_end(), golden.trim_end());
    }
}
