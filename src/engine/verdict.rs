//! What to do about a request that failed. The only place that decides whether money is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::failure::{BreakAt, Failure, NoToken};
use crate::chroma::error::Kind as Chroma;
use crate::gemini::error::{Kind, Period, Quota};

#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The same request may pass later; counts as an attempt.
    Retry,
    /// A quota is used up for now: wait, and keep to it from then on. Counts as no attempt.
    Wait(Quota),
    /// One of the texts or records is the cause: halve the request until it stands alone.
    Split,
    /// The text or the record itself is refused.
    Reject,
    /// Nobody but a person can mend it.
    Stop,
}

/// `texts` are those of the request, or its records.
pub fn judge(failure: &Failure, texts: usize) -> Verdict {
    match failure {
        Failure::Refused(error) => match &error.kind {
            Kind::Unavailable => Verdict::Retry,
            Kind::Quota(quota) if quota.limit == Some(0) || quota.period == Period::Day => {
                Verdict::Stop
            }
            Kind::Quota(quota) => Verdict::Wait(quota.clone()),
            Kind::Request if texts > 1 => Verdict::Split,
            Kind::Request => Verdict::Reject,
            Kind::Key | Kind::Project | Kind::Model | Kind::Form | Kind::NotTheApi => Verdict::Stop,
        },
        Failure::Chroma(refusal) => match refusal.kind {
            Chroma::Unavailable => Verdict::Retry,
            Chroma::Records if texts > 1 => Verdict::Split,
            Chroma::Records => Verdict::Reject,
            Chroma::Token | Chroma::Missing | Chroma::Dimension | Chroma::NotTheApi => {
                Verdict::Stop
            }
        },
        Failure::NoToken(no_token) => match no_token {
            // As with any service of theirs.
            NoToken::Refused {
                http_status: 408 | 429 | 499..,
                ..
            } => Verdict::Retry,
            NoToken::Failed(failure) => judge(failure, 1),
            NoToken::Refused { .. }
            | NoToken::NotInTheCloud { .. }
            | NoToken::PrivateKey
            | NoToken::File(_) => Verdict::Stop,
        },
        Failure::Timeout { .. } | Failure::Malformed { .. } | Failure::Vector(_) => Verdict::Retry,
        Failure::Transport {
            break_at: BreakAt::Trust,
            ..
        } => Verdict::Stop,
        Failure::Transport { .. } => Verdict::Retry,
        Failure::TooLarge { .. } if texts > 1 => Verdict::Split,
        Failure::TooLarge { .. } | Failure::TooLargeToSend { .. } => Verdict::Stop,
    }
}

/// Whether a failure that outlasts every attempt may come from one text: Google names an over-long
/// input as a cause of 500 and 504.
pub fn may_be_one_text(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(error) if matches!(error.http_status, 500 | 504))
}

/// How long to wait before attempt `attempt`.
pub fn pause(attempt: u32) -> Duration {
    // From 0 to 1; the standard library seeds each `RandomState` anew.
    let random = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    backoff(attempt, random)
}

/// The second attempt is 2: doubled each time from one second to
/// a minute, and anywhere in the upper half of that, so that requests that failed together come apart.
fn backoff(attempt: u32, random: f64) -> Duration {
    let ceiling = 2f64.powi(attempt.saturating_sub(2).min(6) as i32).min(60.0);
    Duration::from_secs_f64(ceiling * (0.5 + 0.5 * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::error;
    use crate::gemini::provider::Provider;

    fn verdict(status: u16, body: &str, texts: usize) -> Verdict {
        judge(
            &Failure::Refused(error::parse(
                Provider::Gemini,
                status,
                body.as_bytes(),
                str::to_owned,
            )),
            texts,
        )
    }

    #[test]
    fn what_passes_later_is_tried_again() {
        for status in [408, 499, 500, 502, 503, 504] {
            assert_eq!(verdict(status, "", 100), Verdict::Retry, "{status}");
        }
    }

    #[test]
    fn what_needs_a_person_stops_the_run() {
        for status in [301, 401, 403, 404] {
            assert_eq!(verdict(status, "", 1), Verdict::Stop, "{status}");
        }
        let daily = r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"},
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
                {"quotaId":"EmbedContentRequestsPerMinutePerProject","quotaValue":"100"},
                {"quotaId":"EmbedContentRequestsPerDayPerProject","quotaValue":"1000"}]}]}}"#;
        assert_eq!(verdict(429, daily, 1), Verdict::Stop);
    }

    #[test]
    fn a_refused_batch_is_halved_and_a_refused_text_rejected() {
        assert_eq!(
            verdict(400, r#"{"error":{"message":"empty Part"}}"#, 2),
            Verdict::Split
        );
        assert_eq!(
            verdict(400, r#"{"error":{"message":"empty Part"}}"#, 1),
            Verdict::Reject
        );
    }

    #[test]
    fn a_mirror_retries_halves_and_stops() {
        let verdict = |status, body: &[u8], records| {
            let refusal = crate::chroma::error::parse(status, body, str::to_owned);
            judge(&Failure::Chroma(refusal), records)
        };
        for status in [408, 429, 500, 503] {
            assert_eq!(verdict(status, b"", 500), Verdict::Retry, "{status}");
        }
        for status in [400, 413, 422] {
            assert_eq!(verdict(status, b"", 500), Verdict::Split, "{status}");
            assert_eq!(verdict(status, b"", 1), Verdict::Reject, "{status}");
        }
        for status in [302, 401, 403, 404] {
            assert_eq!(verdict(status, b"", 500), Verdict::Stop, "{status}");
        }
    }

    #[test]
    fn a_refusal_of_the_form_is_no_texts_fault() {
        let unknown = r#"{"error":{"message":"Invalid JSON payload received. Unknown name \"x\" at 'requests[0]': Cannot find field.","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(verdict(400, unknown, 100), Verdict::Stop);
    }

    #[test]
    fn a_request_of_too_many_tokens_is_halved() {
        let body = r#"{"error":{"message":"Unable to submit request because the input token count is 34708 but the model supports up to 20000. Reduce the input token count and try again.","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(verdict(400, body, 250), Verdict::Split);
    }

    #[test]
    fn a_token_endpoint_is_asked_again_only_where_that_helps() {
        let refused = |http_status| {
            Failure::NoToken(NoToken::Refused {
                host: "h".into(),
                http_status,
                words: String::new(),
            })
        };
        let failed = |failure| Failure::NoToken(NoToken::Failed(Box::new(failure)));
        let timeout = Failure::Timeout {
            host: "h".into(),
            seconds: 1,
        };
        let large = Failure::TooLarge { limit: 1 };
        assert_eq!(judge(&refused(400), 100), Verdict::Stop);
        assert_eq!(judge(&refused(503), 100), Verdict::Retry);
        assert_eq!(judge(&failed(timeout.clone()), 100), Verdict::Retry);
        assert_eq!(judge(&failed(large), 100), Verdict::Stop);
        assert!(!failed(timeout).may_be_billed());
    }

    #[test]
    fn backoff_doubles_to_a_minute() {
        let longest: Vec<u64> = (2..12).map(|n| backoff(n, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(backoff(5, 0.0), Duration::from_secs(4));
    }
}
