//! The oracle: which vector a text gets when it carries no meaning. Deterministic, and different for each text, model and
//! (where the model heeds it) task type, so that a swapped or stale vector is seen. It must cost less than what is measured
//! with it: only a vector's first values are computed from the text, and the rest is chosen from blocks that never change.

use std::array;
use std::sync::LazyLock;

use crate::models::{self, Model};
use crate::tokens;

/// Values in a block.
pub const BLOCK: usize = 16;

/// The first 768 values of a gemini-embedding-001 vector weigh more than the rest: that prefix was recorded with a norm
/// of about 0.58 where evenly spread values would have 0.5.
const HEAVY_BLOCKS: usize = 768 / BLOCK;
const HEAVY_NORM: f64 = 0.58;

/// As many as a byte of the seed can choose from; each of unit length.
static PREPARED: LazyLock<[[f32; BLOCK]; 256]> =
    LazyLock::new(|| array::from_fn(|at| unit_block(at as u64)));

/// The vector served under `Semantics::Hash` for a text sent without task type.
///
/// # Panics
/// When the model is unknown.
pub fn vector(text: &str, model: &str, dimensions: usize) -> Vec<f32> {
    vector_for(text, model, dimensions, "")
}

/// The same for a text sent with a task type, which gemini-embedding-2 does not heed.
pub fn vector_for(text: &str, model: &str, dimensions: usize, task_type: &str) -> Vec<f32> {
    let model = models::find(model).unwrap_or_else(|| panic!("unknown model {model}"));
    let mut values = Vec::new();
    Recipe::new(text, model, dimensions, task_type).fill(&mut values);
    values
}

/// What a vector is made of.
pub struct Recipe {
    seed: u64,
    dimensions: usize,
    /// What the heavy blocks and the others are multiplied by.
    scales: [f32; 2],
}

pub enum Block {
    /// The text's own.
    Own([f32; BLOCK]),
    /// One of the prepared ones, by its number.
    Prepared(u8),
}

impl Recipe {
    /// What is beyond the model's token limit makes no difference.
    pub fn new(text: &str, model: &Model, dimensions: usize, task_type: &str) -> Recipe {
        let task_type = match task_type {
            "TASK_TYPE_UNSPECIFIED" | "UNSPECIFIED" => "",
            _ if !model.heeds_task_type => "",
            task_type => task_type,
        };
        let text = tokens::cut(text, model.token_limit);
        let seed = seed(&[model.name, task_type, text]);
        let scales = if model.rescales_prefix {
            let cut_block = &block(seed, dimensions / BLOCK).values()[..dimensions % BLOCK];
            let squares = (dimensions / BLOCK) as f64 + norm(cut_block).powi(2);
            [(1.0 / squares.sqrt()) as f32; 2]
        } else {
            prefix_scales(model.max_dimensions / BLOCK)
        };
        Recipe {
            seed,
            dimensions,
            scales,
        }
    }

    /// The blocks in order, each with its scale; the last one may reach beyond the vector's end.
    pub fn blocks(&self) -> impl Iterator<Item = (Block, f32)> {
        (0..self.dimensions.div_ceil(BLOCK)).map(|at| {
            (
                block(self.seed, at),
                self.scales[usize::from(at >= HEAVY_BLOCKS)],
            )
        })
    }

    /// Replaces what is in `values` by the vector.
    pub fn fill(&self, values: &mut Vec<f32>) {
        values.clear();
        for (block, scale) in self.blocks() {
            values.extend(block.values().map(|value| value * scale));
        }
        values.truncate(self.dimensions);
    }
}

impl Block {
    pub fn values(&self) -> [f32; BLOCK] {
        match *self {
            Block::Own(values) => values,
            Block::Prepared(number) => PREPARED[usize::from(number)],
        }
    }
}

/// What makes a vector of this many blocks one of unit length, of which smaller ones are bare prefixes.
fn prefix_scales(blocks: usize) -> [f32; 2] {
    if blocks <= HEAVY_BLOCKS {
        return [(1.0 / (blocks as f64).sqrt()) as f32; 2];
    }
    let light_blocks = (blocks - HEAVY_BLOCKS) as f64;
    let heavy = HEAVY_NORM / (HEAVY_BLOCKS as f64).sqrt();
    let light = ((1.0 - HEAVY_NORM * HEAVY_NORM) / light_blocks).sqrt();
    [heavy as f32, light as f32]
}

