//! What must not be seen: read from a file that others can't read, carried in a type that never prints it,
//! and leaving nothing of it in the memory that it gives back, which a core dump would have.

use std::collections::HashSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

/// One place in memory, which all clones and all requests share.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    header: HeaderValue,
    /// Where it begins, behind the name of its scheme.
    begins: usize,
}

impl Secret {
    /// `scheme` and the secret as a header has them; none where no header can carry them.
    pub fn new(scheme: &str, secret: &[u8]) -> Option<Secret> {
        if !secret.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut bytes = Vec::with_capacity(scheme.len() + secret.len());
        bytes.extend_from_slice(scheme.as_bytes());
        bytes.extend_from_slice(secret);
        let bytes = Bytes::from_owner(Zeroizing::new(bytes));
        let mut header = HeaderValue::from_maybe_shared(bytes).ok()?;
        header.set_sensitive(true);
        Some(Secret {
            header,
            begins: scheme.len(),
        })
    }

    /// For the request, and nothing else.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// `text` with the secret blotted out, for words that came from outside.
    pub fn scrub(&self, text: &str) -> String {
        match self.header.to_str() {
            Ok(header) => scrub(text, &header[self.begins..]),
            // Only what is printable was let in.
            Err(_) => "***".into(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Shorter pieces of a secret are worth nothing by themselves.
const PIECE: usize = 8;

/// `text` with each piece of the secret blotted out: an answer may cut it, or spell some of its characters another way.
pub fn scrub(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let length = PIECE.min(secret.len());
    let pieces: HashSet<&[u8]> = secret.as_bytes().windows(length).collect();
    let mut clean = String::with_capacity(text.len());
    let mut blotted_to = 0;
    for (at, character) in text.char_indices() {
        let piece = text.as_bytes().get(at..at + length);
        if piece.is_some_and(|piece| pieces.contains(piece)) {
            if at >= blotted_to {
                clean.push_str("***");
            }
            blotted_to = at + length;
        }
        if at >= blotted_to {
            clean.push(character);
        }
    }
    clean
}

/// Why a file is not read.
#[derive(Debug)]
pub enum FileFault {
    Missing {
        path: String,
    },
    /// No such file, and no place in the file system: perhaps the secret itself, so it is not repeated.
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
        most: u64,
    },
}

/// The whole of a regular file that others can neither read nor write.
pub fn read(path: &str, most: u64) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let unreadable = |error: io::Error| match error.kind() {
        _ if !leads_somewhere(path) => FileFault::NotAPath,
        io::ErrorKind::NotFound => FileFault::Missing { path: path.into() },
        _ => FileFault::Unreadable {
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
        return Err(FileFault::NotARegularFile { path: path.into() });
    }
    if metadata.mode() & 0o006 != 0 {
        return Err(FileFault::OpenToOthers {
            path: path.into(),
            mode: metadata.mode() & 0o7777,
        });
    }
    if metadata.len() > most {
        return Err(FileFault::TooLarge {
            path: path.into(),
            bytes: metadata.len(),
            most,
        });
    }
    // Of its full size at once: what it outgrew would be left as it is.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * most as usize));
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// A secret in place of a path begins with no directory, whatever slashes it has.
fn leads_somewhere(path: &str) -> bool {
    let directories = Path::new(path).ancestors().skip(1);
    directories
        .filter(|directory| !directory.as_os_str().is_empty())
        .any(Path::is_dir)
}

impl FileFault {
    /// The fault of a file that is a `kind`, such as "API key file".
    pub fn of(&self, kind: &str) -> String {
        match self {
            Self::Missing { path } => format!("{kind} \"{path}\" does not exist"),
            Self::NotAPath => format!("{kind} does not exist: what is set is not a path"),
            Self::Unreadable { path, error } => {
                format!("could not read {kind} \"{path}\": {error}")
            }
            Self::NotARegularFile { path } => format!("{kind} \"{path}\" is not a regular file"),
            Self::OpenToOthers { path, mode } => {
                format!("{kind} \"{path}\" is open to other users (mode {mode:04o})")
            }
            Self::TooLarge { path, bytes, most } => {
                format!("{kind} \"{path}\" has {bytes} bytes, more than {most}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_and_scrubbed_without_its_scheme() {
        let token = Secret::new("Bearer ", b"ya29.secret").unwrap();
        assert_eq!(token.header(), "Bearer ya29.secret");
        assert_eq!(format!("{token:?} {:?}", token.header()), "*** Sensitive");
        assert_eq!(token.scrub("no ya29.secret!"), "no ***!");
        assert_eq!(Secret::new("", b"two words"), None);
    }

    #[test]
    fn what_is_no_path_is_not_shown() {
        let account = r#"{"private_key": "-----BEGIN PRIVATE KEY-----\nMIIE/v/Q"}"#;
        for slip in [
            "AIza-key",
            "1//0refresh",
            "MIIE/v/Q",
            account,
            &account.repeat(99),
        ] {
            assert!(matches!(read(slip, 1), Err(FileFault::NotAPath)), "{slip}");
        }
        let missing = read("/no/such/file", 1);
        assert!(matches!(missing, Err(FileFault::Missing { .. })));
    }

    #[test]
    fn pieces_of_a_secret_are_scrubbed_too() {
        let scrubbed = |text: &str| scrub(text, "1//abcdefghijklmnop");
        assert_eq!(scrubbed("no 1//abcdefghijklmnop!"), "no ***!");
        assert_eq!(scrubbed("1//abcdefghijklmnop1//abcdef"), "******");
        assert_eq!(scrubbed("é 1//abcdef… is cut"), "é ***… is cut");
        assert_eq!(
            scrubbed(r"1\/\/abcdefgh\u0069jklmnop"),
            r"1\/\***\u0069jklmnop"
        );
        assert_eq!(scrubbed("abcdefg is no piece"), "abcdefg is no piece");
        assert_eq!(scrub("a b c", "b"), "a *** c");
        assert_eq!(scrub("none", ""), "none");
    }
}
