//! What a 429 says of the quota that is used up.

use serde::Deserialize;
use std::time::Duration;

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

/// One of what a refusal adds to its words.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(rename = "@type")]
    type_url: String,
    pub reason: String,
    retry_delay: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Violation {
    quota_id: String,
    quota_value: Option<String>,
}

pub(super) fn read(message: &str, details: &[Detail], words: impl Fn(&str) -> String) -> Quota {
    let violations = || details.iter().flat_map(|d| &d.violations);
    let named = |part: &str| violations().find(|v| v.quota_id.contains(part));
    // A daily 429 carries a short retryDelay too, so the period is what counts.
    let (violation, period) = match (named("PerDay"), named("PerMinute")) {
        (Some(day), _) => (Some(day), Period::Day),
        (None, Some(minute)) => (Some(minute), Period::Minute),
        (None, None) => (violations().next(), Period::Unknown),
    };
    let zero = violations().find(|v| v.quota_value.as_deref() == Some("0"));
    let violation = zero.or(violation);
    let metric = violation.map_or(message, |v| v.quota_id.as_str());
    Quota {
        id: violation.map(|v| words(&v.quota_id)),
        limit: violation
            .and_then(|v| v.quota_value.as_deref())
            .and_then(|value| value.parse().ok())
            .or_else(|| limit_in(message)),
        metric: match metric.to_ascii_lowercase() {
            name if name.contains("token") => Metric::Tokens,
            name if name.contains("request") => Metric::Texts,
            _ => Metric::Unknown,
        },
        retry_after: details
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::error::{self, Kind};
    use crate::gemini::provider::Provider;

    fn kind(error: &str) -> Kind {
        let body = format!(r#"{{"error":{error}}}"#);
        error::parse(Provider::Gemini, 429, body.as_bytes(), str::to_owned).kind
    }

    #[test]
    fn a_quota_is_read_from_its_violation() {
        let error = r#"{"message":"Quota exceeded","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
                {"quotaId":"EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier","quotaValue":"100"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}"#;
        assert_eq!(
            kind(error),
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
        let Kind::Quota(quota) = kind(error) else {
            panic!()
        };
        assert_eq!((quota.limit, quota.metric), (Some(30_000), Metric::Tokens));
        assert_eq!(kind("{}"), Kind::Quota(Quota::default()));
    }
}
