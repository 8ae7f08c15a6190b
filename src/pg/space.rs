//! A column has one vector space. Before a run adds to vectors that are there, it embeds a few of their
//! rows again: vectors of different models have a cosine near 0 even for the same text.

use pgrx::prelude::*;

use super::error::Error;
use super::freight::Freight;
use super::target::Target;
use crate::engine::batch::Job;
use crate::engine::tokens;
use crate::gemini::model::{self, Model, ModelError};
use crate::gemini::provider::Provider;
use crate::gemini::request::Purpose;

/// Rows embedded again; one that changed since it was embedded does not decide.
const SAMPLE: usize = 5;

/// Between unlike texts of one model it is above this, between models it is far below.
const SAME_SPACE: f64 = 0.3;

/// Below 3072 dimensions this model gives short vectors, which other programs store as they are: 0.57 to 0.59
/// were measured at 768.
const FIRST: &str = "gemini-embedding-001";
const FIRST_LENGTHS: std::ops::Range<f64> = 0.4..0.95;

/// Gone from the Gemini API, with its vectors still in many columns.
const OLDER: &str = "text-embedding-004";
const OLDER_DIMENSIONS: u32 = 768;

/// Rows that have a vector already: it, and the content.
pub fn sample(target: &Target) -> Result<Vec<(Vec<f32>, String)>, Error> {
    let mut sample = Vec::new();
    for leaf in 0..target.leaves.len() {
        if sample.len() == SAMPLE {
            break;
        }
        let statement = format!(
            "SELECT {column}::pg_catalog.text, {content} {from}
               AND {column} IS NOT NULL AND {not_blank} LIMIT {limit}",
            column = target.column.sql,
            content = target.content,
            from = target.rows_of(leaf),
            not_blank = target.not_blank(),
            limit = SAMPLE - sample.len(),
        );
        Spi::connect(|client| {
            for row in client.select(&statement, None, &[])? {
                if let (Some(vector), Some(content)) = (row.get::<String>(1)?, row.get(2)?) {
                    sample.push((parsed(&vector), content));
                }
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok(sample)
}

/// What the journal's last run on a column says against this model.
pub fn other_than_last(last: &str, purpose: &Purpose) -> String {
    let Model { name, provider, .. } = purpose.model;
    let cure = match model::find(*provider, last) {
        Ok(_) => format!("model => '{last}' adds to them"),
        Err(ModelError {
            elsewhere: Some(other),
            ..
        }) => format!(
            "{other} serves it: SET embedding_backfill.provider = '{}'; model => '{last}' adds to them",
            other.name()
        ),
        Err(_) => "nobody serves it any more".into(),
    };
    format!("the column's vectors are of {last}, with which those of {name} don't compare; {cure}")
}

/// What stored vectors say against this model by themselves, before one is made again.
pub fn doubt(sample: &[(Vec<f32>, String)], purpose: &Purpose) -> Option<String> {
    let name = purpose.model.name;
    let short = |(vector, _): &(Vec<f32>, String)| FIRST_LENGTHS.contains(&length(vector));
    if sample.is_empty() {
        return None;
    }
    if name != FIRST && sample.iter().all(short) {
        return Some(format!(
            "the column's vectors have the length that {FIRST} gives, which is not {name}'s; model => '{FIRST}' adds to them"
        ));
    }
    let older =
        purpose.dimensions == OLDER_DIMENSIONS && purpose.model.provider == Provider::Gemini;
    older.then(|| format!(
        "if the column's vectors are of {OLDER}: {} serves it, SET embedding_backfill.provider = 'vertex'; model => '{OLDER}' adds to them",
        Provider::Vertex
    ))
}

fn length(vector: &[f32]) -> f64 {
    let squares = vector.iter().map(|&x| f64::from(x) * f64::from(x));
    squares.sum::<f64>().sqrt()
}

/// None of so many vectors is what the model gives.
pub fn other(target: &Target, purpose: &Purpose, sample: usize) -> Error {
    Error::OtherSpace {
        relation: target.label.clone(),
        column: target.column.sql.clone(),
        model: purpose.model,
        sample,
    }
}

/// The request that embeds a sample again; none for an empty one.
pub fn request(purpose: &Purpose, sample: Vec<(Vec<f32>, String)>) -> Option<Job<Freight>> {
    let freight = |(vector, text): (Vec<f32>, String)| {
        let amount = tokens::at_most(purpose, &text);
        (Freight::Sample { vector, amount }, text)
    };
    let (rows, texts): (Vec<_>, Vec<_>) = sample.into_iter().map(freight).unzip();
    (!texts.is_empty()).then_some(Job { texts, rows })
}

/// pgvector's text form, `[0.1,0.2]`.
pub fn parsed(vector: &str) -> Vec<f32> {
    vector
        .trim_matches(['[', ']'])
        .split(',')
        .filter_map(|value| value.parse().ok())
        .collect()
}

/// The proof, while it is in flight: it goes before the first row, and alone.
#[derive(Debug, Default)]
pub struct Proof {
    in_flight: usize,
    compared: usize,
    same: bool,
}

impl Proof {
    pub fn of(sample: usize) -> Proof {
        Proof {
            in_flight: sample,
            ..Proof::default()
        }
    }

    pub fn in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Takes in a part of the sample; without vectors where the API would not embed it.
    pub fn take(&mut self, stored: &[Vec<f32>], made: Option<&[Vec<f32>]>) {
        self.in_flight -= stored.len();
        if let Some(made) = made {
            self.compared += stored.len();
            self.same |= is_same(stored, made);
        }
    }

    /// How many vectors were compared and none found to be of the model.
    pub fn refuted(&self) -> Option<usize> {
        (!self.in_flight() && self.compared > 0 && !self.same).then_some(self.compared)
    }
}

/// Whether the vectors that were there can be of the model that made the new ones.
fn is_same(stored: &[Vec<f32>], made: &[Vec<f32>]) -> bool {
    stored
        .iter()
        .zip(made)
        .any(|(stored, made)| cosine(stored, made) > SAME_SPACE)
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    match product(a, a) * product(b, b) {
        0.0 => 0.0,
        lengths => product(a, b) / lengths.sqrt(),
    }
}
