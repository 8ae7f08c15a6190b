//! The errors that the stand-in finds by itself, each with the names and numbers of its case. Where Google's wording was
//! not seen, the function says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::errors::ApiError;

impl ApiError {
    pub(crate) fn model_not_found(model: &str, version: &str) -> ApiError {
        ApiError::recorded("404_model_not_found_batchEmbedContents")
            .with("v1beta", version)
            .with("nonexistent-model", model)
    }

    /// Several violations come in one answer: a line of the message and a detail each.
    pub(crate) fn invalid_json(violations: &[(String, String)]) -> ApiError {
        let violation = |(field, description): &(String, String)| match field.as_str() {
            "" => json!({ "description": description }),
            field => json!({ "field": field, "description": description }),
        };
        let lines: Vec<&str> = violations.iter().map(|(_, line)| line.as_str()).collect();
        let mut error = ApiError::recorded("400_unknown_field");
        error.message = lines.join("\n");
        if let Some(details) = &mut error.details {
            details[0]["fieldViolations"] = violations.iter().map(violation).collect();
        }
        error
    }

    /// What the validator of requests says; `at` is the place in the request. The form of the sentence is recorded, and
    /// the wording for a missing and for an unprefixed model is reported; other wordings are our own.
    pub(crate) fn refused(at: &str, why: &str) -> ApiError {
        ApiError::invalid_argument(format!("* {at}: {why}\n"))
    }

    pub(crate) fn dimensions(at: &str, min: usize, max: usize, got: i64) -> ApiError {
        let why = format!("must be between {min} and {max}, got {got}");
        ApiError::refused(&format!("{at}.output_dimensionality"), &why)
    }

    pub(crate) fn too_long(tokens: usize, limit: usize) -> ApiError {
        ApiError::recorded("400_vertex_20000_tokens")
            .with("20000", &limit.to_string())
            .with("34708", &tokens.to_string())
    }

    /// For a token that is not taken; `reason` is of `google.rpc.ErrorInfo`.
    pub(crate) fn token_refused(method: &str, reason: &str) -> ApiError {
        ApiError::recorded("401_vertex_access_token_expired")
            .with(
                "google.cloud.aiplatform.v1.PredictionService.GenerateContent",
                method,
            )
            .with("ACCESS_TOKEN_EXPIRED", reason)
    }

    /// For a request without a token. The message is from memory.
    pub(crate) fn no_credentials(method: &str) -> ApiError {
        let had = "Request had invalid authentication credentials.";
        let missing = "Request is missing required authentication credential.";
        ApiError::token_refused(method, "CREDENTIALS_MISSING").with(had, missing)
    }

    /// For a project that is not the account's, whether there is one of that name or not.
    pub(crate) fn permission_denied(resource: &str) -> ApiError {
        let recorded = "projects/lavi-llm-experiment/locations/us-central1/publishers/google/models/text-embedding-004@default";
        ApiError::recorded("403_vertex_permission_denied").with(recorded, resource)
    }

    /// For a model that is not served there. That a model which is served by another method gets it too is our own.
    pub(crate) fn publisher_model_not_found(resource: &str) -> ApiError {
        let recorded = "projects/truefoundry-devtest/locations/global/publishers/google/models/gemini-embedding-2-preview";
        ApiError::recorded("404_vertex_publisher_model").with(recorded, resource)
    }

    pub(crate) fn texts_per_minute(limit: u64, model: &str, reopens: Duration) -> ApiError {
        ApiError::recorded("429_free_tier_per_minute_embedding-001")
            .with("gemini-embedding-1.0", model)
            .limited("100", limit)
            .retry("33.384105706s", "33s", reopens)
    }

    pub(crate) fn tokens_per_minute(limit: u64, model: &str, reopens: Duration) -> ApiError {
        ApiError::recorded("429_free_tier_input_tokens_per_minute")
            .with("gemini-embedding-001", model)
            .limited("30000", limit)
            .retry("30.0s", "30s", reopens)
    }

    /// The recorded body asks to retry in two seconds although the quota is a day's, and so does this one.
    pub(crate) fn texts_per_day(limit: u64, model: &str) -> ApiError {
        ApiError::recorded("429_free_tier_per_day")
            .with("gemini-embedding-1.0", model)
            .limited("1000", limit)
    }

    fn limited(mut self, recorded: &str, limit: u64) -> ApiError {
        self.message = self
            .message
            .replace(&format!("limit: {recorded},"), &format!("limit: {limit},"));
        let details = self.details.iter_mut().flat_map(Value::as_array_mut);
        for detail in details.flatten() {
            if let Some(value) = detail.pointer_mut("/violations/0/quotaValue") {
                *value = limit.to_string().into();
            }
        }
        self
    }

    /// The message has nanoseconds and RetryInfo the whole seconds below; under a second, which Google was never seen
    /// to send and shortened windows need, RetryInfo is exact too.
    fn retry(self, in_message: &str, in_details: &str, after: Duration) -> ApiError {
        let exact = format!("{}.{:09}s", after.as_secs(), after.subsec_nanos());
        let rounded = match after.as_secs() {
            0 => exact.clone(),
            seconds => format!("{seconds}s"),
        };
        self.with(in_message, &exact).with(in_details, &rounded)
    }
}

impl ApiError {
    /// The same with its RetryInfo for a minute that lasts `minute`.
    pub(crate) fn hurried(mut self, minute: Duration) -> ApiError {
        if minute == Duration::from_secs(60) {
            return self;
        }
        for detail in self
            .details
            .iter_mut()
            .flat_map(Value::as_array_mut)
            .flatten()
        {
            let Some(delay) = detail.get_mut("retryDelay") else {
                continue;
            };
            let seconds = delay
                .as_str()
                .and_then(|delay| delay.strip_suffix('s')?.parse::<f64>().ok());
            if let Some(seconds) = seconds {
                let hurried = minute.mul_f64(seconds / 60.0);
                *delay = format!("{}.{:09}s", hurried.as_secs(), hurried.subsec_nanos()).into();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_numbers_are_adapted() {
        let error =
            ApiError::texts_per_minute(7, "gemini-embedding-2", Duration::from_millis(5500));
        let recorded = ApiError::recorded("429_free_tier_per_minute_embedding-001").json();
        let expected = recorded
            .replace("gemini-embedding-1.0", "gemini-embedding-2")
            .replace("limit: 100,", "limit: 7,")
            .replace("\"100\"", "\"7\"")
            .replace("33.384105706s", "5.500000000s")
            .replace("\"33s\"", "\"5s\"");
        assert_eq!(error.json(), expected);
        let short = ApiError::tokens_per_minute(0, "gemini-embedding-2", Duration::from_millis(20));
        assert!(
            short
                .message()
                .contains("limit: 0, model: gemini-embedding-2\n")
        );
        assert!(short.json().contains("\"retryDelay\": \"0.020000000s\""));
    }
}
