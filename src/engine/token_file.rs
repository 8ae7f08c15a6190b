//! A file that has a token and nothing else.

use zeroize::Zeroizing;

use super::secret::{self, FileFault};

/// Tokens that say who has them are longer than keys.
const MAX_BYTES: u64 = 16_384;

#[derive(Debug)]
pub enum TokenFault {
    File(FileFault),
    Empty {
        path: String,
    },
    /// A line end, a space or a byte that no HTTP header can carry, inside the token.
    NotAToken {
        path: String,
    },
}

pub fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
    let bytes = secret::read(path, MAX_BYTES).map_err(TokenFault::File)?;
    let path = path.to_owned();
    match bytes.trim_ascii() {
        [] => Err(TokenFault::Empty { path }),
        token if token.iter().all(u8::is_ascii_graphic) => Ok(Zeroizing::new(token.to_vec())),
        _ => Err(TokenFault::NotAToken { path }),
    }
}

impl TokenFault {
    /// The fault of a file with a `token`, such as "access token".
    pub fn of(&self, token: &str) -> String {
        match self {
            Self::File(fault) => fault.of(&format!("{token} file")),
            Self::Empty { path } => format!("{token} file \"{path}\" is empty"),
            Self::NotAToken { path } => format!(
                "{token} file \"{path}\" has spaces, line ends or unprintable characters inside, so it is not a token"
            ),
        }
    }
}
