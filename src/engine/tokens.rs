//! How many tokens texts have: an estimate that corrects itself from the usage that answers carry,
//! and a bound that no tokenizer passes.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::gemini::request::Purpose;

/// Before any answer: English prose has about four bytes a token, code and JSON fewer.
const FIRST_BYTES_PER_TOKEN: f64 = 3.0;

/// Tokens that a model may add to a text, such as its begin and its end.
const ADDED_TOKENS: u64 = 4;

pub struct Estimate {
    purpose: Purpose,
    /// Tokens a byte as billed so far, in millionths; 0 before the first answer.
    billed: AtomicU64,
}

impl Estimate {
    pub fn new(purpose: Purpose) -> Estimate {
        Estimate {
            purpose,
            billed: AtomicU64::new(0),
        }
    }

    pub fn tokens(&self, texts: &[String]) -> u64 {
        let per_byte = match self.billed.load(Relaxed) {
            0 => 1.0 / FIRST_BYTES_PER_TOKEN,
            billed => billed as f64 / 1e6,
        };
        (self.bytes(texts) as f64 * per_byte).ceil() as u64
    }

    /// Takes in what one answer says it billed.
    pub fn correct(&self, texts: &[String], tokens: u64) {
        let bytes = self.bytes(texts);
        if bytes == 0 {
            return;
        }
        let now = tokens as f64 * 1e6 / bytes as f64;
        let before = self.billed.load(Relaxed);
        // The last few dozen answers count; a race between two of them costs one of them its say.
        let next = match before {
            0 => now,
            before => before as f64 * 0.9 + now * 0.1,
        };
        self.billed.store(next.max(1.0) as u64, Relaxed);
    }

    fn bytes(&self, texts: &[String]) -> usize {
        let prompt = self.purpose.prompt_bytes();
        texts.iter().map(|text| text.len() + prompt).sum()
    }
}

/// The estimate before a run, of rows and the bytes of their content.
pub fn expected(purpose: &Purpose, rows: u64, bytes: u64) -> u64 {
    let bytes = bytes + rows * purpose.prompt_bytes() as u64;
    (bytes as f64 / FIRST_BYTES_PER_TOKEN).ceil() as u64
}

/// No text has more tokens than this: a token is a byte at least, and a model reads only so many.
pub fn at_most(purpose: &Purpose, text: &str) -> u64 {
    let bytes = (text.len() + purpose.prompt_bytes()) as u64;
    (bytes + ADDED_TOKENS).min(purpose.model.max_tokens.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::{model, task::TaskType};

    fn purpose() -> Purpose {
        Purpose {
            model: model::find("gemini-embedding-001").unwrap(),
            dimensions: 768,
            task: TaskType::RetrievalDocument,
        }
    }

    #[test]
    fn an_estimate_follows_what_is_billed() {
        let estimate = Estimate::new(purpose());
        let texts = ["x".repeat(700)];
        assert_eq!(estimate.tokens(&texts), 234);
        for _ in 0..100 {
            estimate.correct(&texts, 350);
        }
        assert_eq!(estimate.tokens(&texts), 350);
    }

    #[test]
    fn a_model_reads_no_more_than_its_limit() {
        assert_eq!(at_most(&purpose(), "abc"), 7);
        assert_eq!(at_most(&purpose(), &"x".repeat(1_000_000)), 2048);
    }
}
