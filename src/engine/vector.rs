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

    #[test]
    fn values_near_the_limit_of_f32_do_not_overflow() {
        let mut vectors = [vec![f32::MAX, f32::MAX]];
        believe(&mut vectors, 1, 2).unwrap();
        assert!((vectors[0][0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6);
    }
}
