//! How a request that failed is told: what Google or the network said, and what to type.

use pgrx::PgSqlErrorCode::*;

use super::mirror;
use super::parts::{Parts, parts};
use crate::engine::failure::{Failure, NoToken};
use crate::gemini::error::{ApiError, Kind, Period};
use crate::gemini::model;
use crate::gemini::provider::Provider;

pub fn failure_parts(failure: Failure) -> Parts {
    let message = format!("embedding request failed: {failure}");
    match failure {
        Failure::Refused(error) => refusal_parts(&error, message),
        Failure::Chroma(_) => mirror::failure_parts(failure),
        Failure::NoToken(no_token) => token_parts(no_token, message),
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

/// `message` begins with what the request was for.
fn token_parts(no_token: NoToken, message: String) -> Parts {
    let hint = match &no_token {
        NoToken::Refused { http_status, .. } if *http_status >= 429 => {
            "Google gives out no tokens at the moment; call again later, only missing rows are sent"
        }
        NoToken::Refused { words, .. } if words.contains("timeframe") => {
            "the server's clock is wrong: set it, as with chronyd or ntpd, and call again"
        }
        NoToken::Refused { .. } => {
            "the account or its key may be deleted, disabled or revoked, or the machine has none: see it in Google Cloud's console, and name the file of a good one in embedding_backfill.credentials_file"
        }
        NoToken::NotInTheCloud { .. } => {
            "LOAD 'embedding_backfill'; ALTER SYSTEM SET embedding_backfill.credentials_file = '/path/to/account.json'; SELECT pg_reload_conf();"
        }
        NoToken::PrivateKey => {
            "the key must be an RSA key of 2048 bits or more in PKCS #8: make a new one in Google Cloud's console"
        }
        NoToken::File(_) => {
            "the file was there when the run began: keep it in its place, and replace it in one step"
        }
        NoToken::Failed(failure) => {
            let (code, _, _, hint) = failure_parts((**failure).clone());
            return (code, message, None, hint);
        }
    };
    parts(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, message, hint)
}

fn refusal_parts(error: &ApiError, message: String) -> Parts {
    let vertex = error.provider == Provider::Vertex;
    match &error.kind {
        Kind::Key => parts(
            ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
            message,
            match (vertex, error.http_status) {
                (false, _) => {
                    "check the key in embedding_backfill.api_key_file, and in Google AI Studio that it may use the Gemini API"
                }
                (true, 401) => {
                    "a fresh access token is refused as well: check the account in embedding_backfill.credentials_file, or the token in embedding_backfill.access_token_file"
                }
                (true, _) => {
                    "check embedding_backfill.vertex_project, that the project has the Vertex AI API enabled, and that the account has the role Vertex AI User (roles/aiplatform.user) in it"
                }
            },
        ),
        Kind::Project => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            match vertex {
                true => {
                    "the project can't use the model: see its billing and its model garden in Google Cloud's console"
                }
                false => "the key's project can't use the API: see its billing in Google AI Studio",
            },
        ),
        Kind::Model if vertex => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "check embedding_backfill.vertex_project, and that embedding_backfill.vertex_location serves the model: ALTER SYSTEM RESET embedding_backfill.vertex_location; uses one that does",
        ),
        Kind::Model => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            format!("use one of: {}", model::known_names(error.provider)),
        ),
        Kind::Quota(quota) => {
            let name = quota.id.as_deref().unwrap_or(match vertex {
                true => "of Vertex AI",
                false => "of the key's project",
            });
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
