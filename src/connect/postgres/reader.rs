//! Asks a database for what pages show, and cannot change anything there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::postgres::types::ToSql;
use ::postgres::{Client, Row};

use super::PostgresSettings;
use super::failure::PostgresError;
use crate::clock::SystemClock;
use crate::ports::Clock as _;

/// No question is worth more of the server's time than this.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'";

/// A host that does not answer is not waited for by one question after the other.
const REST: Duration = Duration::from_secs(2);

/// One connection, made when it is needed; who asks meanwhile waits.
pub struct PostgresReader {
    database: PostgresSettings,
    link: Mutex<Link>,
    clock: SystemClock,
}

#[derive(Default)]
struct Link {
    client: Option<Client>,
    /// When it was tried in vain, by the monotonic clock, and why.
    failed: Option<(Duration, String)>,
}

impl PostgresReader {
    /// Nothing is connected yet.
    pub fn of(database: PostgresSettings) -> PostgresReader {
        PostgresReader { database, link: Mutex::default(), clock: SystemClock::new() }
    }

    /// The rows of a question, in a transaction that can only read and takes 5 s at most.
    ///
    /// # Errors
    /// When the database is away or refuses. A question connects again, but not within two seconds.
    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, PostgresError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = link.client.as_mut() {
            match client.query(sql, values) {
                // It broke at some time since the last question.
                Err(_) if client.is_closed() => link.client = None,
                answer => return Ok(answer?),
            }
        }
        let client = self.connect(&mut link.failed)?;
        Ok(link.client.insert(client).query(sql, values)?)
    }

    fn connect(&self, failed: &mut Option<(Duration, String)>) -> Result<Client, PostgresError> {
        let now = self.clock.monotonic();
        if let Some((_, reason)) = failed.as_ref().filter(|(since, _)| now.saturating_sub(*since) < REST) {
            return Err(PostgresError::Away(reason.clone()));
        }
        let connected = self.database.connect().and_then(|mut client| {
            client.batch_execute(SESSION)?;
            Ok(client)
        });
        // Its time is that of the end: a host that is silent takes seconds to fail.
        *failed = connected.as_ref().err().map(|error| (self.clock.monotonic(), error.to_string()));
        connected
    }
}
