//! How many tokens a text has when no real tokenizer is loaded. An estimate that meets the recorded counts of short
//! English texts ("Ruby is a programmer's best friend" is 8) and, like Google's tokenizer, counts digits one by one.

/// Letters of one word that count as one token.
const LETTERS_PER_TOKEN: usize = 10;

/// How many tokens the text has.
pub fn count(text: &str) -> usize {
    scan(text, usize::MAX).1
}

/// The text up to its `limit`th token.
pub fn cut(text: &str, limit: usize) -> &str {
    // No token is shorter than a byte, so most texts need no look.
    if text.len() <= limit {
        return text;
    }
    scan(text, limit).0
}

/// The text up to its `limit`th token, and how many tokens that part has.
fn scan(text: &str, limit: usize) -> (&str, usize) {
    let mut tokens = 0;
    let mut letters = 0;
    for (at, character) in text.char_indices() {
        let begins_token = if character.is_alphabetic() && character < CJK {
            letters += 1;
            letters % LETTERS_PER_TOKEN == 1
        } else {
            letters = 0;
            character == '\n' || !character.is_whitespace()
        };
        if begins_token && tokens == limit {
            return (&text[..at], tokens);
        }
        tokens += usize::from(begins_token);
    }
    (text, tokens)
}

/// From here on scripts are written without spaces, so each character counts.
const CJK: char = '\u{2e80}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_near_to_the_recorded_ones() {
        assert_eq!(count("Ruby is a programmer's best friend"), 8);
        assert_eq!(count("hello"), 1);
        assert_eq!(count("Hello, world!"), 4);
        assert_eq!(count("in 2026"), 5);
        assert_eq!(count("埋め込み"), 4);
        assert_eq!(count(" "), 0);
    }

    #[test]
    fn a_text_is_cut_behind_the_last_token_that_fits() {
        assert_eq!(cut("one two three", 2), "one two ");
        assert_eq!(cut("one two three", 3), "one two three");
        assert_eq!(cut("one\u{e9}!\u{1f600}", 2), "one\u{e9}!");
        assert_eq!(cut(&"a".repeat(25), 2), "a".repeat(20));
    }
}
