//! Rows that go to a collection of ChromaDB before their vectors are written.

use super::Backfill;
use crate::engine::pace::Wait;
use crate::pg::error::Error;
use crate::pg::mirror::beside::{Beside, News};
use crate::pg::stop::Stop;
use crate::pg::store::{self, Made};

impl Backfill {
    /// Called when the run has begun and nothing is sent yet.
    pub fn mirror(&mut self, collection: Option<String>) -> Result<(), Error> {
        let mirror = Beside::begin(&self.target, collection, &self.wake)?;
        self.tally.entry.mirrors(&mirror.collection)?;
        self.audit.mirrors(&mirror.collection, &mirror.host);
        self.mirror = Some(mirror);
        Ok(())
    }

    /// Vectors that have been made.
    pub(super) fn mirror_or_write(&mut self, rows: Vec<Made>) -> Result<(), Error> {
        match &mut self.mirror {
            Some(mirror) => {
                let without = mirror.hand_over(&self.target, rows)?;
                self.write(without, false)
            }
            None => self.write(rows, false),
        }
    }

    /// Writes some of what the collection has taken; returns how often.
    pub(super) fn take_mirrored(&mut self) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < self.concurrency
            && let Some(news) = self.mirror.as_mut().and_then(|m| m.next(&self.target))
        {
            taken += 1;
            match news {
                News::Write(rows, is_there) => self.write(rows, is_there)?,
                News::Refused(error) => self.stop(Stop::Failed(error)),
                News::Nothing => (),
            }
        }
        if let Some(mirror) = &mut self.mirror {
            self.tally.counts.mirrored = mirror.mirrored;
            if self.stop.is_some() {
                mirror.wait_no_more();
            }
        }
        Ok(taken)
    }

    fn write(&mut self, rows: Vec<Made>, is_mirrored: bool) -> Result<(), Error> {
        let written = store::write_unchanged(&self.target, rows)?;
        self.count(written, is_mirrored)
    }

    /// On their way to vectors, or with them to the collection.
    pub(super) fn rows_in_flight(&self) -> usize {
        let mirrored = self.mirror.as_ref().map_or(0, Beside::rows_in_flight);
        self.pipeline.rows_in_flight() + mirrored
    }

    pub(super) fn waits_for(&self) -> Option<Wait> {
        let mirror = || self.mirror.as_ref().and_then(Beside::wait);
        let locked = || self.locked.wait();
        self.pipeline
            .service()
            .wait()
            .or_else(mirror)
            .or_else(locked)
    }

    /// What the server's log tells besides the rows.
    pub(super) fn audited(&self) -> Vec<(&'static str, u64)> {
        let mut counts = vec![("tokens", self.tally.counts.tokens)];
        if let Some(mirror) = &self.mirror {
            counts.push(("mirrored", mirror.mirrored));
        }
        counts
    }
}
