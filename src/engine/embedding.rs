//! One request for vectors: texts out, vectors that can be believed or a failure back. The key goes into one
//! header and nowhere else.

use ureq::http::{HeaderName, Method};

use super::failure::Failure;
use super::http::Client;
use super::key::ApiKey;
use super::vector;
use crate::gemini::error;
use crate::gemini::request::Purpose;
use crate::gemini::response::{self, Answer};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Embeds `texts`. Blocks; for the threads of a pipeline only.
pub fn embed(
    client: &Client,
    key: &ApiKey,
    purpose: &Purpose,
    texts: &[String],
    memory: &mut Vec<u8>,
) -> Result<Answer, Failure> {
    let request = purpose.body(texts).map_err(|e| Failure::Malformed {
        reason: e.to_string(),
    })?;
    let headers = [(KEY_HEADER, key.header())];
    let (status, body) =
        client.exchange(Method::POST, &purpose.path(), &headers, &request, memory)?;
    if status != 200 {
        let error = error::parse(status, body, |words| key.scrub(words));
        return Err(Failure::Refused(error));
    }
    let mut answer = response::parse(body).map_err(|e| Failure::Malformed {
        reason: error::one_line(&key.scrub(&e.to_string())),
    })?;
    vector::believe(&mut answer.vectors, texts.len(), purpose.dimensions)
        .map_err(Failure::Vector)?;
    Ok(answer)
}
