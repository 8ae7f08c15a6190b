//! By what a ChromaDB server lets us in.

use std::fmt;

use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderName, HeaderValue};

use crate::engine::grant;
use crate::engine::secret::{self, FileFault, Secret};

const MAX_FILE_BYTES: u64 = 4096;

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-chroma-token");

#[derive(Debug)]
pub struct Token {
    plain: Secret,
    bearer: Secret,
}

#[derive(Debug)]
pub enum TokenFault {
    File(FileFault),
    Empty { path: String },
    NotAToken { path: String },
}

impl Token {
    pub fn from_file(path: &str) -> Result<Token, TokenFault> {
        let bytes = secret::read(path, MAX_FILE_BYTES).map_err(TokenFault::File)?;
        let path = path.to_owned();
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(TokenFault::Empty { path });
        }
        match (Secret::new("", token), grant::bearer(token)) {
            (Some(plain), Some(bearer)) => Ok(Token { plain, bearer }),
            _ => Err(TokenFault::NotAToken { path }),
        }
    }

    /// Both forms that its servers may be set to look for.
    pub fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        [
            (TOKEN_HEADER, self.plain.header()),
            (AUTHORIZATION, self.bearer.header()),
        ]
    }

    /// `text` with the token blotted out, for words that came from outside.
    pub fn scrub(&self, text: &str) -> String {
        self.plain.scrub(text)
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) => f.write_str(&fault.of("Chroma token file")),
            Self::Empty { path } => write!(f, "the Chroma token in file \"{path}\" is empty"),
            Self::NotAToken { path } => write!(
                f,
                "what is in file \"{path}\" is not a Chroma token: it has spaces, line ends or unprintable characters inside"
            ),
        }
    }
}
