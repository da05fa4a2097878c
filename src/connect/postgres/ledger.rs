//! What the database remembers for a sink: the version of its tables, and how far each partition is.

use ::postgres::Transaction;
use riacho_topology::TopicPartition;

use super::failure::PostgresError;

/// Two processes that start together would both create what is missing: any number that nobody else locks.
const LOCK: i64 = 0x7269_6163_686f;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS riacho_schema_versions (
    schema_name text NOT NULL,
    version integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, version)
);
CREATE TABLE IF NOT EXISTS riacho_sink_offsets (
    sink text NOT NULL,
    topic text NOT NULL,
    partition_id integer NOT NULL,
    next_offset bigint NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (sink, topic, partition_id)
);
CREATE TABLE IF NOT EXISTS riacho_sink_rejects (
    sink text NOT NULL,
    topic text NOT NULL,
    partition_id integer NOT NULL,
    record_offset bigint NOT NULL,
    reason text NOT NULL
);";

/// Applies the migrations that the database does not have yet; each is a version, from 1.
pub(super) fn migrate(
    work: &mut Transaction<'_>,
    schema: &str,
    migrations: &[&str],
) -> Result<(), PostgresError> {
    work.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    work.batch_execute(TABLES)?;
    let sql = "SELECT coalesce(max(version), 0) FROM riacho_schema_versions WHERE schema_name = $1";
    let found: i32 = work.query_one(sql, &[&schema])?.try_get(0)?;
    let known = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    if found > known {
        return Err(PostgresError::Newer { schema: schema.to_owned(), found, known });
    }
    for (migration, version) in migrations.iter().zip(1..).skip_while(|(_, version)| *version <= found) {
        work.batch_execute(migration)?;
        let sql = "INSERT INTO riacho_schema_versions (schema_name, version) VALUES ($1, $2)";
        work.execute(sql, &[&schema, &version])?;
        tracing::info!(schema, version, "the schema of the database was brought up to date");
    }
    Ok(())
}

/// Who writes: a process that has claimed the partitions of a topic for a sink.
#[derive(Clone, Debug)]
pub(super) struct Claimant {
    pub(super) sink: String,
    pub(super) topic: String,
    /// Of this process alone.
    pub(super) owner: String,
}

/// A partition of ours: where it is to be read, and the number without which nobody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) partition: i32,
    pub(super) next_offset: i64,
    pub(super) epoch: i64,
}

impl Claimant {
    /// Takes the partitions, each not yet known from its offset in `firsts`; whoever had them cannot commit any more.
    ///
    /// Waits for a transaction that is about to commit: its offsets are seen, or it is void. With `again`, takes only what
    /// nobody else has taken meanwhile.
    pub(super) fn claim(
        &self,
        work: &mut Transaction<'_>,
        firsts: &[i64],
        again: bool,
    ) -> Result<Vec<Claim>, PostgresError> {
        const SQL: &str = "
            INSERT INTO riacho_sink_offsets AS known (sink, topic, partition_id, next_offset, owner, epoch)
            VALUES ($1, $2, $3, $4, $5, 1)
            ON CONFLICT (sink, topic, partition_id) DO UPDATE SET owner = $5, epoch = known.epoch + 1
            WHERE known.owner = $5 OR NOT $6
            RETURNING next_offset, epoch";
        let mut claims = Vec::with_capacity(firsts.len());
        // Always in this order: two processes that start together wait for one another, but not in a circle.
        for (partition, first) in (0..).zip(firsts) {
            let row = work
                .query_opt(SQL, &[&self.sink, &self.topic, &partition, first, &self.owner, &again])?
                .ok_or_else(|| self.fenced())?;
            claims.push(Claim { partition, next_offset: row.try_get(0)?, epoch: row.try_get(1)? });
        }
        Ok(claims)
    }

    /// Writes how far the claims are now. Part of the transaction that writes the rows.
    pub(super) fn advance(&self, work: &mut Transaction<'_>, changed: &[Claim]) -> Result<(), PostgresError> {
        const SQL: &str = "
            UPDATE riacho_sink_offsets AS known SET next_offset = new.next_offset
            FROM unnest($3::integer[], $4::bigint[], $5::bigint[]) AS new (partition_id, next_offset, epoch)
            WHERE known.sink = $1 AND known.topic = $2 AND known.partition_id = new.partition_id
                AND known.epoch = new.epoch AND known.owner = $6 AND known.next_offset <= new.next_offset";
        let partitions: Vec<i32> = changed.iter().map(|claim| claim.partition).collect();
        let offsets: Vec<i64> = changed.iter().map(|claim| claim.next_offset).collect();
        let epochs: Vec<i64> = changed.iter().map(|claim| claim.epoch).collect();
        let written =
            work.execute(SQL, &[&self.sink, &self.topic, &partitions, &offsets, &epochs, &self.owner])?;
        if written == changed.len() as u64 { Ok(()) } else { Err(self.fenced()) }
    }

    /// Notes a record that is no row.
    pub(super) fn reject(&self, work: &mut Transaction<'_>, rejects: &[Reject]) -> Result<(), PostgresError> {
        const SQL: &str = "
            INSERT INTO riacho_sink_rejects (sink, topic, partition_id, record_offset, reason)
            SELECT $1, $2, * FROM unnest($3::integer[], $4::bigint[], $5::text[])";
        if rejects.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = rejects.iter().map(|reject| reject.partition).collect();
        let offsets: Vec<i64> = rejects.iter().map(|reject| reject.offset).collect();
        let reasons: Vec<&str> = rejects.iter().map(|reject| reject.reason.as_str()).collect();
        work.execute(SQL, &[&self.sink, &self.topic, &partitions, &offsets, &reasons])?;
        Ok(())
    }

    pub(super) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), partition)
    }

    fn fenced(&self) -> PostgresError {
        PostgresError::Fenced { sink: self.sink.clone() }
    }
}

/// A record that is no row, and why.
#[derive(Debug)]
pub(super) struct Reject {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) reason: String,
}
