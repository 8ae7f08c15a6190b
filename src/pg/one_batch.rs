//! `embed_missing`: one batch in the caller's transaction. Its rows stay locked until that
//! transaction ends, so that two callers never pay for the same row.

use std::ffi::CStr;

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::audit::{self, Audit, Subject};
use super::contents;
use super::error::Error;
use super::freight::Freight;
use super::journal::{self, Counts};
use super::lock;
use super::preflight::{self, Ready};
use super::rejects::{self, Refusals};
use super::report;
use super::settings;
use super::space::{self, Proof};
use super::store::{self, Place};
use super::survey;
use super::target::{Call, Target};
use super::wait;
use crate::engine::batch::{self, Job};
use crate::engine::embedder::Embedder;
use crate::engine::failure::Failure;
use crate::engine::outcome::{NotEmbedded, Outcome};
use crate::engine::pipeline::{Pipeline, Wake};
use crate::engine::tokens;
use crate::gemini::model::Model;
use crate::gemini::request::Purpose;

const FUNCTION: &str = "embed_missing";

#[pg_extern(sql = false)]
fn embed_missing(
    relation: Option<Oid>,
    batch: Option<i32>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    source_filter: Option<String>,
    model: Option<String>,
) -> Result<i64, ErrorReport> {
    let batch = Call::batch(batch)?;
    let call = Call::new(relation, content, embedding_column, source_filter)?;
    let _snapshot = call.hold_still();
    let model = settings::model_named(model.as_deref())?;
    Ok(embed_batch(&call, batch, model)?)
}

fn embed_batch(call: &Call, size: usize, model: &'static Model) -> Result<i64, Error> {
    let ready = preflight::check(FUNCTION, call, model)?;
    if let Err(holder) = lock::beside_others(&ready.target)? {
        report::already_running(&ready.target, &holder);
        return Ok(0);
    }
    let batch = Batch::new(ready)?;
    let audit = batch.audit;
    let result = batch.run(size);
    audit.end(if result.is_ok() { "done" } else { "failed" });
    result
}

struct Batch {
    target: Target,
    purpose: Purpose,
    pipeline: Pipeline<Embedder<Freight>>,
    wake: Wake,
    audit: Audit,
    counts: Counts,
    /// The column's vectors are of this model.
    proven: bool,
    /// Claimed, and refused by a trigger, a policy or the API.
    refused: Vec<Place>,
    vetoed: usize,
    refusals: Refusals,
    /// So many were refused that the call ends.
    given_up: Option<Error>,
}

impl Batch {
    fn new(ready: Ready) -> Result<Batch, Error> {
        let Ready { target, sending } = ready;
        let purpose = sending.purpose;
        let subject = Subject::of(&target);
        let audit = audit::begin(FUNCTION, Some(&subject), &purpose, &sending.client);
        let wake = Wake::new().map_err(Error::Pipe)?;
        let pipeline = Pipeline::new(Embedder::new(sending), settings::concurrency(), &wake)
            .map_err(Error::Pipe)?;
        Ok(Batch {
            target,
            purpose,
            pipeline,
            wake,
            audit,
            counts: Counts::default(),
            proven: false,
            refused: Vec::new(),
            vetoed: 0,
            refusals: Refusals::default(),
            given_up: None,
        })
    }

    fn run(mut self, size: usize) -> Result<i64, Error> {
        // Rows that refuse their vector must not hide the rows behind them: 0 means that none is left.
        loop {
            let rows = self.claim(size)?;
            if rows.is_empty() || self.embed(rows)? > 0 || self.given_up.is_some() {
                return self.end(size);
            }
        }
    }

    fn submit(&mut self, job: Job<Freight>) -> Result<(), Error> {
        self.audit.sent(job.texts.len());
        self.pipeline.submit(job).map_err(Error::Pipe)
    }

    fn claim(&self, size: usize) -> Result<Vec<(Place, String)>, Error> {
        let mut claimed = Vec::new();
        for leaf in 0..self.target.leaves.len() {
            if claimed.len() == size {
                break;
            }
            let except = self.refused.iter().filter(|place| place.leaf == leaf);
            let except = except.map(|place| place.ctid).collect();
            claimed.extend(contents::claim(
                &self.target,
                leaf,
                size - claimed.len(),
                except,
            )?);
        }
        Ok(claimed)
    }

