//! Texts are cut into requests that the API takes: so many texts, so many tokens, and a body below its limit.

use super::tokens;
use crate::gemini::model::MAX_REQUEST_BYTES;
use crate::gemini::request::Purpose;

/// Texts to embed in one request, and what their vectors are for: one each.
pub struct Job<T> {
    pub texts: Vec<String>,
    pub rows: Vec<T>,
}

impl<T> Job<T> {
    pub fn halves(mut self) -> (Job<T>, Job<T>) {
        let middle = self.texts.len() / 2;
        let second = Job {
            texts: self.texts.split_off(middle),
            rows: self.rows.split_off(middle),
        };
        (self, second)
    }
}

/// A byte of text takes at most six in JSON (`\u0001`); the prompt and the names around it are small.
pub const MAX_BYTES: usize = MAX_REQUEST_BYTES / 7;

/// Of the tokens that a request may have, since they are counted by eye, up to a tenth too low.
pub fn usable(tokens: u64) -> u64 {
    tokens / 10 * 9
}

/// Cuts rows and their texts into jobs of at most `texts` texts.
pub fn requests<T>(
    rows: impl IntoIterator<Item = (T, String)>,
    purpose: &Purpose,
    texts: usize,
) -> Vec<Job<T>> {
    let texts = texts.clamp(1, purpose.model.max_texts);
    let max_tokens = purpose.model.max_request_tokens.map(usable);
    let mut jobs: Vec<Job<T>> = Vec::new();
    let (mut bytes, mut tokens) = (0, 0);
    for (row, mut text) in rows {
        let mut counted = max_tokens.map_or(0, |_| tokens::sent(purpose, &text));
        if let Some(most) = max_tokens.filter(|most| counted > *most) {
            // The request would be refused, though the model reads no more than the begin of it.
            text.truncate(tokens::begin(purpose, &text, most).len());
            counted = tokens::sent(purpose, &text);
        }
        let full = jobs.last().is_none_or(|job| {
            job.texts.len() == texts
                || bytes + text.len() > MAX_BYTES
                || max_tokens.is_some_and(|most| tokens + counted > most)
        });
        if full {
            (bytes, tokens) = (0, 0);
            jobs.push(Job {
                texts: Vec::new(),
                rows: Vec::new(),
            });
        }
        if let Some(job) = jobs.last_mut() {
            bytes += text.len();
            tokens += counted;
            job.texts.push(text);
            job.rows.push(row);
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::model::{self, DEFAULT};
    use crate::gemini::provider::Provider;
    use crate::gemini::task::TaskType;

    fn sizes(
        provider: Provider,
        model: &str,
        text: &str,
        count: usize,
        texts: usize,
    ) -> Vec<usize> {
        let purpose = Purpose {
            model: model::find(provider, model).unwrap(),
            dimensions: 768,
            task: TaskType::RetrievalDocument,
        };
        let rows = (0..count).map(|row| (row, text.to_owned()));
        requests(rows, &purpose, texts)
            .iter()
            .map(|job| job.rows.len())
            .collect()
    }

    fn on_gemini(count: usize, length: usize, texts: usize) -> Vec<usize> {
        sizes(Provider::Gemini, DEFAULT, &"x".repeat(length), count, texts)
    }

    #[test]
    fn a_request_takes_a_hundred_texts_at_most() {
        assert_eq!(on_gemini(250, 10, 1000), [100, 100, 50]);
        assert_eq!(on_gemini(487, 10, 50).len(), 10);
        assert_eq!(on_gemini(0, 10, 50), [0; 0]);
    }

    #[test]
    fn a_request_stays_below_the_size_limit() {
        assert_eq!(on_gemini(3, MAX_BYTES / 2, 100), [2, 1]);
        assert_eq!(on_gemini(2, MAX_BYTES * 2, 100), [1, 1]);
    }

    #[test]
    fn a_prediction_takes_more_texts_and_so_many_tokens() {
        let on_vertex = |text: &str| sizes(Provider::Vertex, "text-embedding-004", text, 260, 1000);
        assert_eq!(on_vertex("word"), [250, 10]);
        // 100 tokens each.
        assert_eq!(on_vertex(&"word ".repeat(100)), [180, 80]);
        // A text that the model does not read to its end may count as a whole; the longest goes as far as it fits.
        assert_eq!(on_vertex(&"word ".repeat(8_000))[..3], [2, 2, 2]);
        assert_eq!(on_vertex(&"word ".repeat(30_000))[..3], [1, 1, 1]);
    }

    #[test]
    fn what_alone_is_too_much_goes_as_far_as_it_fits() {
        let sent = |provider, model, text: &str| {
            let purpose = Purpose {
                model: model::find(provider, model).unwrap(),
                dimensions: 768,
                task: TaskType::RetrievalDocument,
            };
            let mut jobs = requests([((), text.to_owned())], &purpose, 1);
            jobs.remove(0).texts.remove(0)
        };
        let long = "wörd ".repeat(30_000);
        let cut = sent(Provider::Vertex, "text-embedding-004", &long);
        assert!(long.starts_with(&cut) && (8192..=18_000).contains(&tokens::count(&cut)));
        assert_eq!(sent(Provider::Gemini, DEFAULT, &long), long);
    }
}
