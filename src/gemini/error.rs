//! What a refusal by the API means. The bodies are `google.rpc.Status` as JSON; details come in any
//! order and any number, so they are matched by their `@type`.

use serde::Deserialize;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub http_status: u16,
    /// Google's words, cut to one short line.
    pub message: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The key is wrong, missing, leaked, of a refused type, or may not use this API.
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

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quota {
    /// Google's name of the quota, where the body has it; one short line.
    pub id: Option<String>,
    /// How much of it there is in its period.
    pub limit: Option<u64>,
    pub retry_after: Option<Duration>,
    pub period: Period,
    pub metric: Metric,
}

impl Quota {
    /// Whether there is less of it than one request of several texts needs.
    pub fn is_below(&self, texts: usize, tokens: u64) -> bool {
        let needed = match self.metric {
            Metric::Texts => texts as u64,
            Metric::Tokens => tokens,
            Metric::Unknown => 0,
        };
        texts > 1 && self.limit.is_some_and(|limit| limit < needed)
    }
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// Each text of a batch counts as one request.
    Texts,
    Tokens,
    #[default]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Period {
    Minute,
    /// Not back before midnight Pacific time: never waited for.
    Day,
    #[default]
    Unknown,
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

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    #[serde(rename = "@type")]
    type_url: String,
    reason: String,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Violation {
    quota_id: String,
    quota_value: Option<String>,
}

/// Reads the body of any answer that is not a 200. `scrub` takes secrets out of its words before
/// anything is cut off: half a key is a secret too.
pub fn parse(http_status: u16, body: &[u8], scrub: impl Fn(&str) -> String) -> ApiError {
    let words = |text: &str| one_line(&scrub(text));
    let (message, kind) = match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => (words(&error.message), kind(http_status, &error, words)),
        Err(_) => {
            let page = String::from_utf8_lossy(body);
            (words(&page), kind_without_body(http_status))
        }
    };
    ApiError {
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
        429 => Kind::Quota(quota(error, words)),
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

fn quota(error: &Status, words: impl Fn(&str) -> String) -> Quota {
    let violations = || error.details.iter().flat_map(|d| &d.violations);
    let named = |part: &str| violations().find(|v| v.quota_id.contains(part));
    // A daily 429 carries a short retryDelay too, so the period is what counts.
    let (violation, period) = match (named("PerDay"), named("PerMinute")) {
        (Some(day), _) => (Some(day), Period::Day),
        (None, Some(minute)) => (Some(minute), Period::Minute),
        (None, None) => (violations().next(), Period::Unknown),
    };
    let zero = violations().find(|v| v.quota_value.as_deref() == Some("0"));
    let violation = zero.or(violation);
    let metric = violation.map_or(error.message.as_str(), |v| v.quota_id.as_str());
    Quota {
        id: violation.map(|v| words(&v.quota_id)),
        limit: violation
            .and_then(|v| v.quota_value.as_deref())
            .and_then(|value| value.parse().ok())
            .or_else(|| limit_in(&error.message)),
        metric: match metric.to_ascii_lowercase() {
            name if name.contains("token") => Metric::Tokens,
            name if name.contains("request") => Metric::Texts,
            _ => Metric::Unknown,
        },
        retry_after: error
            .details
            .iter()
            .filter(|d| d.type_url.ends_with("google.rpc.RetryInfo"))
            .find_map(|d| duration(d.retry_delay.as_deref()?)),
        period,
    }
}

/// The number of "…, limit: 30000, model: …", where details leave it out.
fn limit_in(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("limit: ")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// A proto Duration such as "37s" or "41.5s". Google rounds it down, so a second is added.
fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()?
        .checked_add(Duration::from_secs(1))
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
    fn a_quota_is_read_from_its_violation() {
        let error = r#"{"message":"Quota exceeded","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
                {"quotaId":"EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier","quotaValue":"100"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}"#;
        assert_eq!(
            kind(429, error),
            Kind::Quota(Quota {
                id: Some("EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier".into()),
                limit: Some(100),
                retry_after: Some(Duration::from_secs(34)),
                period: Period::Minute,
                metric: Metric::Texts,
            })
        );
    }

    #[test]
    fn a_quota_without_details_is_read_from_its_message() {
        let error = r#"{"message":"Quota exceeded for metric: generativelanguage.googleapis.com/embed_content_free_tier_input_token_count, limit: 30000, model: m\nPlease retry in 3s."}"#;
        let Kind::Quota(quota) = kind(429, error) else {
            panic!()
        };
        assert_eq!((quota.limit, quota.metric), (Some(30_000), Metric::Tokens));
        assert_eq!(kind(429, "{}"), Kind::Quota(Quota::default()));
    }

    #[test]
    fn a_page_instead_of_a_body_is_cut_to_one_line() {
        let error = parse(
            502,
            format!("<html>\n{}", "x".repeat(9000)).as_bytes(),
            str::to_owned,
        );
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.starts_with("<html> xxx") && error.message.len() < 420);
    }
}
