//! What is checked before the first request, so that no money is spent on a run that can't write.

use pgrx::PgTryBuilder;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::error::Error;
use super::rejects;
use super::settings;
use super::store;
use super::sys;
use super::target::{self, Call, Target};
use crate::engine::embedder::Sending;
use crate::gemini::model::Model;
use crate::gemini::request::Purpose;
use crate::gemini::task::TaskType;

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

/// What a call means, with all of the user's own mistakes found; neither written nor sent to.
pub fn meant(call: &Call, model: &'static Model) -> Result<(Target, Purpose), Error> {
    let task = settings::task_type()?;
    meant_as(call, |_| Ok((model, task)))
}

/// The same where the column decides which model and task are meant.
pub fn meant_as(
    call: &Call,
    asked: impl FnOnce(&Target) -> Result<(&'static Model, TaskType), Error>,
) -> Result<(Target, Purpose), Error> {
    utf8()?;
    let mut target = target::resolve(call)?;
    let (model, task) = asked(&target)?;
    dimensions(&target.column.name, target.dimensions.into(), model)?;
    expressions(&target, &[])?;
    let purpose = Purpose {
        model,
        dimensions: target.dimensions,
        task,
    };
    target.rejected = rejects::rejected(&target, &purpose)?;
    Ok((target, purpose))
}

/// Checks everything that can be known without a request. The user's own mistakes come first, then
/// what the server lacks.
pub fn check(function: &'static str, call: &Call, model: &'static Model) -> Result<Ready, Error> {
    writable(function)?;
    let (target, purpose) = meant(call, model)?;
    for leaf in 0..target.leaves.len() {
        // Privileges, generated columns, types: Postgres's own errors, without a row touched
        // or a trigger fired.
        explain(&store::statement(&target, leaf))?;
    }
    let sending = settings::sending(purpose)?;
    Ok(Ready { target, sending })
}

/// What does not stop a run, and makes it slower or shorter than its owner may think.
pub fn findings(target: &Target) -> Result<Vec<Finding>, Error> {
    let mut tables: Vec<Oid> = target.leaves.iter().map(|leaf| leaf.oid).collect();
    tables.push(target.oid);
    let (indexes, triggers) = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT (SELECT string_agg(DISTINCT format('%I (%s)', c.relname, a.amname), ', ')
                             FROM pg_depend d
                             JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
                             JOIN pg_am a ON a.oid = c.relam AND a.amname IN ('hnsw', 'ivfflat')
                             WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1)
                               AND d.refobjsubid = (SELECT n.attnum FROM pg_attribute n
                                                    WHERE n.attrelid = d.refobjid AND n.attname = $2::name)),
                            (SELECT string_agg(DISTINCT quote_ident(t.tgname), ', ') FROM pg_trigger t
                             WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
                               AND t.tgtype::int & 1 = 1 AND t.tgtype::int & 2 = 2 AND t.tgtype::int & 16 = 16
                               AND (t.tgattr = ''
                                    OR (SELECT n.attnum FROM pg_attribute n
                                        WHERE n.attrelid = t.tgrelid AND n.attname = $2::name) = ANY (t.tgattr)))",
                    None,
                    &[tables.into(), target.column.name.as_str().into()],
                )?
                .first()
                .get_two::<String, String>()
        })
    })?;
    let column = format!("{}.{}", target.label, target.column.sql);
    let indexes = indexes.map(|indexes| Finding {
        text: format!("{column} has a vector index, each write is some 85 times slower: {indexes}"),
        hint: Some("for many rows, drop the index and create it again afterwards"),
    });
    let triggers = triggers.map(|triggers| Finding {
        text: format!("triggers of {} run for each row: {triggers}", target.label),
        hint: None,
    });
    let findings = [indexes, triggers, timeout()?];
    Ok(findings.into_iter().flatten().collect())
}

/// What ends a long run, whatever it is.
pub fn timeout() -> Result<Option<Finding>, Error> {
    let timeout = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT nullif(current_setting('statement_timeout'), '0')",
                    None,
                    &[],
                )?
                .first()
                .get_one::<String>()
        })
    })?;
    Ok(timeout.map(|timeout| Finding {
        text: format!("statement_timeout is {timeout} and covers the whole CALL"),
        hint: Some("SET statement_timeout = 0;"),
    }))
}

/// Wrong enough for a WARNING where there is something to type against it.
pub struct Finding {
    pub text: String,
    pub hint: Option<&'static str>,
}

pub fn utf8() -> Result<(), Error> {
    match sys::other_encoding() {
        Some(encoding) => Err(Error::Encoding { encoding }),
        None => Ok(()),
    }
}

/// `name` is what has that many: a column or an argument.
pub fn dimensions(name: &str, dimensions: i64, model: &'static Model) -> Result<u32, Error> {
    match u32::try_from(dimensions) {
        Ok(dimensions) if model.has_dimensions(dimensions) => Ok(dimensions),
        _ => Err(Error::Dimensions {
            name: name.to_owned(),
            dimensions,
            model,
        }),
    }
}

pub fn writable(function: &'static str) -> Result<(), Error> {
    match sys::transaction_read_only() {
        true => Err(Error::ReadOnly { function }),
        false => Ok(()),
    }
}

/// The caller's SQL in its place, so that the error names the argument and not our statement. `others` are
/// arguments besides content and source_filter, and their SQL.
pub fn expressions(target: &Target, others: &[(&'static str, &str)]) -> Result<(), Error> {
    let Target {
        relation,
        alias,
        content,
        filter,
        ..
    } = target;
    // Twice, since a condition must be one value of one row.
    let value = |sql: &str| {
        format!("SELECT {sql} FROM ONLY {relation} AS {alias} WHERE {sql} IS NOT NULL LIMIT 0")
    };
    let others = others.iter().map(|(argument, sql)| (*argument, value(sql)));
    let filtered = format!("SELECT 1 FROM ONLY {relation} AS {alias} WHERE {filter} LIMIT 0");
    let own = [("content", value(content)), ("source_filter", filtered)];
    for (argument, statement) in own.into_iter().chain(others) {
        PgTryBuilder::new(|| {
            Spi::connect(|client| client.select(&statement, None, &[]).map(drop))
                .map_err(Error::from)
        })
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

fn explain(statement: &str) -> Result<(), Error> {
    let statement = format!("EXPLAIN {statement}");
    Spi::connect_mut(|client| client.update(&statement, None, &store::no_rows()).map(drop))
        .map_err(Error::from)
}
