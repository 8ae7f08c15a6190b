//! What travels with a text through the pipeline and comes back with its vector.

use super::store::Place;
use crate::engine::tokens::Amount;

pub enum Freight {
    /// A row to embed.
    Row {
        place: Place,
        /// Its text is at most so much.
        amount: Amount,
        /// Of its text.
        bytes: usize,
    },
    /// A row of the sample.
    Sample {
        /// The vector that it has already.
        vector: Vec<f32>,
        /// As above.
        amount: Amount,
    },
}

impl Freight {
    /// Rows, and vectors of the sample. One request has only one of them.
    pub fn sorted(freight: Vec<Freight>) -> (Vec<Place>, Vec<Vec<f32>>) {
        let mut rows = Vec::new();
        let mut sample = Vec::new();
        for freight in freight {
            match freight {
                Freight::Row { place, .. } => rows.push(place),
                Freight::Sample { vector, .. } => sample.push(vector),
            }
        }
        (rows, sample)
    }

    /// Bytes of the text of all rows.
    pub fn bytes(freight: &[Freight]) -> usize {
        freight
            .iter()
            .map(|freight| match freight {
                Freight::Row { bytes, .. } => *bytes,
                Freight::Sample { .. } => 0,
            })
            .sum()
    }

    /// All of its text is at most so much.
    pub fn amount(freight: &[Freight]) -> Amount {
        freight
            .iter()
            .map(|freight| match freight {
                Freight::Row { amount, .. } | Freight::Sample { amount, .. } => *amount,
            })
            .sum()
    }
}
