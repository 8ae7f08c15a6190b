//! `embed_all_missing` and `mirror_to_chroma`: runs over many transactions, driven by procedures in SQL. What must outlive
//! a transaction is kept here, in the backend; an abort forgets it and abandons what is in flight.

use std::cell::RefCell;
use std::ffi::CStr;
use std::time::Instant;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;

use super::backfill::Backfill;
use super::error::Error;
use super::journal;
use super::limits::{Limits, Reached};
use super::lock::{Holder, Runner};
use super::mirror::{self, Mirroring};
use super::preflight;
use super::report;
use super::settings;
use super::stop::End;
use super::sys;
use super::target::{Call, Target};
use super::wait;

const FUNCTION: &str = "embed_all_missing";

/// Where this session is in a CALL.
enum State {
    Idle,
    /// Somebody else is inside for a moment, or for as long as a transaction is forgotten.
    Waiting {
        deadline: Option<Instant>,
    },
    /// And why.
    NotBegun(&'static str),
    Running(Box<Backfill>),
    Mirroring(Box<Mirroring>),
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Idle) };
}

fn take() -> State {
    STATE.replace(State::Idle)
}

/// Forgets the run whenever a transaction of this backend aborts.
pub fn forget_on_abort() {
    sys::on_abort(|| drop(take()));
}

/// True when the run has begun, false when another one fills the column, NULL when it is worth asking
/// again after a wait.
#[allow(clippy::too_many_arguments)]
#[pg_extern(sql = false)]
fn run_begin(
    relation: Option<Oid>,
    batch: Option<i32>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    source_filter: Option<String>,
    model: Option<String>,
    max_duration: Option<Interval>,
    max_rows: Option<i64>,
    max_tokens: Option<i64>,
    max_cost: Option<AnyNumeric>,
) -> Result<Option<bool>, ErrorReport> {
    preflight::granted(FUNCTION)?;
    let batch = Call::batch(batch)?;
    let call = Call::new(relation, content, embedding_column, source_filter)?;
    let _snapshot = call.hold_still();
    let model = settings::model_named(model.as_deref())?;
    let mut limits = Limits::new(model, max_duration, max_rows, max_tokens, max_cost)?;
    limits.deadline = first_deadline(limits.deadline);
    let ready = preflight::check(FUNCTION, &call, model)?;
    let runner = match Runner::only(&ready.target)? {
        Ok(runner) => runner,
        Err(holder) => return Ok(held(&ready.target, &holder, limits.deadline)),
    };
    let backfill = Backfill::begin(ready, runner, batch, limits)?;
    STATE.set(State::Running(Box::new(backfill)));
    Ok(Some(true))
}

/// As `run_begin`.
#[allow(clippy::too_many_arguments)]
#[pg_extern(sql = false)]
fn mirror_begin(
    relation: Option<Oid>,
    collection: Option<String>,
    content: Option<String>,
    embedding_column: Option<&CStr>,
    key: Option<String>,
    metadata: Option<Vec<Option<String>>>,
    source_filter: Option<String>,
    batch: Option<i32>,
    max_duration: Option<Interval>,
) -> Result<Option<bool>, ErrorReport> {
    preflight::granted(journal::MIRROR)?;
    let call = Call::new(relation, content, embedding_column, source_filter)?;
    let _snapshot = call.hold_still();
    let arguments = mirror::Arguments {
        collection,
        key,
        metadata,
        batch,
        max_duration,
    };
    let mut ready = mirror::check(&call, arguments)?;
    ready.deadline = first_deadline(ready.deadline);
    let runner = match Runner::only(&ready.source.target)? {
        Ok(runner) => runner,
        Err(holder) => return Ok(held(&ready.source.target, &holder, ready.deadline)),
    };
    let mirroring = Mirroring::begin(ready, runner)?;
    STATE.set(State::Mirroring(Box::new(mirroring)));
    Ok(Some(true))
}

/// The time for a CALL counts from its first attempt to begin.
fn first_deadline(of_this: Option<Instant>) -> Option<Instant> {
    STATE.with_borrow(|state| match state {
        State::Waiting { deadline } => *deadline,
        _ => of_this,
    })
}

/// Another one has the column.
fn held(target: &Target, holder: &Holder, deadline: Option<Instant>) -> Option<bool> {
    if holder.is_call {
        report::already_running(target, holder);
        STATE.set(State::NotBegun("already_running"));
        return Some(false);
    }
    let waits = STATE.with_borrow(|state| matches!(state, State::Waiting { .. }));
    if waits && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        report::waited_in_vain(target, holder);
        STATE.set(State::NotBegun(Reached::Duration.name()));
        return Some(false);
    }
    if !waits {
        report::waiting_for(target, holder);
    }
    STATE.set(State::Waiting { deadline });
    None
}

/// Has the backfill that has just begun put its rows into a collection as well.
#[pg_extern(sql = false)]
fn run_mirror(collection: Option<String>) -> Result<(), ErrorReport> {
    preflight::granted(journal::MIRROR)?;
    let State::Running(mut backfill) = take() else {
        return Err(Error::NoRun.into());
    };
    backfill.mirror(collection)?;
    STATE.set(State::Running(backfill));
    Ok(())
}

/// Writes what has arrived and sends what is next; false when the run is over.
#[pg_extern(sql = false)]
fn run_step() -> Result<bool, ErrorReport> {
    match take() {
        State::Running(mut backfill) => {
            let more = backfill.step()?;
            STATE.set(State::Running(backfill));
            Ok(more)
        }
        State::Mirroring(mut mirroring) => {
            let more = mirroring.step()?;
            STATE.set(State::Mirroring(mirroring));
            Ok(more)
        }
        _ => Err(Error::NoRun.into()),
    }
}

/// Commits, then waits for an answer with neither snapshot nor lock on a table.
#[pg_extern(sql = false)]
fn run_wait(call: pg_sys::FunctionCallInfo) -> Result<(), ErrorReport> {
    if !sys::may_commit(call) {
        return Err(Error::TransactionBlock.into());
    }
    sys::commit();
    match take() {
        State::Running(mut backfill) => {
            backfill.wait()?;
            STATE.set(State::Running(backfill));
        }
        State::Mirroring(mut mirroring) => {
            mirroring.wait()?;
            STATE.set(State::Mirroring(mirroring));
        }
        State::Waiting { deadline } => {
            wait::briefly();
            STATE.set(State::Waiting { deadline });
        }
        state => STATE.set(state),
    }
    Ok(())
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn run_end() -> Result<
    TableIterator<
        'static,
        (
            name!(embedded, i64),
            name!(remaining, Option<i64>),
            name!(stopped_because, &'static str),
        ),
    >,
    ErrorReport,
> {
    let End {
        embedded,
        remaining,
        stopped_because,
    } = match take() {
        State::Running(backfill) => backfill.end()?,
        State::NotBegun(stopped_because) => End {
            embedded: 0,
            remaining: None,
            stopped_because,
        },
        _ => return Err(Error::NoRun.into()),
    };
    Ok(TableIterator::once((
        embedded as i64,
        remaining.map(|rows| rows as i64),
        stopped_because,
    )))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn mirror_end()
-> Result<TableIterator<'static, (name!(mirrored, i64), name!(removed, i64))>, ErrorReport> {
    let (mirrored, removed) = match take() {
        State::Mirroring(mirroring) => mirroring.end()?,
        State::NotBegun(_) => (0, 0),
        _ => return Err(Error::NoRun.into()),
    };
    Ok(TableIterator::once((mirrored as i64, removed as i64)))
}
