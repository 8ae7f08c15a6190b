//! Vectors with a meaning: the mean of the word vectors of the package wordllama (PyPI), equal to what that package
//! computes, spread over the width asked for. The files are loaded from a directory and are no part of the project.

mod bpe;
mod safetensors;

use std::fs;
use std::io;
use std::path::Path;

use bpe::Tokenizer;

const WIDTH: usize = 256;
const WEIGHTS: &str = "l2_supercat_256.safetensors";
const TOKENIZER: &str = "l2_supercat_tokenizer_config.json";

pub struct Words {
    tokenizer: Tokenizer,
    /// A row of `WIDTH` values for each token.
    rows: Vec<f32>,
}

impl Words {
    pub fn load(directory: &Path) -> io::Result<Words> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read(&path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })
        };
        let rows = safetensors::read_f16(&read(WEIGHTS)?, "embedding.weight", WIDTH)?;
        let tokenizer = Tokenizer::parse(&read(TOKENIZER)?)?;
        if tokenizer.len() * WIDTH > rows.len() {
            return Err(io::Error::other(format!(
                "{WEIGHTS} has fewer rows than {TOKENIZER} has tokens"
            )));
        }
        Ok(Words { tokenizer, rows })
    }

    pub fn tokens(&self, text: &str) -> usize {
        self.tokenizer.encode(text).len()
    }

    /// The mean of the vectors of the text's first `limit` tokens; zero for a text without any.
    pub fn mean(&self, text: &str, limit: usize) -> [f32; WIDTH] {
        let tokens = self.tokenizer.encode(text);
        let tokens = &tokens[..tokens.len().min(limit)];
        let mut mean = [0.0; WIDTH];
        for &token in tokens {
            let row = &self.rows[token as usize * WIDTH..][..WIDTH];
            mean.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut()
            .for_each(|sum| *sum /= tokens.len().max(1) as f32);
        mean
    }

    /// Replaces what is in `values` by a vector of the text with this many dimensions and this norm; false when the
    /// text has no direction.
    pub fn fill(
        &self,
        values: &mut Vec<f32>,
        text: &str,
        limit: usize,
        dimensions: usize,
        norm: f32,
    ) -> bool {
        values.clear();
        spread(values, &self.mean(text, limit), dimensions);
        let length = crate::oracle::norm(values) as f32;
        values.iter_mut().for_each(|value| *value *= norm / length);
        length > 0.0
    }
}

/// Repeats the vector as often as it fits and leaves the rest zero, which changes no angle. Below `WIDTH` the first
/// values stand for all, as the vectors were trained to allow.
fn spread(values: &mut Vec<f32>, vector: &[f32; WIDTH], dimensions: usize) {
    if dimensions < WIDTH {
        values.extend(&vector[..dimensions]);
    } else {
        values.extend(vector.repeat(dimensions / WIDTH));
        values.resize(dimensions, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading_keeps_the_cosine() {
        let cosine = |a: &[f32], b: &[f32]| {
            let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
            dot / crate::oracle::norm(a) / crate::oracle::norm(b)
        };
        let one: [f32; WIDTH] = std::array::from_fn(|at| (at as f32).sin());
        let other: [f32; WIDTH] = std::array::from_fn(|at| (at as f32 * 1.1).cos() + 0.3);
        for dimensions in [256, 700, 768, 1000, 1536, 3072] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            spread(&mut a, &one, dimensions);
            spread(&mut b, &other, dimensions);
            assert_eq!(a.len(), dimensions);
            assert!(
                (cosine(&a, &b) - cosine(&one, &other)).abs() < 1e-6,
                "{dimensions}"
            );
        }
        let mut small = Vec::new();
        spread(&mut small, &one, 128);
        assert_eq!(small, one[..128]);
    }
}
