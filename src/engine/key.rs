//! The API key: read from its file or the environment, carried in a type that never prints it and leaves
//! nothing of it in the memory that it gives back, which a core dump would have.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

const MAX_FILE_BYTES: u64 = 4096;

/// Google's own names, in the order in which they are looked up.
pub const ENVIRONMENT: [&str; 2] = ["GEMINI_API_KEY", "GOOGLE_API_KEY"];

/// One place in memory, which all clones and all requests share.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(HeaderValue);

#[derive(Debug)]
pub enum KeyFault {
    /// Neither a file is set nor a variable of the environment.
    NotSet,
    Missing {
        path: String,
    },
    /// No such file, and no place in the file system: perhaps the key itself, so it is not repeated.
    NotAPath,
    Unreadable {
        path: String,
        error: io::Error,
    },
    NotARegularFile {
        path: String,
    },
    /// Other users of the machine may read or write it.
    OpenToOthers {
        path: String,
        mode: u32,
    },
    TooLarge {
        path: String,
        bytes: u64,
    },
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
            return ApiKey::from_file(path);
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

    /// The key, or another secret that is kept in the same way, from its file.
    pub fn from_file(path: &str) -> Result<ApiKey, KeyFault> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound if !path.contains('/') => KeyFault::NotAPath,
            io::ErrorKind::NotFound => KeyFault::Missing { path: path.into() },
            _ => KeyFault::Unreadable {
                path: path.into(),
                error,
            },
        };
        // A FIFO would hold the backend in open(2) until somebody writes to it.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(Path::new(path))
            .map_err(unreadable)?;
        // On the open file, so that what was checked is what is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(KeyFault::NotARegularFile { path: path.into() });
        }
        if metadata.mode() & 0o006 != 0 {
            return Err(KeyFault::OpenToOthers {
                path: path.into(),
                mode: metadata.mode() & 0o7777,
            });
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(KeyFault::TooLarge {
                path: path.into(),
                bytes: metadata.len(),
            });
        }
        // Of its full size at once: what it outgrew would be left as it is.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_FILE_BYTES as usize));
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        ApiKey::checked(&bytes, format!("file \"{path}\""))
    }

    fn checked(bytes: &[u8], source: String) -> Result<ApiKey, KeyFault> {
        let key = bytes.trim_ascii();
        if key.is_empty() {
            return Err(KeyFault::Empty { source });
        }
        if !key.iter().all(u8::is_ascii_graphic) {
            return Err(KeyFault::NotAKey { source });
        }
        match sensitive(key.to_vec()) {
            Some(header) => Ok(ApiKey(header)),
            None => Err(KeyFault::NotAKey { source }),
        }
    }

    /// For the request, and nothing else.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// As `Authorization` takes it; None can't be, since what is in the key fits a header.
    pub fn bearer(&self) -> Option<HeaderValue> {
        sensitive([&b"Bearer "[..], self.0.as_bytes()].concat())
    }

    /// `text` with the key blotted out, for words that came from outside.
    pub fn scrub(&self, text: &str) -> String {
        match self.0.to_str() {
            Ok(key) => text.replace(key, "***"),
            // Only what is printable was let in.
            Err(_) => "***".into(),
        }
    }
}

/// In one place in memory, which is wiped when the last clone is gone.
fn sensitive(bytes: Vec<u8>) -> Option<HeaderValue> {
    let bytes = Bytes::from_owner(Zeroizing::new(bytes));
    let mut header = HeaderValue::from_maybe_shared(bytes).ok()?;
    header.set_sensitive(true);
    Some(header)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

impl KeyFault {
    /// What is wrong, in words; `secret` is what the file is to hold, such as "API key".
    pub fn of(&self, secret: &str) -> String {
        let article = if secret.starts_with('A') { "an" } else { "a" };
        match self {
            Self::NotSet => format!("no {secret} is set"),
            Self::Missing { path } => format!("{secret} file \"{path}\" does not exist"),
            Self::NotAPath => format!("{secret} file does not exist: what is set is not a path"),
            Self::Unreadable { path, error } => {
                format!("could not read {secret} file \"{path}\": {error}")
            }
            Self::NotARegularFile { path } => {
                format!("{secret} file \"{path}\" is not a regular file")
            }
            Self::OpenToOthers { path, mode } => {
                format!("{secret} file \"{path}\" is open to other users (mode {mode:04o})")
            }
            Self::TooLarge { path, bytes } => {
                format!("{secret} file \"{path}\" has {bytes} bytes, more than {MAX_FILE_BYTES}")
            }
            Self::Empty { source } => format!("the {secret} in {source} is empty"),
            Self::NotAKey { source } => format!(
                "what is in {source} is not {article} {secret}: it has spaces, line ends or unprintable characters inside"
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
        assert_eq!(key.header(), "AQ.secret-key_1");
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
