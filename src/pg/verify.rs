//! `embed_verify`: the proof. What is left and why, whether the vectors can be vectors of their rows, and a
//! sample embedded again. One line a check.

use std::ffi::CStr;

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::error::Error;
use super::fold::folded;
use super::journal;
use super::preflight;
use super::resample::{self, Check};
use super::settings;
use super::survey;
use super::target::{Call, Target};
use crate::gemini::model::Model;
use crate::gemini::task::TaskType;

/// From a vector of unit length this much is rounding, in halfvec too.
const UNIT_TOLERANCE: f64 = 0.002;

/// Columns of a detail, beside the names of the checks.
const DETAIL: usize = 68;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn embed_verify(
    relation: Option<Oid>,
    sample: Option<i32>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    model: Option<String>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(check_name, &'static str),
            name!(ok, bool),
            name!(detail, String),
        ),
    >,
    ErrorReport,
> {
    let sample = match sample {
        Some(rows @ 1..=1000) => rows as usize,
        value => return Err(Error::Sample { value }.into()),
    };
    let call = Call::new(relation, content, embedding_column, None)?;
    let _snapshot = call.hold_still();
    let named = model.as_deref();
    let (target, purpose) = preflight::meant_as(&call, |target| made_as(target, named))?;
    let mut checks = vec![complete(&target)?];
    checks.extend(shapes(&target)?);
    checks.push(distinct(&target)?);
    checks.extend(resample::again(&target, purpose, sample)?);
    Ok(TableIterator::new(checks.into_iter().map(
        |(name, ok, detail)| (name, ok, folded(&detail, DETAIL)),
    )))
}

/// What the journal says of the column's vectors; the settings where it says nothing, or the call names
/// another model.
fn made_as(target: &Target, named: Option<&str>) -> Result<(&'static Model, TaskType), Error> {
    match journal::last(target)? {
        Some(made) if named.is_none_or(|named| named == made.model) => Ok((
            settings::model_named(Some(&made.model))?,
            settings::task_named("task_type", &made.task)?,
        )),
        _ => Ok((settings::model_named(named)?, settings::task_type()?)),
    }
}

fn complete(target: &Target) -> Result<Check, Error> {
    let survey = survey::survey(target)?;
    let totals = survey::totals(target)?;
    let mut detail = format!("{} of {} rows have a vector", totals.embedded, totals.rows);
    for (count, what) in [
        (survey.pending, "pending: CALL embed_all_missing"),
        (survey.blank, "blank: no content to embed"),
        (survey.rejected, "rejected: see embedding_backfill.rejects"),
    ] {
        if count > 0 {
            detail.push_str(&format!("; {count} {what}"));
        }
    }
    Ok(("complete", survey.pending == 0, detail))
}

/// Dimensions, zeros and lengths, in one scan.
fn shapes(target: &Target) -> Result<[Check; 3], Error> {
    let (schema, column) = (&target.vector_schema, &target.column.sql);
    let statement = format!(
        "SELECT pg_catalog.count(*) FILTER (WHERE dims OPERATOR(pg_catalog.<>) {dimensions}),
                pg_catalog.count(*) FILTER (WHERE NOT (norm OPERATOR(pg_catalog.>) 0
                    AND norm OPERATOR(pg_catalog.<) 'infinity')),
                pg_catalog.count(*) FILTER (WHERE norm OPERATOR(pg_catalog.>) 0
                    AND pg_catalog.abs(norm OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.>) {UNIT_TOLERANCE})
         FROM (SELECT {schema}.vector_dims({column}) AS dims,
                      {schema}.vector_norm({column}::{schema}.vector) AS norm
               FROM {relation} WHERE {column} IS NOT NULL) AS shapes",
        dimensions = target.dimensions,
        relation = target.relation,
    );
    let (other, zero, length) = Spi::connect(|client| {
        client
            .select(&statement, None, &[])?
            .first()
            .get_three::<i64, i64, i64>()
    })?;
    let check = |name, count: Option<i64>, good: String, bad: &str| -> Check {
        match count.unwrap_or_default() {
            0 => (name, true, good),
            count => (name, false, format!("{count} {bad}")),
        }
    };
    Ok([
        check(
            "dimensions",
            other,
            format!("every vector has {}", target.dimensions),
            "vectors have other dimensions: set them NULL and embed them again",
        ),
        check(
            "not zero",
            zero,
            "every vector is finite and not zero".into(),
            "vectors are zero or not finite: set them NULL and embed them again",
        ),
        check(
            "unit length",
            length,
            "every vector has length 1".into(),
            "vectors have another length: fine for cosine distance, not for inner product",
        ),
    ])
}

fn distinct(target: &Target) -> Result<Check, Error> {
    let statement = format!(
        "SELECT pg_catalog.count(*) FROM (
             SELECT FROM {relation} AS {alias} WHERE {column} IS NOT NULL
             GROUP BY pg_catalog.md5({column}::pg_catalog.text)
             HAVING pg_catalog.count(DISTINCT pg_catalog.md5({content})) OPERATOR(pg_catalog.>) 1) AS doubles",
        relation = target.relation,
        alias = target.alias,
        column = target.column.sql,
        content = target.content,
    );
    let doubles = Spi::connect(|client| {
        client
            .select(&statement, None, &[])?
            .first()
            .get_one::<i64>()
    })?;
    Ok(match doubles.unwrap_or_default() {
        0 => (
            "distinct",
            true,
            "unequal contents have unequal vectors".into(),
        ),
        doubles => (
            "distinct",
            false,
            format!(
                "{doubles} vectors stand beside unequal contents: set them NULL and embed them again"
            ),
        ),
    })
}
