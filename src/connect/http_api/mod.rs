//! A paged JSON API as a source of rows.
//!
//! [`HttpApi::next_rows`] asks for what comes after a [`Position`] and tells the position after it. A position is plain
//! data: kept beside the rows, it lets another process go on where this one ended. Requests are paced, retried with
//! growing pauses, and bounded in time and size.

mod body;
mod paging;
mod patience;
mod settings;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use ureq::Agent;
use ureq::http::{Response, header};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::ports::Clock;

use body::Answer;
pub use paging::{Paging, Place, Position};
use patience::{Judgement, judge, retry_after};
pub use settings::{ApiSettings, BadApiSetting, Patience, Token};

/// Waits for a time, or less when the caller is to stop; tells whether that is so.
pub type Pause<'a> = dyn FnMut(Duration) -> bool + 'a;

/// An API has not given its rows.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The caller was asked to stop while waiting.
    #[error("stopped while waiting for the API")]
    Stopped,
    /// The API says no, and will say so again.
    #[error("{url} answers with status {status}: {advice}")]
    Refused {
        /// What was asked, without its parameters.
        url: String,
        /// The status code.
        status: u16,
        /// What to do.
        advice: &'static str,
    },
    /// The API could not be asked, or its answers could not be used, as often as it was tried.
    #[error("{url} has not answered in {attempts} attempts, the last time: {last}")]
    GaveUp {
        /// What was asked, without its parameters.
        url: String,
        /// How often.
        attempts: u32,
        /// What went wrong at last.
        last: String,
    },
    /// An answer is larger than allowed.
    #[error("{url} answers with more than {bytes_max} bytes: ask for smaller pages, or raise the limit")]
    TooLarge {
        /// What was asked, without its parameters.
        url: String,
        /// The limit.
        bytes_max: u64,
    },
}

/// Rows that came after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The rows, each the JSON text that it is in the answer.
    pub rows: Vec<String>,
    /// Where to go on.
    pub then: Position,
    /// Whether there is nothing more for now.
    pub is_end: bool,
}

/// What an [`HttpApi`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiCounts {
    /// Requests sent.
    pub requests: u64,
    /// How many of them were repeated because of their answer, or for want of one.
    pub failures: u64,
    /// Bytes of the answers.
    pub bytes: u64,
}

/// What one request came to, if not to an answer.
enum Trouble {
    /// Trying again may help, at the soonest after this time.
    Transient(String, Option<Duration>),
    Final(ApiError),
}

/// A client of one API.
pub struct HttpApi {
    settings: ApiSettings,
    agent: Agent,
    clock: Arc<dyn Clock>,
    dice: Xoshiro256PlusPlus,
    /// The clock's time at which the next request may be sent.
    next_request: Duration,
    counts: ApiCounts,
}

