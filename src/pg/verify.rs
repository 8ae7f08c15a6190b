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
use super::report::rows;
use super::search;
use super::settings;
use super::space;
use super::survey;
use super::target::{Call, Target};
use super::vector_type::Vector;
use crate::gemini::request::Purpose;

/// From a vector of unit length this much is rounding, in halfvec too.
const UNIT_TOLERANCE: f64 = 0.002;

/// Vectors of the same text and model differ by rounding alone.
const SAME_VECTOR: f64 = 0.99;

/// Among so many nearest rows a row must be found by its own content.
const NEAREST: usize = 10;

/// Rows named in a detail.
const MAX_NAMED: usize = 5;

/// Columns of a detail, beside the names of the checks.
const DETAIL: usize = 68;

type Check = (&'static str, bool, String);

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
    let named = settings::model_named(model.as_deref())?;
    let (target, mut purpose) = preflight::meant(&call, named)?;
    if model.is_none()
        && let Some(last) = journal::last_model(&target)?
    {
        purpose.model = settings::model_named(Some(&last))?;
    }
    let mut checks = vec![complete(&target)?];
    checks.extend(shapes(&target)?);
    checks.push(distinct(&target)?);
    checks.extend(again(&target, purpose, sample)?);
    Ok(TableIterator::new(checks.into_iter().map(
        |(name, ok, detail)| (name, ok, folded(&detail, DETAIL)),
    )))
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

struct Sampled {
    key: String,
    /// Of the content.
    md5: String,
    stored: Vec<f32>,
    content: String,
}

/// Embeds a sample again: is each vector its content's, and does a search find the row?
fn again(target: &Target, purpose: Purpose, size: usize) -> Result<Vec<Check>, Error> {
    let sample = sample(target, size)?;
    if sample.is_empty() {
        let detail = "no row has a vector and a content: nothing was sent";
        return Ok(vec![("made from its content", true, detail.into())]);
    }
    let contents = sample.iter().map(|row| row.content.clone()).collect();
    let mut made = search::ask_all(purpose, contents)?;
    made.sort_by_key(|(place, _)| *place);
    let mut strangers = Vec::new();
    let mut lost = Vec::new();
    for (row, (_, vector)) in sample.iter().zip(made) {
        let cosine = space::cosine(&row.stored, &vector);
        if cosine < SAME_VECTOR {
            strangers.push(format!("{} (cosine {cosine:.2})", row.key));
        }
        if !is_found(target, &row.md5, vector)? {
            lost.push(row.key.clone());
        }
    }
    let count = sample.len();
    let model = purpose.model.name;
    Ok(vec![
        match strangers.is_empty() {
            true => (
                "made from its content",
                true,
                format!(
                    "{} embedded again with {model}: the same vectors",
                    rows(count as u64)
                ),
            ),
            false => (
                "made from its content",
                false,
                format!(
                    "{} of {count} rows have another vector than {model} gives: {}; set them NULL and embed them again",
                    strangers.len(),
                    named(&strangers)
                ),
            ),
        },
        match lost.is_empty() {
            true => (
                "found by its content",
                true,
                format!(
                    "{}: among the {NEAREST} nearest to their content",
                    rows(count as u64)
                ),
            ),
            false => (
                "found by its content",
                false,
                format!(
                    "{} of {count} rows are not among the {NEAREST} nearest to their content: {}",
                    lost.len(),
                    named(&lost)
                ),
            ),
        },
    ])
}

fn named(rows: &[String]) -> String {
    let mut text = rows[..rows.len().min(MAX_NAMED)].join(", ");
    if rows.len() > MAX_NAMED {
        text.push_str(", ...");
    }
    text
}

fn sample(target: &Target, rows: usize) -> Result<Vec<Sampled>, Error> {
    let statement = format!(
        "SELECT {key}::pg_catalog.text, {column}::pg_catalog.text, {content}, pg_catalog.md5({content})
         FROM {relation} AS {alias}
         WHERE {comparable} AND {not_blank}
         ORDER BY pg_catalog.random() LIMIT {rows}",
        key = target.row_key,
        column = target.column.sql,
        content = target.content,
        relation = target.relation,
        alias = target.alias,
        comparable = comparable(target),
        not_blank = target.not_blank(),
    );
    Spi::connect(|client| {
        let mut sample = Vec::new();
        for row in client.select(&statement, None, &[])? {
            if let (Some(key), Some(vector), Some(content), Some(md5)) =
                (row.get(1)?, row.get::<String>(2)?, row.get(3)?, row.get(4)?)
            {
                let stored = space::parsed(&vector);
                sample.push(Sampled {
                    key,
                    md5,
                    stored,
                    content,
                });
            }
        }
        Ok(sample)
    })
}

/// Rows whose vector has a distance to others: not all of a column that doesn't fix its dimensions.
fn comparable(target: &Target) -> String {
    format!(
        "{column} IS NOT NULL AND {schema}.vector_dims({column}) OPERATOR(pg_catalog.=) {dimensions}",
        column = target.column.sql,
        schema = target.vector_schema,
        dimensions = target.dimensions,
    )
}

/// Whether a content with this md5 is among the nearest: the row's own, or one that is the same.
fn is_found(target: &Target, md5: &str, vector: Vec<f32>) -> Result<bool, Error> {
    let statement = format!(
        "SELECT pg_catalog.md5({content}) FROM {relation} AS {alias}
         WHERE {comparable}
         ORDER BY {column} OPERATOR({schema}.<=>) $1::{type_name} LIMIT {NEAREST}",
        content = target.content,
        relation = target.relation,
        alias = target.alias,
        comparable = comparable(target),
        column = target.column.sql,
        schema = target.vector_schema,
        type_name = target.column.type_name,
    );
    Spi::connect(|client| {
        for row in client.select(&statement, None, &[Vector::from(vector).into()])? {
            if row.get::<String>(1)?.as_deref() == Some(md5) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}
