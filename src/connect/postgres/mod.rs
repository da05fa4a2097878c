//! Rows of topics into tables of PostgreSQL, exactly once, and questions to such tables.
//!
//! A [`PostgresSink`] writes the rows of a batch and the offsets behind them in one transaction of the database, so both
//! are there or neither is. Nothing else remembers how far it is: a start, a lost connection and a transaction whose end
//! is not known all end in asking the database, and reading the topic from there.

mod copy;
mod failure;
mod ledger;
mod reader;
mod sink;

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use ::postgres::{Client, Config, NoTls};

pub use copy::CopyRows;
pub use failure::PostgresError;
pub use reader::PostgresReader;
pub use sink::{BadRow, PostgresSink, SinkPlan, SinkProgress, SinkState, WriteRow};

pub use ::postgres::Row;
pub use ::postgres::types::{FromSql, ToSql};

/// Where a database is, and who we are there.
#[derive(Clone)]
pub struct PostgresSettings(Config);

impl PostgresSettings {
    /// Reads `postgres://user@host:port/database`, or `key=value` pairs as psql takes them. The password comes apart from
    /// it, because addresses are shown.
    ///
    /// # Errors
    /// When the address is not understood, or asks for TLS, which is not supported.
    pub fn of(
        url: &str,
        password: Option<&str>,
        application: &str,
    ) -> Result<PostgresSettings, PostgresError> {
        let mut config = Config::from_str(url).map_err(|error| PostgresError::Address(error.to_string()))?;
        if config.get_hosts().is_empty() {
            return Err(PostgresError::Address("it names no host".to_owned()));
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name(application).connect_timeout(Duration::from_secs(5));
        // A server that vanished without a word is noticed all the same.
        config.keepalives_idle(Duration::from_secs(10)).tcp_user_timeout(Duration::from_secs(20));
        Ok(PostgresSettings(config))
    }

    fn connect(&self) -> Result<Client, PostgresError> {
        Ok(self.0.connect(NoTls)?)
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings").field("database", &self.0.get_dbname()).finish_non_exhaustive()
    }
}
