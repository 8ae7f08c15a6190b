//! `mirror_to_chroma`: makes a collection hold exactly the rows of a table that have a vector. A run as a backfill
//! is one: each step is a transaction, and none is open while it waits.

mod traffic;

use std::time::{Duration, Instant};

use super::removal::Removal;
use super::rows::Looks;
use super::{Ready, Source, access, pending, report};
use crate::engine::mirror::Mirror;
use crate::engine::mirror::queue::Queue;
use crate::engine::pipeline::{Pipeline, Wake};
use crate::pg::audit::{self, Audit, Subject};
use crate::pg::error::Error;
use crate::pg::journal;
use crate::pg::lock::Runner;
use crate::pg::preflight;
use crate::pg::progress::Progress;
use crate::pg::report::finding;
use crate::pg::settings;
use crate::pg::stop::Stop;
use crate::pg::tally::{self, Tally};
use crate::pg::wait;

/// For how long a transaction reads and sends.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

enum Phase {
    /// The collection is asked for; whether it was.
    Opening(bool),
    Rows(Looks),
    Removing(Removal),
}

pub struct Mirroring {
    source: Source,
    collection: String,
    /// Each record's id comes back with its outcome.
    pipeline: Pipeline<Mirror<String>>,
    wake: Wake,
    batch: usize,
    /// Records that the server takes in one request.
    max_batch: usize,
    concurrency: usize,
    deadline: Option<Instant>,
    phase: Phase,
    queue: Queue,
    /// Refused by the server, and rows that have no key.
    left_out: u64,
    without_key: u64,
    tally: Tally,
    audit: Audit,
    stop: Option<Stop>,
    progress: Progress,
    /// Last: released when all else is dropped.
    _runner: Runner,
}

impl Mirroring {
    pub fn begin(ready: Ready, runner: Runner) -> Result<Mirroring, Error> {
        let Ready {
            source,
            collection,
            batch,
            deadline,
            chroma,
        } = ready;
        source.key.check(&source.target, &source.rows())?;
        let pending = pending(&source)?;
        let client = &chroma.client;
        let host = client.connection().base_url.host();
        preflight::timeout()?.iter().for_each(finding);
        report::start(&source.target, pending, batch, &collection, host);
        let mut entry = journal::open(journal::MIRROR, &source.target, None, pending, 0)?;
        entry.mirrors(&collection)?;
        let subject = Subject::of(&source.target);
        let audit = audit::begin_mirror(journal::MIRROR, &subject, &collection, client);
        let keys = source.metadata.names.clone();
        let access = access(chroma, &collection, &source.target, keys)?;
        let concurrency = settings::concurrency();
        let wake = Wake::new().map_err(Error::Pipe)?;
        Ok(Mirroring {
            pipeline: Pipeline::new(Mirror::new(access), concurrency, &wake)
                .map_err(Error::Pipe)?,
            source,
            collection,
            wake,
            batch,
            max_batch: batch,
            concurrency,
            deadline,
            phase: Phase::Opening(false),
            queue: Queue::default(),
            left_out: 0,
            without_key: 0,
            tally: Tally::new(entry),
            audit,
            stop: None,
            progress: Progress::new(pending),
            _runner: runner,
        })
    }

    /// False when the run is over and its entry is closed.
    pub fn step(&mut self) -> Result<bool, Error> {
        let _snapshot = match self.source.target.hold_still() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let stop = Stop::Failed(error);
                self.tally.close(&stop)?;
                self.stop = Some(stop);
                return Ok(false);
            }
        };
        let began = Instant::now();
        let before = self.tally.counts.mirrored;
        while self.exchange()? && began.elapsed() < COMMIT_EVERY {}
        let wait = self.pipeline.service().wait();
        self.tally.waits(wait.as_ref());
        self.tally.effort(self.pipeline.service().effort());
        let idle = self.pipeline.rows_in_flight() == 0;
        match self.stop.as_ref().filter(|_| idle) {
            Some(stop) => {
                self.tally.close(stop)?;
                Ok(false)
            }
            None => {
                if self.tally.keep(self.tally.counts.mirrored > before)? {
                    self.end_early(Stop::Requested);
                }
                self.progress.say(self.tally.counts.mirrored, wait.as_ref());
                Ok(true)
            }
        }
    }

    /// Takes some of what has arrived, and sends as much; false when no more has arrived.
    fn exchange(&mut self) -> Result<bool, Error> {
        let mut taken = 0;
        while taken < self.concurrency
            && let Some(outcome) = self.pipeline.try_next()
        {
            self.take(outcome);
            taken += 1;
        }
        if self.stop.is_none() {
            self.send()?;
        }
        Ok(taken > 0)
    }

    /// Until an outcome, a new entry or the deadline is due.
    pub fn wait(&mut self) -> Result<(), Error> {
        let counts = &self.tally.counts;
        let removed = vec![("removed", counts.removed)];
        self.audit.has_counted(counts.mirrored, removed);
        if self.pipeline.rows_in_flight() == 0 {
            return Ok(());
        }
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let left = self.deadline.map(left).filter(|left| !left.is_zero());
        let most = tally::JOURNAL_EVERY.min(left.unwrap_or(Duration::MAX));
        wait::for_outcome(&mut self.wake, Some(most))
    }

    /// Nothing new is sent, and what is in flight still counts.
    fn end_early(&mut self, stop: Stop) {
        self.pipeline.stop();
        self.stop.get_or_insert(stop);
    }

    /// After the last commit: the summary, or the error that ended the run. Records mirrored and removed.
    pub fn end(self) -> Result<(u64, u64), Error> {
        let stop = self.stop.unwrap_or(Stop::Done);
        let stopped_because = stop.name();
        self.audit.end(stopped_because);
        if let Stop::Failed(error) = stop {
            return Err(error);
        }
        report::without_key(self.without_key);
        let counts = &self.tally.counts;
        let left_out = self.left_out + self.without_key;
        report::end(
            &self.progress,
            &self.source.target,
            &self.collection,
            (counts.mirrored, counts.removed, left_out),
            stopped_because,
        );
        Ok((counts.mirrored, counts.removed))
    }
}
