//! What becomes of the texts of a request: each comes back once, with its vector or without.

use super::batch::Job;
use super::failure::Failure;
use super::pipeline::Rows;
use crate::gemini::response::Answer;

pub struct Outcome<T> {
    /// In the order of the vectors.
    pub rows: Vec<T>,
    pub result: Result<Answer, NotEmbedded>,
}

#[derive(Debug)]
pub enum NotEmbedded {
    /// The API refuses this one text.
    Rejected(Failure),
    /// The run can't go on.
    Stopped(Failure),
    /// Sent, and perhaps billed, but no answer came.
    Lost(Failure),
    /// Not sent, since the run has stopped.
    Unsent,
}

impl<T> Rows for Job<T> {
    fn rows(&self) -> usize {
        self.rows.len()
    }
}

impl<T> Rows for Outcome<T> {
    fn rows(&self) -> usize {
        self.rows.len()
    }
}
