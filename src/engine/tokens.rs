//! How many tokens texts have: a count by eye, corrected by the usage that answers carry, and a bound
//! that no tokenizer passes.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::gemini::model::Price;
use crate::gemini::request::Purpose;

/// How much text there is, in all that it is billed by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub tokens: u64,
    /// But for white space; only counted where they have a price.
    pub characters: u64,
}

impl Add for Amount {
    type Output = Amount;

    fn add(self, other: Amount) -> Amount {
        Amount {
            tokens: self.tokens + other.tokens,
            characters: self.characters + other.characters,
        }
    }
}

impl Sub for Amount {
    type Output = Amount;

    fn sub(self, other: Amount) -> Amount {
        Amount {
            tokens: self.tokens - other.tokens,
            characters: self.characters - other.characters,
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        *self = *self + other;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Amount) {
        *self = *self - other;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::default(), Add::add)
    }
}

/// Tokens that a model may add to a text, such as its begin and its end.
const ADDED_TOKENS: u64 = 4;

/// Scripts without spaces between words, where about each letter is a token: Thai and Lao, Khmer, and
/// from the CJK radicals on.
const WITHOUT_SPACES: [std::ops::RangeInclusive<char>; 3] = [
    '\u{e00}'..='\u{eff}',
    '\u{1780}'..='\u{17ff}',
    '\u{2e80}'..='\u{3fffd}',
];

/// Tokens of a text, counted as tokenizers of this kind cut it: a word is a token and a part of one for
/// each six letters more, a digit is one, most marks are. On prose, code and JSON it comes within a
/// tenth of a tokenizer with 32,000 pieces.
pub fn count(text: &str) -> u64 {
    let mut tokens = 0.0;
    let mut letters = 0;
    for character in text.chars() {
        let without_spaces = is_without_spaces(character);
        if character.is_alphabetic() && !without_spaces {
            letters += 1;
            continue;
        }
        tokens += word(letters);
        letters = 0;
        tokens += match character {
            '\n' => 0.5,
            c if without_spaces || !c.is_whitespace() && !c.is_numeric() => 0.9,
            c if c.is_whitespace() => 0.0,
            _ => 1.0,
        };
    }
    (tokens + word(letters)) as u64
}

fn word(letters: u32) -> f64 {
    match letters {
        0 => 0.0,
        letters => 1.0 + 0.65 * f64::from((letters - 1) / 6),
    }
}

fn is_without_spaces(character: char) -> bool {
    // Most texts have none of them.
    character >= *WITHOUT_SPACES[0].start()
        && WITHOUT_SPACES
            .iter()
            .any(|script| script.contains(&character))
}

/// The count of a run's texts, corrected by what its answers said they billed.
pub struct Estimate {
    purpose: Purpose,
    /// Billed tokens for a counted one, in millionths.
    ratio: AtomicU64,
}

impl Estimate {
    pub fn new(purpose: Purpose) -> Estimate {
        Estimate {
            purpose,
            ratio: AtomicU64::new(1_000_000),
        }
    }

    /// Tokens of texts before any correction.
    pub fn count(&self, texts: &[String]) -> u64 {
        texts.iter().map(|text| expected(&self.purpose, text)).sum()
    }

    /// Tokens of texts that count so many.
    pub fn tokens(&self, counted: u64) -> u64 {
        counted * self.ratio.load(Relaxed) / 1_000_000
    }

    /// Whether texts that count so many are more than one request may have, by what answers have said.
    pub fn is_too_much(&self, counted: u64) -> bool {
        let most = self.purpose.model.max_request_tokens;
        most.is_some_and(|most| self.tokens(counted) > most)
    }

    /// Takes in what one answer to such texts says it billed.
    pub fn correct(&self, counted: u64, tokens: u64) {
        let now = tokens as f64 * 1e6 / counted.max(1) as f64;
        let before = self.ratio.load(Relaxed) as f64;
        // The last few dozen answers count; a race between two of them costs one of them its say.
        self.ratio
            .store((before * 0.9 + now * 0.1).max(1.0) as u64, Relaxed);
    }
}

/// Tokens of a text as it is sent.
pub fn sent(purpose: &Purpose, text: &str) -> u64 {
    (count(text) + count(&purpose.as_sent(""))).max(1)
}

/// As much of a text as has at most `most` tokens when it is sent, or up to a quarter less; of what a request may
/// have, more than a model reads.
pub fn begin<'t>(purpose: &Purpose, text: &'t str, most: u64) -> &'t str {
    let mut begin = text;
    while !begin.is_empty() && sent(purpose, begin) > most {
        let end = begin.len() / 4 * 3;
        let end = (0..=end).rev().find(|end| begin.is_char_boundary(*end));
        begin = &begin[..end.unwrap_or(0)];
    }
    begin
}

/// Tokens that the model reads of a text.
pub fn expected(purpose: &Purpose, text: &str) -> u64 {
    sent(purpose, text).min(purpose.model.max_tokens.into())
}

/// No text has more than this: a token is a byte at least, and a model reads only so many.
pub fn at_most(purpose: &Purpose, text: &str) -> Amount {
    let bytes = (text.len() + purpose.as_sent("").len()) as u64;
    Amount {
        tokens: (bytes + ADDED_TOKENS).min(purpose.model.max_tokens.into()),
        characters: billable(purpose, text),
    }
}

/// Characters of a text, where they have a price.
pub fn billable(purpose: &Purpose, text: &str) -> u64 {
    match purpose.model.price {
        Price::PerMillionTokens(_) => 0,
        Price::PerMillionCharacters(_) => {
            let characters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            (characters(text) + characters(&purpose.as_sent(""))) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::provider::Provider;
    use crate::gemini::{model, task::TaskType};

    fn purpose() -> Purpose {
        at(Provider::Gemini, "gemini-embedding-001")
    }

    fn at(provider: Provider, name: &str) -> Purpose {
        Purpose {
            model: model::find(provider, name).unwrap(),
            dimensions: 768,
            task: TaskType::RetrievalDocument,
        }
    }

    #[test]
    fn words_digits_and_marks_are_counted() {
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("in 2026"), 5);
        assert_eq!(count("internationalization"), 2);
        assert_eq!(count("埋め込みます。埋め込みます"), 11);
        assert_eq!(count(""), 0);
    }

    #[test]
    fn an_estimate_follows_what_is_billed() {
        let estimate = Estimate::new(purpose());
        let texts = ["one two three four five six seven eight nine ten".to_owned()];
        let counted = estimate.count(&texts);
        assert_eq!(estimate.tokens(counted), 10);
        for _ in 0..100 {
            estimate.correct(counted, 15);
        }
        assert!((14..=15).contains(&estimate.tokens(counted)));
    }

    #[test]
    fn a_model_reads_no_more_than_its_limit() {
        assert_eq!(at_most(&purpose(), "abc").tokens, 7);
        assert_eq!(at_most(&purpose(), &"x".repeat(1_000_000)).tokens, 2048);
    }

    #[test]
    fn characters_are_counted_where_they_have_a_price() {
        assert_eq!(at_most(&purpose(), "Hello, world!").characters, 0);
        let older = at(Provider::Vertex, "text-embedding-004");
        assert_eq!(at_most(&older, "Hello,\n\tworld!").characters, 12);
        assert_eq!(at_most(&older, "埋め込み ").characters, 4);
    }
}
