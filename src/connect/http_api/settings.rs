//! How an API is asked.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::paging::{Paging, Place};

/// A setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadApiSetting(pub(super) String);

/// A header that says who asks. Its value is shown nowhere.
#[derive(Clone)]
pub struct Token {
    pub(super) header: String,
    value: String,
}

impl Token {
    /// Sends `value` in the header `header`.
    ///
    /// # Errors
    /// When HTTP does not allow such a header.
    pub fn new(header: impl Into<String>, value: impl Into<String>) -> Result<Token, BadApiSetting> {
        let (header, value) = (header.into(), value.into());
        let is_name =
            !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name {
            return Err(BadApiSetting(format!("'{header}' cannot be the name of a header")));
        }
        if value.is_empty() || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(BadApiSetting(
                "the token is empty or has characters that no header may have".to_owned(),
            ));
        }
        Ok(Token { header, value })
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}: [hidden])", self.header)
    }
}

/// How long and how often an API is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Patience {
    /// For one request with its answer.
    pub request_timeout: Duration,
    /// How often the same is asked.
    pub attempts_max: NonZeroU32,
    /// The pause after the first failure; each further one is twice as long, and each is shortened by chance by up to a
    /// half.
    pub pause_first: Duration,
    /// No pause is longer, but where the API asks for one.
    pub pause_max: Duration,
    /// From one request to the next.
    pub request_interval: Duration,
    /// The most bytes of an answer.
    pub response_bytes_max: u64,
}

