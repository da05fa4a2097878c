//! What random tests do to a topology: records out of order, commits, and everything that can go wrong between two
//! commits.

use proptest::prelude::*;
use riacho_topology::{
    BadRecordPolicy, Nullable, ProcessError, SerdeError, State, StateCodec, TestDriver, Timestamp, Utf8,
    read_varint, unzigzag, write_varint, zigzag,
};

/// The keys of random records. Some are prefixes of others, one is empty, and none is not the empty one.
const KEYS: [Option<&str>; 6] = [Some("a"), Some("ab"), Some(""), Some("b"), Some("ç"), None];

/// The value of a record that the folds refuse.
const REFUSED: i64 = 13;
/// The value of a record that makes its aggregate null.
const DELETES: i64 = 7;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Record {
        key: usize,
        value: i64,
        /// How far the clock of the input moves on.
        forward: i64,
        /// How far behind that clock the record lies.
        back: i64,
        /// Moves the record to a multiple of 5 ms, or just before it: where windows begin and end.
        snap: Option<i64>,
    },
    Commit,
    /// The transaction is aborted, and the input read again.
    Abort,
    /// The transaction is aborted after everything was written, and the input read again.
    FailCommit,
    /// The process is killed, and the input read again.
    Restart,
}

pub(crate) fn script() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![8 => -50..50i64, 1 => Just(REFUSED), 1 => Just(DELETES)];
    let back = prop_oneof![3 => Just(0), 3 => 0..15i64, 1 => 0..60i64];
    let snap = prop_oneof![Just(None), Just(Some(0)), Just(Some(1))];
    let key = prop_oneof![10 => 0..KEYS.len() - 1, 1 => Just(KEYS.len() - 1)];
    let forward = prop_oneof![10 => 0..6i64, 1 => 0..100i64];
    let record = (key, value, forward, back, snap);
    let record =
        record.prop_map(|(key, value, forward, back, snap)| Step::Record { key, value, forward, back, snap });
    let step = prop_oneof![
        16 => record,
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::FailCommit),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..80)
}

pub(crate) fn cache_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 0..2_000usize, Just(usize::MAX)]
}

/// A record as the topology reads it.
pub(crate) struct Input {
    pub(crate) key: Option<String>,
    pub(crate) value: i64,
    pub(crate) time: i64,
}

/// What a step is to the oracle: nothing that goes wrong is of any concern to it.
pub(crate) enum Event {
    Record(Input),
    Commit,
}

/// Plays a script on a driver that commits on demand, and ends it with a commit.
pub(crate) fn play(
    run: TestDriver,
    script: Vec<Step>,
    mut then: impl FnMut(&mut TestDriver, Event),
) -> TestDriver {
    let mut run = run.commit_every_record(false).bad_records(BadRecordPolicy::Continue);
    let mut clock = 0;
    for step in script.into_iter().chain([Step::Commit]) {
        let event = match step {
            Step::Record { key, value, forward, back, snap } => {
                clock += forward;
                let time = match snap {
                    Some(before) => (clock - back) / 5 * 5 - before,
                    None => clock - back,
                };
                let key = KEYS.get(key).copied().flatten().map(str::to_owned);
                let input = Input { key, value, time: time.max(0) };
                let to =
                    run.input::<Option<String>, i64>("input", Nullable(Utf8), riacho_topology::BigEndian);
                to.at(Timestamp(input.time)).send(input.key.clone(), value);
                Event::Record(input)
            }
            Step::Commit => {
                run.commit();
                Event::Commit
            }
            Step::Abort => {
                run.abort();
                run.replay();
                continue;
            }
            Step::FailCommit => {
                run.fail_commit();
                run.replay();
                continue;
            }
            Step::Restart => {
                run.restart();
                run.replay();
                continue;
            }
        };
        then(&mut run, event);
    }
    run
}

/// The aggregate of random tests: a count and a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) sum: i64,
}

impl StateCodec for Totals {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        write_varint(self.count, out);
        write_varint(zigzag(self.sum), out);
    }

    fn decode(_: u8, mut bytes: &[u8]) -> Result<Self, SerdeError> {
        Ok(Totals { count: read_varint(&mut bytes)?, sum: unzigzag(read_varint(&mut bytes)?) })
    }
}

pub(crate) fn totals_serde() -> Nullable<State<Totals>> {
    Nullable(State::new())
}

/// The fold of random tests, which the oracles use too: what is tested is what surrounds it.
pub(crate) fn fold(value: i64, totals: &mut Option<Totals>) -> Result<(), ProcessError> {
    match value {
        REFUSED => return Err(ProcessError::refused("13")),
        DELETES => *totals = None,
        value => {
            let Totals { count, sum } = totals.unwrap_or_default();
            *totals = Some(Totals { count: count + 1, sum: sum + value });
        }
    }
    Ok(())
}
