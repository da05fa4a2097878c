//! A small API with made-up rows, for demos and tests: paged in every way that a client may ask for, and as unreliable as
//! it is told to be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use riacho::observe::http::{Page, Pages, Request};
use riacho::ports::Clock;
use serde_json::json;

use super::rows::row;

/// Where the rows are, below the server's address.
pub(crate) const PATH: &str = "/items";
/// No answer has more rows, whatever is asked for.
const SIZE_MAX: u64 = 10_000;
const SIZE: u64 = 1000;
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the API has, and how it behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ApiOptions {
    pub(crate) seed: u64,
    /// How many rows there are in the end.
    pub(crate) rows: u64,
    /// How many of them appear per second; 0 for all at once.
    pub(crate) rows_per_second: u64,
    /// The share of requests that are answered 429 or 500, from 0 to 1.
    pub(crate) failures: f64,
}

/// The API.
pub(crate) struct Api {
    options: ApiOptions,
    clock: Arc<dyn Clock>,
    requests: AtomicU64,
    /// How many rows had appeared before this process.
    before: OnceLock<u64>,
}

impl Api {
    pub(crate) fn new(options: ApiOptions, clock: Arc<dyn Clock>) -> Api {
        Api { options, clock, requests: AtomicU64::new(0), before: OnceLock::new() }
    }

    /// To be served.
    pub(crate) fn pages(self) -> Pages {
        Pages::new().with(PATH, "made-up orders, paged by page, offset or cursor", move |request| {
            self.answer(request)
        })
    }

    fn answer(&self, request: &Request) -> Page {
        if let Some(failure) = self.failure() {
            return failure;
        }
        let query = request.query();
        let number = |name| query.get_parsed::<u64>(name, 0);
        let size = query.get_parsed("size", SIZE).map(|size| size.clamp(1, SIZE_MAX));
        let (Ok(size), Ok(page), Ok(offset), Ok(cursor)) =
            (size, number("page"), number("offset"), number("cursor"))
        else {
            return Page::json(400, &json!({ "error": "page, size, offset and cursor are numbers" }));
        };
        let asked = page.saturating_sub(1).saturating_mul(size).max(offset).max(cursor);
        let total = self.rows_now(asked);
        let first = asked.min(total);
        let end = first.saturating_add(size).min(total);
        let rows: Vec<String> = (first..end).map(|index| row(self.options.seed, index)).collect();
        let next = if end < total { end.to_string() } else { "null".to_owned() };
        let body = format!("{{\"items\":[{}],\"total\":{total},\"next\":{next}}}", rows.join(","));
        let page = Page::new(200, "application/json", body);
        match end < total {
            true => page.with_header("link", format!("<{PATH}?cursor={end}&size={size}>; rel=\"next\"")),
            false => page,
        }
    }

    /// How many rows there are, for somebody who asks for those from `asked` on.
    fn rows_now(&self, asked: u64) -> u64 {
        let ApiOptions { rows, rows_per_second, .. } = self.options;
        if rows_per_second == 0 {
            return rows;
        }
        let millis = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let since = millis.saturating_mul(rows_per_second) / 1000;
        // An API outlives its servers: whoever asks first has got what is before from an earlier one.
        let before = *self.before.get_or_init(|| asked.saturating_sub(since));
        before.saturating_add(since).min(rows)
    }

    fn failure(&self) -> Option<Page> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        // Spread evenly and the same every time: the golden ratio's multiples.
        let at = (request as f64 * 0.618_033_988_75).fract();
        if at >= self.options.failures {
            return None;
        }
        let failure = json!({ "error": "this request fails on purpose" });
        Some(match request.is_multiple_of(2) {
            true => Page::json(429, &failure).with_retry_after(RETRY_AFTER),
            false => Page::json(500, &failure),
        })
    }
}

#[cfg(test)]
mod tests {
    use riacho::SystemClock;

    use super::*;

    fn api(rows: u64, failures: f64) -> Pages {
        let options = ApiOptions { seed: 7, rows, rows_per_second: 0, failures };
        Api::new(options, Arc::new(SystemClock::new())).pages()
    }

    fn items(pages: &Pages, query: &str) -> (Vec<serde_json::Value>, Page) {
        let page = pages.answer(&Request::to(&format!("{PATH}?{query}")).unwrap());
        let body: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
        (body["items"].as_array().cloned().unwrap_or_default(), page)
    }

    #[test]
    fn the_same_rows_come_however_they_are_paged() {
        let pages = api(25, 0.0);
        let all = items(&pages, "size=100").0;
        assert_eq!(all.len(), 25);
        for (query, range) in [
            ("page=1&size=10", 0..10),
            ("page=3&size=10", 20..25),
            ("offset=7&size=3", 7..10),
            ("cursor=24&size=3", 24..25),
            ("page=4&size=10", 25..25),
        ] {
            assert_eq!(items(&pages, query).0, all[range], "{query}");
        }
        assert_eq!(
            items(&pages, "size=10").1.header("link"),
            Some("</items?cursor=10&size=10>; rel=\"next\"")
        );
        assert_eq!(items(&pages, "page=3&size=10").1.header("link"), None);
        assert_eq!(items(&pages, "size=x").1.status(), 400);
    }

    #[test]
    fn rows_that_an_earlier_process_gave_are_there_and_new_ones_follow_at_the_same_rate() {
        let options = ApiOptions { seed: 7, rows: 10_000, rows_per_second: 1, failures: 0.0 };
        let pages = Api::new(options, Arc::new(SystemClock::new())).pages();
        let total = |query: &str| {
            let page = pages.answer(&Request::to(&format!("{PATH}?{query}")).unwrap());
            serde_json::from_slice::<serde_json::Value>(page.body()).unwrap()["total"].as_u64().unwrap()
        };
        assert!((5000..5100).contains(&total("page=51&size=100")));
        assert!((5000..5100).contains(&total("page=90&size=100")), "asking for a row does not make it");
    }

    #[test]
    fn it_fails_as_often_as_it_is_told() {
        let pages = api(1, 0.3);
        let statuses: Vec<u16> = (0..1000).map(|_| items(&pages, "").1.status()).collect();
        let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
        assert!((650..750).contains(&count(200)) && count(429) > 50 && count(500) > 50, "{statuses:?}");
    }
}
