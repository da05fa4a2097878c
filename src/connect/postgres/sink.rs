//! Writes the rows of a topic into a table, exactly once.
//!
//! One process at a time: it claims all partitions when it starts, and whoever had them before cannot commit any more.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use ::postgres::Client;
use riacho_topology::RawRecord;
use uuid::Uuid;

use super::PostgresSettings;
use super::copy::CopyRows;
use super::failure::PostgresError;
use super::ledger::{Claim, Claimant, Reject, migrate};
use crate::clock::SystemClock;
use crate::kafka::{ClientSettings, KafkaAdmin, KafkaChangelogReader};
use crate::ports::{ChangelogReader as _, ClientError, ClientErrorKind, Clock as _};

/// How long a poll waits for records; a wish to stop is heard as often.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Records of one poll: between two of them the batch's size is looked at.
const POLL_RECORDS_MAX: usize = 500;
/// What one transaction writes at most, give or take a poll.
const BATCH_ROWS_MAX: u64 = 20_000;
const BATCH_BYTES_MAX: usize = 16 << 20;
/// After so many polls the topic is asked whether it has got more partitions.
const POLLS_BETWEEN_LOOKS: u32 = 300;
/// After so many polls a database that is not written to has to show that it is there.
const POLLS_BETWEEN_SIGNS: u32 = 10;
const SIGN_WAIT: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Of a session of the sink: whoever holds locks and says nothing for so long has lost them, and waits no longer for
/// another's than that.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '40s'; \
    SET client_min_messages = warning";

/// Why a record is no row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRow(pub String);

/// Turns a record into the fields of a row, in the order of the columns.
pub type WriteRow = fn(&RawRecord<'_>, &mut CopyRows) -> Result<(), BadRow>;

/// From which topic to which table.
#[derive(Clone, Copy)]
pub struct SinkPlan {
    /// The name of the schema, whose versions the database remembers.
    pub schema: &'static str,
    /// What makes its tables: the first statement version 1 of an empty database, each further one a version more.
    pub migrations: &'static [&'static str],
    /// The table and its columns as in `COPY`: `sales (sale_id, product)`.
    pub target: &'static str,
    /// How many columns these are.
    pub columns: i16,
    /// Makes the rows.
    pub write: WriteRow,
}

/// What a sink tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum SinkEvent<'a> {
    /// It has claimed its partitions, and reads and writes.
    Running,
    /// A transaction is committed.
    Committed {
        /// New rows of the table.
        rows: u64,
        /// Records that are no rows, noted in `riacho_sink_rejects`.
        rejected: u64,
        /// How long the database took.
        took: Duration,
    },
    /// The database or Kafka are away.
    Waiting {
        /// Why.
        error: &'a PostgresError,
        /// It connects again after this time.
        pause: Duration,
    },
}

/// A sink that is not running yet.
pub struct PostgresSink {
    plan: SinkPlan,
    database: PostgresSettings,
    kafka: ClientSettings,
    claimant: Claimant,
    clock: SystemClock,
}

impl PostgresSink {
    /// The sink `name` of `topic`. The name keeps its offsets apart from those of other sinks in the same database.
    pub fn of(
        plan: SinkPlan,
        name: &str,
        topic: &str,
        kafka: ClientSettings,
        database: PostgresSettings,
    ) -> PostgresSink {
        let owner = Uuid::new_v4().to_string();
        let claimant = Claimant { sink: name.to_owned(), topic: topic.to_owned(), owner };
        PostgresSink { plan, database, kafka, claimant, clock: SystemClock::new() }
    }

