//! What travels with a text through the pipeline and comes back with its vector.

use super::store::Place;

pub enum Freight {
    /// A row to embed.
    Row {
        place: Place,
        /// Its text's tokens are at most this many.
        tokens: u64,
    },
    /// A row of the sample.
    Sample {
        /// The vector that it has already.
        vector: Vec<f32>,
        /// As above.
        tokens: u64,
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

    /// Tokens that all of it has at most.
    pub fn tokens(freight: &[Freight]) -> u64 {
        freight
            .iter()
            .map(|freight| match freight {
                Freight::Row { tokens, .. } | Freight::Sample { tokens, .. } => tokens,
            })
            .sum()
    }
}
