//! What a run has done and what it cost, kept in its entry of the journal.

use std::time::{Duration, Instant};

use super::error::Error;
use super::journal::{self, Counts, Entry};
use super::stop::Stop;
use super::target::Target;
use crate::engine::effort::Effort;
use crate::engine::pace::Wait;
use crate::engine::tokens::Amount;
use crate::gemini::request::Purpose;
use crate::gemini::response::Answer;

/// Between two updates of the entry while nothing is written, and two looks for embed_stop.
pub const JOURNAL_EVERY: Duration = Duration::from_secs(1);

pub struct Tally {
    pub counts: Counts,
    /// The model tells what it bills.
    pub exact: bool,
    pub entry: Entry,
    journaled: Instant,
}

impl Tally {
    pub fn new(entry: Entry) -> Tally {
        Tally {
            counts: Counts::default(),
            exact: true,
            entry,
            journaled: Instant::now(),
        }
    }

    /// Counts what an answer cost: `bound`, the most it can be, where the model doesn't tell.
    pub fn bill(&mut self, purpose: &Purpose, answer: &Answer, bound: Amount) -> Amount {
        self.exact &= answer.tokens.is_some();
        self.counts.bill(purpose, answer, bound)
    }

    /// Takes in what the threads have done; returns the text that may have been billed for nothing
    /// since the last time.
    pub fn effort(&mut self, effort: Effort) -> Amount {
        let lost = effort.maybe_billed - self.counts.effort.maybe_billed;
        self.counts.effort = effort;
        lost
    }

    pub fn waits(&mut self, wait: Option<&Wait>) {
        self.counts.waiting_for = wait.map(|wait| {
            let left = wait.until.saturating_duration_since(Instant::now());
            journal::waiting(&wait.reason, left)
        });
    }

    /// Updates the entry with each commit that `wrote` rows, so that they agree even after a kill, and
    /// now and then besides; true where somebody called embed_stop.
    pub fn keep(&mut self, wrote: bool) -> Result<bool, Error> {
        let due = self.journaled.elapsed() >= JOURNAL_EVERY;
        if wrote || due {
            self.entry.update(&self.counts)?;
        }
        if !due {
            return Ok(false);
        }
        self.journaled = Instant::now();
        self.entry.is_to_stop()
    }

    pub fn notify(&self, target: &Target, rows: u64) -> Result<(), Error> {
        journal::notify(target, self.entry, rows)
    }

    pub fn close(&mut self, stop: &Stop) -> Result<(), Error> {
        self.counts.waiting_for = None;
        let (state, reason) = match stop {
            Stop::Failed(error) => ("failed", error.message()),
            stop => ("done", stop.name().to_owned()),
        };
        self.entry.close(&self.counts, state, &reason)
    }
}
