//! The computation: distinct enrolments, how many there are of each kind, and which are the newest.

use chrono::Datelike as _;
use compact_str::{CompactString, format_compact};
use riacho::{
    BigEndian, Consumed, Grouped, Materialized, Nullable, ProcessError, State, StreamsBuilder, Topology,
    TopologyError, Utf8,
};

use super::config::EnrolmentsConfig;
use super::enrolment::{Enrolment, EnrolmentSerde};
use super::figures::{DUPLICATES, Field};

/// The store of the enrolments, each as it came first. Its name is part of the changelog's, as are the others'.
pub(crate) const BY_ID: &str = "by-id";
/// The store of the enrolments with the newest first.
pub(crate) const NEWEST: &str = "newest-first";
/// The store of the counts by field and value.
pub(crate) const COUNTS: &str = "counts-by-field";

const BY_FIELD: &str = "by-field";
const BY_DATE: &str = "by-date";

/// An enrolment's place among the others.
enum Seen {
    First(Enrolment),
    Again,
}

/// Describes the application as it is configured.
///
/// # Errors
/// When the topic is given a name that Kafka refuses.
pub(crate) fn topology(config: &EnrolmentsConfig) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::<CompactString, Enrolment>::with(Utf8, EnrolmentSerde);
    let seen = builder
        .stream(config.input_topic.as_str(), consumed)
        // The key decides which task sees an enrolment: two keys would make two of it.
        .map_values_named("key-is-id", |record| match record.key.as_str() == record.value.id {
            true => Ok(record.value.clone()),
            false => Err(ProcessError::refused(
                "the key is not id_matricula: write the record with its id_matricula as the key",
            )),
        })
        .group_by_key(Grouped::with(Utf8, State::<Enrolment>::new()))
        .process_values(
            || None,
            |record, first: &mut Option<Enrolment>, forward| {
                forward.value(match first {
                    Some(_) => Seen::Again,
                    None => Seen::First(first.insert(record.value.clone()).clone()),
                });
                Ok(())
            },
            Materialized::named(BY_ID, Nullable(State::<Enrolment>::new())).node("first-or-again"),
        );

    // Regrouped: the enrolments of a course are spread over all partitions, and this way one task has each count, whoever
    // runs it. The step through the topic is in the transactions of both sides, so a rebalance neither loses nor repeats
    // one. One store for all fields needs one topic instead of six.
    let counts = seen.flat_map_named("what-it-counts-for", |record| match record.value {
        Seen::Again => vec![(CompactString::const_new(DUPLICATES), 1)],
        Seen::First(enrolment) => Field::ALL.into_iter().map(|field| (field.key(enrolment), 1)).collect(),
    });
    let _table = counts
        .group_by_key(Grouped::<_, u64>::with(Utf8, BigEndian).named(BY_FIELD))
        .count(Materialized::named(COUNTS, BigEndian).node("count"));

    let newest = seen.flat_map_named("when-it-was", |record| match record.value {
        Seen::Again => None,
        Seen::First(enrolment) => Some((newest_first(enrolment), enrolment.clone())),
    });
    let _table = newest.group_by_key(Grouped::with(Utf8, State::<Enrolment>::new()).named(BY_DATE)).reduce(
        |first, _| first.clone(),
        Materialized::named(NEWEST, State::<Enrolment>::new()).node("newest"),
    );
    builder.build()
}

/// A key that sorts by date, the latest first, then by id.
fn newest_first(enrolment: &Enrolment) -> CompactString {
    // Above the days of any date, and nine digits long for each of them.
    const BEHIND_THE_CALENDAR: i32 = 200_000_000;
    format_compact!("{:09}:{}", BEHIND_THE_CALENDAR - enrolment.date.num_days_from_ce(), enrolment.id)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::super::generator::Generator;
    use super::*;

    #[test]
    fn later_dates_sort_first_whatever_the_date() {
        let mut generator = Generator::new(1, 0.0);
        let day_of_draw = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let mut key = |date: NaiveDate| {
            let enrolment = generator.next(day_of_draw).clone();
            newest_first(&Enrolment { date, id: "x".to_owned(), ..enrolment })
        };
        let day = |year| NaiveDate::from_ymd_opt(year, 5, 1).unwrap();
        let dates = [NaiveDate::MAX, day(12_000), day(2026), day(999), day(0), day(-5), NaiveDate::MIN];
        let keys = dates.map(&mut key);
        assert!(keys.is_sorted() && keys.iter().all(|key| key.len() == 11), "{keys:?}");
    }
}
