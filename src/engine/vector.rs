//! A vector is checked before it is believed, and scaled to unit length where it is not.

use std::fmt;

/// How far from 1 a length may be and still count as unit length.
const UNIT_TOLERANCE: f64 = 1e-5;

#[derive(Debug, Clone, PartialEq)]
pub enum VectorFault {
    Count { texts: usize, vectors: usize },
    Dimensions { wanted: u32, got: usize },
    NotFinite,
    Zero,
}

/// Checks that `vectors` can be the answer to `texts` texts, and gives each unit length.
pub fn believe(vectors: &mut [Vec<f32>], texts: usize, dimensions: u32) -> Result<(), VectorFault> {
    if vectors.len() != texts {
        return Err(VectorFault::Count {
            texts,
            vectors: vectors.len(),
        });
    }
    for vector in vectors {
        if vector.len() != dimensions as usize {
            return Err(VectorFault::Dimensions {
                wanted: dimensions,
                got: vector.len(),
            });
        }
        to_unit_length(vector)?;
    }
    Ok(())
}

fn to_unit_length(vector: &mut [f32]) -> Result<(), VectorFault> {
    let length = vector
        .iter()
        .map(|&x| f64::from(x) * f64::from(x))
        .sum::<f64>()
        .sqrt();
    if !length.is_finite() {
        return Err(VectorFault::NotFinite);
    }
    if length == 0.0 {
        return Err(VectorFault::Zero);
    }
    if (length - 1.0).abs() > UNIT_TOLERANCE {
        for x in vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    Ok(())
}

/// Rounded as IEEE 754 has it to what 16 bits can hold, of which no value of a vector of unit length is too large.
pub fn nearest_half(value: f32) -> f32 {
    const SMALLEST_NORMAL: f32 = 1.0 / 16_384.0;
    const STEP_BELOW: f32 = SMALLEST_NORMAL / 1_024.0;
    if value.abs() < SMALLEST_NORMAL {
        return (value / STEP_BELOW).round_ties_even() * STEP_BELOW;
    }
    // Of 23 bits behind the point, 13 go; a carry into the exponent is right, too.
    let bits = value.to_bits();
    f32::from_bits((bits + 0xfff + ((bits >> 13) & 1)) & !0x1fff)
}

impl fmt::Display for VectorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { texts, vectors } => {
                write!(f, "{vectors} vectors came back for {texts} texts")
            }
            Self::Dimensions { wanted, got } => {
                write!(f, "a vector has {got} dimensions, {wanted} were asked for")
            }
            Self::NotFinite => write!(f, "a vector has a value that is not finite"),
            Self::Zero => write!(f, "a vector has only zeros"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_vector_is_scaled_and_a_unit_one_is_left_alone() {
        let mut vectors = [vec![0.3, 0.4], vec![0.6, 0.8]];
        believe(&mut vectors, 2, 2).unwrap();
        assert_eq!(vectors, [vec![0.6, 0.8], vec![0.6, 0.8]]);
    }

    #[test]
    fn what_can_not_be_the_answer_is_refused() {
        let refused = |vectors: &[&[f32]], texts| {
            let mut vectors: Vec<_> = vectors.iter().map(|v| v.to_vec()).collect();
            believe(&mut vectors, texts, 2).unwrap_err()
        };
        assert_eq!(
            refused(&[&[1.0, 0.0]], 2),
            VectorFault::Count {
                texts: 2,
                vectors: 1
            }
        );
        assert_eq!(
            refused(&[&[1.0]], 1),
            VectorFault::Dimensions { wanted: 2, got: 1 }
        );
        assert_eq!(refused(&[&[f32::NAN, 0.0]], 1), VectorFault::NotFinite);
        assert_eq!(refused(&[&[f32::INFINITY, 0.0]], 1), VectorFault::NotFinite);
        assert_eq!(refused(&[&[0.0, -0.0]], 1), VectorFault::Zero);
    }

    /// The value of a half's bits.
    fn half(bits: u16) -> f32 {
        let (exponent, fraction) = (
            i32::from((bits >> 10) & 31),
            f32::from(bits & 1_023) / 1_024.0,
        );
        let size = match exponent {
            0 => fraction * 2f32.powi(-14),
            _ => (1.0 + fraction) * 2f32.powi(exponent - 15),
        };
        if bits >> 15 == 1 { -size } else { size }
    }

    // Each half, what lies beside it, and what lies in the middle between it and the next.
    #[test]
    fn a_half_is_the_nearest_and_of_two_the_even_one() {
        const INFINITY: u16 = 31 << 10;
        for bits in 0..INFINITY - 1 {
            for sign in [0, 1 << 15] {
                let (this, next) = (half(bits | sign), half((bits + 1) | sign));
                let middle = (this + next) / 2.0;
                let even = if bits % 2 == 0 { this } else { next };
                assert_eq!(nearest_half(this).to_bits(), this.to_bits());
                assert_eq!(nearest_half(middle), even, "{middle:e}");
                let towards = |to: f32| {
                    f32::from_bits(match to.abs() > middle.abs() {
                        true => middle.to_bits() + 1,
                        false => middle.to_bits() - 1,
                    })
                };
                assert_eq!(nearest_half(towards(this)), this, "{middle:e}");
                assert_eq!(nearest_half(towards(next)), next, "{middle:e}");
            }
        }
    }

    #[test]
    fn values_near_the_limit_of_f32_do_not_overflow() {
        let mut vectors = [vec![f32::MAX, f32::MAX]];
        believe(&mut vectors, 1, 2).unwrap();
        assert!((vectors[0][0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6);
    }
}
