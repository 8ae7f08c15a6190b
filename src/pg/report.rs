//! What a run says while it works. One line a fact, short enough for a psql window.

use std::time::Duration;

use pgrx::prelude::*;

use super::candidates::Survey;
use super::target::Target;
use crate::engine::failure::Failure;
use crate::gemini::model::Model;

/// Bytes of text that make a token, roughly: English prose has more, code and JSON have fewer. Only
/// the answer's usage is exact.
const BYTES_PER_TOKEN: u64 = 3;

/// What the prompt form adds to a row.
const PROMPT_BYTES: u64 = 20;

pub fn estimated_tokens(rows: u64, bytes: u64) -> u64 {
    (bytes + rows * PROMPT_BYTES).div_ceil(BYTES_PER_TOKEN)
}

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

pub fn blank_rows(target: &Target, blank: u64) {
    if blank > 0 {
        notice!(
            "{blank} blank rows of {} stay without a vector (content NULL, empty or only white space)",
            target.label
        );
    }
}

/// A BEFORE UPDATE trigger, or row security, kept rows from taking their vector.
pub fn vetoed(target: &Target, rows: usize) {
    if rows > 0 {
        warning!(
            "{rows} rows of {} did not take their vector: a trigger or a policy refused the update",
            target.label
        );
    }
}

pub fn left_out(rows: usize, failure: &Failure) {
    warning!("{rows} rows of this batch stay without a vector: {failure}");
}

/// The price, before anything is spent.
pub fn start(target: &Target, model: &Model, survey: &Survey) {
    if survey.pending == 0 {
        notice!("{}.{}: no row to embed", target.label, target.column.sql);
        return;
    }
    let tokens = estimated_tokens(survey.pending, survey.bytes);
    notice!(
        "{}.{}: {} rows to embed, about {tokens} tokens, about ${:.4} ({}, ${:.2} per million tokens)",
        target.label,
        target.column.sql,
        survey.pending,
        model.cost(tokens),
        model.name,
        model.usd_per_million_tokens,
    );
}

pub fn progress(done: u64, total: u64, elapsed: Duration) {
    let total = total.max(done);
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = Duration::from_secs_f64((total - done) as f64 / rate.max(0.001));
    notice!(
        "{done}/{total} rows ({:.1}%), {rate:.0} rows/s, ETA {}",
        100.0 * done as f64 / total.max(1) as f64,
        duration(left),
    );
}

pub fn end(target: &Target, done: u64, elapsed: Duration, tokens: u64, cost: f64, exact: bool) {
    if done == 0 {
        return;
    }
    let about = if exact { "" } else { "about " };
    notice!(
        "{}: {done} rows embedded in {}, {about}{tokens} tokens, {about}${cost:.4}",
        target.label,
        duration(elapsed),
    );
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
