//! One request for vectors: texts out, vectors that can be believed or a failure back. What allows it goes into
//! one header and nowhere else.

use ureq::http::Method;

use super::credentials::Credentials;
use super::failure::Failure;
use super::http::Client;
use super::secret::Secret;
use super::vector;
use crate::gemini::error;
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

/// Embeds `texts`. Blocks; for the threads of a pipeline only.
pub fn embed(
    client: &Client,
    credentials: &Credentials,
    purpose: &Purpose,
    texts: &[String],
    memory: &mut Vec<u8>,
) -> Result<Answer, Failure> {
    let body = purpose.body(texts).map_err(|e| Failure::Malformed {
        reason: e.to_string(),
    })?;
    let secret = credentials.secret()?;
    let mut result = ask(client, credentials, &secret, purpose, &body, memory);
    // A token may be revoked before its end; a fresh one shows whether the account is.
    if let Err(Failure::Refused(error)) = &result
        && error.http_status == 401
        && let Some(other) = credentials.in_place_of(&secret)
    {
        result = ask(client, credentials, &other?, purpose, &body, memory);
    }
    let mut answer = result?;
    vector::believe(&mut answer.vectors, texts.len(), purpose.dimensions)
        .map_err(Failure::Vector)?;
    Ok(answer)
}

fn ask(
    client: &Client,
    credentials: &Credentials,
    secret: &Secret,
    purpose: &Purpose,
    body: &[u8],
    memory: &mut Vec<u8>,
) -> Result<Answer, Failure> {
    let headers = credentials.headers(secret);
    let (status, body) = client.exchange(Method::POST, &purpose.path(), &headers, body, memory)?;
    if status != 200 {
        let provider = purpose.model.provider;
        let error = error::parse(provider, status, body, |words| secret.scrub(words));
        return Err(Failure::Refused(error));
    }
    purpose.read(body).map_err(|e| Failure::Malformed {
        reason: error::one_line(&secret.scrub(&e.to_string())),
    })
}