pub fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    squares.sum::<f64>().sqrt()
}

fn block(seed: u64, at: usize) -> Block {
    match at {
        0 => Block::Own(unit_block(seed)),
        // Eight choices to a number.
        _ => Block::Prepared(nth(seed, at as u64 / 8).to_le_bytes()[at % 8]),
    }
}

fn unit_block(seed: u64) -> [f32; BLOCK] {
    // Far from the numbers that choose blocks.
    let value = |at| (nth(seed, 1000 + at as u64) as i64 as f32) / i64::MAX as f32;
    let values: [f32; BLOCK] = array::from_fn(value);
    let scale = 1.0 / norm(&values) as f32;
    values.map(|value| value * scale)
}

/// A number of the sequence of splitmix64.
fn nth(seed: u64, at: u64) -> u64 {
    mix(seed.wrapping_add((at + 1).wrapping_mul(GOLDEN)))
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn seed(parts: &[&str]) -> u64 {
    parts.iter().fold(GOLDEN, |seed, part| {
        part.as_bytes()
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            })
            // The length tells "a" from "a\0", and one part's end from the next one's start.
            .chain([part.len() as u64])
            .fold(seed, |seed, word| mix(seed ^ word).wrapping_add(GOLDEN))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "gemini-embedding-2";
    const OLD_MODEL: &str = "gemini-embedding-001";
    const TEXT_MODEL: &str = "text-embedding-004";

    #[test]
    fn norms_are_as_recorded() {
        for dimensions in [8, 128, 333, 768, 1000, 1536, 3072] {
            let norm = norm(&vector("hello", MODEL, dimensions));
            assert!((norm - 1.0).abs() < 1e-6, "{dimensions}: {norm}");
        }
        assert!((norm(&vector("hello", OLD_MODEL, 3072)) - 1.0).abs() < 1e-6);
        assert!((norm(&vector("hello", TEXT_MODEL, 768)) - 1.0).abs() < 1e-6);
        for text in ["Ruby", "Python", "JavaScript", "hello"] {
            let norm = norm(&vector(text, OLD_MODEL, 768));
            assert!((0.55..0.61).contains(&norm), "{norm}");
        }
    }

    #[test]
    fn a_smaller_vector_is_a_prefix_of_the_whole_one() {
        let whole = vector("hello", OLD_MODEL, 3072);
        assert_eq!(vector("hello", OLD_MODEL, 768), whole[..768]);
        let whole = vector("hello", MODEL, 3072);
        let scale = 1.0 / norm(&whole[..900]) as f32;
        for (small, large) in vector("hello", MODEL, 900).iter().zip(&whole) {
            assert!((small - large * scale).abs() < 1e-7);
        }
    }

    #[test]
    fn another_text_model_or_task_gives_another_vector() {
        let seen = [
            vector("a", OLD_MODEL, 128),
            vector("b", OLD_MODEL, 128),
            vector("a\0", OLD_MODEL, 128),
            vector("a ", OLD_MODEL, 128),
            vector("a", MODEL, 128),
            vector("a", TEXT_MODEL, 128),
            vector("a", "text-embedding-005", 128),
            vector("a", "text-multilingual-embedding-002", 128),
            vector_for("a", TEXT_MODEL, 128, "RETRIEVAL_DOCUMENT"),
            vector_for("a", OLD_MODEL, 128, "RETRIEVAL_DOCUMENT"),
            vector_for("a", OLD_MODEL, 128, "RETRIEVAL_QUERY"),
        ];
        for (at, one) in seen.iter().enumerate() {
            for other in &seen[at + 1..] {
                let cosine: f32 = one.iter().zip(other).map(|(a, b)| a * b).sum();
                assert!(cosine.abs() < 0.5, "{cosine}");
            }
        }
        let unspecified = vector_for("a", OLD_MODEL, 128, "TASK_TYPE_UNSPECIFIED");
        assert_eq!(unspecified, seen[0]);
        assert_eq!(vector_for("a", MODEL, 128, "RETRIEVAL_QUERY"), seen[4]);
    }
}
