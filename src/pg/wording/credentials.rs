//! How it is told that there is no key, no account or no token: what was looked at, and what to type.

use pgrx::PgSqlErrorCode::{self, *};

use super::parts::{Parts, parts};
use crate::engine::credentials::CredentialFault;
use crate::engine::key::KeyFault;
use crate::engine::secret::FileFault;
use crate::engine::token_file::TokenFault;
use crate::gemini::provider::PlaceFault;

const UNREADABLE: &str = "the file must be on the server and readable by the operating system user that Postgres runs as";

pub fn key_parts(fault: KeyFault) -> Parts {
    let message = fault.to_string();
    match &fault {
        KeyFault::File(file) => file_parts(
            file,
            message,
            "set embedding_backfill.api_key_file to the path of a file with the key, not to the key",
            "the file must hold the key alone; keys are made in Google AI Studio",
        ),
        KeyFault::NotSet => parts(
            ERRCODE_CONFIG_FILE_ERROR,
            message,
            "put the key into a file of mode 0600 owned by the server's user, then: LOAD 'embedding_backfill'; ALTER SYSTEM SET embedding_backfill.api_key_file = '/path/to/key'; SELECT pg_reload_conf();",
        ),
        KeyFault::Empty { .. } | KeyFault::NotAKey { .. } => parts(
            ERRCODE_CONFIG_FILE_ERROR,
            message,
            "the file must hold the key alone; keys are made in Google AI Studio",
        ),
    }
}

pub fn credential_parts(fault: CredentialFault) -> Parts {
    let message = fault.to_string();
    let hint = match &fault {
        CredentialFault::File(file) => {
            return file_parts(
                file,
                message,
                "set embedding_backfill.credentials_file to the path of a file with the account, not to the account",
                "the file must hold one account's JSON, as Google Cloud gives it",
            );
        }
        CredentialFault::Token(fault) => {
            return token_file_parts(
                fault,
                "access token",
                "embedding_backfill.access_token_file",
                "the file must hold the token alone, as gcloud auth print-access-token prints it",
            );
        }
        CredentialFault::Account { .. } => {
            "the file must hold a service account's key as Google Cloud's console makes it, or what gcloud auth application-default login writes; for other accounts let something of theirs keep embedding_backfill.access_token_file up to date"
        }
        CredentialFault::MetadataHost(_) => {
            "unset it in the server's environment, or set embedding_backfill.credentials_file"
        }
    };
    parts(ERRCODE_CONFIG_FILE_ERROR, message, hint)
}

pub fn place_parts(fault: PlaceFault) -> Parts {
    let (message, hint) = match fault {
        PlaceFault::Project => (
            "the Google Cloud project for Vertex AI is no project's ID",
            "LOAD 'embedding_backfill'; ALTER SYSTEM SET embedding_backfill.vertex_project = 'your-project'; SELECT pg_reload_conf();",
        ),
        PlaceFault::Location => (
            "embedding_backfill.vertex_location is no location",
            "use global, a region such as europe-west4, or eu; ALTER SYSTEM RESET embedding_backfill.vertex_location; for the usual one",
        ),
    };
    parts(ERRCODE_INVALID_PARAMETER_VALUE, message, hint)
}

/// Of the file that the setting `setting` names.
pub fn token_file_parts(fault: &TokenFault, token: &str, setting: &str, alone: &str) -> Parts {
    let message = fault.of(token);
    match fault {
        TokenFault::File(file) => {
            let not_a_path =
                format!("set {setting} to the path of a file with the token, not to the token");
            file_parts(file, message, &not_a_path, alone)
        }
        TokenFault::Empty { .. } | TokenFault::NotAToken { .. } => {
            parts(ERRCODE_CONFIG_FILE_ERROR, message, alone)
        }
    }
}

/// Of a file with a secret that can't be read.
fn file_parts(fault: &FileFault, message: String, not_a_path: &str, too_large: &str) -> Parts {
    let hint = match fault {
        FileFault::OpenToOthers { path, .. } => format!("chmod 600 {path}"),
        FileFault::Missing { .. }
        | FileFault::Unreadable { .. }
        | FileFault::NotARegularFile { .. } => UNREADABLE.into(),
        FileFault::NotAPath => not_a_path.into(),
        FileFault::TooLarge { .. } => too_large.into(),
    };
    parts(code(fault), message, hint)
}

fn code(fault: &FileFault) -> PgSqlErrorCode {
    match fault {
        FileFault::Missing { .. } | FileFault::NotAPath => ERRCODE_UNDEFINED_FILE,
        _ => ERRCODE_CONFIG_FILE_ERROR,
    }
}
