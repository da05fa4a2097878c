//! The checksum of a file's content.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

const BYTES: usize = 32;
const PREFIX: &str = "sha256:";

/// SHA-256, written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; BYTES]);

/// Some text is not a checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checksum: it is written as sha256: and 64 hexadecimal digits")]
pub struct NotAChecksum;

impl Checksum {
    pub(super) fn of_hash(hash: Sha256) -> Checksum {
        Checksum(hash.finalize().into())
    }

    /// The checksum of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Checksum {
        Checksum(Sha256::digest(bytes).into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Reads a file to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Checksum> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Checksum::of_hash(hash)),
                count => hash.update(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = NotAChecksum;

    fn from_str(text: &str) -> Result<Checksum, NotAChecksum> {
        let digits =
            text.strip_prefix(PREFIX).filter(|digits| digits.len() == 2 * BYTES).ok_or(NotAChecksum)?;
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let [high, low] = pair else { return Err(NotAChecksum) };
            *byte = value(*high).zip(value(*low)).map(|(high, low)| 16 * high + low).ok_or(NotAChecksum)?;
        }
        Ok(Checksum(bytes))
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Checksum, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha256_and_read_back_as_written() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::of_bytes(b"abc").to_string(), abc);
        assert_eq!(abc.parse(), Ok(Checksum::of_bytes(b"abc")));
        assert_eq!(
            serde_json::from_str::<Checksum>(&format!("\"{abc}\"")).unwrap(),
            Checksum::of_bytes(b"abc")
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(Checksum::of_file(file.path()).unwrap(), Checksum::of_bytes(b"abc"));
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        let digits = "0".repeat(64);
        for text in [
            "",
            "sha256:",
            &digits,
            "sha256:0g",
            &format!("sha256:{digits}0"),
            &format!("sha256:{}é", "0".repeat(62)),
        ] {
            assert_eq!(text.parse::<Checksum>(), Err(NotAChecksum), "{text}");
        }
    }
}
