//! What goes out: the sample that proves the column's model, then rows of the pass.

use std::time::Duration;

use super::Backfill;
use crate::engine::batch::{self, Job};
use crate::pg::error::Error;
use crate::pg::freight::Freight;
use crate::pg::limits::Reached;
use crate::pg::mirror::beside::Beside;
use crate::pg::stop::Stop;

impl Backfill {
    pub(super) fn send(&mut self) -> Result<(), Error> {
        if self.mirror.as_ref().is_some_and(Beside::is_opening) {
            if self.feed.limits.out_of_time(Duration::ZERO) {
                self.stop(Stop::Limit(Reached::Duration));
            }
            return Ok(());
        }
        if let Some(sample) = self.sample.take() {
            let amount = Freight::amount(&sample.rows);
            return match self.feed.limits.reserve(0, amount) {
                Ok(()) => self.submit(sample),
                Err(reached) => {
                    self.stop(Stop::Limit(reached));
                    Ok(())
                }
            };
        }
        if self.proof.in_flight() {
            return Ok(());
        }
        loop {
            if self
                .feed
                .limits
                .out_of_time(self.pipeline.service().slowest_answer())
            {
                self.pipeline.stop();
                self.stop(Stop::Limit(Reached::Duration));
                return Ok(());
            }
            // Those that fly, and one more request for each worker, so that none has to wait for us.
            let wanted = 2 * self.concurrency * self.texts_per_request();
            let in_flight = self.rows_in_flight();
            let given_up = self.locked.given_up();
            let rows = self.feed.next(
                &self.target,
                &self.purpose,
                wanted.saturating_sub(in_flight),
                in_flight,
                |place| given_up.contains(&place),
            )?;
            let rows = match rows {
                Ok(rows) => rows,
                Err(reached) => {
                    self.stop(Stop::Limit(reached));
                    return Ok(());
                }
            };
            for job in batch::requests(rows, &self.purpose, self.texts_per_request()) {
                self.submit(job)?;
            }
            if !self.idle() {
                return Ok(());
            }
            let told = self.feed.pass.end();
            self.left = Some(told.left);
            let new_leaves = self.target.find_leaves()?;
            if new_leaves {
                self.locked.forget_given_up();
            }
            if !told.again && !new_leaves {
                self.stop(Stop::Done);
                return Ok(());
            }
        }
    }

    fn submit(&mut self, job: Job<Freight>) -> Result<(), Error> {
        self.audit.sent(job.texts.len());
        self.pipeline.submit(job).map_err(Error::Pipe)
    }

    /// Fewer where the quota is small, so that it is used evenly and to its end.
    fn texts_per_request(&self) -> usize {
        let share = self
            .pipeline
            .service()
            .texts_per_minute()
            .map_or(usize::MAX, |texts| (texts / 20.0) as usize);
        self.texts_per_request.min(share.max(1))
    }
}
