//! What a page may know of a request: where it goes, what it asks, who asks.

use std::borrow::Cow;

use hyper::header::HeaderMap;
use hyper::{Uri, header};

/// A request, without its connection. It has no body: the server takes none.
#[derive(Clone, Debug)]
pub struct Request {
    uri: Uri,
    headers: HeaderMap,
    /// Where in the path the rest begins.
    rest_at: usize,
}

impl Request {
    pub(super) fn new(uri: Uri, headers: HeaderMap) -> Request {
        Request { uri, headers, rest_at: 0 }
    }

    /// A request for an address like `/stores?limit=10`, as a browser would send it; none if it is not one.
    pub fn to(address: &str) -> Option<Request> {
        Some(Request::new(address.parse().ok()?, HeaderMap::new()))
    }

    pub(super) fn beyond(mut self, prefix: &str) -> Request {
        self.rest_at = prefix.len();
        self
    }

    /// The path as it came: percent signs are not decoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What follows the route's prefix, not decoded; empty for a route without one.
    pub fn rest(&self) -> &str {
        if self.rest_at == 0 { "" } else { self.path().get(self.rest_at..).unwrap_or_default() }
    }

    /// The parts of [`rest`](Self::rest) between its slashes, each decoded, so that a part may contain an encoded
    /// slash. None where a part is not the encoding of a text.
    pub fn segments(&self) -> Option<Vec<Cow<'_, str>>> {
        self.rest().split('/').map(|part| percent_decoded(part, false)).collect()
    }

    /// The parameters.
    pub fn query(&self) -> Query<'_> {
        Query(self.uri.query().unwrap_or_default())
    }

    /// A header's value; none where it is missing or not printable ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The header `authorization`. Unlike others it may hold any letters: a token may.
    pub fn authorization(&self) -> Option<&str> {
        std::str::from_utf8(self.headers.get(header::AUTHORIZATION)?.as_bytes()).ok()
    }

    #[cfg(test)]
    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Request {
        self.headers.insert(name, hyper::header::HeaderValue::from_static(value));
        self
    }
}

/// The part of an address after the question mark.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The value of a parameter: the first one of this name, without decoding.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.0.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    /// The value of a parameter, decoded: the first one of this name.
    ///
    /// # Errors
    /// [`BadEncoding`] where it is not the encoding of a text.
    pub fn get_decoded(self, name: &'static str) -> Result<Option<Cow<'a, str>>, BadEncoding> {
        let Some(value) = self.get(name) else { return Ok(None) };
        percent_decoded(value, true).map(Some).ok_or(BadEncoding(name))
    }

    /// A parameter as a number or whatever else can be read from a text; `default` where it is missing or empty.
    ///
    /// # Errors
    /// The parameter's name, where it cannot be read.
    pub fn get_parsed<T: std::str::FromStr>(self, name: &'static str, default: T) -> Result<T, BadEncoding> {
        match self.get_decoded(name)? {
            Some(text) if !text.is_empty() => text.parse().map_err(|_| BadEncoding(name)),
            _ => Ok(default),
        }
    }
}

/// A parameter that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {0} cannot be read: percent-encode it as UTF-8, and numbers have digits only")]
pub struct BadEncoding(pub &'static str);

/// Decodes `%41` and, in a query, `+`. None where a percent sign begins nothing or the result is not UTF-8.
pub fn percent_decoded(text: &str, plus_is_blank: bool) -> Option<Cow<'_, str>> {
    let is_code = |symbol: char| symbol == '%' || plus_is_blank && symbol == '+';
    if !text.contains(is_code) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            b'+' if plus_is_blank => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Encodes all but letters, digits and `-._~`, so that the result is one part of a path or a parameter's value.
pub fn percent_encoded(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_survives_its_encoding(text in "\\PC{0,40}|[%/+? \n\0]{0,8}") {
            let encoded = percent_encoded(&text);
            prop_assert_eq!(percent_decoded(&encoded, true).unwrap(), text.as_str());
            prop_assert_eq!(percent_decoded(&encoded, false).unwrap(), text.as_str());
            let request = Request::to(&format!("/x/{encoded}/y?z={encoded}")).unwrap().beyond("/x/");
            prop_assert_eq!(request.segments().unwrap(), [text.as_str(), "y"]);
            prop_assert_eq!(request.query().get_decoded("z").unwrap().unwrap(), text.as_str());
        }

        #[test]
        fn no_text_makes_decoding_panic(text in "[%a-gA-G0-9+é]{0,20}") {
            let _ = percent_decoded(&text, true);
        }
    }

    #[test]
    fn what_is_not_an_encoding_is_refused() {
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "a%c3"] {
            assert_eq!(percent_decoded(bad, true), None, "{bad}");
        }
        assert_eq!(percent_decoded("a+b", true).as_deref(), Some("a b"));
        assert_eq!(percent_decoded("a+b", false).as_deref(), Some("a+b"));
    }

    #[test]
    fn parameters_are_read_or_named_in_the_error() {
        let request = Request::to("/x?limit=10&from=%zz&empty=").unwrap();
        assert_eq!(request.query().get_parsed("limit", 5), Ok(10));
        assert_eq!(request.query().get_parsed("empty", 5), Ok(5));
        assert_eq!(request.query().get_parsed("absent", 5), Ok(5));
        assert_eq!(request.query().get_parsed::<u8>("from", 5), Err(BadEncoding("from")));
        assert_eq!(request.query().get_decoded("from"), Err(BadEncoding("from")));
    }
}
