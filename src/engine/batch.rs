//! Texts are cut into requests that the API takes: at most 100 texts, and a body below its limit.

use super::pipeline::Job;
use crate::gemini::model::{MAX_REQUEST_BYTES, MAX_TEXTS_PER_REQUEST};

/// A byte of text takes at most six in JSON (`\u0001`); the prompt and the names around it are small.
const MAX_BYTES: usize = MAX_REQUEST_BYTES / 7;

/// Cuts rows and their texts into jobs of at most `texts` texts.
pub fn requests<T>(rows: impl IntoIterator<Item = (T, String)>, texts: usize) -> Vec<Job<Vec<T>>> {
    let texts = texts.clamp(1, MAX_TEXTS_PER_REQUEST);
    let mut jobs: Vec<Job<Vec<T>>> = Vec::new();
    let mut bytes = 0;
    for (row, text) in rows {
        let full = jobs
            .last()
            .is_none_or(|job| job.texts.len() == texts || bytes + text.len() > MAX_BYTES);
        if full {
            bytes = 0;
            jobs.push(Job {
                texts: Vec::new(),
                load: Vec::new(),
            });
        }
        if let Some(job) = jobs.last_mut() {
            bytes += text.len();
            job.texts.push(text);
            job.load.push(row);
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
            .map(|job| job.load.len())
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
