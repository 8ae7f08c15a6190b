//! `embed_all_missing` and `mirror_to_chroma`: runs over many transactions, driven by procedures in SQL. What must outlive
//! a transaction is kept here, in the backend; an abort forgets it and abandons what is in flight.

use std::cell::RefCell;
use std::ffi::CStr;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;

use super::backfill::Backfill;
use super::error::Error;
use super::journal;
use super::limits::Limits;
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
    /// Somebody else is inside for a moment.
    Waiting,
    AlreadyRunning,
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
    let model = settings::model_named(model.as_deref())?;
    let limits = Limits::new(model, max_duration, max_rows, max_tokens, max_cost)?;
    let ready = preflight::check(FUNCTION, &call, model)?;
    let runner = match Runner::only(&ready.target)? {
        Ok(runner) => runner,
        Err(holder) => return Ok(held(&ready.target, &holder)),
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
    let arguments = mirror::Arguments {
        collection,
        key,
        metadata,
        batch,
        max_duration,
    };
    let ready = mirror::check(&call, arguments)?;
    let runner = match Runner::only(&ready.source.target)? {
        Ok(runner) => runner,
        Err(holder) => return Ok(held(&ready.source.target, &holder)),
    };
    let mirroring = Mirroring::begin(ready, runner)?;
    STATE.set(State::Mirroring(Box::new(mirroring)));
    Ok(Some(true))
}

/// Another one has the column.
fn held(target: &Target, holder: &Holder) -> Option<bool> {
    if holder.whole_table {
        report::already_running(target, holder);
        STATE.set(State::AlreadyRunning);
        return Some(false);
    }
    let told = STATE.with_borrow(|state| matches!(state, State::Waiting));
    if !told {
        report::waiting_for(target, holder);
    }
    STATE.set(State::Waiting);
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
        State::Waiting => {
            wait::briefly();
            STATE.set(State::Waiting);
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
        State::AlreadyRunning => End {
            embedded: 0,
            remaining: None,
            stopped_because: "already_running",
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
        State::AlreadyRunning => (0, 0),
        _ => return Err(Error::NoRun.into()),
    };
    Ok(TableIterator::once((mirrored as i64, removed as i64)))
}
