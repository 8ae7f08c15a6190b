//! The loop body of a run: write what has arrived, read what is next, send it, say how it goes. Each
//! step is one transaction.

mod arrivals;
mod mirrored;
mod sending;

use std::time::{Duration, Instant};

use super::audit::{self, Audit, Subject};
use super::contents::Version;
use super::error::Error;
use super::feed::Feed;
use super::freight::Freight;
use super::journal;
use super::limits::Limits;
use super::lock::Runner;
use super::locked::{self, Locked};
use super::mirror::beside::Beside;
use super::preflight::{self, Ready};
use super::price;
use super::progress::Progress;
use super::rejects::Refusals;
use super::report;
use super::settings;
use super::space::{self, Proof};
use super::stop::{End, Stop};
use super::survey::Survey;
use super::tally::{self, Tally};
use super::target::Target;
use super::wait;
use crate::engine::batch::Job;
use crate::engine::embedder::Embedder;
use crate::engine::pipeline::{Pipeline, Wake};
use crate::gemini::request::Purpose;

/// While answers keep coming: what a crash may cost, and for how long a row that has just been written is locked.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// While answers keep coming: for how long they are gathered before the next step, which costs as much for one as for
/// several.
const GATHER: Duration = Duration::from_millis(5);

const FUNCTION: &str = "embed_all_missing";

pub struct Backfill {
    target: Target,
    purpose: Purpose,
    pipeline: Pipeline<Embedder<Freight>>,
    wake: Wake,
    /// A collection that the rows go to before they are written.
    mirror: Option<Beside>,
    texts_per_request: usize,
    concurrency: usize,
    max_attempts: u32,
    feed: Feed,
    survey: Survey,
    /// Some pending rows, to be looked at again before anything is sent.
    versions: Vec<Version>,
    sample: Option<Job<Freight>>,
    proof: Proof,
    locked: Locked,
    /// Of the texts that are sent and not answered.
    bytes_in_flight: usize,
    /// Rows were written in this step, which its end commits.
    wrote: bool,
    /// The next step begins with a look for rows.
    looks_next: bool,
    refusals: Refusals,
    /// Answers in a row that never came, of those that may not be sent again without a look at the limits.
    lost: u32,
    /// Pending rows that the last whole pass found and did not embed.
    left: Option<u64>,
    /// Of those, rows that it left for later since others had them locked.
    left_locked: u64,
    tally: Tally,
    audit: Audit,
    stop: Option<Stop>,
    progress: Progress,
    /// Last: released when all else is dropped.
    _runner: Runner,
}

impl Backfill {
    pub fn begin(
        ready: Ready,
        runner: Runner,
        batch: usize,
        limits: Limits,
    ) -> Result<Backfill, Error> {
        let Ready {
            target,
            mut sending,
        } = ready;
        sending.deadline = limits.deadline;
        sending.pays_once = limits.on_tokens();
        let max_attempts = sending.max_attempts;
        let purpose = sending.purpose;
        report::content_columns(&target);
        let price = price::of(&target, &purpose, batch)?;
        if price.survey.pending > 0 {
            preflight::findings(&target)?
                .iter()
                .for_each(report::finding);
        }
        report::start(&target, &purpose, &price);
        let survey = price.survey;
        let sample = space::request(&purpose, price.sample);
        let entry = journal::open(
            FUNCTION,
            &target,
            Some(&purpose),
            survey.pending,
            survey.blank,
        )?;
        let concurrency = settings::concurrency();
        let subject = Subject::of(&target);
        let wake = Wake::new().map_err(Error::Pipe)?;
        Ok(Backfill {
            audit: audit::begin(FUNCTION, Some(&subject), &purpose, &sending.client),
            target,
            purpose,
            pipeline: Pipeline::new(Embedder::new(sending), concurrency, &wake)
                .map_err(Error::Pipe)?,
            wake,
            mirror: None,
            texts_per_request: batch.min(purpose.model.max_texts),
            concurrency,
            max_attempts,
            feed: Feed::new(limits),
            survey,
            versions: price.versions,
            proof: Proof::of(sample.as_ref().map_or(0, |job| job.rows.len())),
            sample,
            locked: Locked::default(),
            bytes_in_flight: 0,
            wrote: false,
            looks_next: false,
            refusals: Refusals::default(),
            lost: 0,
            left: None,
            left_locked: 0,
            tally: Tally::new(entry),
            stop: None,
            progress: Progress::new(survey.pending),
            _runner: runner,
        })
    }