    /// Writes rows until `wait` tells to stop: it waits for the time that it is given, or less when it is asked to stop,
    /// and tells whether it is. While Kafka or the database are away, tries again and again; nothing is lost or doubled.
    /// `tell` hears of it.
    ///
    /// # Errors
    /// When the database or Kafka refuse for good, or another process has taken over.
    pub fn run(
        &self,
        wait: &dyn Fn(Duration) -> bool,
        tell: &dyn Fn(SinkEvent<'_>),
    ) -> Result<(), PostgresError> {
        let mut course = Course { wait, tell, pause: PAUSE_MIN, has_claimed: false };
        loop {
            match self.session(&mut course) {
                Err(error) if error.is_passing() => {
                    let pause = course.pause;
                    tell(SinkEvent::Waiting { error: &error, pause });
                    if wait(pause) {
                        return Ok(());
                    }
                    course.pause = (pause * 2).min(PAUSE_MAX);
                }
                ended => return ended,
            }
        }
    }

    /// From connecting to the first failure, or to the wish to stop. Whether a transaction that failed was committed all
    /// the same is of no interest: the next session asks the database where to go on.
    fn session(&self, course: &mut Course<'_>) -> Result<(), PostgresError> {
        let mut client = self.database.connect()?;
        client.batch_execute(SESSION)?;
        let mut work = client.transaction()?;
        migrate(&mut work, self.plan.schema, self.plan.migrations)?;
        work.commit()?;
        let admin = KafkaAdmin::new(&self.kafka)?;
        loop {
            let mut reading = self.claim(&mut client, &admin, course.has_claimed)?;
            course.has_claimed = true;
            (course.tell)(SinkEvent::Running);
            for polls in 1_u32.. {
                if (course.wait)(Duration::ZERO) {
                    return Ok(());
                }
                reading.poll(&self.plan)?;
                if !reading.batch.is_empty() {
                    self.commit(&mut client, &mut reading, course.tell)?;
                    course.pause = PAUSE_MIN;
                } else if polls % POLLS_BETWEEN_SIGNS == 0 {
                    // With nothing to write, nobody would notice that the database is away.
                    client.is_valid(SIGN_WAIT)?;
                }
                if polls % POLLS_BETWEEN_LOOKS == 0 && self.partitions(&admin)? != reading.claims.len() {
                    tracing::info!(topic = self.claimant.topic, "the topic has got more partitions");
                    break;
                }
            }
        }
    }

    fn partitions(&self, admin: &KafkaAdmin) -> Result<usize, ClientError> {
        let topic = &self.claimant.topic;
        let count = admin.partitions_of(topic)?.ok_or_else(|| ClientError {
            kind: ClientErrorKind::Retry,
            operation: "read the input",
            message: format!("topic {topic} does not exist: create it, or check its name"),
        })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Claims every partition and begins to read each where the database is.
    fn claim(&self, client: &mut Client, admin: &KafkaAdmin, again: bool) -> Result<Reading, PostgresError> {
        let count = self.partitions(admin)?;
        let partitions: Vec<_> = (0..).take(count).map(|number| self.claimant.partition(number)).collect();
        let mut reader = KafkaChangelogReader::new(&self.kafka)?;
        let firsts: Vec<i64> = reader.bounds(&partitions)?.into_iter().map(|(first, _)| first).collect();
        let mut work = client.transaction()?;
        let claims = self.claimant.claim(&mut work, &firsts, again)?;
        work.commit()?;
        for (partition, claim) in partitions.iter().zip(&claims) {
            reader.add(partition, claim.next_offset)?;
        }
        let batch =
            Batch { rows: CopyRows::of(self.plan.columns), rejects: Vec::new(), nexts: BTreeMap::new() };
        Ok(Reading { reader, claims, batch })
    }

    /// Rows, rejects and offsets in one transaction.
    fn commit(
        &self,
        client: &mut Client,
        reading: &mut Reading,
        tell: &dyn Fn(SinkEvent<'_>),
    ) -> Result<(), PostgresError> {
        let began = self.clock.monotonic();
        let Reading { claims, batch, .. } = reading;
        let (rows, rejected) = (batch.rows.rows(), batch.rejects.len() as u64);
        let mut changed = Vec::with_capacity(batch.nexts.len());
        for claim in claims.iter_mut() {
            if let Some(next_offset) = batch.nexts.get(&claim.partition) {
                claim.next_offset = *next_offset;
                changed.push(claim.clone());
            }
        }
        let mut work = client.transaction()?;
        if rows > 0 {
            let mut copy = work.copy_in(&format!("COPY {} FROM STDIN (FORMAT binary)", self.plan.target))?;
            copy.write_all(batch.rows.finished()).map_err(unwritten)?;
            copy.finish()?;
        }
        self.claimant.reject(&mut work, &batch.rejects)?;
        // Last, because whoever takes over waits for its locks: a process that stands still before it is in nobody's way.
        self.claimant.advance(&mut work, &changed)?;
        work.commit()?;
        batch.clear();
        let took = self.clock.monotonic().saturating_sub(began);
        tell(SinkEvent::Committed { rows, rejected, took });
        Ok(())
    }
}

/// What lasts from one session to the next.
struct Course<'a> {
    wait: &'a dyn Fn(Duration) -> bool,
    tell: &'a dyn Fn(SinkEvent<'_>),
    pause: Duration,
    /// Since then, whoever has taken the partitions is another process.
    has_claimed: bool,
}

/// The connection broke while rows were sent; the driver wraps its own error.
fn unwritten(error: std::io::Error) -> PostgresError {
    let message = error.to_string();
    match error.into_inner().map(|inner| inner.downcast::<::postgres::Error>()) {
        Some(Ok(inner)) => PostgresError::Database(*inner),
        _ => PostgresError::Kafka(ClientError {
            kind: ClientErrorKind::Retry,
            operation: "send rows to PostgreSQL",
            message,
        }),
    }
}

/// What is to be written next.
struct Batch {
    rows: CopyRows,
    rejects: Vec<Reject>,
    /// The offset behind the last record of each partition.
    nexts: BTreeMap<i32, i64>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.nexts.is_empty()
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.rejects.clear();
        self.nexts.clear();
    }

    fn add(&mut self, plan: &SinkPlan, record: &RawRecord<'_>) {
        const REASON_CHARS_MAX: usize = 1000;
        let (partition, offset) = (record.partition, record.offset);
        self.nexts.insert(partition, offset + 1);
        if let Err(BadRow(reason)) = self.rows.row(|row| (plan.write)(record, row)) {
            tracing::warn!(partition, offset, reason, "a record is no row");
            let reason = reason.replace('\0', "\u{fffd}").chars().take(REASON_CHARS_MAX).collect();
            self.rejects.push(Reject { partition, offset, reason });
        }
    }
}

/// Partitions that are being read.
struct Reading {
    reader: KafkaChangelogReader,
    claims: Vec<Claim>,
    batch: Batch,
}

impl Reading {
    /// Takes what is there, up to a batch.
    fn poll(&mut self, plan: &SinkPlan) -> Result<(), ClientError> {
        let Reading { reader, batch, .. } = self;
        let mut wait = POLL_WAIT;
        loop {
            let mut count = 0;
            reader.poll(wait, POLL_RECORDS_MAX, &mut |_, record| {
                count += 1;
                batch.add(plan, record);
            })?;
            wait = Duration::ZERO;
            let is_full = batch.rows.rows() >= BATCH_ROWS_MAX || batch.rows.len() >= BATCH_BYTES_MAX;
            if is_full || count == 0 {
                return Ok(());
            }
        }
    }
}
