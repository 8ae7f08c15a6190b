//! What goes to the collection, and what comes back: first the collection itself, then rows, then what is to be
//! removed.

use std::time::Instant;

use super::{Mirroring, Phase};
use crate::chroma::record::Record;
use crate::engine::mirror::{Job, NotMirrored, NotOpened, Opened, Outcome};
use crate::pg::error::Error;
use crate::pg::error::MirrorError;
use crate::pg::limits::Reached;
use crate::pg::mirror::removal::Removal;
use crate::pg::mirror::report;
use crate::pg::mirror::rows::Looks;
use crate::pg::stop::Stop;

impl Mirroring {
    pub(super) fn take(&mut self, outcome: Outcome<String>) {
        if let Outcome::Upserted { rows, .. } = &outcome {
            self.queue.came_back(rows);
        }
        let failed = match outcome {
            Outcome::Opened(Ok(opened)) => return self.opened(opened),
            Outcome::Opened(Err(reason)) => return self.not_opened(reason),
            Outcome::Page(Ok(ids)) => match &mut self.phase {
                Phase::Removing(removal) => return removal.page(ids),
                _ => return,
            },
            Outcome::Upserted {
                rows,
                result: Ok(()),
            } => {
                self.tally.counts.mirrored += rows.len() as u64;
                return;
            }
            Outcome::Deleted(Ok(ids)) => {
                self.tally.counts.removed += ids;
                return;
            }
            Outcome::Page(Err(failed))
            | Outcome::Deleted(Err(failed))
            | Outcome::Upserted {
                result: Err(failed),
                ..
            } => failed,
        };
        match failed {
            NotMirrored::Unsent => (),
            NotMirrored::LeftOut { id, reason } => {
                report::left_out(self.left_out, &id, &reason);
                self.left_out += 1;
            }
            NotMirrored::Stopped(failure) => {
                let mirrored = self.tally.counts.mirrored;
                self.end_early(Stop::Failed(MirrorError::Run { failure, mirrored }.into()));
            }
        }
    }

    fn opened(&mut self, opened: Opened) {
        self.max_batch = opened.max_batch;
        if opened.max_batch < self.batch {
            self.batch = opened.max_batch;
            report::smaller_batch(self.batch);
        }
        if let Some(space) = opened.space.filter(|space| space != "cosine") {
            report::other_space(&self.collection, &space);
        }
        self.phase = Phase::Rows(Looks::default());
    }

    fn not_opened(&mut self, reason: NotOpened) {
        let target = &self.source.target;
        let column = format!("{}.{}", target.label, target.column.sql);
        let error = MirrorError::of(reason, &self.collection, column, target.dimensions);
        if let Some(error) = error {
            self.end_early(Stop::Failed(error.into()));
        }
    }

    pub(super) fn send(&mut self) -> Result<(), Error> {
        loop {
            let slowest = self.pipeline.service().slowest_answer();
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() + slowest >= deadline)
            {
                self.end_early(Stop::Limit(Reached::Duration));
                return Ok(());
            }
            match &mut self.phase {
                Phase::Opening(asked) => {
                    if !std::mem::replace(asked, true) {
                        self.pipeline.submit(Job::Open).map_err(Error::Pipe)?;
                    }
                    return Ok(());
                }
                Phase::Rows(_) => {
                    self.send_rows()?;
                    if self.pipeline.rows_in_flight() > 0 {
                        return Ok(());
                    }
                    let new_leaves = self.source.target.find_leaves()?;
                    if let Phase::Rows(looks) = &mut self.phase
                        && !looks.another(new_leaves)
                    {
                        if new_leaves {
                            report::never_still(&self.source.target.label);
                        }
                        self.phase = Phase::Removing(Removal::new(self.max_batch));
                    }
                }
                Phase::Removing(removal) => {
                    if self.pipeline.rows_in_flight() > 0 {
                        return Ok(());
                    }
                    let jobs = removal.next(&self.source)?;
                    if jobs.is_empty() {
                        self.stop.get_or_insert(Stop::Done);
                    }
                    for job in jobs {
                        self.pipeline.submit(job).map_err(Error::Pipe)?;
                    }
                    return Ok(());
                }
            }
        }
    }

    fn send_rows(&mut self) -> Result<(), Error> {
        while self.queue.has_room(self.concurrency, self.batch) {
            let records = self.next_batch()?;
            if records.is_empty() {
                return Ok(());
            }
            self.audit.sent(records.len());
            let rows = records.iter().map(|record| record.id.clone()).collect();
            let job = Job::Upsert { records, rows };
            self.pipeline.submit(job).map_err(Error::Pipe)?;
        }
        Ok(())
    }

    /// What fits into one request; nothing when the look at the rows is over, or has to wait for what is in flight.
    fn next_batch(&mut self) -> Result<Vec<Record>, Error> {
        let Phase::Rows(looks) = &mut self.phase else {
            return Ok(Vec::new());
        };
        while let wanted @ 1.. = self.queue.wanted(self.batch) {
            let records = looks.next_records(&self.source, wanted)?;
            if records.is_empty() {
                break;
            }
            let found = records.len();
            let with_key = records.into_iter().flatten().filter(|r| !r.id.is_empty());
            let with_key: Vec<Record> = with_key.collect();
            self.without_key += (found - with_key.len()) as u64;
            self.queue.read(with_key);
        }
        Ok(self.queue.next(self.batch))
    }
}
