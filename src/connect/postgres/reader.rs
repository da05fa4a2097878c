//! Asks a database for what pages show, and cannot change anything there.

use std::sync::{Mutex, PoisonError};

use ::postgres::types::ToSql;
use ::postgres::{Client, Row};

use super::PostgresSettings;
use super::failure::PostgresError;

/// No question is worth more of the server's time than this.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'";

/// One connection, made when it is needed; who asks meanwhile waits.
pub struct PostgresReader {
    database: PostgresSettings,
    client: Mutex<Option<Client>>,
}

impl PostgresReader {
    /// Nothing is connected yet.
    pub fn of(database: PostgresSettings) -> PostgresReader {
        PostgresReader { database, client: Mutex::new(None) }
    }

    /// The rows of a question, in a transaction that can only read and takes 5 s at most.
    ///
    /// # Errors
    /// When the database is away or refuses; the next question connects again.
    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, PostgresError> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = match known.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let mut client = self.database.connect()?;
                client.batch_execute(SESSION)?;
                client
            }
        };
        let rows = client.query(sql, values);
        if !client.is_closed() {
            *known = Some(client);
        }
        Ok(rows?)
    }
}
