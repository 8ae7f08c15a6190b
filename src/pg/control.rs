//! `embed_stop` and `embed_retry_rejected`: what an operator does to runs of others and to the journal.

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::error::Error;
use super::journal;
use super::rejects;
use super::sys;

/// True where a run was told to end; it does so within a second and the time of an answer.
#[pg_extern(sql = false)]
fn embed_stop(relation: Option<Oid>) -> Result<bool, ErrorReport> {
    let relation = relation.ok_or(Error::NullArgument { name: "relation" })?;
    let runs = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            let mut runs = Vec::new();
            for row in client.select(
                "SELECT r.run,
                        coalesce((SELECT pg_has_role(o.oid, 'USAGE') FROM pg_roles o
                                  WHERE o.rolname = r.run_by), false)
                            OR coalesce((SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c
                                         WHERE c.oid = r.relation::oid), false)
                 FROM embedding_backfill.runs r
                 WHERE r.relation::oid = $1 AND r.state = 'running'",
                None,
                &[relation.into()],
            )? {
                if let (Some(run), Some(may)) = (row.get::<i64>(1)?, row.get::<bool>(2)?) {
                    runs.push((run, may));
                }
            }
            Ok::<_, Error>(runs)
        })
    })?;
    for (run, may) in &runs {
        if !may {
            let what = format!("stop run {run}");
            return Err(Error::NoRight { what }.into());
        }
        journal::request_stop(*run)?;
    }
    Ok(!runs.is_empty())
}

/// Forgets what was rejected, of one table or of all, for the columns that the caller may update; returns how
/// many. What a column that is gone left behind is theirs who may update the table.
#[pg_extern(sql = false)]
fn embed_retry_rejected(relation: Option<Oid>) -> Result<i64, ErrorReport> {
    let columns = sys::with_pinned_search_path(|| {
        Spi::connect(|client| {
            let mut columns = Vec::new();
            for row in client.select(
                "SELECT DISTINCT r.relation::oid, r.embedding_column::text,
                        coalesce(has_column_privilege(r.relation::oid, a.attnum, 'UPDATE'),
                                 has_table_privilege(r.relation::oid, 'UPDATE'))
                 FROM embedding_backfill.rejects r
                 LEFT JOIN pg_attribute a ON a.attrelid = r.relation::oid AND a.attname = r.embedding_column
                 WHERE r.relation::oid = $1 OR $1 IS NULL",
                None,
                &[relation.into()],
            )? {
                if let (Some(table), Some(column), Some(may)) =
                    (row.get::<Oid>(1)?, row.get::<String>(2)?, row.get::<bool>(3)?)
                {
                    columns.push((table, column, may));
                }
            }
            Ok::<_, Error>(columns)
        })
    })?;
    if relation.is_some() && !columns.is_empty() && columns.iter().all(|(.., may)| !may) {
        let what = "forget the rejected rows of a table that you may not update".into();
        return Err(Error::NoRight { what }.into());
    }
    let mut forgotten = 0;
    for (table, column, _) in columns.iter().filter(|(.., may)| *may) {
        forgotten += rejects::forget_rejected(*table, column)?;
    }
    Ok(forgotten)
}
