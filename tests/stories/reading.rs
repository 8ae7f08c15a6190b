//! What a `CALL` reads, and when: no more than it can soon send, nothing that it can't write to, and never while vectors that it
//! has written wait for their commit.

use std::thread;

use support::{Db, Finished, Process, Session, wait_until};

use crate::fixtures::{Gate, filled, logs, right};

/// Kilobytes that a run may take for texts on their way, of 200 MB that there are: two requests of its one thread, as they are and
/// as JSON, the look for the price, and what malloc keeps of all that.
const MOST_KB: u64 = 120 * 1024;

// Would pass wrongly if memory were looked at before the texts are read: the request that is held has the first of them, and what
// goes out next has been read by then.
#[test]
fn large_contents_are_read_as_they_can_be_sent() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    db.api.set(|config| config.record = false);
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO logs SELECT i, i || repeat(' word', 200000) FROM generate_series(1, 200) i",
    );
    let gate = Gate::after(&db, 0);
    let mut caller = db.session();
    let backend = Process::of(&mut caller);
    let before = backend.memory_kb();
    thread::scope(|scope| {
        let call = scope.spawn(|| caller.embed_all("'logs', 100").unwrap());
        wait_until("a request is held and the next is ready", || {
            let waits = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active' AND backend_xmin IS NULL",
                backend.pid()
            );
            db.api.stats().in_flight == 1 && session.number(&waits) == 1
        });
        let taken = backend.memory_kb() - before;
        assert!(taken < MOST_KB, "{taken} kB");
        gate.open();
        assert_eq!(call.join().unwrap(), Finished::done(200, 0));
    });
    assert_eq!(right(&mut session, "logs"), 200);
}

// What is locked when its vector comes is paid for, and that shows it. Would pass wrongly if the CALL ended at the first locked
// row: there is one behind them all that is free.
#[test]
fn a_table_that_is_locked_is_not_paid_for() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let (mut session, mut other) = (db.session(), db.session());
    logs(&mut session, 2000);
    let mut transaction = other.transaction().unwrap();
    let lock = "SELECT FROM logs WHERE id < 2000 FOR UPDATE";
    transaction.execute(lock, &[]).unwrap();
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(1, 1999)
    );
    let texts = db.api.stats().texts_billed;
    assert!(texts <= 100, "{texts} texts for one row");
    let told = session.notices();
    let warned = |notice: &&String| {
        notice.starts_with("WARNING: 1999 rows of logs")
            && notice.contains("locked by other sessions")
    };
    assert_eq!(told.iter().filter(warned).count(), 1, "{told:?}");
    transaction.rollback().unwrap();
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(1999, 0)
    );
}

const LOCK: i32 = 7;

fn held_up(session: &mut Session) -> bool {
    session.number(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    ) == 1
}

// The look may take long on a big table. Would pass wrongly if it were not the look that is held up: the filter is asked for no
// row but the one that came when all others had been read.
#[test]
fn vectors_are_committed_before_the_next_look_for_rows() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 20);
    session.run(&format!(
        "CREATE FUNCTION passes() RETURNS bool LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_advisory_lock({LOCK}); PERFORM pg_advisory_unlock({LOCK}); RETURN true; END $$"
    ));
    let gate = Gate::after(&db, 0);
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            db.session()
                .embed_all("'logs', source_filter => 'passes()'")
        });
        wait_until("all are on their way", || db.api.stats().in_flight == 1);
        session.run("INSERT INTO logs VALUES (21, 'one more')");
        session.run(&format!("SELECT pg_advisory_lock({LOCK})"));
        gate.open();
        wait_until("it looks for rows", || held_up(&mut session));
        assert_eq!(filled(&mut session, "logs"), 20);
        session.run(&format!("SELECT pg_advisory_unlock({LOCK})"));
        assert_eq!(call.join().unwrap().unwrap(), Finished::done(21, 0));
    });
    assert_eq!(right(&mut session, "logs"), 21);
}
