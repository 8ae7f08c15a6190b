//! The fields of a form as a request's body has them.

use zeroize::Zeroizing;

/// `name=value&…`, in one place that is wiped.
pub fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let most = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut form = Zeroizing::new(String::with_capacity(most.sum()));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                    form.push(byte.into());
                }
                byte => {
                    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
                    let (high, low) = (byte >> 4, byte & 15);
                    form.push('%');
                    form.extend([high, low].map(|digit| char::from(DIGITS[usize::from(digit)])));
                }
            }
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(
            form(&[("a", "1//x y"), ("b", "\u{e9}~")])[..],
            *"a=1%2F%2Fx%20y&b=%C3%A9~"
        );
    }
}