    /// Rows that took their vector. Fails only where none did: an error would throw away vectors that
    /// are paid for.
    fn embed(&mut self, rows: Vec<(Place, String)>) -> Result<u64, Error> {
        if !self.proven {
            report::content_columns(&self.target);
            self.prove()?;
            self.proven = true;
        }
        let rows = rows.into_iter().map(|(place, text)| {
            let amount = tokens::at_most(&self.purpose, &text);
            let bytes = text.len();
            (
                Freight::Row {
                    place,
                    amount,
                    bytes,
                },
                text,
            )
        });
        for job in batch::requests(rows, &self.purpose, usize::MAX) {
            self.submit(job)?;
        }
        let mut failed: Option<Failure> = None;
        let mut left = 0;
        while let Some(outcome) = self.next_outcome()? {
            let bound = Freight::amount(&outcome.rows);
            let (rows, _) = Freight::sorted(outcome.rows);
            match outcome.result {
                Ok(answer) => {
                    self.counts.bill(&self.purpose, &answer, bound);
                    let made = rows.into_iter().zip(answer.vectors).collect();
                    let written = store::write(&self.target, made)?;
                    self.counts.embedded += written.rows as u64;
                    if let Some(error) = self.refusals.count(&self.target, &written) {
                        self.given_up = Some(error);
                    }
                    self.vetoed += written.vetoed.len() + written.changed.len();
                    self.refused.extend(self.refusals.remember(
                        &mut self.target,
                        &self.purpose,
                        written.vetoed,
                        written.changed,
                    )?);
                    for (place, reason) in written.refused {
                        self.reject(place, &reason)?;
                    }
                }
                Err(NotEmbedded::Rejected(failure)) => {
                    for place in rows {
                        self.reject(place, &failure.to_string())?;
                    }
                }
                Err(NotEmbedded::Stopped(failure) | NotEmbedded::Lost(failure)) => {
                    left += rows.len();
                    failed.get_or_insert(failure);
                }
                Err(NotEmbedded::Unsent) => left += rows.len(),
            }
        }
        match failed {
            Some(failure) if self.counts.embedded > 0 => report::left_out(left, &failure),
            Some(failure) => return Err(Error::Request(failure)),
            None => (),
        }
        Ok(self.counts.embedded)
    }

    /// Shows that the column's vectors are of this model, unless the journal does.
    fn prove(&mut self) -> Result<(), Error> {
        if journal::knows(&self.target, &self.purpose)? {
            return Ok(());
        }
        let sample = space::sample(&self.target)?;
        let Some(sample) = space::request(&self.purpose, sample) else {
            return Ok(());
        };
        let mut proof = Proof::of(sample.rows.len());
        self.submit(sample)?;
        while let Some(outcome) = self.next_outcome()? {
            let (_, stored) = Freight::sorted(outcome.rows);
            match outcome.result {
                Ok(answer) => proof.take(&stored, Some(&answer.vectors)),
                Err(NotEmbedded::Stopped(failure)) => return Err(Error::Request(failure)),
                Err(_) => proof.take(&stored, None),
            }
        }
        match proof.refuted() {
            Some(sample) => Err(space::other(&self.target, &self.purpose, sample)),
            None => Ok(()),
        }
    }

    /// None when nothing is in flight any more.
    fn next_outcome(&mut self) -> Result<Option<Outcome<Freight>>, Error> {
        while self.pipeline.rows_in_flight() > 0 {
            if let Some(outcome) = self.pipeline.try_next() {
                return Ok(Some(outcome));
            }
            wait::for_outcome(&mut self.wake, None)?;
        }
        Ok(None)
    }

    fn reject(&mut self, place: Place, reason: &str) -> Result<(), Error> {
        report::rejected(self.counts.rejected, reason);
        self.counts.rejected += 1;
        rejects::remember(&mut self.target, &self.purpose, &place, reason)?;
        self.refused.push(place);
        Ok(())
    }

    fn end(mut self, size: usize) -> Result<i64, Error> {
        let embedded = self.counts.embedded;
        report::vetoed(&self.target, self.vetoed);
        if let Some(error) = self.given_up {
            report::given_up(error);
        } else if embedded < size as u64 {
            let survey = survey::survey(&self.target)?;
            if embedded == 0 {
                report::nothing_to_embed(&self.target);
            }
            report::left_aside(&self.target, &survey);
        }
        self.counts.effort = self.pipeline.service().effort();
        report::truncated(self.purpose.model, self.counts.truncated);
        self.audit.has(embedded, self.counts.tokens);
        if self.counts.effort.requests > 0 {
            let entry = journal::open(FUNCTION, &self.target, Some(&self.purpose), embedded, 0)?;
            entry.close(&self.counts, "done", "done")?;
            journal::notify(&self.target, entry, embedded)?;
        }
        Ok(embedded as i64)
    }
}
