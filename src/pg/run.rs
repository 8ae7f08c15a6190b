//! `embed_all_missing`: a run over many transactions, driven by the procedure in SQL. What must outlive
//! a transaction is kept here, in the backend; an abort forgets it and abandons what is in flight.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::CStr;
use std::time::Instant;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{ItemPointerData, Oid};
use pgrx::prelude::*;

use super::candidates::{self, Survey};
use super::error::Error;
use super::preflight;
use super::report;
use super::settings;
use super::store::{self, Place};
use super::sys;
use super::target::{Call, Target};
use super::wait;
use crate::engine::batch;
use crate::engine::failure::Failure;
use crate::engine::pipeline::{Outcome, Pipeline};
use crate::gemini::model::{MAX_TEXTS_PER_REQUEST, Model};

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

struct Run {
    target: Target,
    model: &'static Model,
    pipeline: Pipeline<Vec<Place>>,
    texts_per_request: usize,
    /// Requests handed to the pipeline at a time: those that fly, and the next for each worker.
    max_in_flight: usize,
    survey: Survey,
    pass: Pass,
    fruitless_passes: u32,
    /// Pending rows that the last whole pass found and did not embed.
    left: Option<u64>,
    embedded: u64,
    /// Texts sent, by size, for models that don't tell their usage.
    bytes: u64,
    tokens: Option<u64>,
    /// Places whose row refused its vector: paid for once, not twice.
    vetoed: HashSet<(usize, u64)>,
    failure: Option<Failure>,
    began: Instant,
}

/// One look at each leaf. Rows that changed or moved meanwhile are the next pass's.
#[derive(Default)]
struct Pass {
    next_leaf: usize,
    ctids: std::vec::IntoIter<ItemPointerData>,
    found: u64,
    embedded: u64,
}

/// Passes in a row that embed nothing before the run gives up on rows that never hold still, such as
/// those whose content is another one at each look.
const MAX_FRUITLESS_PASSES: u32 = 3;

/// Forgets the run whenever a transaction of this backend aborts.
pub fn forget_on_abort() {
    sys::on_abort(|| drop(RUN.take()));
}

#[pg_extern(sql = false)]
fn run_begin(
    relation: Option<Oid>,
    batch: Option<i32>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    source_filter: Option<String>,
    model: Option<String>,
) -> Result<(), ErrorReport> {
    const FUNCTION: &str = "embed_all_missing";
    if sys::in_transaction_block() {
        return Err(Error::TransactionBlock.into());
    }
    preflight::granted(FUNCTION)?;
    let batch = Call::batch(batch)?;
    let call = Call::new(relation, content, embedding_column, source_filter)?;
    let ready = preflight::check(FUNCTION, &call, model.as_deref())?;
    let run = Run::begin(ready, batch)?;
    RUN.set(Some(run));
    Ok(())
}

/// Writes what has arrived and sends what is next; false when nothing is in flight any more.
#[pg_extern(sql = false)]
fn run_step() -> Result<bool, ErrorReport> {
    let mut run = RUN.take().ok_or(Error::NoRun)?;
    let more = run.step()?;
    RUN.set(Some(run));
    Ok(more)
}

/// Commits, then waits for an answer with neither snapshot nor lock.
#[pg_extern(sql = false)]
fn run_wait(call: pg_sys::FunctionCallInfo) -> Result<(), ErrorReport> {
    if !sys::may_commit(call) {
        return Err(Error::TransactionBlock.into());
    }
    sys::commit();
    let mut run = RUN.take().ok_or(Error::NoRun)?;
    if run.pipeline.in_flight() > 0 {
        wait::for_outcome(&mut run.pipeline)?;
    }
    RUN.set(Some(run));
    Ok(())
}

