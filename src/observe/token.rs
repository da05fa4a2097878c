//! Who may read: a token that requests have to carry.

use std::hint::black_box;

/// A secret that a request carries as `Authorization: Bearer ...` or, for browsers, as the password of
/// `Authorization: Basic ...` with any user name.
pub(super) struct Token(String);

impl Token {
    pub(super) fn new(secret: String) -> Token {
        Token(secret)
    }

    /// Whether a value of the header `authorization` carries the token.
    pub(super) fn admits(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, credentials)) = authorization.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return same(credentials.as_bytes(), self.0.as_bytes());
        }
        let Some(pair) = scheme.eq_ignore_ascii_case("basic").then(|| base64_decoded(credentials)).flatten()
        else {
            return false;
        };
        let password = pair.splitn(2, |&byte| byte == b':').nth(1);
        password.is_some_and(|password| same(password, self.0.as_bytes()))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Compares in a time that depends on the lengths alone: where two secrets differ must not be measurable.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given.iter().zip(expected).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    given.len() == expected.len() && black_box(differences) == 0
}

fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut known) = (0u32, 0);
    for symbol in text.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        known += 6;
        if known >= 8 {
            known -= 8;
            bytes.push(u8::try_from(bits >> known & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_as_a_bearer_and_as_a_browsers_password() {
        let token = Token::new("segredo: é".to_owned());
        assert!(token.admits(Some("Bearer segredo: é")));
        assert!(token.admits(Some("bearer  segredo: é")));
        assert!(token.admits(Some("Basic YW5hOnNlZ3JlZG86IMOp")));
        assert!(token.admits(Some("basic OnNlZ3JlZG86IMOp")));
    }

    #[test]
    fn anything_else_is_refused() {
        let token = Token::new("secret".to_owned());
        for wrong in [
            "",
            "secret",
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Bearer secret2",
            "Bearer Secret",
            "Basic secret",
            "Basic ????",
            "Basic c2VjcmV0",
            "Digest secret",
        ] {
            assert!(!token.admits(Some(wrong)), "{wrong}");
        }
        assert!(!token.admits(None));
        assert!(!format!("{token:?}").contains("secret"));
    }
}
