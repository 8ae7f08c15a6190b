//! How a request that failed is told: what Google or the network said, and what to type.

use pgrx::PgSqlErrorCode::*;

use super::mirror;
use super::wording::{Parts, parts};
use crate::engine::failure::Failure;
use crate::gemini::error::{ApiError, Kind, Period};
use crate::gemini::model;

pub fn failure_parts(failure: Failure) -> Parts {
    let message = format!("embedding request failed: {failure}");
    match failure {
        Failure::Refused(error) => refusal_parts(&error, message),
        Failure::Chroma(_) => mirror::failure_parts(failure),
        Failure::Transport { host, .. } => parts(
            ERRCODE_IO_ERROR,
            message,
            format!(
                "check that the server can reach {host}, or set embedding_backfill.proxy or embedding_backfill.ca_file; then call again, only missing rows are sent"
            ),
        ),
        Failure::Timeout { .. } => parts(
            ERRCODE_IO_ERROR,
            message,
            "call again, only missing rows are sent; SET embedding_backfill.request_timeout = '120s'; waits longer",
        ),
        Failure::TooLarge { .. }
        | Failure::TooLargeToSend { .. }
        | Failure::Malformed { .. }
        | Failure::Vector(_) => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "nothing of this request was written; check embedding_backfill.base_url if it happens again",
        ),
    }
}

fn refusal_parts(error: &ApiError, message: String) -> Parts {
    match &error.kind {
        Kind::Key => parts(
            ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
            message,
            "check the key in embedding_backfill.api_key_file, and in Google AI Studio that it may use the Gemini API",
        ),
        Kind::Project => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the key's project can't use the API: see its billing in Google AI Studio",
        ),
        Kind::Model => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            format!("use one of: {}", model::known_names()),
        ),
        Kind::Quota(quota) => {
            let name = quota.id.as_deref().unwrap_or("of the key's project");
            let hint = match (quota.limit, quota.period) {
                (Some(0), _) => format!(
                    "quota {name} is 0: the project has no billing, or the model is not offered to it"
                ),
                (_, Period::Day) => format!(
                    "quota {name} is used up until midnight Pacific time; call again then, only missing rows are sent"
                ),
                _ => format!(
                    "quota {name} is used up for now; call again in a minute, only missing rows are sent"
                ),
            };
            parts(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message, hint)
        }
        Kind::Form => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the API does not take requests in this form: see embedding_backfill.base_url and its version, and for a newer release of the extension",
        ),
        Kind::Request => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the API refuses a harmless text as well, so the cause is not in your rows: see embedding_backfill.base_url",
        ),
        Kind::Unavailable => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the service is overloaded or down; call again later, only missing rows are sent",
        ),
        Kind::NotTheApi => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "embedding_backfill.base_url does not lead to the API: redirects are not followed",
        ),
    }
}
