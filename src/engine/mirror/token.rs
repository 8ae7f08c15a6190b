//! By what a ChromaDB server lets us in.

use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderName, HeaderValue};

use crate::engine::grant;
use crate::engine::secret::Secret;
use crate::engine::token_file::{self, TokenFault};

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-chroma-token");

#[derive(Debug)]
pub struct Token {
    plain: Secret,
    bearer: Secret,
}

impl Token {
    pub fn from_file(path: &str) -> Result<Token, TokenFault> {
        let token = token_file::read(path)?;
        match (Secret::new("", &token), grant::bearer(&token)) {
            (Some(plain), Some(bearer)) => Ok(Token { plain, bearer }),
            _ => Err(TokenFault::NotAToken { path: path.into() }),
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
