//! What a refusal by Chroma means.

use std::fmt;

use serde::Deserialize;

use crate::gemini::error::one_line;

#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub http_status: u16,
    /// The server's words, cut to one short line.
    pub message: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The token is wrong or missing, or may not do this.
    Token,
    /// There is no such tenant, database or collection.
    Missing,
    /// The collection's vectors have another number of dimensions.
    Dimension,
    /// Too much, or something in the request is refused, often one record of many.
    Records,
    /// Overloaded, limited or broken at the server's end: the same request may pass later.
    Unavailable,
    /// A redirect, or an answer that doesn't come from Chroma's API v2.
    NotTheApi,
}

#[derive(Deserialize)]
struct Body {
    message: String,
}

/// Reads the body of any answer that is no success. `scrub` takes secrets out of its words.
pub fn parse(http_status: u16, body: &[u8], scrub: impl Fn(&str) -> String) -> Refusal {
    let words = |text: &str| one_line(&scrub(text));
    let (message, kind) = match serde_json::from_slice::<Body>(body) {
        Ok(body) => (words(&body.message), kind(http_status, &body)),
        Err(_) => {
            let page = String::from_utf8_lossy(body);
            (words(&page), kind_without_body(http_status))
        }
    };
    Refusal {
        http_status,
        message,
        kind,
    }
}

fn kind(http_status: u16, body: &Body) -> Kind {
    match http_status {
        400 if body.message.contains("expecting embedding with dimension") => Kind::Dimension,
        // Some versions say so of a tenant or a database.
        400 if body.message.ends_with("does not exist") => Kind::Missing,
        404 => Kind::Missing,
        other => kind_without_body(other),
    }
}

fn kind_without_body(http_status: u16) -> Kind {
    match http_status {
        401 | 403 => Kind::Token,
        400 | 409 | 413 | 422 => Kind::Records,
        408 | 429 | 499 | 500..=599 => Kind::Unavailable,
        _ => Kind::NotTheApi,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "HTTP {} with an empty answer", self.http_status),
            message => write!(f, "HTTP {}: {message}", self.http_status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(http_status: u16, body: &str) -> Kind {
        parse(http_status, body.as_bytes(), str::to_owned).kind
    }

    #[test]
    fn refusals_are_told_apart() {
        let dimension = r#"{"error":"InvalidArgumentError","message":"Collection expecting embedding with dimension of 3, got 2"}"#;
        assert_eq!(refusal(400, dimension), Kind::Dimension);
        let tenant = r#"{"error":"InvalidArgumentError","message":"Database [x] does not exist"}"#;
        assert_eq!(refusal(400, tenant), Kind::Missing);
        let gone = r#"{"error":"NotFoundError","message":"Collection [docs] does not exist"}"#;
        assert_eq!(refusal(404, gone), Kind::Missing);
        assert_eq!(refusal(404, "<html>"), Kind::NotTheApi);
        let empty = r#"{"error":"InvalidArgumentError","message":"Empty ID, ID must have at least one character"}"#;
        assert_eq!(refusal(400, empty), Kind::Records);
        assert_eq!(refusal(413, "Payload too large"), Kind::Records);
        assert_eq!(refusal(401, "{}"), Kind::Token);
        assert_eq!(refusal(302, ""), Kind::NotTheApi);
        for status in [408, 429, 500, 503] {
            assert_eq!(refusal(status, ""), Kind::Unavailable, "{status}");
        }
    }

    #[test]
    fn its_words_are_cut_and_scrubbed() {
        let said = parse(413, b"Payload\ntoo large.", |text| {
            text.replace("large", "***")
        });
        assert_eq!(said.to_string(), "HTTP 413: Payload too ***");
        assert_eq!(
            parse(500, b"", str::to_owned).to_string(),
            "HTTP 500 with an empty answer"
        );
    }
}
