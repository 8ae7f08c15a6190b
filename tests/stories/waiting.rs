//! A `CALL` that waits, for an answer, for its pace or for another attempt, holds nothing that others could wait for.

use std::{
    thread::{self, sleep},
    time::Duration,
};

use google_standin::Reply;
use support::{Db, Finished, Session, wait_until};

use crate::fixtures::{Gate, always, filled, logs, mended, right};

/// The backend of the CALL that runs in this database.
fn caller(session: &mut Session, call: &str) -> i64 {
    session.number(&format!(
        "SELECT pid::bigint FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '{call}%'"
    ))
}

// Between two waits the run writes and keeps its journal, for some milliseconds a second, so a single look may meet it at work.
// Would pass wrongly if the CALL had ended or not begun: it is looked at as the one active backend with that query.
pub fn holds_nothing(db: &Db, call: &str) {
    let mut session = db.session();
    let pid = caller(&mut session, call);
    let look = format!(
        "SELECT count(*) FROM pg_stat_activity a
         WHERE pid = {pid} AND state = 'active' AND backend_xmin IS NULL AND backend_xid IS NULL
           AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype NOT IN ('virtualxid', 'advisory'))"
    );
    let free = (0..100)
        .filter(|_| {
            sleep(Duration::from_millis(5));
            session.number(&look) == 1
        })
        .count();
    assert!(free >= 50, "in {free} of 100 looks it held nothing");
}

pub fn holds_nobody_up(db: &Db) {
    let mut session = db.session();
    session.run("SET statement_timeout = '10s'");
    session.run("CREATE TABLE IF NOT EXISTS others (id int); INSERT INTO others SELECT generate_series(1, 100)");
    for table in ["logs", "others"] {
        // A run that held a snapshot would keep the dead rows for as long as it waits, not for a moment.
        wait_until(&format!("VACUUM of {table} takes the dead rows"), || {
            session.run(&format!("UPDATE {table} SET id = id WHERE id % 10 = 9"));
            session.notices();
            session.run(&format!("VACUUM (VERBOSE) {table}"));
            let told = session.notices().join("\n");
            assert!(told.contains("tuples: "), "{told}");
            told.contains(" 0 are dead but not yet removable")
        });
    }
    session.run("ALTER TABLE logs ADD COLUMN IF NOT EXISTS note text; LOCK TABLE logs IN ACCESS EXCLUSIVE MODE");
    let mut elsewhere = db.session_in("postgres");
    elsewhere.run("SET statement_timeout = '10s'");
    let other = format!("{}_other", db.name);
    elsewhere.run(&format!("CREATE DATABASE {other}"));
    elsewhere.run(&format!("DROP DATABASE {other}"));
}

/// A CALL with two requests in flight; `waits` says when it does, `ends` lets it go on.
fn while_it_waits(db: &Db, waits: impl Fn(&mut Session) -> bool, ends: impl FnOnce()) {
    let mut session = db.session();
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 20, content => 'body'"));
        wait_until("the run waits", || waits(&mut session));
        holds_nothing(db, "CALL embed_all_missing");
        holds_nobody_up(db);
        ends();
        assert_eq!(call.join().unwrap().unwrap(), Finished::done(200, 0));
    });
    assert_eq!(right(&mut session, "logs"), 200);
}

fn ready() -> Db<'static> {
    let db = Db::fresh();
    db.set("concurrency", "2");
    logs(&mut db.session(), 200);
    db
}

#[test]
fn for_an_answer() {
    let db = ready();
    let gate = Gate::after(&db, 2);
    while_it_waits(
        &db,
        |session| db.api.stats().in_flight == 2 && filled(session, "logs") > 0,
        || gate.open(),
    );
}

#[test]
fn for_another_attempt() {
    let db = ready();
    db.set("max_attempts", "20");
    always(&db, Reply::recorded("503_overloaded"));
    // From the fourth attempt on a back-off takes two seconds and more.
    while_it_waits(&db, |_| db.api.stats().requests >= 6, || mended(&db));
}

#[test]
fn for_its_pace() {
    let db = ready();
    // Ten requests in nine seconds.
    db.set("texts_per_minute", "1200");
    while_it_waits(&db, |session| filled(session, "logs") > 0, || ());
}

#[test]
fn pg_stat_activity_says_what_is_waited_for() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    let named = session.number("SELECT current_setting('server_version_num')::int8") >= 170_000;
    let gate = Gate::after(&db, 0);
    for call in [
        "CALL embed_all_missing('logs')",
        "SELECT embed_missing('logs')",
    ] {
        let event = match named {
            true => "Extension EmbeddingApi",
            false => "Extension Extension",
        };
        let look = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND query = $${call}$$ AND concat_ws(' ', wait_event_type, wait_event) = '{event}'"
        );
        let caller = db.start_psql(&["-c", call]);
        wait_until(event, || session.number(&look) == 1);
        caller.interrupt();
        caller.wait();
    }
    gate.open();
}
