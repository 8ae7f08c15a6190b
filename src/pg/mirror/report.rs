//! What a mirror says while it works.

use pgrx::prelude::*;

use crate::engine::failure::Failure;
use crate::pg::expression;
use crate::pg::figures::{duration, rows};
use crate::pg::progress::Progress;
use crate::pg::report::say;
use crate::pg::target::Target;

/// Records that are named one by one where the server refuses them.
const MAX_LEFT_OUT_NAMED: u64 = 5;

/// What there is to do, before anything is sent.
pub fn start(target: &Target, pending: u64, batch: usize, collection: &str, host: &str) {
    let requests = match pending.div_ceil(batch as u64) {
        1 => "1 request".into(),
        requests => format!("{requests} requests"),
    };
    notice(format!(
        "{}.{}: {} to collection {collection} at {host}, {requests}",
        target.label,
        target.column.sql,
        rows(pending),
    ));
    if target.row_security {
        notice(format!(
            "row security is active: what it hides of {} is no part of the collection",
            target.label
        ));
    }
    if !target.foreign.is_empty() {
        notice(format!(
            "foreign partitions are left out: {}",
            target.foreign.join(", ")
        ));
    }
}

pub fn other_space(collection: &str, space: &str) {
    warning(
        format!(
            "collection {collection} measures by {space}, not cosine: its order may not be that of <=>"
        ),
        Some("to have it made with cosine, delete it in Chroma and call again"),
    );
}

/// Each look at it found another table than the one before.
pub fn never_still(label: &str) {
    warning(
        format!(
            "{label} was rewritten, or its partitions changed, at each look: rows may be missing"
        ),
        Some("call again"),
    );
}

pub fn smaller_batch(batch: usize) {
    notice(format!("the server takes {batch} records in a request"));
}

pub fn left_out(so_far: u64, id: &str, reason: &str) {
    match so_far {
        0..MAX_LEFT_OUT_NAMED => warning(format!("record {id} is left out: {reason}"), None),
        MAX_LEFT_OUT_NAMED => warning("more records are left out".into(), None),
        _ => (),
    }
}

pub fn without_key(left_out: u64) {
    if left_out > 0 {
        warning(
            format!("{} left out: their key is NULL or empty", rows(left_out)),
            None,
        );
    }
}

pub fn end(
    progress: &Progress,
    target: &Target,
    collection: &str,
    (mirrored, removed, left_out): (u64, u64, u64),
    stopped_because: &str,
) {
    let elapsed = progress.elapsed();
    let removed = match stopped_because {
        "done" => format!("{removed} removed"),
        _ => format!("{removed} removed, the rest not looked for"),
    };
    let left_out = match left_out {
        0 => String::new(),
        left_out => format!(", {left_out} left out"),
    };
    notice(format!(
        "{}: {} mirrored to collection {collection}, {removed}{left_out}, in {}: {stopped_because}",
        target.label,
        rows(mirrored),
        duration(elapsed),
    ));
}

/// A backfill goes on without its mirror.
pub fn given_up(collection: &str, failure: &Failure) {
    notice(format!(
        "collection {collection} is left behind from here on: {failure}"
    ));
}

/// What a backfill wrote, and its mirror has not.
pub fn left_behind(target: &Target, collection: &str, left: u64, reason: &str) {
    if left == 0 {
        return;
    }
    let hint = format!(
        "CALL mirror_to_chroma({}, '{collection}'{});",
        spi::quote_literal(&target.label),
        arguments(target)
    );
    warning(
        format!(
            "{} embedded and not in collection {collection}: {reason}",
            rows(left)
        ),
        Some(&hint),
    );
}

/// By which another call means the same rows: the caller's own words, where there were any.
fn arguments(target: &Target) -> String {
    let mut arguments = format!(
        ", embedding_column => {}",
        spi::quote_literal(&target.column.name)
    );
    if target.content_columns.is_none() {
        let content = spi::quote_literal(target.content_label());
        arguments.push_str(&format!(", content => {content}"));
    }
    if let Some(filter) = expression::text_of(&target.filter) {
        let filter = spi::quote_literal(filter);
        arguments.push_str(&format!(", source_filter => {filter}"));
    }
    arguments
}

pub fn beside(collection: &str, host: &str, mirrored: u64) {
    if mirrored == 0 {
        return;
    }
    notice(format!(
        "{} in collection {collection} at {host}",
        rows(mirrored)
    ));
}

fn notice(message: String) {
    say(PgLogLevel::NOTICE, message, None);
}

fn warning(message: String, hint: Option<&str>) {
    say(PgLogLevel::WARNING, message, hint);
}
