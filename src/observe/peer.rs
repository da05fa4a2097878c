//! Asks other instances over HTTP: several at once, each within a deadline and a size.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// From the connection to the last byte of the answer.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is taken: a bounded page and one entry that went beyond the bound.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A request to another instance.
#[derive(Clone, Debug)]
pub(crate) struct PeerRequest {
    /// Its host and port.
    pub(crate) address: String,
    /// Path and query, encoded.
    pub(crate) path: String,
    /// What it wants to know us by.
    pub(crate) token: Option<String>,
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) struct PeerAnswer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Another instance gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("it gives no answer within {} s", TIME_MAX.as_secs())]
    TimedOut,
    #[error("it cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("it cannot be asked: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("its answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends all requests at once and waits for the answers, which come in the order of the requests. Blocks; not to be
/// called from an asynchronous function.
pub(crate) fn ask_all(requests: &[PeerRequest]) -> Vec<Result<PeerAnswer, PeerError>> {
    let mut answers: Vec<_> = requests.iter().map(|_| Err(PeerError::TimedOut)).collect();
    if requests.is_empty() {
        return answers;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::warn!(%error, "other instances cannot be asked");
            return answers;
        }
    };
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (place, request) in requests.iter().cloned().enumerate() {
            asked.spawn(async move {
                let answer = tokio::time::timeout(TIME_MAX, ask(&request)).await;
                (place, answer.unwrap_or(Err(PeerError::TimedOut)))
            });
        }
        while let Some(done) = asked.join_next().await {
            if let Ok((place, answer)) = done
                && let Some(slot) = answers.get_mut(place)
            {
                *slot = answer;
            }
        }
    });
    // A name that is still being looked up for a request that has timed out holds up nobody.
    runtime.shutdown_background();
    answers
}

async fn ask(request: &PeerRequest) -> Result<PeerAnswer, PeerError> {
    let stream = TcpStream::connect(&request.address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut asked = hyper::Request::get(&request.path)
        .header(header::HOST, &request.address)
        .header(header::CONNECTION, "close");
    if let Some(token) = &request.token {
        asked = asked.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(asked.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(PeerError::Body)?;
    connection.abort();
    Ok(PeerAnswer { status, body: body.to_bytes().to_vec() })
}
