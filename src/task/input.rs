//! The input partitions of a task: how far each is, and the records that wait where there is a choice.

use std::collections::VecDeque;

use riacho_topology::{Headers, RawRecord, Timestamp, TopicPartition};

use crate::ports::Incoming;

/// A record that waits for its turn.
#[derive(Debug)]
pub(crate) struct Waiting {
    offset: i64,
    timestamp: Timestamp,
    key: Option<Box<[u8]>>,
    value: Option<Box<[u8]>>,
    headers: Headers,
    /// The event time that orders it; a bad record goes first, so that it is dealt with.
    pub(crate) event_time: Timestamp,
}

impl Waiting {
    pub(crate) fn new(record: &Incoming<'_>, event_time: Timestamp) -> Self {
        Waiting {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(Box::from),
            value: record.value.map(Box::from),
            headers: record.headers.clone(),
            event_time,
        }
    }

    pub(crate) fn as_raw<'a>(&'a self, partition: &'a TopicPartition) -> RawRecord<'a> {
        RawRecord {
            topic: &partition.topic,
            partition: partition.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

/// An input partition.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) partition: TopicPartition,
    /// The source operator that takes its records.
    pub(crate) source: usize,
    /// The offset after the last record processed.
    pub(crate) next_offset: i64,
    /// What is committed of `next_offset`.
    pub(crate) committed: i64,
    /// It went back for the sake of a record that came again, and has taken none since.
    went_back: bool,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) paused: bool,
    /// Since when it has had nothing to offer while others waited.
    pub(crate) empty_since: Option<Timestamp>,
}

impl Input {
    pub(crate) fn new(partition: TopicPartition, source: usize, start: i64) -> Self {
        Input {
            partition,
            source,
            next_offset: start,
            committed: start,
            went_back: false,
            waiting: VecDeque::new(),
            paused: false,
            empty_since: None,
        }
    }

    /// Whether a record at `offset` may be taken. One that came before comes again where the client loses its place,
    /// which librdkafka does once in a great while: then the input is to go back to what is committed, and read on from
    /// there. If what comes even then lies before it, the partition begins anew, for example because the topic does.
    #[inline]
    pub(crate) fn admits(&mut self, offset: i64) -> bool {
        let next = self.waiting.back().map_or(self.next_offset, |last| last.offset + 1);
        if offset >= next {
            self.went_back = false;
            return true;
        }
        self.went_back = !self.went_back;
        if !self.went_back {
            tracing::warn!(partition = %self.partition, at = next, offset, "the partition begins anew at a lower offset");
            self.next_offset = offset;
        }
        !self.went_back
    }

    /// Goes back to what is committed.
    pub(crate) fn rewind(&mut self) {
        self.next_offset = self.committed;
        self.waiting.clear();
        self.empty_since = None;
    }
}

/// Which input's head record comes next: the one with the lowest event time, once every input has one to offer or
/// has been empty for `max_idle_ms` (Kafka Streams' `max.task.idle.ms`; negative: never wait).
pub(crate) fn choose(inputs: &mut [Input], now: Timestamp, max_idle_ms: i64) -> Option<usize> {
    let any = inputs.iter().any(|input| !input.waiting.is_empty());
    let mut wait = false;
    for input in inputs.iter_mut() {
        if input.waiting.is_empty() && any {
            let since = *input.empty_since.get_or_insert(now);
            wait |= max_idle_ms >= 0 && now.millis_since(since) < max_idle_ms.max(1);
        } else {
            input.empty_since = None;
        }
    }
    if wait {
        return None;
    }
    let head =
        |(place, input): (usize, &Input)| input.waiting.front().map(|record| (record.event_time, place));
    inputs.iter().enumerate().filter_map(head).min().map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(times: &[i64]) -> Input {
        let mut input = Input::new(TopicPartition::new("in", 0), 0, 0);
        for &time in times {
            let record = Incoming {
                topic: "in",
                partition: 0,
                offset: time,
                timestamp: Timestamp(time),
                key: None,
                value: None,
                headers: &Headers::EMPTY,
            };
            input.waiting.push_back(Waiting::new(&record, Timestamp(time)));
        }
        input
    }

    #[test]
    fn the_lowest_event_time_goes_first_and_ties_go_by_input() {
        let mut inputs = [input(&[5]), input(&[3]), input(&[3])];
        assert_eq!(choose(&mut inputs, Timestamp(0), 0), Some(1));
    }

    #[test]
    fn a_record_that_comes_again_is_not_taken_and_a_partition_that_begins_anew_is() {
        let mut input = input(&[]);
        (input.next_offset, input.committed) = (10, 7);
        assert!(input.admits(10) && input.admits(12), "offsets may be missing: they are those of markers");
        assert!(!input.admits(9), "it came before");
        input.rewind();
        assert!(input.admits(7), "it is read again from where it was committed");
        input.next_offset = 8;
        assert!(!input.admits(7), "and it may happen again");
        input.rewind();
        assert!(input.admits(3), "where there is nothing at what was committed");
        assert_eq!(input.next_offset, 3);
    }

    #[test]
    fn a_record_that_waits_already_is_not_taken_again() {
        let mut input = input(&[5, 6]);
        assert!(input.admits(7));
        assert!(!input.admits(6));
    }

    #[test]
    fn an_empty_input_is_waited_for_and_then_not_any_more() {
        let mut inputs = [input(&[5]), input(&[])];
        assert_eq!(choose(&mut inputs, Timestamp(100), 50), None);
        assert_eq!(choose(&mut inputs, Timestamp(149), 50), None);
        assert_eq!(choose(&mut inputs, Timestamp(150), 50), Some(0));
    }

    #[test]
    fn nothing_is_chosen_where_nothing_waits() {
        assert_eq!(choose(&mut [input(&[]), input(&[])], Timestamp(0), -1), None);
    }
}
