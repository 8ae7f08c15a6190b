//! A `CALL` that has to wait for whoever changes the table goes on with the table that he leaves behind, not with what it saw
//! before it waited.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use support::{Db, Finished, Session, wait_until};

use crate::fixtures::{filled, logs, right};

/// Waits until somebody of this database wants a lock of that type that another one has.
fn somebody_waits(session: &mut Session, locktype: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = '{locktype}'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    wait_until("a lock is waited for", || session.number(&waiting) == 1);
}

const REPLACE: &str = "ALTER TABLE logs RENAME TO old; CREATE TABLE logs (LIKE old);
                       INSERT INTO logs SELECT * FROM old";

// Would pass wrongly if the namesake's rows were others: their places and contents are those of the table that was meant.
#[test]
fn a_table_that_takes_the_name_meanwhile_is_left_alone() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 100);
    let other = Arc::new(Mutex::new(db.session()));
    let (replacing, replaced) = (Arc::clone(&other), AtomicBool::new(false));
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            if !replaced.swap(true, Relaxed) {
                let mut other = replacing.lock().expect("no change panics");
                other.run(&format!("BEGIN; {REPLACE}"));
            }
            None
        }));
    });
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 10"));
        somebody_waits(&mut session, "relation");
        other.lock().expect("no change panics").run("COMMIT");
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42P01", "{error:?}");
    });
    // What was under way, and ready to be.
    assert!(db.api.stats().texts <= 20, "{:?}", db.api.stats());
    assert_eq!(filled(&mut session, "logs"), 0);
}

// What a call names is looked up when it begins.
#[test]
fn a_call_that_has_to_wait_before_it_begins_is_about_the_table_that_was_meant() {
    for call in [
        "SELECT embed_missing('logs', 10)",
        "CALL embed_all_missing('logs', max_rows => 10)",
        "SELECT FROM embed_verify('logs')",
        "SELECT FROM embed_plan('logs')",
    ] {
        println!("{call}");
        let db = Db::fresh();
        let (mut session, mut other) = (db.session(), db.session());
        logs(&mut session, 100);
        other.run(&format!(
            "BEGIN; {REPLACE}; UPDATE logs SET body = 'secret'"
        ));
        thread::scope(|scope| {
            let call = scope.spawn(|| db.session().run(call));
            somebody_waits(&mut session, "relation");
            other.run("COMMIT");
            call.join().unwrap();
        });
        assert_eq!(filled(&mut session, "logs"), 0);
        let rows = if call.contains("missing") { 10 } else { 0 };
        assert_eq!(right(&mut session, "old"), rows);
        assert_eq!(db.api.stats().texts, rows as u64);
    }
}

// To a snapshot from before it a table that ALTER TABLE rewrites, or that was emptied and filled again, has no row. Would pass
// wrongly if the CALL came first: the change waits for its first look at the table, and its next for the change.
#[test]
fn a_table_that_is_written_anew_meanwhile_is_not_taken_for_an_empty_one() {
    for change in [
        "ALTER TABLE logs ADD COLUMN seen timestamptz DEFAULT clock_timestamp()",
        "TRUNCATE logs; INSERT INTO logs SELECT i, 'new ' || i FROM generate_series(1, 100) i",
        "TRUNCATE low; INSERT INTO low SELECT i, 'new ' || i FROM generate_series(1, 100) i",
    ] {
        println!("{change}");
        let db = Db::fresh();
        let (mut session, mut other, mut gate) = (db.session(), db.session(), db.session());
        session.run(
            "CREATE TABLE logs (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (1000);
             INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 100) i;
             CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN true; END'",
        );
        gate.run("SELECT pg_advisory_lock(7)");
        thread::scope(|scope| {
            let call = scope.spawn(|| {
                let mut caller = db.session();
                caller.embed_all("'logs', content => 'body', source_filter => 'gate()'")
            });
            // In the midst of counting the rows.
            somebody_waits(&mut session, "advisory");
            let changed = scope.spawn(move || {
                other.run(&format!("BEGIN; {change}"));
                other
            });
            somebody_waits(&mut session, "relation");
            gate.run("SELECT pg_advisory_unlock(7)");
            let mut other = changed.join().unwrap();
            somebody_waits(&mut session, "relation");
            other.run("COMMIT");
            assert_eq!(call.join().unwrap().unwrap(), Finished::done(100, 0));
        });
        assert_eq!(right(&mut session, "logs"), 100);
    }
}
