//! What is checked before the first request, so that no money is spent on a run that can't write.

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, spi};

use super::error::Error;
use super::journal;
use super::report;
use super::settings;
use super::store;
use super::sys;
use super::target::{self, Call, Target};
use crate::engine::worker::Sending;
use crate::gemini::model::Model;
use crate::gemini::request::Purpose;

/// A call that may begin: what to fill, and what to send with.
pub struct Ready {
    pub target: Target,
    pub sending: Sending,
}

/// The steps of a run are open to all, so that a grant on the procedure is enough; the grant is
/// looked at here.
pub fn granted(function: &'static str) -> Result<(), Error> {
    let granted = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE'))
                     FROM pg_extension e
                     JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                                     AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
                     JOIN pg_proc p ON p.oid = d.objid
                     WHERE e.extname = 'embedding_backfill' AND p.proname = $1::name",
                    None,
                    &[function.into()],
                )?
                .first()
                .get_one::<bool>()
        })
    })?;
    match granted {
        Some(true) => Ok(()),
        _ => Err(Error::NotGranted { function }),
    }
}

/// Checks everything that can be known without a request. The user's own mistakes come first, then
/// what the server lacks.
pub fn check(function: &'static str, call: &Call, model: &'static Model) -> Result<Ready, Error> {
    if let Some(encoding) = sys::other_encoding() {
        return Err(Error::Encoding { encoding });
    }
    let task = settings::task_type()?;
    let mut target = target::resolve(call)?;
    dimensions(&target, model)?;
    writable(function)?;
    expressions(&target)?;
    for leaf in 0..target.leaves.len() {
        // Privileges, generated columns, types: Postgres's own errors, without a row touched
        // or a trigger fired.
        explain(&store::update_statement(&target, leaf), true)?;
    }
    let purpose = Purpose {
        model,
        dimensions: target.dimensions,
        task,
    };
    let sending = settings::sending(purpose)?;
    target.rejected = journal::rejected(&target, &purpose)?;
    Ok(Ready { target, sending })
}

/// What does not stop a run, and makes it slower or shorter than its owner may think.
pub fn warn(target: &Target) -> Result<(), Error> {
    let (indexes, triggers, timeout) = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT (SELECT string_agg(format('%s (%s)', i.indexrelid::regclass, a.amname), ', ')
                             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                             JOIN pg_am a ON a.oid = c.relam
                             WHERE i.indrelid = $1 AND $2 = ANY (i.indkey) AND a.amname IN ('hnsw', 'ivfflat')),
                            (SELECT string_agg(quote_ident(tgname), ', ') FROM pg_trigger
                             WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled IN ('O', 'A')
                               AND tgtype::int & 1 = 1 AND tgtype::int & 2 = 2 AND tgtype::int & 16 = 16
                               AND (tgattr = '' OR $2 = ANY (tgattr))),
                            nullif(current_setting('statement_timeout'), '0')",
                    None,
                    &[target.oid.into(), target.column.number.into()],
                )?
                .first()
                .get_three::<String, String, String>()
        })
    })?;
    if let Some(indexes) = indexes {
        report::index(target, &indexes);
    }
    if let Some(triggers) = triggers {
        report::triggers(target, &triggers);
    }
    if let Some(timeout) = timeout {
        report::statement_timeout(&timeout);
    }
    Ok(())
}

fn dimensions(target: &Target, model: &'static Model) -> Result<(), Error> {
    if model.has_dimensions(target.dimensions) {
        return Ok(());
    }
    Err(Error::Dimensions {
        column: target.column.name.clone(),
        dimensions: target.dimensions,
        model,
    })
}

fn writable(function: &'static str) -> Result<(), Error> {
    match sys::transaction_read_only() {
        true => Err(Error::ReadOnly { function }),
        false => Ok(()),
    }
}

/// The caller's SQL in its place, so that the error names the argument and not our statement.
fn expressions(target: &Target) -> Result<(), Error> {
    let Target {
        relation,
        alias,
        content,
        filter,
        ..
    } = target;
    for (argument, statement) in [
        (
            "content",
            format!("SELECT {content} FROM ONLY {relation} AS {alias}"),
        ),
        (
            "source_filter",
            format!("SELECT 1 FROM ONLY {relation} AS {alias} WHERE {filter}"),
        ),
    ] {
        PgTryBuilder::new(|| explain(&statement, false))
            .catch_others(|error| Err(in_argument(argument, error)))
            .execute()?;
    }
    Ok(())
}

fn in_argument(argument: &'static str, error: CaughtError) -> Error {
    let CaughtError::PostgresError(report) = &error else {
        error.rethrow()
    };
    // Missing rights on the table and a cancel are not the expression's fault.
    let code = report.sql_error_code();
    if matches!(
        code,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE | PgSqlErrorCode::ERRCODE_QUERY_CANCELED
    ) {
        error.rethrow()
    }
    Error::ExpressionType {
        argument,
        code,
        message: report.message().to_owned(),
        hint: report.hint().map(str::to_owned),
    }
}

fn explain(statement: &str, with_parameters: bool) -> Result<(), Error> {
    let statement = format!("EXPLAIN {statement}");
    let arguments = match with_parameters {
        true => &store::no_rows()[..],
        false => &[],
    };
    Spi::connect_mut(|client| client.update(&statement, None, arguments).map(drop))
        .map_err(|error: spi::Error| error.into())
}
