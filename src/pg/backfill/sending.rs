//! What goes out: the sample that proves the column's model, then rows of the pass.

use std::time::Duration;

use super::Backfill;
use crate::engine::batch::{self, Job};
use crate::pg::contents;
use crate::pg::error::Error;
use crate::pg::feed::Fed;
use crate::pg::freight::Freight;
use crate::pg::limits::Reached;
use crate::pg::mirror::beside::Beside;
use crate::pg::pass::Wanted;
use crate::pg::price;
use crate::pg::stop::Stop;

impl Backfill {
    pub(super) fn send(&mut self) -> Result<(), Error> {
        if self.mirror.as_ref().is_some_and(Beside::is_opening) {
            if self.feed.limits.out_of_time(Duration::ZERO) {
                self.stop(Stop::Limit(Reached::Duration));
            }
            return Ok(());
        }
        let versions = std::mem::take(&mut self.versions);
        if let Some(error) = contents::unstable(&self.target, &versions)? {
            self.stop(Stop::Failed(error));
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
            let in_flight = self.rows_in_flight();
            // For those that fly, and one more request for each worker, so that none has to wait for us. Vectors that
            // wait for their row fly on, or a table that somebody has locked would be paid for as a whole for nothing.
            let requests = 2 * self.concurrency;
            let (held, given_up) = (self.locked.held(), self.locked.given_up());
            let used = in_flight + held;
            let room = Wanted {
                rows: (requests * self.texts_per_request()).saturating_sub(used),
                bytes: (requests * batch::MAX_BYTES).saturating_sub(self.bytes_in_flight),
                unlocked: held > 0 || given_up.len() >= self.texts_per_request,
                may_look: !self.wrote,
                hopeless: given_up,
            };
            match self
                .feed
                .next(&self.target, &self.purpose, room, in_flight)?
            {
                Fed::Rows(rows) => {
                    for job in batch::requests(rows, &self.purpose, self.texts_per_request()) {
                        self.submit(job)?;
                    }
                    return Ok(());
                }
                Fed::Later => {
                    self.looks_next = true;
                    return Ok(());
                }
                Fed::Reached(reached) => {
                    self.stop(Stop::Limit(reached));
                    return Ok(());
                }
                Fed::Over if !self.idle() => return Ok(()),
                Fed::Over => (),
            }
            let told = self.feed.pass.end();
            self.left = Some(told.left);
            self.left_locked = told.locked;
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
        self.bytes_in_flight += Freight::bytes(&job.rows);
        self.audit.sent(job.texts.len());
        self.pipeline.submit(job).map_err(Error::Pipe)
    }

    fn texts_per_request(&self) -> usize {
        let texts_per_minute = self.pipeline.service().texts_per_minute();
        price::texts_per_request(self.texts_per_request, texts_per_minute)
    }
}
