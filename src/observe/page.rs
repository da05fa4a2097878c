//! An answer of the HTTP server: status, headers, body. Nothing here knows of sockets.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;

/// An answer to a request.
///
/// The server adds headers that protect browsers and forbids caching; a header that is set here takes the place of the
/// server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    status: u16,
    content_type: Cow<'static, str>,
    body: Bytes,
    headers: Vec<(&'static str, Cow<'static, str>)>,
}

impl Page {
    /// Bytes of a media type. Static bytes are sent from where they are; those of a vector are not copied.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Page {
        Page { status, content_type: content_type.into(), body: body.into(), headers: Vec::new() }
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Page {
        Page::new(status, "text/plain; charset=utf-8", body.into())
    }

    /// HTML. What comes from data must have been escaped.
    pub fn html(status: u16, body: impl Into<String>) -> Page {
        Page::new(status, "text/html; charset=utf-8", body.into())
    }

    /// JSON, laid out for people.
    pub fn json(status: u16, body: &Value) -> Page {
        Page::new(status, "application/json", format!("{body:#}\n"))
    }

    /// JSON without blanks, for answers that programs read.
    pub fn compact_json(status: u16, body: &Value) -> Page {
        Page::new(status, "application/json", body.to_string())
    }

    /// Sets a header, in the place of one of this name. A value that no header can have is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Page {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value.into()));
        self
    }

    /// Names this version of the page: who has it already is answered 304 without the body.
    #[must_use]
    pub fn with_etag(self, version: &str) -> Page {
        self.with_header("etag", format!("\"{version}\"")).with_header("cache-control", "no-cache")
    }

    /// Asks the client to try again after `wait`, rounded up to seconds.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Page {
        self.with_header("retry-after", wait.as_millis().div_ceil(1000).max(1).to_string())
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The media type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The bytes to send.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    pub fn body_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// A header that was set.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    pub(super) fn with_headers_of(self, other: &Page) -> Page {
        Page { headers: other.headers.clone(), ..self }
    }

    pub(super) fn into_body(self) -> Bytes {
        self.body
    }
}

/// A file that is part of the program: sent without a copy, and only when the client does not have it yet.
#[derive(Clone, Debug)]
pub struct Asset {
    content_type: &'static str,
    bytes: &'static [u8],
    version: String,
}

impl Asset {
    /// A file of a media type, mostly from `include_bytes!`.
    pub fn new(content_type: &'static str, bytes: &'static [u8]) -> Asset {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Asset { content_type, bytes, version: format!("{:016x}", hasher.finish()) }
    }

    /// The answer to a request for it.
    pub fn page(&self) -> Page {
        Page::new(200, self.content_type, self.bytes).with_etag(&self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_takes_the_place_of_one_of_its_name() {
        let page = Page::text(200, "").with_header("Cache-Control", "no-store").with_etag("7");
        assert_eq!(page.headers().collect::<Vec<_>>(), [("etag", "\"7\""), ("cache-control", "no-cache")]);
        assert_eq!(page.header("ETag"), Some("\"7\""));
    }

    #[test]
    fn other_bytes_are_another_version_of_an_asset() {
        let version = |bytes| Asset::new("text/css", bytes).page().header("etag").map(str::to_owned);
        assert_eq!(version(b"a"), version(b"a"));
        assert_ne!(version(b"a"), version(b"b"));
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
        let told = |millis| {
            let page = Page::text(503, "").with_retry_after(Duration::from_millis(millis));
            page.header("retry-after").map(str::to_owned)
        };
        assert_eq!((told(0).as_deref(), told(1001).as_deref()), (Some("1"), Some("2")));
    }
}
