//! The API key: read from its file or the environment.

use std::fmt;

use zeroize::Zeroizing;

use super::secret::{self, FileFault, Secret};

const MAX_FILE_BYTES: u64 = 4096;

/// Google's own names, in the order in which they are looked up.
pub const ENVIRONMENT: [&str; 2] = ["GEMINI_API_KEY", "GOOGLE_API_KEY"];

#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Secret);

#[derive(Debug)]
pub enum KeyFault {
    /// Neither a file is set nor a variable of the environment.
    NotSet,
    File(FileFault),
    Empty {
        source: String,
    },
    /// A line end, a space or a byte that no HTTP header can carry, inside the key.
    NotAKey {
        source: String,
    },
}

impl ApiKey {
    /// The key from `file`, else from the environment of the server.
    pub fn load(file: Option<&str>) -> Result<ApiKey, KeyFault> {
        if let Some(path) = file {
            let bytes = secret::read(path, MAX_FILE_BYTES).map_err(KeyFault::File)?;
            return ApiKey::checked(&bytes, format!("file \"{path}\""));
        }
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                let source = format!("environment variable {name}");
                let value = Zeroizing::new(value.into_encoded_bytes());
                return ApiKey::checked(&value, source);
            }
        }
        Err(KeyFault::NotSet)
    }

    fn checked(bytes: &[u8], source: String) -> Result<ApiKey, KeyFault> {
        let key = bytes.trim_ascii();
        if key.is_empty() {
            return Err(KeyFault::Empty { source });
        }
        match Secret::new("", key) {
            Some(secret) => Ok(ApiKey(secret)),
            None => Err(KeyFault::NotAKey { source }),
        }
    }

    pub fn secret(&self) -> Secret {
        self.0.clone()
    }

    /// `text` with the key blotted out, for words that came from outside.
    pub fn scrub(&self, text: &str) -> String {
        self.0.scrub(text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet => write!(f, "no API key is set"),
            Self::File(fault) => f.write_str(&fault.of("API key file")),
            Self::Empty { source } => write!(f, "the API key in {source} is empty"),
            Self::NotAKey { source } => write!(
                f,
                "what is in {source} is not an API key: it has spaces, line ends or unprintable characters inside"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(bytes: &[u8]) -> Result<ApiKey, KeyFault> {
        ApiKey::checked(bytes, "test".into())
    }

    #[test]
    fn a_key_is_trimmed_and_never_printed() {
        let key = checked(b"  AQ.secret-key_1\r\n").unwrap();
        assert_eq!(key.secret().header(), "AQ.secret-key_1");
        assert_eq!(format!("{key:?}"), "ApiKey(***)");
        assert_eq!(key.scrub("bad key AQ.secret-key_1!"), "bad key ***!");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(matches!(checked(b" \n"), Err(KeyFault::Empty { .. })));
        for bytes in [
            &b"two\nlines"[..],
            b"a b",
            b"\xff",
            "schl\u{fc}ssel".as_bytes(),
        ] {
            assert!(matches!(checked(bytes), Err(KeyFault::NotAKey { .. })));
        }
    }
}
