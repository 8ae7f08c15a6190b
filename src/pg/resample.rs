//! The part of `embed_verify` that spends money: a sample of rows is embedded again, compared with what is
//! stored, and searched for.

use pgrx::prelude::*;

use super::audit::Subject;
use super::error::Error;
use super::figures::rows;
use super::search;
use super::space;
use super::target::Target;
use super::vector_type::Vector;
use crate::gemini::request::Purpose;

/// Vectors of the same text and model differ by rounding alone.
const SAME_VECTOR: f64 = 0.99;

/// Among so many nearest rows a row must be found by its own content.
const NEAREST: usize = 10;

/// Rows named in a detail.
const MAX_NAMED: usize = 5;

/// Its name, whether it is passed, and what was seen.
pub type Check = (&'static str, bool, String);

struct Sampled {
    key: String,
    /// Of the content.
    md5: String,
    stored: Vec<f32>,
    content: String,
}

/// Embeds a sample again: is each vector its content's, and does a search find the row?
pub fn again(target: &Target, purpose: Purpose, size: usize) -> Result<Vec<Check>, Error> {
    let sample = sample(target, size)?;
    if sample.is_empty() {
        let detail = "no row has a vector and a content: nothing was sent";
        return Ok(vec![("made from its content", true, detail.into())]);
    }
    let contents = sample.iter().map(|row| row.content.clone()).enumerate();
    let subject = Subject::of(target);
    let mut made = search::ask("embed_verify", Some(&subject), purpose, contents.collect())?;
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