impl Default for Patience {
    /// 30 s, 8 attempts, pauses from 250 ms to 30 s, no pacing, 64 MiB.
    fn default() -> Self {
        Patience {
            request_timeout: Duration::from_secs(30),
            attempts_max: NonZeroU32::MIN.saturating_add(7),
            pause_first: Duration::from_millis(250),
            pause_max: Duration::from_secs(30),
            request_interval: Duration::ZERO,
            response_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Which API is asked, and how.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    url: String,
    /// `https://host:port`.
    origin: String,
    pub(super) paging: Paging,
    /// The names that lead to the array of rows in an answer; none if it is the answer.
    pub(super) rows: Vec<String>,
    pub(super) token: Option<Token>,
    pub(super) patience: Patience,
}

impl ApiSettings {
    /// An API whose answers to `url` are arrays of rows.
    ///
    /// # Errors
    /// When `url` is not an HTTP address, or carries a password, which every log would show.
    pub fn new(url: &str, paging: Paging) -> Result<ApiSettings, BadApiSetting> {
        let refused = |why: &str| Err(BadApiSetting(format!("'{}' {why}", super::without_parameters(url))));
        let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
            return refused("is no address: it begins with http:// or https://");
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            return Err(BadApiSetting("an address must not hold a password: use a token".to_owned()));
        }
        if host.is_empty() || url.contains('#') || url.parse::<ureq::http::Uri>().is_err() {
            return refused("is no address of an API");
        }
        let origin = url.get(..url.len() - rest.len() + host.len()).unwrap_or_default().to_owned();
        Ok(ApiSettings {
            url: url.to_owned(),
            origin,
            paging,
            rows: Vec::new(),
            token: None,
            patience: Patience::default(),
        })
    }

    /// The rows are found under these names, one within the other.
    #[must_use]
    pub fn rows_at(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> ApiSettings {
        self.rows = names.into_iter().map(Into::into).collect();
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn token(mut self, token: Token) -> ApiSettings {
        self.token = Some(token);
        self
    }

    /// How long and how often.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> ApiSettings {
        self.patience = patience;
        self
    }

    /// The address without its parameters, which may hold keys.
    pub fn shown_url(&self) -> String {
        super::without_parameters(&self.url)
    }

    /// What to ask for the rows at `place`.
    pub(super) fn url_of(&self, place: &Place) -> String {
        if let Place::Link(Some(link)) = place {
            return self.resolved(link);
        }
        let mut url = self.url.clone();
        for (name, value) in self.paging.parameters(place) {
            url.push(if url.contains('?') { '&' } else { '?' });
            encode(&mut url, name);
            url.push('=');
            encode(&mut url, &value);
        }
        url
    }

    fn resolved(&self, link: &str) -> String {
        let path = super::without_parameters(&self.url);
        if link.starts_with("http://") || link.starts_with("https://") {
            link.to_owned()
        } else if link.starts_with('/') {
            format!("{}{link}", self.origin)
        } else if link.starts_with('?') {
            format!("{path}{link}")
        } else {
            let folder = path.get(self.origin.len()..).and_then(|path| path.rfind('/')).unwrap_or(0);
            let folder = path.get(..self.origin.len() + folder).unwrap_or(&self.origin);
            format!("{folder}/{link}")
        }
    }

    /// A link that leads to somebody else must not be followed: the token would go with it.
    pub(super) fn check_link(&self, link: &str) -> Result<(), String> {
        if !matches!(self.paging, Paging::Link { .. }) {
            return Ok(());
        }
        let url = self.resolved(link);
        let rest = url.strip_prefix(&self.origin);
        let is_same = !link.starts_with("//")
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        if is_same && url.parse::<ureq::http::Uri>().is_ok() {
            return Ok(());
        }
        Err(format!("the link to the next page leads away from {}", self.origin))
    }
}

fn encode(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_link(url: &str) -> ApiSettings {
        ApiSettings::new(url, Paging::Link { path: Vec::new() }).unwrap()
    }

    #[test]
    fn addresses_are_checked_before_anything_is_asked() {
        for (url, part) in [
            ("ftp://a/b", "begins with http"),
            ("example.com", "begins with http"),
            ("https:///a", "no address of an API"),
            ("https://a b/", "no address of an API"),
            ("https://a/#b", "no address of an API"),
            ("https://ana:secret@a/", "use a token"),
        ] {
            let error = ApiSettings::new(url, Paging::Single).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn parameters_are_appended_and_encoded() {
        let paging =
            Paging::Cursor { parameter: "depois de".to_owned(), size: None, path: vec!["next".to_owned()] };
        let settings = ApiSettings::new("https://a:8/itens?ordem=id", paging).unwrap();
        assert_eq!(settings.url_of(&Place::Cursor(None)), "https://a:8/itens?ordem=id");
        let cursor = Place::Cursor(Some("a&b=é".to_owned()));
        assert_eq!(settings.url_of(&cursor), "https://a:8/itens?ordem=id&depois%20de=a%26b%3D%C3%A9");
        assert_eq!(settings.shown_url(), "https://a:8/itens");
    }

    #[test]
    fn links_are_resolved_and_stay_with_the_api() {
        let settings = by_link("https://a:8/v1/itens?chave=1");
        let url = |link: &str| settings.url_of(&Place::Link(Some(link.to_owned())));
        assert_eq!(url("https://a:8/x"), "https://a:8/x");
        assert_eq!(url("/v1/itens?p=2"), "https://a:8/v1/itens?p=2");
        assert_eq!(url("?p=2"), "https://a:8/v1/itens?p=2");
        assert_eq!(url("mais?p=2"), "https://a:8/v1/mais?p=2");
        assert_eq!(by_link("https://a").url_of(&Place::Link(Some("b".to_owned()))), "https://a/b");
        for link in ["/x", "?p=2", "https://a:8", "https://a:8/x"] {
            assert_eq!(settings.check_link(link), Ok(()), "{link}");
        }
        for link in ["https://b/x", "https://a:80/x", "https://a:8.evil/x", "http://a:8/x", "//b/x"] {
            assert!(settings.check_link(link).is_err(), "{link}");
        }
    }

    #[test]
    fn a_token_is_shown_nowhere() {
        let token = Token::new("Authorization", "Bearer segredo").unwrap();
        let settings = by_link("https://a").token(token);
        assert!(!format!("{settings:?}").contains("segredo"));
        assert!(Token::new("a b", "x").is_err() && Token::new("a", "x\r\nb: c").is_err());
    }
}
