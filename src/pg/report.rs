//! What a run says while it works. One line a fact, short enough for a psql window; nothing that is not
//! wrong is above NOTICE.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::error::Error;
use super::figures::{dollars, rows};
use super::lock::Holder;
use super::preflight::Finding;
use super::price::Price;
use super::survey::Survey;
use super::sys;
use super::target::Target;
use crate::engine::failure::Failure;
use crate::gemini::model::Model;
use crate::gemini::request::Purpose;

macro_rules! tell {
    ($level:ident, $($message:tt)+) => {
        say(PgLogLevel::$level, format!($($message)+), None)
    };
}

/// Rejected rows that are named one by one; the journal has them all.
const MAX_REJECTED_NAMED: u64 = 5;

/// Which columns were chosen, where the caller left it to us and it is not obvious.
pub fn content_columns(target: &Target) {
    if let Some(columns) = &target.content_columns
        && columns.len() > 1
    {
        tell!(
            NOTICE,
            "content is \"name: value\" lines of {}; content => '...' says otherwise",
            columns.join(", ")
        );
    }
    if !target.foreign.is_empty() {
        tell!(
            NOTICE,
            "foreign partitions are left out: {}",
            target.foreign.join(", ")
        );
    }
}

/// The price, before anything is spent.
pub fn start(target: &Target, purpose: &Purpose, price: &Price) {
    let column = format!("{}.{}", target.label, target.column.sql);
    match price.survey.pending {
        0 => tell!(NOTICE, "{column}: no row to embed"),
        pending => tell!(
            NOTICE,
            "{column}: {} to embed, about {} tokens, {} ({})",
            rows(pending),
            price.tokens,
            dollars(price.cost),
            purpose.model.name,
        ),
    }
    left_aside(target, &price.survey);
}

/// Rows that have no vector and get none.
pub fn left_aside(target: &Target, survey: &Survey) {
    if survey.blank > 0 {
        tell!(
            NOTICE,
            "{} of {} blank (content NULL, empty or only white space): without a vector",
            rows(survey.blank),
            target.label
        );
    }
    if survey.rejected > 0 {
        tell!(
            NOTICE,
            "{} of {} rejected before: not sent again, see embedding_backfill.rejects",
            rows(survey.rejected),
            target.label
        );
    }
}

/// What the vectors of long texts are made from, where the model tells.
pub fn truncated(model: &Model, count: u64) {
    if count > 0 {
        tell!(
            NOTICE,
            "{} read only the first {} tokens of {count} of the texts",
            model.name,
            model.max_tokens
        );
    }
}

pub fn nothing_to_embed(target: &Target) {
    tell!(
        NOTICE,
        "{}.{}: no row to embed",
        target.label,
        target.column.sql
    );
}

/// A BEFORE UPDATE trigger, or row security, kept rows from taking their vector.
pub fn vetoed(target: &Target, refused: usize) {
    if refused > 0 {
        tell!(
            WARNING,
            "{} of {} did not take their vector: a trigger or a policy refused the update",
            rows(refused as u64),
            target.label
        );
    }
}

pub fn rejected(so_far: u64, reason: &str) {
    match so_far {
        0..MAX_REJECTED_NAMED => tell!(WARNING, "a row is rejected: {reason}"),
        MAX_REJECTED_NAMED => tell!(
            WARNING,
            "more rows are rejected, see embedding_backfill.rejects"
        ),
        _ => (),
    }
}

pub fn left_out(left: usize, failure: &Failure) {
    tell!(
        WARNING,
        "{} of this batch stay without a vector: {failure}",
        rows(left as u64)
    );
}

/// An error would take back what the call remembers of its rows.
pub fn given_up(error: Error) {
    let report = ErrorReport::from(error);
    say(
        PgLogLevel::WARNING,
        report.message().to_owned(),
        report.hint(),
    );
}

pub fn locked(target: &Target, abandoned: u64) {
    if abandoned > 0 {
        tell!(
            WARNING,
            "{} of {} left for the next run: locked by other sessions",
            rows(abandoned),
            target.label
        );
    }
}

pub fn already_running(target: &Target, holder: &Holder) {
    tell!(
        NOTICE,
        "{}.{} is being {} by process {} of {}",
        target.label,
        target.column.sql,
        if holder.mirrors { "mirrored" } else { "filled" },
        holder.pid,
        holder.user
    );
}

pub fn waiting_for(target: &Target, holder: &Holder) {
    tell!(
        NOTICE,
        "waiting for process {} of {}, which embeds rows of {} in its transaction",
        holder.pid,
        holder.user,
        target.label
    );
}

pub fn waited_in_vain(target: &Target, holder: &Holder) {
    tell!(
        NOTICE,
        "{}: not begun within max_duration: process {} of {} has not ended its transaction",
        target.label,
        holder.pid,
        holder.user
    );
}

pub fn daily_quota(failure: &Failure) {
    tell!(
        WARNING,
        "the daily quota is used up until midnight Pacific time: {failure}"
    );
}

pub fn finding(finding: &Finding) {
    match finding.hint {
        Some(_) => say(PgLogLevel::WARNING, finding.text.clone(), finding.hint),
        None => say(PgLogLevel::NOTICE, finding.text.clone(), None),
    }
}

/// For the server's log alone, on one line.
pub fn audit(line: String) {
    sys::without_context(|| say(PgLogLevel::LOG, line, None));
}

/// The one mouth. Postgres serves a cancel at the end of each message, with a jump over our frames that
/// would leave a run's lock and threads behind; so it has to wait until the next look at interrupts.
pub fn say(level: PgLogLevel, message: String, hint: Option<&str>) {
    let code = match level {
        PgLogLevel::WARNING => PgSqlErrorCode::ERRCODE_WARNING,
        _ => PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
    };
    let mut report = ErrorReport::new(code, message, "embedding_backfill");
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    sys::without_interrupts(|| report.report(level));
}
