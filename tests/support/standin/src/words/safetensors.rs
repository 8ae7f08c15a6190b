//! Reading one matrix of half floats out of a safetensors file: a length, a JSON header, then the bytes.

use std::io;

use serde_json::Value;

/// The values of the tensor `name`, row by row, each `width` long.
pub fn read_f16(file: &[u8], name: &str, width: usize) -> io::Result<Vec<f32>> {
    let invalid = |what: &str| io::Error::other(format!("safetensors: {what}"));
    let (length, rest) = file
        .split_first_chunk()
        .ok_or_else(|| invalid("no header length"))?;
    let length = u64::from_le_bytes(*length);
    let (header, data) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| invalid("a header longer than the file"))?;
    let header: Value = serde_json::from_slice(header)?;
    let tensor = &header[name];
    if tensor["dtype"] != "F16" || tensor["shape"][1] != width {
        return Err(invalid(&format!(
            "{name} is no matrix of F16 with {width} columns"
        )));
    }
    let offset = |at: usize| {
        tensor["data_offsets"][at]
            .as_u64()
            .map(|offset| offset as usize)
    };
    let bytes = offset(0)
        .zip(offset(1))
        .and_then(|(from, to)| data.get(from..to))
        .ok_or_else(|| invalid(&format!("{name} is not inside the file")))?;
    let (halves, _) = bytes.as_chunks::<2>();
    Ok(halves
        .iter()
        .map(|half| f32_of(u16::from_le_bytes(*half)))
        .collect())
}

/// Widens an IEEE 754 half float.
fn f32_of(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1f);
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        // Subnormal: the fraction counts units of 2^-24, which f32 has exactly.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_of_every_kind_are_widened() {
        for (half, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(f32_of(half).to_bits(), f32::to_bits(value), "{half:#06x}");
        }
        assert!(f32_of(0x7e00).is_nan());
    }

    #[test]
    fn a_matrix_is_read_and_a_wrong_one_refused() {
        let header = br#"{"m":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend([0x00, 0x3c, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x38]);
        assert_eq!(read_f16(&file, "m", 2).unwrap(), [1.0, -2.0, 0.0, 0.5]);
        assert!(read_f16(&file, "m", 3).is_err());
        assert!(read_f16(&file, "other", 2).is_err());
        assert!(read_f16(&file[..file.len() - 1], "m", 2).is_err());
        assert!(read_f16(&file[..20], "m", 2).is_err());
    }
}
