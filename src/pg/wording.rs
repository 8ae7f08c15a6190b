//! The one place where facts become what a client sees: SQLSTATE, message, detail and hint. A message
//! names the thing and the number; a hint says what to type.

mod credentials;
mod mirror;
mod parts;
mod request;

use pgrx::PgSqlErrorCode::*;

use super::error::Error;
use crate::engine::endpoint::UrlFault;
use crate::engine::http::ConnectionFault;
use crate::gemini::model;
use crate::gemini::task::TaskType;
use credentials::{credential_parts, key_parts, place_parts};
use parts::{Parts, parts};
use request::failure_parts;

impl Error {
    pub(super) fn parts(self) -> Parts {
        use Error::*;
        match self {
            NullArgument { name } => parts(
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                format!("{name} must not be NULL"),
                "name a table, such as 'memory_logs'",
            ),
            Batch { value } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match value {
                    Some(value) => format!("batch is {value}, it must be from 1 to 10000"),
                    None => "batch is NULL, it must be from 1 to 10000".into(),
                },
                "leave it out for 50, the default; 100 texts fit into one request",
            ),
            RelationGone { oid } => parts(
                ERRCODE_UNDEFINED_TABLE,
                format!("relation with OID {oid} does not exist"),
                "name a table, such as 'memory_logs'",
            ),
            RelationKind { relation, kind } => parts(
                ERRCODE_WRONG_OBJECT_TYPE,
                format!("{relation} is {kind}, not a table"),
                "name the table that stores the embedding column",
            ),
            Encoding { encoding } => parts(
                ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("the database's encoding is {encoding}, only UTF8 is supported"),
                "move the table to a database with ENCODING 'UTF8'",
            ),
            NoPgvector => parts(
                ERRCODE_UNDEFINED_OBJECT,
                "extension \"vector\" (pgvector) with the types vector and halfvec is not installed in this database",
                "CREATE EXTENSION vector; or ALTER EXTENSION vector UPDATE;",
            ),
            NoVectorColumn { relation } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                format!("table {relation} has no column of type vector or halfvec"),
                format!("ALTER TABLE {relation} ADD COLUMN embedding vector(768);"),
            ),
            SeveralVectorColumns { relation, columns } => parts(
                ERRCODE_AMBIGUOUS_COLUMN,
                format!(
                    "table {relation} has {} embedding columns: {}",
                    columns.len(),
                    columns.join(", ")
                ),
                format!("name one: embedding_column => '{}'", columns[0]),
            ),
            NoSuchColumn { relation, column, vectors } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                format!("table {relation} has no column \"{column}\""),
                match vectors.is_empty() {
                    true => "it has no column of type vector or halfvec".into(),
                    false => format!("its embedding columns are: {}", vectors.join(", ")),
                },
            ),
            NotAVector { relation, column, type_name } => parts(
                ERRCODE_DATATYPE_MISMATCH,
                format!("column \"{column}\" of table {relation} is of type {type_name}, not vector or halfvec"),
                "embedding_column names the column that receives the vectors, content the text",
            ),
            NoTextColumn { relation } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                format!("table {relation} has no column of a text type that could be the content"),
                "say what to embed: content => 'some_column::text'",
            ),
            NoDimensions { relation, column, type_name } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("column \"{column}\" of table {relation} does not say how many dimensions it has, and no row has a vector"),
                format!("ALTER TABLE {relation} ALTER COLUMN {column} TYPE {type_name}(768);"),
            ),
            Dimensions { name, dimensions, model } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match (model.min_dimensions, model.max_dimensions) {
                    (least, most) if least == most => {
                        format!("{name}: {dimensions} dimensions, {} gives {most}", model.name)
                    }
                    (least, most) => {
                        format!("{name}: {dimensions} dimensions, {} gives {least} to {most}", model.name)
                    }
                },
                "768, 1536 and 3072 are the sizes Google recommends",
            ),
            Expression { argument, reason } => parts(
                ERRCODE_SYNTAX_ERROR,
                format!("{argument} can't be used: {reason}"),
                example(argument),
            ),
            ExpressionType { argument, code, message, hint } => (
                code,
                format!("{argument} can't be used: {message}"),
                None,
                Some(hint.unwrap_or_else(|| example(argument))),
            ),
            RelationReplaced { relation } => parts(
                ERRCODE_UNDEFINED_TABLE,
                format!("table {relation} was renamed or dropped while it was filled"),
                "what was committed stays; call again with its new name",
            ),
            ColumnReplaced { relation, column } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                format!("column \"{column}\" of table {relation} was renamed, retyped or dropped while it was filled"),
                "what was committed stays; call again with its new name",
            ),
            Refused { relation, rows, reason } => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{rows} rows of {relation} in a row did not take their vector: {reason}"),
                format!("where it is not the rows that are to blame, mend that and SELECT embed_retry_rejected('{relation}'); else call again, perhaps with a source_filter"),
            ),
            UnstableContent { relation, rows } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("the content of {rows} rows of {relation} was another one at a second look, though nobody had changed the table"),
                "say content => '...' with what stays the same: columns of the row, without now(), random() or what changes all the time",
            ),
            BlankText { place } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("text {place} is NULL, empty or only white space and can't be embedded"),
                "leave it out",
            ),
            Sample { value } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match value {
                    Some(value) => format!("sample is {value}, it must be from 1 to 1000"),
                    None => "sample is NULL, it must be from 1 to 1000".into(),
                },
                "leave it out for 20 rows, the default; each is embedded again and paid for",
            ),
            NoRight { what } => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("permission denied to {what}"),
                "ask the owner of the table, or the role that runs it",
            ),
            Limit { name, value } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{name} is {value}, it must be more than 0"),
                format!("leave {name} out for no limit"),
            ),
            OtherSpace {
                relation,
                column,
                model,
                sample,
            } => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("none of {sample} vectors that {relation}.{column} has is what {} gives for the same content", model.name),
                format!("vectors of different models or contents don't compare: name the model and content that made them (provider 'vertex' has text-embedding-004), or UPDATE {relation} SET {column} = NULL; to embed all rows anew"),
            ),
            Provider { name } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("embedding_backfill.provider \"{name}\" is not known"),
                "SET embedding_backfill.provider = 'gemini'; or 'vertex'",
            ),
            Model(error) => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                error.to_string(),
                {
                    let others = format!("use one of: {}", model::known_names(error.provider));
                    match error.elsewhere {
                        Some(provider) => format!(
                            "{provider} serves it: SET embedding_backfill.provider = '{}'; or {others}",
                            provider.name()
                        ),
                        None => others,
                    }
                },
            ),
            TaskType { what, name } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{what} \"{name}\" is not known"),
                format!("use one of: {}", self::TaskType::known_names()),
            ),
            Key(fault) => key_parts(fault),
            Credentials(fault) => credential_parts(fault),
            NoProject => parts(
                ERRCODE_CONFIG_FILE_ERROR,
                "no Google Cloud project is set for Vertex AI",
                "LOAD 'embedding_backfill'; ALTER SYSTEM SET embedding_backfill.vertex_project = 'your-project'; SELECT pg_reload_conf();",
            ),
            Place(fault) => place_parts(fault),
            BaseUrl { url, fault } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                match fault {
                    // What is cut off here could be a secret.
                    UrlFault::Extras => "embedding_backfill.base_url can't be used: it has a user, a query or a fragment".into(),
                    fault => format!("embedding_backfill.base_url \"{url}\" can't be used: {fault}"),
                },
                "ALTER SYSTEM RESET embedding_backfill.base_url; for Google's, or set another with https, or http to a loopback address",
            ),
            Connection(ConnectionFault::CaFile { path, reason }) => parts(
                ERRCODE_CONFIG_FILE_ERROR,
                format!("embedding_backfill.ca_file \"{path}\" can't be used: {reason}"),
                "it must be a PEM file that the server's user can read",
            ),
            Connection(ConnectionFault::Proxy { reason }) => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("embedding_backfill.proxy can't be used: {reason}"),
                "ALTER SYSTEM RESET embedding_backfill.proxy; to connect without one",
            ),
            TransactionBlock => parts(
                ERRCODE_ACTIVE_SQL_TRANSACTION,
                "embed_all_missing and mirror_to_chroma commit as they go and can't run inside a transaction block",
                "COMMIT first, or make the CALL a command of its own; embed_missing works inside a transaction",
            ),
            ReadOnly { function } => parts(
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                format!("{function} can't write: the transaction is read-only"),
                "run it on the primary; SET default_transaction_read_only = off;",
            ),
            NotGranted { function } => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("permission denied for {function}"),
                format!("GRANT EXECUTE ON ROUTINE {function} TO your_role;"),
            ),
            SettingRefused { name } => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set parameter \"{name}\""),
                "connect again without it, as in PGOPTIONS: it is the superuser's to set",
            ),
            NoRun => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "no run has begun in this session",
                "CALL embed_all_missing('your_table'); begins one and ends it, as mirror_to_chroma does",
            ),
            Mirror(error) => error.parts(),
            Request(failure) => failure_parts(failure),
            Run { failure, embedded } => {
                let (code, message, _, hint) = failure_parts(failure);
                let detail = format!("{embedded} rows were embedded and committed before.");
                (code, message, Some(detail), hint)
            }
            Pipe(error) => (
                ERRCODE_SYSTEM_ERROR,
                format!("could not start a request: {error}"),
                None,
                Some("SET embedding_backfill.concurrency = 1; needs fewest threads and files".into()),
            ),
            Spi(error) => (ERRCODE_INTERNAL_ERROR, error.to_string(), None, None),
        }
    }
}

fn example(argument: &str) -> String {
    match argument {
        "content" => {
            "content is an SQL expression over the row, such as 'raw_data' or 'title || body'"
                .into()
        }
        "key" => {
            "key is an SQL expression over the row, such as 'id' or 'tenant || ''/'' || id'".into()
        }
        "metadata" => "metadata names columns of the table, such as ARRAY['date', 'topic']".into(),
        _ => "source_filter is an SQL condition over the row, such as 'date >= ''2024-01-01'''"
            .into(),
    }
}