    /// False when the run is over and its entry is closed.
    pub fn step(&mut self) -> Result<bool, Error> {
        let _snapshot = match self.target.hold_still() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                // What is in flight has nowhere to go any more.
                let stop = Stop::Failed(error);
                self.tally.close(&stop)?;
                self.stop = Some(stop);
                return Ok(false);
            }
        };
        let began = Instant::now();
        let before = self.tally.counts.embedded;
        self.wrote = false;
        // Before anything is written, so that no vector waits for its commit meanwhile.
        if std::mem::take(&mut self.looks_next) {
            self.send_more()?;
        }
        for is_mirrored in [true, false] {
            let written = self.locked.retry(&self.target, is_mirrored)?;
            self.count(written, is_mirrored)?;
        }
        while self.exchange()? && began.elapsed() < COMMIT_EVERY {}
        self.tally
            .notify(&self.target, self.tally.counts.embedded - before)?;
        let wait = self.waits_for();
        self.tally.waits(wait.as_ref());
        match self.stop.as_ref().filter(|_| self.idle()) {
            Some(stop) => {
                self.tally.close(stop)?;
                Ok(false)
            }
            None => {
                if self.tally.keep(self.tally.counts.embedded > before)? {
                    self.pipeline.stop();
                    self.stop(Stop::Requested);
                }
                self.progress.say(self.tally.counts.embedded, wait.as_ref());
                Ok(true)
            }
        }
    }

    /// Writes some of what has arrived, and sends as much; false when no more has arrived.
    fn exchange(&mut self) -> Result<bool, Error> {
        let mut taken = 0;
        // Few before more is sent, or the workers would run dry.
        while taken < (self.concurrency / 4).max(1)
            && let Some(outcome) = self.pipeline.try_next()
        {
            self.take(outcome)?;
            taken += 1;
        }
        taken += self.take_mirrored()?;
        self.send_more()?;
        Ok(taken > 0)
    }

    fn send_more(&mut self) -> Result<(), Error> {
        // It may have used up what a limit leaves.
        let lost = self.tally.effort(self.pipeline.service().effort());
        self.feed.limits.may_be_billed(lost);
        match self.stop {
            None => self.send(),
            Some(_) => Ok(()),
        }
    }

    /// Until an answer, a look at locked rows, a new entry or a limit is due.
    pub fn wait(&mut self) -> Result<(), Error> {
        // What the step has written is committed.
        self.audit
            .has_counted(self.tally.counts.embedded, self.audited());
        let mut most = tally::JOURNAL_EVERY;
        if self.looks_next {
            return Ok(());
        }
        if !self.locked.is_empty() {
            most = most.min(locked::LOOK_EVERY);
        } else if self.rows_in_flight() == 0 {
            return Ok(());
        }
        let most = self.feed.limits.until_deadline().min(most);
        wait::for_outcome(&mut self.wake, Some(most))?;
        match self.wrote {
            true => wait::for_more(&mut self.wake, GATHER),
            false => Ok(()),
        }
    }

    /// Nothing is on its way, and no vector waits for its row.
    fn idle(&self) -> bool {
        self.rows_in_flight() == 0 && self.locked.is_empty()
    }

    fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    /// After the last commit: the summary, or the error that ended the run.
    pub fn end(self) -> Result<End, Error> {
        let stop = self.stop.unwrap_or(Stop::Done);
        let stopped_because = stop.name();
        self.audit.end(stopped_because);
        if let Some(mirror) = &self.mirror {
            mirror.end(&self.target);
        }
        report::truncated(self.purpose.model, self.tally.counts.truncated);
        match stop {
            Stop::Failed(error) => return Err(error),
            Stop::DailyQuota(failure) => report::daily_quota(&failure),
            Stop::Done | Stop::Limit(_) | Stop::Requested => (),
        }
        let given_up = self.locked.given_up().len() as u64;
        report::locked(&self.target, given_up + self.left_locked);
        self.progress.end(
            &self.target,
            &self.tally.counts,
            self.tally.exact,
            stopped_because,
        );
        let embedded = self.tally.counts.embedded;
        let remaining = match stopped_because {
            "done" => self.left,
            _ => None,
        };
        let estimate = self
            .survey
            .pending
            .saturating_sub(embedded + self.tally.counts.rejected);
        Ok(End {
            embedded,
            remaining: Some(remaining.unwrap_or(estimate)),
            stopped_because,
        })
    }
}
