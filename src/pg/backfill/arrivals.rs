//! What comes back from the workers: vectors to write, texts that were refused, reasons to end.

use super::Backfill;
use crate::engine::outcome::{NotEmbedded, Outcome};
use crate::engine::tokens::Amount;
use crate::gemini::response::Answer;
use crate::pg::error::Error;
use crate::pg::freight::Freight;
use crate::pg::rejects;
use crate::pg::report;
use crate::pg::space;
use crate::pg::stop::Stop;
use crate::pg::store::{Place, Written};

impl Backfill {
    pub(super) fn take(&mut self, outcome: Outcome<Freight>) -> Result<(), Error> {
        self.bytes_in_flight -= Freight::bytes(&outcome.rows);
        let reserved = Freight::amount(&outcome.rows);
        let (places, sample) = Freight::sorted(outcome.rows);
        let result = outcome.result;
        self.settle(places.len(), reserved, result.as_ref().ok());
        if !sample.is_empty() {
            let made = result.as_ref().ok().map(|answer| &answer.vectors[..]);
            self.proof.take(&sample, made);
            if let Some(sample) = self.proof.refuted() {
                self.stop(Stop::Failed(space::other(
                    &self.target,
                    &self.purpose,
                    sample,
                )));
            }
        }
        match result {
            Ok(answer) => {
                self.lost = 0;
                let rows = places.into_iter().zip(answer.vectors).collect();
                self.mirror_or_write(rows)
            }
            Err(NotEmbedded::Unsent) => Ok(()),
            // The next pass finds its rows, and the limits say whether they may be paid for once more.
            Err(NotEmbedded::Lost(failure)) => {
                self.feed.pass.lost += 1;
                self.lost += 1;
                // Nothing is written to a column that is not proven.
                if self.lost >= self.max_attempts || !sample.is_empty() {
                    self.pipeline.stop();
                    self.stop(Stop::of(failure, self.tally.counts.embedded));
                }
                Ok(())
            }
            Err(NotEmbedded::Rejected(failure)) => {
                let reason = failure.to_string();
                places
                    .iter()
                    .try_for_each(|place| self.reject(place, &reason))
            }
            Err(NotEmbedded::Stopped(failure)) => {
                self.stop(Stop::of(failure, self.tally.counts.embedded));
                Ok(())
            }
        }
    }

    /// Gives back what the limits had set aside, and counts what the answer cost: all of it where the
    /// model doesn't say.
    fn settle(&mut self, rows: usize, reserved: Amount, answer: Option<&Answer>) {
        let rows = rows as u64;
        let Some(answer) = answer else {
            let nothing = Amount::default();
            return self.feed.limits.settle(rows, 0, reserved, nothing);
        };
        let billed = self.tally.bill(&self.purpose, answer, reserved);
        self.feed.limits.settle(rows, rows, reserved, billed);
    }

    /// `is_mirrored` is whether the collection, if there is one, has these rows.
    pub(super) fn count(&mut self, written: Written, is_mirrored: bool) -> Result<(), Error> {
        if let Some(mirror) = self.mirror.as_mut().filter(|_| !is_mirrored) {
            mirror.leaves(written.rows);
        }
        self.tally.counts.embedded += written.rows as u64;
        self.feed.pass.embedded += written.rows as u64;
        self.wrote |= written.rows > 0;
        if let Some(error) = self.refusals.count(&self.target, &written) {
            self.pipeline.stop();
            self.stop(Stop::Failed(error));
        }
        self.locked.hold(written.locked, is_mirrored);
        report::vetoed(&self.target, written.vetoed.len() + written.changed.len());
        self.refusals.remember(
            &mut self.target,
            &self.purpose,
            written.vetoed,
            written.changed,
        )?;
        for (place, reason) in written.refused {
            self.reject(&place, &reason)?;
        }
        Ok(())
    }

    fn reject(&mut self, place: &Place, reason: &str) -> Result<(), Error> {
        report::rejected(self.tally.counts.rejected, reason);
        rejects::remember(&mut self.target, &self.purpose, place, reason)?;
        self.tally.counts.rejected += 1;
        Ok(())
    }
}
