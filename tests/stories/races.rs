//! A `CALL` on a table that others work on all the time: it never waits for them, never throws their work away, and no vector ever
//! stands beside content it was not made from.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use google_standin::Config;
use support::{Db, Finished, wait_until};

use crate::fixtures::{filled, logs, right};

const ROWS: i64 = 1000;

/// What the others do, each again and again with the next number for `{n}`. Each takes only what it can lock at once, so that
/// they don't wait for each other; content that changes takes its vector away, as a trigger of the user's would.
const WRITERS: [&str; 5] = [
    "UPDATE logs SET body = 'version {n} of ' || id, embedding = NULL
     WHERE id IN (SELECT id FROM logs WHERE id % 41 = {n} % 41 FOR UPDATE SKIP LOCKED)",
    "UPDATE logs SET embedding = NULL WHERE id IN (SELECT id FROM logs WHERE id % 47 = {n} % 47 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE id % 113 = {n} % 113 FOR UPDATE SKIP LOCKED)",
    "INSERT INTO logs SELECT i, 'number {n} of ' || i FROM generate_series(2000 + 10 * {n}, 2009 + 10 * {n}) i",
    "VACUUM logs",
];

// Would pass wrongly if the writers came too late, or never met a row whose text was under way: both are counted.
#[test]
fn writers_never_meet_a_vector_of_other_content() {
    let db = Db::with(Config {
        latency: Duration::from_millis(5),
        ..Config::default()
    });
    let mut session = db.session();
    logs(&mut session, ROWS as u32);
    let writing = &AtomicBool::new(true);
    let done: &[AtomicU64; 6] = &Default::default();
    let finished = thread::scope(|scope| {
        let end = EndOfWriting(writing);
        for (writer, done) in WRITERS.iter().zip(done) {
            let (db, mut other) = (&db, db.session());
            scope.spawn(move || {
                while writing.load(Relaxed) {
                    let before = db.api.stats().texts_billed;
                    other.run(&writer.replace("{n}", &done.fetch_add(1, Relaxed).to_string()));
                    answered(db, before + 1);
                }
            });
        }
        scope.spawn(|| hold_rows(&db, writing, &done[5]));
        let call = scope.spawn(|| db.session().embed_all("'logs', 20").unwrap());
        while db.api.stats().texts_billed < 5 * ROWS as u64 && !call.is_finished() {
            right(&mut session, "logs");
        }
        drop(end);
        call.join().unwrap()
    });

    let done = done.each_ref().map(|done| done.load(Relaxed));
    println!("{finished:?}, {done:?}, {:?}", db.api.stats());
    assert!(done.iter().all(|&done| done >= 10), "{done:?}");
    assert!(finished.embedded < db.api.stats().texts_billed as i64);
    assert_eq!(
        (finished.remaining, &*finished.stopped_because),
        (0, "done")
    );
    assert_eq!(
        session.number("SELECT count(*) FROM logs WHERE embedding IS NULL"),
        0
    );
    right(&mut session, "logs");
}

/// Ends the loops when it is dropped, so also when a check fails.
struct EndOfWriting<'a>(&'a AtomicBool);

impl Drop for EndOfWriting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// Locks some rows while the API answers three requests, and lets them go.
fn hold_rows(db: &Db, writing: &AtomicBool, done: &AtomicU64) {
    let mut session = db.session();
    while writing.load(Relaxed) {
        let n = done.fetch_add(1, Relaxed);
        session.run(&format!(
            "BEGIN; SELECT FROM logs WHERE id % 31 = {n} % 31 FOR UPDATE SKIP LOCKED"
        ));
        let three_more = db.api.stats().texts_billed + 60;
        answered(db, three_more);
        session.run("COMMIT");
    }
}

/// However slow the machine is, the others don't outrun the call: it gives up on rows that are never the same at two looks.
fn answered(db: &Db, texts: u64) {
    db.api
        .wait_until(Duration::from_secs(1), |stats| stats.texts_billed >= texts);
}

