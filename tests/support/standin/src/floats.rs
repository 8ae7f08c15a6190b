//! Floats as Google prints them, one a line: the shortest digits that read back as the same number, with an exponent of two
//! digits under 1e-4. The blocks that the oracle has prepared are printed once for each scale, since they never change.

use std::collections::BTreeMap;
use std::fmt::LowerExp;
use std::sync::{Arc, Mutex};

use crate::oracle::{Block, Recipe};

/// How the values of a vector stand in an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Style {
    /// What stands before each.
    pub indent: &'static [u8],
    /// As the f64 that it is equal to.
    wide: bool,
}

impl Style {
    /// The same for who does not want it pretty.
    pub fn compact(self) -> Style {
        Style {
            indent: b"",
            ..self
        }
    }
}

/// In a list of embeddings, in a lone one, and in a list of predictions, whose numbers are those of a `google.protobuf.Value`.
pub const IN_BATCH: Style = Style {
    indent: b"\n        ",
    wide: false,
};
pub const ALONE: Style = Style {
    indent: b"\n      ",
    wide: false,
};
pub const PREDICTED: Style = Style {
    indent: b"\n          ",
    wide: true,
};

/// Writes each value with a comma behind it.
pub fn write_values(body: &mut Vec<u8>, values: &[f32], style: Style) {
    for &value in values {
        body.extend(style.indent);
        if style.wide {
            write_float(body, f64::from(value));
        } else {
            write_float(body, value);
        }
        body.push(b',');
    }
}

/// The same for a vector of whole blocks.
pub fn write_blocks(body: &mut Vec<u8>, recipe: &Recipe, style: Style) {
    let mut printed = None;
    for (block, scale) in recipe.blocks() {
        match block {
            Block::Own(values) => write_values(body, &values.map(|value| value * scale), style),
            Block::Prepared(number) => {
                let (_, blocks) = match printed.take() {
                    Some((of, blocks)) if of == scale => printed.insert((of, blocks)),
                    _ => printed.insert((scale, printed_blocks(scale, style))),
                };
                body.extend_from_slice(&blocks[usize::from(number)]);
            }
        }
    }
}

/// All blocks that were prepared.
type Printed = Arc<[Vec<u8>]>;

fn printed_blocks(scale: f32, style: Style) -> Printed {
    // There are as many scales as multiples of a block are asked for as dimensions.
    static PRINTED: Mutex<BTreeMap<(u32, Style), Printed>> = Mutex::new(BTreeMap::new());
    let print = |number| {
        let values = Block::Prepared(number).values();
        let mut lines = Vec::new();
        write_values(&mut lines, &values.map(|value| value * scale), style);
        lines
    };
    let mut printed = PRINTED.lock().expect("no thread panics while it prints");
    let blocks = printed
        .entry((scale.to_bits(), style))
        .or_insert_with(|| (0..=u8::MAX).map(print).collect());
    Arc::clone(blocks)
}

fn write_float<F: zmij::Float + LowerExp + Into<f64> + Copy>(body: &mut Vec<u8>, value: F) {
    let size = value.into().abs();
    if size < 1e-4 && size != 0.0 {
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
            (0.020942502_f32, "0.020942502"),
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
        let mut text = Vec::new();
        write_values(&mut text, &[-0.007_157_338_3], PREDICTED);
        assert_eq!(text, b"\n          -0.0071573383174836636,");
    }
}
