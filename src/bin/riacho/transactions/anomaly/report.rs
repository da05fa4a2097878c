//! The record of `anomalies_transactions`.

use compact_str::CompactString;
use riacho::Json;
use serde::{Deserialize, Serialize};

use super::super::money::{Cents, Currency};
use super::super::transaction::Transaction;

/// Why a transaction is in `anomalies_transactions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// Its value is far from the vendor's others.
    #[serde(rename = "valor_atipico")]
    AtypicalValue,
    /// With it, the vendor had more transactions than it may.
    #[serde(rename = "rajada")]
    Burst,
}

impl Reason {
    /// As it stands in the record.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::AtypicalValue => "valor_atipico",
            Reason::Burst => "rajada",
        }
    }
}

/// A record of `anomalies_transactions`: the transaction, the reason and the numbers of the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Anomaly {
    #[serde(rename = "id_transacao")]
    pub(crate) id: CompactString,
    #[serde(rename = "id_vendedor")]
    pub(crate) vendor: CompactString,
    #[serde(rename = "valor")]
    pub(crate) value: Cents,
    #[serde(rename = "moeda")]
    pub(crate) currency: Currency,
    #[serde(rename = "hora_transacao")]
    pub(crate) time_ms: i64,
    #[serde(rename = "motivo")]
    pub(crate) reason: Reason,
    /// What is usual: the mean value, or the mean number of transactions in the interval.
    #[serde(rename = "media")]
    pub(crate) mean: f64,
    /// What was exceeded: by the magnitude of `escore`, or by `transacoes`.
    #[serde(rename = "limite")]
    pub(crate) limit: f64,
    /// The distance of the value from the mean, in deviations.
    #[serde(rename = "escore", skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    /// The standard deviation of the values.
    #[serde(rename = "desvio", skip_serializing_if = "Option::is_none")]
    pub(crate) deviation: Option<f64>,
    /// How many transactions mean and deviation are of, at most 1024.
    #[serde(rename = "amostras", skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<u32>,
    /// How many transactions the vendor had in the interval.
    #[serde(rename = "transacoes", skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
    /// The interval.
    #[serde(rename = "intervalo_ms", skip_serializing_if = "Option::is_none")]
    pub(crate) interval_ms: Option<i64>,
}

/// JSON, as in the topic `anomalies_transactions`.
pub(crate) type AnomalySerde = Json<Anomaly>;

/// The record without the numbers that only one of the tests has.
#[cold]
pub(super) fn reported(transaction: &Transaction, reason: Reason, mean: f64, limit: f64) -> Anomaly {
    Anomaly {
        id: CompactString::new(transaction.id.as_str()),
        vendor: transaction.vendor.clone(),
        value: transaction.value,
        currency: transaction.currency,
        time_ms: transaction.time.as_millis(),
        reason,
        mean: to_hundredths(mean),
        limit: to_hundredths(limit),
        score: None,
        deviation: None,
        samples: None,
        count: None,
        interval_ms: None,
    }
}

pub(super) fn to_hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