#[pg_extern(sql = false)]
fn run_end() -> Result<
    TableIterator<
        'static,
        (
            name!(embedded, i64),
            name!(remaining, i64),
            name!(stopped_because, &'static str),
        ),
    >,
    ErrorReport,
> {
    let run = RUN.take().ok_or(Error::NoRun)?;
    let embedded = run.embedded;
    let remaining = run
        .left
        .unwrap_or_else(|| run.survey.pending.saturating_sub(embedded));
    run.end()?;
    Ok(TableIterator::once((
        embedded as i64,
        remaining as i64,
        "done",
    )))
}

impl Run {
    fn begin(ready: preflight::Ready, batch: usize) -> Result<Run, Error> {
        let target = ready.target;
        let model = ready.sending.purpose.model;
        report::content_columns(&target);
        let survey = candidates::survey(&target)?;
        report::start(&target, model, &survey);
        report::blank_rows(&target, survey.blank);
        let concurrency = settings::concurrency();
        Ok(Run {
            target,
            model,
            pipeline: Pipeline::new(ready.sending, concurrency).map_err(Error::Pipe)?,
            texts_per_request: batch.min(MAX_TEXTS_PER_REQUEST),
            max_in_flight: 2 * concurrency,
            survey,
            pass: Pass::default(),
            fruitless_passes: 0,
            left: None,
            embedded: 0,
            bytes: 0,
            tokens: None,
            vetoed: HashSet::new(),
            failure: None,
            began: Instant::now(),
        })
    }

    fn step(&mut self) -> Result<bool, Error> {
        let before = self.embedded;
        while let Some(outcome) = self.pipeline.try_next() {
            self.take(outcome)?;
        }
        if self.embedded > before {
            report::progress(self.embedded, self.survey.pending, self.began.elapsed());
        }
        if self.failure.is_none() {
            self.send()?;
        }
        Ok(self.pipeline.in_flight() > 0)
    }

    fn take(&mut self, outcome: Outcome<Vec<Place>>) -> Result<(), Error> {
        let answer = match outcome.result {
            Ok(answer) => answer,
            // What else is in flight is still written; nothing new is sent.
            Err(failure) => {
                self.failure.get_or_insert(failure);
                return Ok(());
            }
        };
        if let Some(tokens) = answer.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
        let written = store::write_unchanged(&self.target, outcome.load, answer.vectors)?;
        report::vetoed(&self.target, written.vetoed.len());
        self.embedded += written.rows as u64;
        self.pass.embedded += written.rows as u64;
        self.vetoed.extend(written.vetoed.iter().map(Place::key));
        Ok(())
    }

    fn send(&mut self) -> Result<(), Error> {
        loop {
            let free = self.max_in_flight - self.pipeline.in_flight();
            let rows = self.next_rows(free * self.texts_per_request)?;
            for job in batch::requests(rows, self.texts_per_request) {
                self.bytes += job.texts.iter().map(|text| text.len() as u64).sum::<u64>();
                self.pipeline.submit(job).map_err(Error::Pipe)?;
            }
            if self.pipeline.in_flight() > 0 || !self.next_pass() {
                return Ok(());
            }
        }
    }

    /// Up to `limit` pending rows of this pass with their content; none when the pass is over.
    fn next_rows(&mut self, limit: usize) -> Result<Vec<(Place, String)>, Error> {
        let mut rows = Vec::new();
        while rows.is_empty() {
            let ctids: Vec<_> = self.pass.ctids.by_ref().take(limit).collect();
            if !ctids.is_empty() {
                rows = candidates::read(&self.target, self.pass.next_leaf - 1, ctids)?;
                continue;
            }
            let leaf = self.pass.next_leaf;
            if leaf == self.target.leaves.len() {
                break;
            }
            let mut ctids = candidates::collect(&self.target, leaf)?;
            self.pass.next_leaf += 1;
            self.pass.found += ctids.len() as u64;
            ctids.retain(|ctid| !self.vetoed.contains(&store::key(leaf, *ctid)));
            self.pass.ctids = ctids.into_iter();
        }
        Ok(rows)
    }

    /// False when another pass could only find what this one could not embed.
    fn next_pass(&mut self) -> bool {
        let pass = std::mem::take(&mut self.pass);
        let left = pass.found.saturating_sub(pass.embedded);
        self.left = Some(left);
        self.fruitless_passes = match pass.embedded {
            0 => self.fruitless_passes + 1,
            _ => 0,
        };
        let refused = self.vetoed.len() as u64;
        left > refused && self.fruitless_passes < MAX_FRUITLESS_PASSES || pass.embedded > 0
    }

    fn end(self) -> Result<(), Error> {
        if let Some(failure) = self.failure {
            return Err(Error::Run {
                failure,
                embedded: self.embedded,
            });
        }
        let tokens = self
            .tokens
            .unwrap_or_else(|| report::estimated_tokens(self.embedded, self.bytes));
        report::end(
            &self.target,
            self.embedded,
            self.began.elapsed(),
            tokens,
            self.model.cost(tokens),
            self.tokens.is_some(),
        );
        Ok(())
    }
}
