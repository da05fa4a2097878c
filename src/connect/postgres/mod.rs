//! Rows of topics into tables of PostgreSQL, exactly once, and questions to such tables.
//!
//! A [`PostgresSink`] writes the rows of a batch and the offsets behind them in one transaction of the database, so both
//! are there or neither is. Nothing else remembers how far it is: a start, a lost connection and a transaction whose end
//! is not known all end in asking the database, and reading the topic from there. A [`PostgresReader`] is for pages.

mod copy;
mod failure;
mod ledger;
mod reader;
mod sink;

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use ::postgres::config::{Host, SslMode};
use ::postgres::{Client, Config, NoTls};
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;

pub use copy::CopyRows;
pub use failure::PostgresError;
pub use reader::PostgresReader;
pub use sink::{BadRow, PostgresSink, SinkEvent, SinkPlan, WriteRow};

pub use ::postgres::Row;
pub use ::postgres::types::{FromSql, ToSql};

/// Where a database is, and who we are there.
#[derive(Clone)]
pub struct PostgresSettings {
    config: Config,
    /// Whose certificates are trusted beside those that the system trusts.
    trusted: Vec<Certificate>,
}

impl PostgresSettings {
    /// Reads `postgres://user@host:port/database`, or `key=value` pairs as psql takes them. The password comes apart from
    /// it, because addresses are shown.
    ///
    /// With `sslmode=require` the connection is encrypted, and the server's certificate must be valid and of its host;
    /// otherwise the connection is not encrypted.
    ///
    /// # Errors
    /// When the address is not understood.
    pub fn of(
        url: &str,
        password: Option<&str>,
        application: &str,
    ) -> Result<PostgresSettings, PostgresError> {
        let mut config = Config::from_str(url).map_err(|error| PostgresError::Address(error.to_string()))?;
        if config.get_hosts().is_empty() {
            return Err(PostgresError::Address("it names no host".to_owned()));
        }
        if config.get_password().is_some() {
            let reason = "it holds a password, and addresses are shown: give the password by its own setting";
            return Err(PostgresError::Address(reason.to_owned()));
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name(application).connect_timeout(Duration::from_secs(5));
        // A server that vanished without a word is noticed all the same.
        config.keepalives_idle(Duration::from_secs(10)).tcp_user_timeout(Duration::from_secs(20));
        Ok(PostgresSettings { config, trusted: Vec::new() })
    }

    /// Trusts these certificates too, in PEM.
    ///
    /// # Errors
    /// When they are none.
    pub fn trusting(self, pem: &[u8]) -> Result<PostgresSettings, PostgresError> {
        let trusted = Certificate::stack_from_pem(pem).map_err(unusable)?;
        if trusted.is_empty() {
            return Err(PostgresError::Certificates("there is none in it".to_owned()));
        }
        Ok(PostgresSettings { trusted, ..self })
    }

    fn connect(&self) -> Result<Client, PostgresError> {
        let connected = match self.config.get_ssl_mode() {
            SslMode::Require => {
                let mut tls = TlsConnector::builder();
                for certificate in &self.trusted {
                    tls.add_root_certificate(certificate.clone());
                }
                self.config.connect(MakeTlsConnector::new(tls.build().map_err(unusable)?))
            }
            _ => self.config.connect(NoTls),
        };
        connected.map_err(|source| PostgresError::Connect { place: self.place(), source })
    }

    /// Host, port and database, for people.
    fn place(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}/{}", self.config.get_dbname().unwrap_or_default())
    }
}

fn unusable(error: native_tls::Error) -> PostgresError {
    PostgresError::Certificates(error.to_string())
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresSettings").field(&self.place()).finish()
    }
}