impl HttpApi {
    /// A client; nothing is asked yet. `seed` spreads the pauses of clients that fail together.
    pub fn new(settings: ApiSettings, clock: Arc<dyn Clock>, seed: u64) -> HttpApi {
        let tls =
            TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could lead the token to somebody else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(settings.patience.request_timeout))
            .user_agent(concat!("riacho/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build());
        HttpApi {
            agent: config.build().new_agent(),
            settings,
            clock,
            dice: Xoshiro256PlusPlus::seed_from_u64(seed),
            next_request: Duration::ZERO,
            counts: ApiCounts::default(),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> ApiCounts {
        self.counts
    }

    /// Where to begin.
    pub fn start(&self) -> Position {
        self.settings.paging.start()
    }

    /// Whether a position is one of this API's kind of paging.
    pub fn fits(&self, position: &Position) -> bool {
        self.settings.paging.fits(position)
    }

    /// Asks for the rows after `from`. Waits with `pause` where the API has to be waited for.
    ///
    /// A page that is not full is asked again the next time, and only what is new of it is told: rows that are appended
    /// later are not missed.
    ///
    /// # Errors
    /// When the API refuses, or gives no usable answer however often it is asked.
    pub fn next_rows(&mut self, from: &Position, pause: &mut Pause<'_>) -> Result<Taken, ApiError> {
        let answer = self.ask(&from.place, pause)?;
        let taken = self.settings.paging.take(from, answer);
        if !taken.is_end {
            return Ok(taken);
        }
        // Where pages are numbered one may be short and yet not the last: the API gives fewer rows than it is asked for.
        let Some(beyond) = self.settings.paging.beyond_short(&from.place) else { return Ok(taken) };
        let beyond = Position { place: beyond, taken: 0 };
        let answer = self.ask(&beyond.place, pause)?;
        let more = self.settings.paging.take(&beyond, answer);
        Ok(if more.rows.is_empty() { taken } else { more })
    }

    fn ask(&mut self, place: &Place, pause: &mut Pause<'_>) -> Result<Answer, ApiError> {
        let url = self.settings.url_of(place);
        let attempts_max = self.settings.patience.attempts_max.get();
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.keep_pace(pause)?;
            let (last, asked_to_wait) = match self.try_once(&url) {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Transient(last, wait)) => (last, wait),
            };
            self.counts.failures += 1;
            if attempt >= attempts_max {
                return Err(ApiError::GaveUp { url: without_parameters(&url), attempts: attempt, last });
            }
            let own = self.settings.patience.pause_after(attempt, &mut self.dice);
            let wait = asked_to_wait.map_or(own, |asked| asked.max(own));
            tracing::warn!(
                attempt,
                wait_ms = wait.as_millis() as u64,
                reason = last,
                "the API is asked again"
            );
            if pause(wait) {
                return Err(ApiError::Stopped);
            }
        }
    }

    /// Waits until the next request may be sent.
    fn keep_pace(&mut self, pause: &mut Pause<'_>) -> Result<(), ApiError> {
        let now = self.clock.monotonic();
        let wait = self.next_request.saturating_sub(now);
        if pause(wait) {
            return Err(ApiError::Stopped);
        }
        self.next_request = now.max(self.next_request) + self.settings.patience.request_interval;
        Ok(())
    }

    fn try_once(&mut self, url: &str) -> Result<Answer, Trouble> {
        self.counts.requests += 1;
        let mut request = self.agent.get(url).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.settings.token {
            request = request.header(token.header.as_str(), token.value());
        }
        let response = request.call().map_err(|error| Trouble::Transient(error.to_string(), None))?;
        let status = response.status().as_u16();
        let asked = response.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok());
        let wait = retry_after(asked, self.clock.now());
        match judge(status) {
            Judgement::Usable => {}
            Judgement::Again => return Err(Trouble::Transient(format!("status {status}"), wait)),
            Judgement::Never(advice) => {
                let url = without_parameters(url);
                return Err(Trouble::Final(ApiError::Refused { url, status, advice }));
            }
        }
        let links = response.headers().get_all(header::LINK).iter().filter_map(|link| link.to_str().ok());
        let link = links.filter_map(paging::next_link).next().map(str::to_owned);
        let body = self.read(url, response)?;
        let answer =
            Answer::of(&body, &self.settings, link).map_err(|text| Trouble::Transient(text, None))?;
        if let Some(next) = &answer.next {
            self.settings.check_link(next).map_err(|text| Trouble::Transient(text, None))?;
        }
        Ok(answer)
    }

    fn read(&mut self, url: &str, response: Response<ureq::Body>) -> Result<Vec<u8>, Trouble> {
        let bytes_max = self.settings.patience.response_bytes_max;
        let mut body = Vec::new();
        // One byte more than allowed tells a body that is too large from one that just fits.
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let read = reader.take(bytes_max.saturating_add(1)).read_to_end(&mut body);
        read.map_err(|error| Trouble::Transient(format!("the answer broke off: {error}"), None))?;
        self.counts.bytes += body.len() as u64;
        if body.len() as u64 > bytes_max {
            return Err(Trouble::Final(ApiError::TooLarge { url: without_parameters(url), bytes_max }));
        }
        Ok(body)
    }
}

/// Parameters may hold keys that belong into no log.
fn without_parameters(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
