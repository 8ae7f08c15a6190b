//! JSON numbers straight into f32. Nearly all of an answer is numbers, and a number of a vector needs
//! no detour through a value of any kind: most are few digits, which one division by a power of ten
//! rounds correctly. What is longer goes to the standard library.

/// The number that `bytes` begin with, and how many bytes it takes; `None` where none begins there
/// by JSON's grammar, or where it does not fit into an f32.
#[inline]
pub fn number(bytes: &[u8]) -> Option<(f32, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let whole = &bytes[usize::from(negative)..];
    let (mut value, mut rest) = digits(whole, 0);
    let mut count = whole.len() - rest.len();
    if count == 0 || count > 1 && whole[0] == b'0' {
        return None;
    }
    let mut exponent = 0;
    if let [b'.', fraction @ ..] = rest {
        (value, rest) = many_digits(fraction, value);
        let length = fraction.len() - rest.len();
        if length == 0 {
            return None;
        }
        count += length;
        exponent = -(length as i64);
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let power;
        (power, rest) = signed_digits(after)?;
        exponent += power;
    }
    let length = bytes.len() - rest.len();
    let number = match quick(value, exponent) {
        // A sign is as good as random; a branch would be guessed wrong half of the time.
        Some(number) if count <= MAX_DIGITS => {
            f32::from_bits(number.to_bits() | u32::from(negative) << 31)
        }
        _ => std::str::from_utf8(&bytes[..length]).ok()?.parse().ok()?,
    };
    number.is_finite().then_some((number, length))
}

/// So many digits fit into a u64, whatever they are.
const MAX_DIGITS: usize = 19;

/// `value` with the digits that `bytes` begin with behind its own, wrapped around where they are too many; and
/// what follows them.
#[inline]
fn digits(mut bytes: &[u8], mut value: u64) -> (u64, &[u8]) {
    while let [digit @ b'0'..=b'9', rest @ ..] = bytes {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        bytes = rest;
    }
    (value, bytes)
}

/// As `digits`, the first eight at once.
#[inline]
fn many_digits(bytes: &[u8], value: u64) -> (u64, &[u8]) {
    match bytes.first_chunk().and_then(eight_digits) {
        Some(eight) => digits(
            &bytes[8..],
            value.wrapping_mul(100_000_000).wrapping_add(eight),
        ),
        None => digits(bytes, value),
    }
}

/// Neighbours are added up in pairs, then the pairs, then the fours.
#[inline]
fn eight_digits(bytes: &[u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(*bytes);
    // A digit is 0x30 to 0x39: its high half is 3, and still is when 6 is added.
    let ones = word ^ 0x3030_3030_3030_3030;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) ^ 0x3030_3030_3030_3030;
    if (ones | carried) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let twos = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// What follows an `e`; `None` where that are no digits.
fn signed_digits(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let (mut value, rest) = digits(bytes, 0);
    let count = bytes.len() - rest.len();
    // Far from any quick number, but it may be one all the same: 0e99999999999999999999.
    if count > MAX_DIGITS || value > u64::from(u32::MAX) {
        value = u64::from(u32::MAX);
    }
    let value = value as i64;
    (count > 0).then_some((if negative { -value } else { value }, rest))
}

/// `value` × 10^`exponent`, where one operation on f64 gives it and rounding that to f32 is the same as
/// rounding once.
#[inline]
fn quick(value: u64, exponent: i64) -> Option<f32> {
    // The powers of ten that an f64 holds exactly.
    const TENS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    if value >> f64::MANTISSA_DIGITS != 0 {
        return None;
    }
    let ten = *TENS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let number = match exponent < 0 {
        true => value as i64 as f64 / ten,
        false => value as i64 as f64 * ten,
    };
    // Just in the middle of two f32 it may have been rounded to there. None is so small that f32 has fewer
    // digits for it: 10^-22 is the least.
    let halfway = number.to_bits() & 0x1fff_ffff == 0x1000_0000;
    (!halfway).then_some(number as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_standard_library_reads() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1",
            "-1",
            "10",
            "12345678",
            "123456789012345678901234567890",
            "0.5",
            "-0.012345678",
            "0.0123456789",
            "1e5",
            "1E+5",
            "1e-5",
            "-1.5e-3",
            "0e999",
            "0e-99999999999999999999",
            "0.1234567890123456789012345678901234567890",
            "1e-45",
            "1e-46",
            "1.17549435e-38",
            "1.1754942e-38",
            "3.4028235e38",
            "16777217",
            "16777219",
            "0.50000002980232238769531250",
            "0.50000002980232238769531251",
            "9007199254740993",
            "1.00000017881393432617187499",
            "1.00000017881393432617187500",
            "8388608.5",
            "8388609.5",
        ] {
            let expected: f32 = text.parse().unwrap();
            for after in ["", ",", "]", "\n  ", "x", " 12345678"] {
                let (number, length) = number(format!("{text}{after}").as_bytes()).expect(text);
                assert_eq!(number.to_bits(), expected.to_bits(), "{text}");
                assert_eq!(length, text.len(), "{text}");
            }
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_none() {
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "1.",
            "-.5",
            "1.e5",
            "01",
            "-00",
            "00.5",
            "1e",
            "1e+",
            "1e-x",
            "NaN",
            "nan",
            "Infinity",
            "-Infinity",
            "inf",
            "null",
            "\"1\"",
            "[1]",
            "0123456789",
            "1e999",
            "-1e39",
            "3.4028236e38",
            "1e99999999999999999999",
        ] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    /// Where f64 lies just between two f32 rounding twice would show, and where it is next to that.
    #[test]
    fn numbers_between_two_floats_are_rounded_once() {
        let mut bits = 0x3f00_0001u32;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let float = f32::from_bits(bits & 0x7f7f_ffff);
            let next = f32::from_bits(float.to_bits() + 1);
            if !next.is_finite() {
                continue;
            }
            let middle = (f64::from(float) + f64::from(next)) / 2.0;
            for text in [
                format!("{middle}"),
                format!("{middle:e}"),
                format!("{middle:.17e}"),
                format!("{float:e}"),
                format!("{:.8e}", float),
                format!("{:.9}", float % 1.0),
            ] {
                let (number, _) = number(text.as_bytes()).expect(&text);
                assert_eq!(
                    number.to_bits(),
                    text.parse::<f32>().unwrap().to_bits(),
                    "{text}"
                );
            }
        }
    }
}
