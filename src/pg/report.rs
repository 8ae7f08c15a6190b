//! What a run says while it works. One line a fact, short enough for a psql window; nothing that is not
//! wrong is above NOTICE.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::candidates::Survey;
use super::journal::Counts;
use super::lock::Holder;
use super::settings;
use super::target::Target;
use crate::engine::failure::Failure;
use crate::engine::pace::Wait;
use crate::engine::tokens;
use crate::gemini::request::Purpose;

/// Between two lines of progress: a tenth of the time so far, within these.
const EVERY: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(60)];

/// Rejected rows that are named one by one; the journal has them all.
const MAX_REJECTED_NAMED: u64 = 5;

/// Which columns were chosen, where the caller left it to us and it is not obvious.
pub fn content_columns(target: &Target) {
    if let Some(columns) = &target.content_columns
        && columns.len() > 1
    {
        notice!(
            "content is \"name: value\" lines of {}; content => '...' says otherwise",
            columns.join(", ")
        );
    }
    if !target.foreign.is_empty() {
        notice!(
            "foreign partitions are left out: {}",
            target.foreign.join(", ")
        );
    }
}

/// The price, before anything is spent.
pub fn start(target: &Target, purpose: &Purpose, survey: &Survey) {
    let column = format!("{}.{}", target.label, target.column.sql);
    match survey.pending {
        0 => notice!("{column}: no row to embed"),
        pending => {
            let tokens = tokens::expected(purpose, pending, survey.bytes);
            let cost = settings::cost(purpose.model, tokens);
            notice!(
                "{column}: {} to embed, about {tokens} tokens, {} ({})",
                rows(pending),
                dollars(cost),
                purpose.model.name,
            );
        }
    }
    left_aside(target, survey);
}

/// Rows that have no vector and get none.
pub fn left_aside(target: &Target, survey: &Survey) {
    if survey.blank > 0 {
        notice!(
            "{} of {} blank (content NULL, empty or only white space): without a vector",
            rows(survey.blank),
            target.label
        );
    }
    if survey.rejected > 0 {
        notice!(
            "{} of {} rejected before: not sent again, see embedding_backfill.rejects",
            rows(survey.rejected),
            target.label
        );
    }
}

pub fn nothing_to_embed(target: &Target) {
    notice!("{}.{}: no row to embed", target.label, target.column.sql);
}

/// A BEFORE UPDATE trigger, or row security, kept rows from taking their vector.
pub fn vetoed(target: &Target, refused: usize) {
    if refused > 0 {
        warning!(
            "{} of {} did not take their vector: a trigger or a policy refused the update",
            rows(refused as u64),
            target.label
        );
    }
}

pub fn rejected(so_far: u64, reason: &str) {
    match so_far {
        0..MAX_REJECTED_NAMED => warning!("a row is rejected: {reason}"),
        MAX_REJECTED_NAMED => warning!("more rows are rejected, see embedding_backfill.rejects"),
        _ => (),
    }
}

pub fn left_out(left: usize, failure: &Failure) {
    warning!(
        "{} of this batch stay without a vector: {failure}",
        rows(left as u64)
    );
}

pub fn locked(target: &Target, abandoned: u64) {
    if abandoned > 0 {
        warning!(
            "{} of {} were locked by other sessions and are left for the next run",
            rows(abandoned),
            target.label
        );
    }
}

pub fn already_running(target: &Target, holder: &Holder) {
    notice!(
        "{}.{} is being filled by process {} of {}",
        target.label,
        target.column.sql,
        holder.pid,
        holder.user
    );
}

pub fn waiting_for(target: &Target, holder: &Holder) {
    notice!(
        "waiting for process {} of {}, which embeds rows of {} in its transaction",
        holder.pid,
        holder.user,
        target.label
    );
}

pub fn daily_quota(failure: &Failure) {
    warning!("the daily quota is used up until midnight Pacific time: {failure}");
}

pub fn index(target: &Target, indexes: &str) {
    ereport!(
        PgLogLevel::WARNING,
        PgSqlErrorCode::ERRCODE_WARNING,
        format!(
            "{}.{} has a vector index, which makes each write some 85 times slower: {indexes}",
            target.label, target.column.sql
        ),
        "For many rows, drop it and build it again afterwards."
    );
}

pub fn triggers(target: &Target, triggers: &str) {
    notice!("triggers of {} run for each row: {triggers}", target.label);
}

pub fn statement_timeout(timeout: &str) {
    warning!(
        "statement_timeout is {timeout} and covers the whole CALL; SET statement_timeout = 0; lifts it"
    );
}

/// How far a run is.
pub struct Progress {
    total: u64,
    began: Instant,
    said: Instant,
    said_wait: Option<String>,
}

impl Progress {
    pub fn new(total: u64) -> Progress {
        let now = Instant::now();
        Progress {
            total,
            began: now,
            said: now,
            said_wait: None,
        }
    }

    /// At most every few seconds, less often in a long run; a new reason to wait at once.
    pub fn say(&mut self, done: u64, wait: Option<&Wait>) {
        if let Some(Wait { reason, until }) = wait
            && self.said_wait.as_ref() != Some(reason)
        {
            let left = until.saturating_duration_since(Instant::now());
            if left > Duration::from_secs(1) {
                notice!("waiting {}: {reason}", duration(left));
                self.said_wait = Some(reason.clone());
            }
        }
        let every = (self.began.elapsed() / 10).clamp(EVERY[0], EVERY[1]);
        if self.said.elapsed() < every || done == 0 {
            return;
        }
        self.said = Instant::now();
        let total = self.total.max(done);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = Duration::from_secs_f64((total - done) as f64 / rate.max(0.001));
        notice!(
            "{done}/{total} rows ({:.1}%), {rate:.0} rows/s, ETA {}",
            100.0 * done as f64 / total.max(1) as f64,
            duration(left),
        );
    }

    pub fn end(&self, target: &Target, counts: &Counts, exact: bool, stopped_because: &str) {
        if counts.embedded == 0 && stopped_because == "done" {
            return;
        }
        let about = if exact { "" } else { "at most " };
        let elapsed = self.began.elapsed();
        notice!(
            "{}: {} embedded in {} ({:.0} rows/s), {about}{} tokens, {}: {stopped_because}",
            target.label,
            rows(counts.embedded),
            duration(elapsed),
            counts.embedded as f64 / elapsed.as_secs_f64().max(0.001),
            counts.tokens,
            dollars(counts.cost),
        );
    }
}

fn rows(count: u64) -> String {
    match count {
        1 => "1 row".into(),
        count => format!("{count} rows"),
    }
}

fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "$0".into(),
        amount if amount < 0.0001 => "less than $0.0001".into(),
        amount if amount < 1.0 => format!("${amount:.4}"),
        amount => format!("${amount:.2}"),
    }
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `5 h 7 min`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
