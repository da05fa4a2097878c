//! Why something in PostgreSQL did not work, and what follows from it.

use ::postgres::error::{Error, SqlState};

use crate::ports::{ClientError, ClientErrorKind};

/// Work with a database failed.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The address of the database cannot be used.
    #[error("the address of the database: {0}; write it like postgres://user@host:5432/database")]
    Address(String),
    /// The certificates that are to be trusted cannot be used.
    #[error("the certificates of PostgreSQL: {0}; give a file with certificates as PEM")]
    Certificates(String),
    /// Nobody answers at the address, or not as asked.
    #[error(
        "PostgreSQL at {place} cannot be used: {}{}",
        told(.source),
        if .source.code().is_none() { "; start it, or correct its address" } else { "" }
    )]
    Connect {
        /// Host, port and database.
        place: String,
        /// What the driver says.
        source: Error,
    },
    /// It was not reached a moment ago, and has not been asked again.
    #[error("{0}")]
    Away(String),
    /// The database refuses, or the connection broke.
    #[error("PostgreSQL: {}", told(.0))]
    Database(#[from] Error),
    /// Another process has taken over the partitions. It must go on alone.
    #[error(
        "another process of the sink {sink} has taken over: run one at a time, or give this one another name"
    )]
    Fenced {
        /// The name that both have.
        sink: String,
    },
    /// The database was used by a newer program.
    #[error("the schema {schema} has version {found}, this program knows {known}: run the newer program")]
    Newer {
        /// Whose tables.
        schema: String,
        /// What the database has.
        found: i32,
        /// What the program has.
        known: i32,
    },
    /// Kafka cannot be read.
    #[error(transparent)]
    Kafka(#[from] ClientError),
}

/// The driver's own text is `db error` only.
fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    match (error.as_db_error(), source) {
        (Some(refused), _) => {
            let (message, state) = (refused.message(), refused.code());
            format!("{message} (SQLSTATE {}){}", state.code(), advice(state))
        }
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn advice(state: &SqlState) -> &'static str {
    match state.code() {
        "28000" | "28P01" => "; check the user in the URL, the password, and pg_hba.conf",
        "3D000" => "; create the database, or check its name in the URL",
        "42501" => "; grant the user what is missing, or make it the owner of the database",
        _ => "",
    }
}

impl PostgresError {
    /// Whether a table is asked for that nobody has made yet.
    pub fn is_no_table(&self) -> bool {
        matches!(self, PostgresError::Database(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    /// Whether the same may work later without anybody doing anything here.
    pub fn is_passing(&self) -> bool {
        match self {
            PostgresError::Database(source) | PostgresError::Connect { source, .. } => {
                source.code().is_none_or(is_passing)
            }
            PostgresError::Away(_) => true,
            PostgresError::Kafka(error) => {
                matches!(error.kind, ClientErrorKind::Retry | ClientErrorKind::Abort)
            }
            PostgresError::Address(_)
            | PostgresError::Certificates(_)
            | PostgresError::Fenced { .. }
            | PostgresError::Newer { .. } => false,
        }
    }
}

/// By class: what the server cannot now, against what it never will as long as nobody changes something.
fn is_passing(state: &SqlState) -> bool {
    const NEVER: [&str; 7] = ["0A", "22", "23", "28", "3D", "3F", "42"];
    !NEVER.contains(&state.code().get(..2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_down_is_waited_for_and_a_wrong_password_is_not() {
        for passing in
            [SqlState::ADMIN_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS]
        {
            assert!(is_passing(&passing), "{passing:?}");
        }
        for lasting in
            [SqlState::INVALID_PASSWORD, SqlState::UNDEFINED_TABLE, SqlState::NUMERIC_VALUE_OUT_OF_RANGE]
        {
            assert!(!is_passing(&lasting), "{lasting:?}");
        }
    }
}
