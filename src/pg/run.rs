//! `embed_all_missing`: a run over many transactions, driven by the procedure in SQL. What must outlive
//! a transaction is kept here, in the backend; an abort forgets it and abandons what is in flight.

use std::cell::RefCell;
use std::ffi::CStr;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;

use super::backfill::Backfill;
use super::error::Error;
use super::limits::Limits;
use super::lock::{Holder, Runner};
use super::preflight;
use super::report;
use super::settings;
use super::stop::End;
use super::sys;
use super::target::Call;
use super::wait;

const FUNCTION: &str = "embed_all_missing";

/// Where this session is in a CALL.
enum State {
    Idle,
    /// Somebody else is inside for a moment.
    Waiting,
    AlreadyRunning,
    Running(Box<Backfill>),
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
    let (state, begun) = match Runner::only(&ready.target)? {
        Ok(runner) => {
            let backfill = Backfill::begin(ready, runner, batch, limits)?;
            (State::Running(Box::new(backfill)), Some(true))
        }
        Err(
            holder @ Holder {
                whole_table: true, ..
            },
        ) => {
            report::already_running(&ready.target, &holder);
            (State::AlreadyRunning, Some(false))
        }
        Err(holder) => {
            let told = STATE.with_borrow(|state| matches!(state, State::Waiting));
            if !told {
                report::waiting_for(&ready.target, &holder);
            }
            (State::Waiting, None)
        }
    };
    STATE.set(state);
    Ok(begun)
}

/// Writes what has arrived and sends what is next; false when the run is over.
#[pg_extern(sql = false)]
fn run_step() -> Result<bool, ErrorReport> {
    let State::Running(mut backfill) = take() else {
        return Err(Error::NoRun.into());
    };
    let more = backfill.step()?;
    STATE.set(State::Running(backfill));
    Ok(more)
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