/// A hundred pending rows of which somebody else holds two while their vectors arrive; when all others have theirs, he does
/// `work` with the two and lets them go. Gives the CALL's result.
fn two_rows_held_during_the_answer(work: &str) -> (Db<'static>, Finished) {
    let db = Db::fresh();
    let (mut session, mut other) = (db.session(), db.session());
    logs(&mut session, 100);
    other.run("BEGIN; SELECT FROM logs WHERE id IN (30, 60) FOR UPDATE");
    let finished = thread::scope(|scope| {
        let call = scope.spawn(|| {
            let mut caller = db.session();
            let finished = caller.embed_all("'logs', 10").unwrap();
            let warnings = caller.notices();
            assert!(
                warnings.iter().all(|notice| notice.starts_with("NOTICE")),
                "{warnings:?}"
            );
            finished
        });
        wait_until("the other rows have their vectors", || {
            filled(&mut session, "logs") == 98
        });
        assert!(!call.is_finished(), "the CALL did not wait for the rows");
        other.run(&format!("{work}; COMMIT"));
        call.join().unwrap()
    });
    (db, finished)
}

#[test]
fn a_row_that_is_held_for_a_while_gets_the_vector_that_was_paid_for() {
    let (db, finished) = two_rows_held_during_the_answer("SELECT");
    assert_eq!(finished, Finished::done(100, 0));
    assert_eq!(right(&mut db.session(), "logs"), 100);
    assert_eq!(db.api.stats().texts, 100);
}

#[test]
fn a_row_that_is_held_and_changed_is_embedded_anew() {
    let (db, finished) =
        two_rows_held_during_the_answer("UPDATE logs SET body = 'changed' WHERE id IN (30, 60)");
    assert_eq!(finished, Finished::done(100, 0));
    assert_eq!(right(&mut db.session(), "logs"), 100);
    assert_eq!(db.api.stats().texts, 102);
}

#[test]
fn a_row_that_is_held_and_touched_keeps_its_content_and_gets_its_vector() {
    let (db, finished) =
        two_rows_held_during_the_answer("UPDATE logs SET id = -id WHERE id IN (30, 60)");
    assert_eq!(finished, Finished::done(100, 0));
    assert_eq!(right(&mut db.session(), "logs"), 100);
}

#[test]
fn a_row_that_is_held_and_deleted_is_not_missed() {
    let (db, finished) = two_rows_held_during_the_answer("DELETE FROM logs WHERE id IN (30, 60)");
    assert_eq!(finished, Finished::done(98, 0));
    assert_eq!(right(&mut db.session(), "logs"), 98);
    assert_eq!(db.api.stats().texts, 100);
}

#[test]
fn a_row_that_is_held_and_filled_keeps_the_vector_of_whoever_filled_it() {
    let (db, finished) = two_rows_held_during_the_answer(
        "UPDATE logs SET embedding = array_fill(1, ARRAY[128])::vector WHERE id IN (30, 60)",
    );
    assert_eq!(finished, Finished::done(98, 0));
    assert_eq!(
        db.session().number(
            "SELECT count(*) FROM logs WHERE embedding = array_fill(1, ARRAY[128])::vector"
        ),
        2
    );
}

// A row that references a locked one must not be held up: FOR KEY SHARE is what a foreign key check takes.
#[test]
fn foreign_key_checks_and_a_call_do_not_meet() {
    let db = Db::fresh();
    let (mut session, mut other) = (db.session(), db.session());
    logs(&mut session, 100);
    other.run("CREATE TABLE notes (log bigint REFERENCES logs)");
    other.run("BEGIN; INSERT INTO notes SELECT id FROM logs");
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(100, 0)
    );
    other.run("COMMIT");
    assert_eq!(right(&mut session, "logs"), 100);
}
