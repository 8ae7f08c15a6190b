//! A column has one vector space. Before a run adds to vectors that are there, it embeds a few of their
//! rows again: vectors of different models have a cosine near 0 even for the same text.

use pgrx::prelude::*;

use super::error::Error;
use super::freight::Freight;
use super::target::Target;
use crate::engine::batch::Job;
use crate::engine::tokens;
use crate::gemini::request::Purpose;

/// Rows embedded again; one that changed since it was embedded does not decide.
const SAMPLE: usize = 5;

/// Between unlike texts of one model it is above this, between models it is far below.
const SAME_SPACE: f64 = 0.3;

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

/// The request that embeds a sample again; none for an empty one.
pub fn request(purpose: &Purpose, sample: Vec<(Vec<f32>, String)>) -> Option<Job<Freight>> {
    let freight = |(vector, text): (Vec<f32>, String)| {
        let tokens = tokens::at_most(purpose, &text);
        (Freight::Sample { vector, tokens }, text)
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
