//! Threads in a PostgreSQL backend: none before there is something to send, none that could take a signal meant for PostgreSQL, and
//! none left behind, nor a file or a lock, by a `CALL` that failed.

use std::{thread, time::Duration};

use google_standin::Reply;
use support::{Db, Process, Session, wait_until};

use crate::fixtures::{always, filled, logs, mended, right};

/// Signals 1 to 31 but for KILL and STOP, which nobody can block. The C library keeps two of the later ones for itself.
const BLOCKED: u64 = 0x7fff_ffff & !(1 << 8) & !(1 << 18);

#[test]
fn every_thread_but_the_first_blocks_all_signals() {
    let db = Db::fresh();
    always(&db, Reply::Hang);
    db.set("concurrency", "16");
    let mut session = db.session();
    logs(&mut session, 500);
    for call in [
        "SELECT embed_missing('logs', 5000)",
        "CALL embed_all_missing('logs', 5)",
    ] {
        let in_flight = if call.contains("CALL") { 16 } else { 5 };
        let mut caller = db.session();
        // It ends by itself where it is not cancelled, so that a failed story does.
        caller.run("SET statement_timeout = '40s'");
        let backend = Process::of(&mut caller);
        thread::scope(|scope| {
            let running = scope.spawn(|| caller.batch_execute(call));
            wait_until("all requests are in flight", || {
                db.api.stats().in_flight == in_flight
            });
            let masks = backend.blocked_signals();
            // Cancelled first, since a failed check would wait for the call.
            session.run(&format!("SELECT pg_cancel_backend({})", backend.pid()));
            running.join().unwrap().unwrap_err();
            assert_eq!(masks.len() as u64, in_flight);
            assert!(
                masks.iter().all(|mask| mask & BLOCKED == BLOCKED),
                "{masks:x?}"
            );
        });
        drop(caller);
        wait_until("its requests are gone", || db.api.stats().in_flight == 0);
    }
}

#[test]
fn no_thread_before_there_is_something_to_send() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE TABLE full_already (body text, embedding vector(128)); CREATE TABLE none (body text)");
    let backend = Process::of(&mut session);
    session.run("LOAD 'embedding_backfill'; SHOW embedding_backfill.concurrency");
    session.embed("'full_already'").unwrap();
    session.embed_all("'full_already'").unwrap();
    session.embed_all("'none'").unwrap_err();
    assert_eq!(backend.threads().len(), 1);
    assert_eq!(db.api.stats().connections, 0);

    session.run("INSERT INTO full_already VALUES ('entry', NULL)");
    session.embed_all("'full_already'").unwrap();
    assert_eq!(right(&mut session, "full_already"), 1);
}

/// How a CALL is made to fail, the SQLSTATE it fails with, and how that is mended.
const FAILURES: [(&str, &str, &str); 7] = [
    (
        "SET statement_timeout = '300ms'",
        "57014",
        "RESET statement_timeout",
    ),
    (
        "ALTER TABLE logs ADD CHECK (embedding IS NULL OR id <> 50) NOT VALID",
        "23514",
        "ALTER TABLE logs DROP CONSTRAINT logs_check",
    ),
    (
        "CREATE TRIGGER no BEFORE UPDATE ON logs FOR EACH ROW WHEN (old.id = 50) EXECUTE FUNCTION no()",
        "P0001",
        "DROP TRIGGER no ON logs",
    ),
    // Raised by the COMMIT.
    (
        "CREATE CONSTRAINT TRIGGER no AFTER UPDATE ON logs DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (old.id = 50) EXECUTE FUNCTION no()",
        "P0001",
        "DROP TRIGGER no ON logs",
    ),
    (
        "ALTER TABLE logs RENAME body TO text",
        "42703",
        "ALTER TABLE logs RENAME text TO body",
    ),
    (
        "CREATE OR REPLACE FUNCTION factor() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1 / 0'",
        "22012",
        "CREATE OR REPLACE FUNCTION factor() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1'",
    ),
    (
        "SET embedding_backfill.api_key_file = '/nowhere'",
        "58P01",
        "RESET embedding_backfill.api_key_file",
    ),
];

#[test]
fn a_call_after_a_failure_finds_nothing_left_behind() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run(
        "CREATE FUNCTION factor() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         SET embedding_backfill.concurrency = 1; SET embedding_backfill.max_attempts = 1; SET embedding_backfill.request_timeout = '1s'",
    );
    let backend = Process::of(&mut session);
    // The connection that is kept open for the next call is no leak.
    works(&db, &mut session);
    let open = backend.pipes_and_sockets();

    for (failure, sqlstate, mend) in FAILURES {
        println!("{failure}");
        session.run(failure);
        // The first requests pass, so that it fails in the midst.
        db.api.set(|config| {
            config.latency = Duration::from_millis(if sqlstate == "57014" { 60_000 } else { 2 });
        });
        fails(&db, &mut session, sqlstate);
        session.run(mend);
        db.api.set(|config| config.latency = Duration::ZERO);
        works(&db, &mut session);
    }
    for (reply, sqlstate) in [
        (Reply::recorded("400_api_key_invalid"), "28000"),
        (
            Reply::recorded("404_model_not_found_batchEmbedContents"),
            "38000",
        ),
        (Reply::recorded("500_internal"), "38000"),
        (Reply::Close, "58030"),
        (Reply::Hang, "58030"),
        (Reply::json(200, "{\"embeddings\": []}"), "38000"),
    ] {
        println!("{reply:?}");
        always(&db, reply);
        fails(&db, &mut session, sqlstate);
        mended(&db);
        works(&db, &mut session);
    }
    wait_until("all threads have ended", || backend.threads().len() == 1);
    assert_eq!(backend.pipes_and_sockets(), open);
}

const ARGUMENTS: &str = "'logs', 10, content => 'repeat(body, factor())'";

#[track_caller]
fn fails(db: &Db, session: &mut Session, sqlstate: &str) {
    let error = session.embed_all(ARGUMENTS).unwrap_err();
    assert_eq!(
        error.code().expect("the server's").code(),
        sqlstate,
        "{error:?}"
    );
    let locks = db.session().number(
        "SELECT count(*) FROM pg_locks
         WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (locktype = 'advisory' OR relation = 'logs'::regclass)",
    );
    assert_eq!(locks, 0);
}

/// It fills what is left, and all can begin anew.
#[track_caller]
fn works(db: &Db, session: &mut Session) {
    let left = 100 - filled(session, "logs");
    assert!(left > 0, "the call before had filled everything");
    assert_eq!(session.embed_all(ARGUMENTS).unwrap().embedded, left);
    assert_eq!(right(session, "logs"), 100);
    db.session().run("UPDATE logs SET embedding = NULL");
}
