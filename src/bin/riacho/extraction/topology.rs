//! The computation: each reference becomes files once, and an announcement of them.

use std::sync::Arc;

use riacho::{
    BadRecord, BadRecordPolicy, Consumed, Grouped, Json, Materialized, ProcessError, Produced,
    StreamsBuilder, Topology, TopologyError, Utf8,
};

use super::announcement::Announcement;
use super::normaliser::{Normaliser, Refusal, SourceState};
use super::reference::Reference;

/// The store of what is known of each source. Its name is part of the changelog's: a change would lose the state.
const SOURCES: &str = "sources";

/// Describes the application: `files` holds references keyed by their source, `normalised` gets the announcements.
///
/// Files are made while the record is processed, before the transaction that commits announcement, state and position. A
/// crash in between makes them again, byte for byte, over themselves.
///
/// # Errors
/// When topics are given names that Kafka refuses.
pub(crate) fn topology(
    files: &str,
    normalised: &str,
    normaliser: Arc<Normaliser>,
) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    builder
        .stream(files, Consumed::<String, Reference>::with(Utf8, Json::new()))
        .group_by_key(Grouped::with(Utf8, Json::<Reference>::new()))
        .process_values(
            SourceState::default,
            move |record, state: &mut SourceState, made| {
                let taken = normaliser.take(record.key, record.value, state).map_err(as_bad_record)?;
                taken.into_iter().for_each(|announcement| made.value(announcement));
                Ok(())
            },
            Materialized::named(SOURCES, Json::<SourceState>::new()).node("normalise"),
        )
        .to(normalised, Produced::with(Utf8, Json::<Announcement>::new()));
    builder.build()
}

/// A reference that leads nowhere goes where bad records go. A full disk is no fault of the reference: the application
/// stops, and takes it up again once it is started anew.
fn as_bad_record(refusal: Refusal) -> ProcessError {
    let policy = match refusal {
        Refusal::Reference(_) => None,
        Refusal::Storage(_) => Some(BadRecordPolicy::Fail),
    };
    ProcessError::BadRecord { kind: BadRecord::Processing, message: refusal.to_string(), policy }
}
