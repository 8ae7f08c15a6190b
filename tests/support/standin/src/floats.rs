//! Floats as Google prints them, one a line: the shortest digits that read back as the same f32, with an exponent of two
//! digits under 1e-4. The blocks that the oracle has prepared are printed once for each scale, since they never change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::oracle::{Block, Recipe};

/// What stands before a value in a list of embeddings, and in a lone one.
pub const IN_BATCH: &[u8] = b"\n        ";
pub const ALONE: &[u8] = b"\n      ";
/// In either, for who does not want it pretty.
pub const COMPACT: &[u8] = b"";

/// Writes each value with a comma behind it.
pub fn write_values(body: &mut Vec<u8>, values: &[f32], indent: &[u8]) {
    for &value in values {
        body.extend(indent);
        write_float(body, value);
        body.push(b',');
    }
}

/// The same for a vector of whole blocks in a list of embeddings.
pub fn write_blocks(body: &mut Vec<u8>, recipe: &Recipe, indent: &'static [u8]) {
    let mut printed = None;
    for (block, scale) in recipe.blocks() {
        match block {
            Block::Own(values) => write_values(body, &values.map(|value| value * scale), indent),
            Block::Prepared(number) => {
                let (_, blocks) = match printed.take() {
                    Some((of, blocks)) if of == scale => printed.insert((of, blocks)),
                    _ => printed.insert((scale, printed_blocks(scale, indent))),
                };
                body.extend_from_slice(&blocks[usize::from(number)]);
            }
        }
    }
}

/// The prepared blocks in print, by the bits of their scale and by their indentation.
type Printed = BTreeMap<(u32, &'static [u8]), Arc<[Vec<u8>]>>;

/// All prepared blocks at this scale.
fn printed_blocks(scale: f32, indent: &'static [u8]) -> Arc<[Vec<u8>]> {
    // There are as many scales as multiples of a block are asked for as dimensions.
    static PRINTED: Mutex<Printed> = Mutex::new(BTreeMap::new());
    let print = |number| {
        let values = Block::Prepared(number).values();
        let mut lines = Vec::new();
        write_values(&mut lines, &values.map(|value| value * scale), indent);
        lines
    };
    let mut printed = PRINTED.lock().expect("no thread panics while it prints");
    let blocks = printed
        .entry((scale.to_bits(), indent))
        .or_insert_with(|| (0..=u8::MAX).map(print).collect());
    Arc::clone(blocks)
}

fn write_float(body: &mut Vec<u8>, value: f32) {
    if value.abs() < 1e-4 && value != 0.0 {
        let shortest = format!("{value:e}");
        let (digits, exponent) = shortest.split_once("e-").unwrap_or((&shortest, "0"));
        body.extend(format!("{digits}e-{exponent:0>2}").as_bytes());
    } else {
        body.extend(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_like_googles_and_read_back_the_same() {
        for (value, expected) in [
            (0.020942502, "0.020942502"),
            (-0.00752606, "-0.00752606"),
            (-9.331606e-5, "-9.331606e-05"),
            (5.9387264e-7, "5.9387264e-07"),
            (1e-30, "1e-30"),
        ] {
            let mut text = Vec::new();
            write_float(&mut text, value);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text, expected);
            assert_eq!(text.parse::<f32>().unwrap().to_bits(), value.to_bits());
        }
    }
}
