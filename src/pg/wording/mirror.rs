//! How what ends a mirror's call is told: SQLSTATE, message, detail, and a hint that says what to type.

use pgrx::PgSqlErrorCode::*;
use pgrx::spi;
use serde_json::Value;

use super::credentials::token_file_parts;
use super::parts::{Parts, parts};
use crate::chroma::error::{Kind, Refusal};
use crate::chroma::place::MARK;
use crate::engine::endpoint::UrlFault;
use crate::engine::failure::Failure;
use crate::pg::error::MirrorError;
use crate::pg::figures::rows as rows_of;

const SET_URL: &str = "LOAD 'embedding_backfill'; ALTER SYSTEM SET embedding_backfill.chroma_url = 'http://127.0.0.1:8000'; SELECT pg_reload_conf();";

impl MirrorError {
    pub fn parts(self) -> Parts {
        use MirrorError::*;
        match self {
            Collection { name: None } => parts(
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                "collection must not be NULL",
                "name the collection to fill, such as 'memory_logs'",
            ),
            Collection { name: Some(name) } => parts(
                ERRCODE_INVALID_NAME,
                format!("collection name \"{name}\" can't be used"),
                "Chroma takes 3 to 512 letters, digits, dots, hyphens and underscores, with a letter or digit at both ends",
            ),
            Batch { value } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match value {
                    Some(value) => format!("batch is {value}, it must be from 1 to 10000"),
                    None => "batch is NULL, it must be from 1 to 10000".into(),
                },
                "leave it out for 500 rows in a request, the default",
            ),
            NoKey { relation, beside } => parts(
                ERRCODE_UNDEFINED_OBJECT,
                format!("table {relation} has no primary key that could be the id of its records"),
                match beside {
                    false => "say what is, as text and different for each row: key => 'some_column'".to_owned(),
                    true => beside_hint(&relation),
                },
            ),
            BadKey { relation, key, rows, beside } => parts(
                match &key {
                    Some(key) if !key.is_empty() => ERRCODE_UNIQUE_VIOLATION,
                    _ => ERRCODE_NOT_NULL_VIOLATION,
                },
                match &key {
                    Some(key) if !key.is_empty() => {
                        format!("key \"{key}\" is that of {rows} rows of {relation}: all but one would be lost")
                    }
                    Some(_) => format!("the key of {rows} of {relation} is empty", rows = rows_of(rows)),
                    None => format!("the key of {rows} of {relation} is NULL", rows = rows_of(rows)),
                },
                match beside {
                    false => "key => '...' must be another text for each row, such as the primary key; or leave such rows out: source_filter => '...'".to_owned(),
                    true => beside_hint(&relation),
                },
            ),
            NoSuchMetadata { relation, column, columns } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                format!("metadata: table {relation} has no column \"{column}\""),
                format!("its columns are: {}", columns.join(", ")),
            ),
            MetadataName { what } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("metadata can't be used: {what}"),
                "name columns, each once: metadata => ARRAY['date', 'topic']",
            ),
            UrlNotSet => parts(
                ERRCODE_CONFIG_FILE_ERROR,
                "no ChromaDB server is set",
                SET_URL,
            ),
            Url { url, fault } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match fault {
                    // What is cut off here could be a secret.
                    UrlFault::Extras => "embedding_backfill.chroma_url can't be used: it has a user, a query or a fragment".into(),
                    UrlFault::ClearText { host } => format!("embedding_backfill.chroma_url \"{url}\" can't be used: http to {host} would send rows and token in clear text"),
                    fault => format!("embedding_backfill.chroma_url \"{url}\" can't be used: {fault}"),
                },
                "use https, or http to a loopback address, such as http://127.0.0.1:8000",
            ),
            Token(fault) => token_file_parts(
                &fault,
                "Chroma token",
                "embedding_backfill.chroma_token_file",
                "the file must hold the token alone",
            ),
            OtherDimensions { collection, theirs, column, ours } => parts(
                ERRCODE_DATATYPE_MISMATCH,
                format!("collection \"{collection}\" has vectors of {theirs} dimensions, {column} of {ours}"),
                "name another collection, or delete that one in Chroma: it is made anew",
            ),
            NotOurs { collection, records, column, mark, ours } => {
                let whose = match &mark {
                    Some(mark) => format!("it mirrors {mark}"),
                    None => "it is no mirror".into(),
                };
                (
                    ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("collection \"{collection}\" can't mirror {column}: {whose}, and has {}", records_of(records)),
                    Some("What is no row of the table would be deleted from it.".into()),
                    Some(format!("name another collection; to have this one overwritten, type in Chroma's Python client: collection.modify(metadata={{\"{MARK}\": {}}})", Value::from(ours))),
                )
            }
            Run { failure, mirrored } => {
                let (code, message, _, hint) = failure_parts(failure);
                let detail = (mirrored > 0).then(|| format!("{mirrored} records were mirrored before."));
                (code, message, detail, hint)
            }
        }
    }
}

/// Where the primary key is no id: embed_all_missing takes no other.
fn beside_hint(relation: &str) -> String {
    format!(
        "leave mirror out, then: CALL mirror_to_chroma({}, 'collection', key => 'some_column');",
        spi::quote_literal(relation)
    )
}

fn records_of(records: u64) -> String {
    match records {
        1 => "1 record".into(),
        records => format!("{records} records"),
    }
}

/// What the server of the mirror or the network said, and what to type.
pub fn failure_parts(failure: Failure) -> Parts {
    let message = format!("mirror request failed: {failure}");
    match failure {
        Failure::Chroma(refusal) => refusal_parts(&refusal, message),
        Failure::Transport { host, .. } => parts(
            ERRCODE_IO_ERROR,
            message,
            format!(
                "check that ChromaDB runs and that this server can reach {host}, see embedding_backfill.chroma_url and embedding_backfill.ca_file; then call again"
            ),
        ),
        Failure::Timeout { .. } => parts(
            ERRCODE_IO_ERROR,
            message,
            "call again; SET embedding_backfill.request_timeout = '120s'; waits longer, batch => 100 sends less at a time",
        ),
        _ => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "check that embedding_backfill.chroma_url leads to a ChromaDB server with the API v2",
        ),
    }
}

fn refusal_parts(refusal: &Refusal, message: String) -> Parts {
    match refusal.kind {
        Kind::Token => parts(
            ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
            message,
            "check the token in embedding_backfill.chroma_token_file, and that it may write to the tenant and the database",
        ),
        Kind::Missing => parts(
            ERRCODE_UNDEFINED_OBJECT,
            message,
            "check embedding_backfill.chroma_tenant and embedding_backfill.chroma_database; a collection that was deleted meanwhile is made anew by the next call",
        ),
        Kind::Dimension => parts(
            ERRCODE_DATATYPE_MISMATCH,
            message,
            "name another collection, or delete that one in Chroma: it is made anew",
        ),
        Kind::Records => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the server takes none of the records, so the cause is not in one of them: see its version and its log",
        ),
        Kind::Unavailable => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "the server is overloaded or down; call again later, nothing is lost by it",
        ),
        Kind::NotTheApi => parts(
            ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
            message,
            "embedding_backfill.chroma_url does not lead to a ChromaDB server with the API v2: redirects are not followed",
        ),
    }
}
