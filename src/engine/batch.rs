//! Texts are cut into requests that the API takes: at most 100 texts, and a body below its limit.

use crate::gemini::model::{MAX_REQUEST_BYTES, MAX_TEXTS_PER_REQUEST};

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
const MAX_BYTES: usize = MAX_REQUEST_BYTES / 7;

/// Cuts rows and their texts into jobs of at most `texts` texts.
pub fn requests<T>(rows: impl IntoIterator<Item = (T, String)>, texts: usize) -> Vec<Job<T>> {
    let texts = texts.clamp(1, MAX_TEXTS_PER_REQUEST);
    let mut jobs: Vec<Job<T>> = Vec::new();
    let mut bytes = 0;
    for (row, text) in rows {
        let full = jobs
            .last()
            .is_none_or(|job| job.texts.len() == texts || bytes + text.len() > MAX_BYTES);
        if full {
            bytes = 0;
            jobs.push(Job {
                texts: Vec::new(),
                rows: Vec::new(),
            });
        }
        if let Some(job) = jobs.last_mut() {
            bytes += text.len();
            job.texts.push(text);
            job.rows.push(row);
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(count: usize, length: usize, texts: usize) -> Vec<usize> {
        let rows = (0..count).map(|row| (row, "x".repeat(length)));
        requests(rows, texts)
            .iter()
            .map(|job| job.rows.len())
            .collect()
    }

    #[test]
    fn a_request_takes_a_hundred_texts_at_most() {
        assert_eq!(sizes(250, 10, 1000), [100, 100, 50]);
        assert_eq!(sizes(487, 10, 50).len(), 10);
        assert_eq!(sizes(0, 10, 50), [0; 0]);
    }

    #[test]
    fn a_request_stays_below_the_size_limit() {
        assert_eq!(sizes(3, MAX_BYTES / 2, 100), [2, 1]);
        assert_eq!(sizes(2, MAX_BYTES * 2, 100), [1, 1]);
    }
}
