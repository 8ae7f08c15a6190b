//! Google's error bodies. Each starts from a file of `bodies/`, recorded or rebuilt (the file's `_fidelity` says which),
//! and only the names and numbers in it are changed; no other shape of error may leave the stand-in.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub(crate) code: u16,
    pub(crate) message: String,
    status: String,
    pub(crate) details: Option<Value>,
}

macro_rules! bodies {
    ($($name:literal)*) => {
        fn body(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../bodies/", $name, ".json"))),)*
                _ => None,
            }
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

bodies! {
    "400_api_key_invalid"
    "400_empty_part"
    "400_failed_precondition"
    "400_invalid_argument"
    "400_over_100_requests"
    "400_payload_too_large"
    "400_unknown_field"
    "400_vertex_20000_tokens"
    "400_vertex_empty_instances"
    "400_vertex_too_many_instances"
    "401_key_type_rejected"
    "401_vertex_access_token_expired"
    "403_leaked_key"
    "403_no_key"
    "403_vertex_permission_denied"
    "404_model_not_found_batchEmbedContents"
    "404_text-embedding-004"
    "404_vertex_publisher_model"
    "429_free_tier_input_tokens_per_minute"
    "429_free_tier_per_day"
    "429_free_tier_per_minute_embedding-001"
    "429_limit_zero"
    "429_no_details_async_batch"
    "429_paid_tier_tokens_per_minute_generateContent"
    "429_read_requests_per_region"
    "429_vertex_resource_exhausted"
    "500_internal"
    "503_overloaded"
    "503_service_unavailable"
    "504_deadline_exceeded"
}

impl ApiError {
    /// The body of `bodies/{name}.json` as it stands.
    ///
    /// # Panics
    /// When there is no such body.
    pub fn recorded(name: &str) -> ApiError {
        let file = body(name).unwrap_or_else(|| panic!("no recorded body is named {name}"));
        let mut file: Value = serde_json::from_str(file).expect("a body file is JSON");
        let error = &mut file["response"]["body"]["error"];
        let text = |field: &Value| field.as_str().expect("a text in each body").to_owned();
        ApiError {
            code: error["code"].as_u64().expect("a code in each body") as u16,
            message: text(&error["message"]),
            status: text(&error["status"]),
            details: error.get_mut("details").map(Value::take),
        }
    }

    /// The names that `recorded` takes.
    pub fn recorded_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().copied()
    }

    /// Any other 400, in the recorded envelope.
    pub fn invalid_argument(message: impl Into<String>) -> ApiError {
        ApiError {
            message: message.into(),
            ..ApiError::recorded("400_invalid_argument")
        }
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body as it is sent.
    pub fn json(&self) -> String {
        struct Envelope<'a>(&'a ApiError);
        impl Serialize for Envelope<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut envelope = serializer.serialize_struct("", 1)?;
                envelope.serialize_field("error", self.0)?;
                envelope.end()
            }
        }
        let json = serde_json::to_string_pretty(&Envelope(self));
        json.expect("strings and numbers always serialize") + "\n"
    }

    /// Replaces a name or number wherever the recorded body has it.
    pub(crate) fn with(mut self, recorded: &str, actual: &str) -> ApiError {
        fn replace(value: &mut Value, recorded: &str, actual: &str) {
            match value {
                Value::String(text) => *text = text.replace(recorded, actual),
                Value::Array(items) => {
                    items
                        .iter_mut()
                        .for_each(|item| replace(item, recorded, actual));
                }
                Value::Object(fields) => {
                    fields
                        .values_mut()
                        .for_each(|field| replace(field, recorded, actual));
                }
                _ => {}
            }
        }
        self.message = self.message.replace(recorded, actual);
        self.details
            .iter_mut()
            .for_each(|details| replace(details, recorded, actual));
        self
    }
}

impl Serialize for ApiError {
    /// Google's order of the fields, which a map would lose.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("error", 4)?;
        error.serialize_field("code", &self.code)?;
        error.serialize_field("message", &self.message)?;
        error.serialize_field("status", &self.status)?;
        if let Some(details) = &self.details {
            error.serialize_field("details", details)?;
        }
        error.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_sent_as_it_was_recorded() {
        for name in NAMES {
            let file: Value = serde_json::from_str(body(name).unwrap()).unwrap();
            let error = ApiError::recorded(name);
            let sent: Value = serde_json::from_str(&error.json()).unwrap();
            assert_eq!(sent, file["response"]["body"], "{name}");
            assert!(name.starts_with(&error.code().to_string()), "{name}");
        }
    }
}
