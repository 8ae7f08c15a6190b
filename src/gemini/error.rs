//! What a refusal by the API means. The bodies are `google.rpc.Status` as JSON; details come in any
//! order and any number, so they are matched by their `@type`.

use serde::Deserialize;
use std::fmt;

use super::provider::Provider;
use super::quota::{self, Detail};
pub use super::quota::{Metric, Period, Quota};

#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub provider: Provider,
    pub http_status: u16,
    /// Google's words, cut to one short line.
    pub message: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The key or the access token is wrong, missing, leaked, of a refused type, or may not use this API.
    Key,
    /// The project can't be served: no billing, or a country without the free tier.
    Project,
    /// The model is unknown or retired.
    Model,
    /// A quota is used up.
    Quota(Quota),
    /// Something in the request is refused, often one text of many.
    Request,
    /// The request's form is refused, whatever its texts: a field or a size the API does not take.
    Form,
    /// Overloaded, timed out or broken at Google's end: the same request may pass later.
    Unavailable,
    /// A redirect, or an answer that doesn't come from the API.
    NotTheApi,
}

#[derive(Deserialize)]
struct Body {
    error: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    message: String,
    status: String,
    details: Vec<Detail>,
}

/// Reads the body of any answer that is not a 200. `scrub` takes secrets out of its words before
/// anything is cut off: half a key is a secret too.
pub fn parse(
    provider: Provider,
    http_status: u16,
    body: &[u8],
    scrub: impl Fn(&str) -> String,
) -> ApiError {
    let words = |text: &str| one_line(&scrub(text));
    let (message, kind) = match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => (words(&error.message), kind(http_status, &error, words)),
        Err(_) => {
            let page = String::from_utf8_lossy(body);
            (words(&page), kind_without_body(http_status))
        }
    };
    ApiError {
        provider,
        http_status,
        message,
        kind,
    }
}

fn kind(http_status: u16, error: &Status, words: impl Fn(&str) -> String) -> Kind {
    let has_reason = |reason| error.details.iter().any(|d| d.reason == reason);
    match http_status {
        400 if has_reason("API_KEY_INVALID") => Kind::Key,
        400 if error.status == "FAILED_PRECONDITION" => Kind::Project,
        400 if is_about_the_form(&error.message) => Kind::Form,
        400 => Kind::Request,
        404 => Kind::Model,
        429 => Kind::Quota(quota::read(&error.message, &error.details, words)),
        other => kind_without_body(other),
    }
}

fn kind_without_body(http_status: u16) -> Kind {
    match http_status {
        401 | 403 => Kind::Key,
        413 => Kind::Request,
        429 => Kind::Quota(Quota::default()),
        408 | 499 | 500..=599 => Kind::Unavailable,
        _ => Kind::NotTheApi,
    }
}

/// Messages that name a part of the request that is the same for every text.
fn is_about_the_form(message: &str) -> bool {
    const PARTS: [&str; 7] = [
        "Invalid JSON payload",
        ".model",
        "model name format",
        "output_dimensionality",
        "outputDimensionality",
        "task_type",
        "taskType",
    ];
    PARTS.iter().any(|part| message.contains(part))
}

/// The message as one line without a full stop, of at most 300 characters.
pub fn one_line(message: &str) -> String {
    let words: Vec<&str> = message
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    let line = line.trim_end_matches('.');
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

impl fmt::Display for ApiError {
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

    fn kind(http_status: u16, error: &str) -> Kind {
        parse(
            Provider::Gemini,
            http_status,
            format!(r#"{{"error":{error}}}"#).as_bytes(),
            str::to_owned,
        )
        .kind
    }

    #[test]
    fn an_invalid_key_is_a_400() {
        let error = r#"{"status":"INVALID_ARGUMENT","details":[{"@type":"x/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}"#;
        assert_eq!(kind(400, error), Kind::Key);
        assert_eq!(
            kind(400, r#"{"status":"FAILED_PRECONDITION"}"#),
            Kind::Project
        );
        assert_eq!(
            kind(400, r#"{"message":"content contains an empty Part."}"#),
            Kind::Request
        );
    }

    #[test]
    fn a_page_instead_of_a_body_is_cut_to_one_line() {
        let error = parse(
            Provider::Gemini,
            502,
            format!("<html>\n{}", "x".repeat(9000)).as_bytes(),
            str::to_owned,
        );
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.starts_with("<html> xxx") && error.message.len() < 420);
    }
}
