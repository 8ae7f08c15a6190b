//! `embed_missing`: one batch in the caller's transaction. Its rows stay locked until that
//! transaction ends, so that two callers never pay for the same row.

use std::ffi::CStr;

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::candidates;
use super::error::Error;
use super::preflight;
use super::report;
use super::settings;
use super::store::{self, Place, Written};
use super::target::{Call, Target};
use super::wait;
use crate::engine::batch;
use crate::engine::failure::Failure;
use crate::engine::pipeline::Pipeline;
use crate::gemini::model::MAX_TEXTS_PER_REQUEST;

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
    Ok(embed_batch(&call, batch, model.as_deref())?)
}

fn embed_batch(call: &Call, batch: usize, model: Option<&str>) -> Result<i64, Error> {
    let ready = preflight::check("embed_missing", call, model)?;
    let target = ready.target;
    report::content_columns(&target);
    let mut pipeline =
        Pipeline::new(ready.sending, settings::concurrency()).map_err(Error::Pipe)?;
    let mut refused = Vec::new();
    // Rows that refuse their vector must not hide the rows behind them: 0 means that none is left.
    loop {
        let rows = claim(&target, batch, &refused)?;
        if rows.len() < batch {
            report::blank_rows(&target, candidates::survey(&target)?.blank);
        }
        let claimed = rows.len();
        for job in batch::requests(rows, MAX_TEXTS_PER_REQUEST) {
            pipeline.submit(job).map_err(Error::Pipe)?;
        }
        let written = write_all(&target, &mut pipeline)?;
        if written.rows > 0 || claimed == 0 {
            report::vetoed(&target, refused.len() + written.vetoed.len());
            return Ok(written.rows as i64);
        }
        refused.extend(written.vetoed);
    }
}

fn claim(target: &Target, batch: usize, refused: &[Place]) -> Result<Vec<(Place, String)>, Error> {
    let mut claimed = Vec::new();
    for leaf in 0..target.leaves.len() {
        if claimed.len() == batch {
            break;
        }
        let except = refused.iter().filter(|place| place.leaf == leaf);
        let except = except.map(|place| place.ctid).collect();
        claimed.extend(candidates::claim(
            target,
            leaf,
            batch - claimed.len(),
            except,
        )?);
    }
    Ok(claimed)
}

/// Writes what arrives until nothing is in flight. Fails only where nothing could be written: an error
/// would throw away vectors that are paid for.
fn write_all(target: &Target, pipeline: &mut Pipeline<Vec<Place>>) -> Result<Written, Error> {
    let mut all = Written::default();
    let mut failed: Option<(Failure, usize)> = None;
    while pipeline.in_flight() > 0 {
        wait::for_outcome(pipeline)?;
        while let Some(outcome) = pipeline.try_next() {
            let rows = outcome.load.len();
            match outcome.result {
                Ok(answer) => {
                    let written = store::write(target, outcome.load, answer.vectors)?;
                    all.rows += written.rows;
                    all.vetoed.extend(written.vetoed);
                }
                Err(failure) => failed = Some((failure, rows + failed.map_or(0, |(_, n)| n))),
            }
        }
    }
    match failed {
        Some((failure, rows)) if all.rows > 0 => report::left_out(rows, &failure),
        Some((failure, _)) => return Err(Error::Request(failure)),
        None => (),
    }
    Ok(all)
}
