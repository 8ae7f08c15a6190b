//! Threads in a PostgreSQL backend: none before there is something to send, none that could take a signal meant for PostgreSQL, and
//! none left behind, nor a file or a lock, by a `CALL` that failed.

use std::{thread, time::Duration};

use google_standin::Reply;
use support::{Db, Process, Session, Trial, denied, wait_until};

use crate::fixtures::{always, filled, logs, mended, right};

/// All 64 but KILL and STOP, which nobody can block, and the two that the C library keeps for itself.
const BLOCKED: u64 = !(1 << 8 | 1 << 18 | 1 << 31 | 1 << 32);

/// What PostgreSQL is told with: HUP, INT, QUIT, USR1, ALRM, TERM.
const POSTGRES: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 9 | 1 << 13 | 1 << 14;

const CALLS: [&str; 3] = [
    "SELECT embed_missing('logs', 5000)",
    "CALL embed_all_missing('logs', 100)",
    "SELECT embed_texts(array_agg(body)) FROM logs",
];

/// Five requests without an answer, and what is seen of the backend before and after they are cancelled.
fn cancelled(db: &Db, call: &str, before: impl Fn(Process), after: impl Fn(Process, &mut Session)) {
    let (mut caller, mut other) = (db.session(), db.session());
    // It ends by itself where it is not cancelled, so that a failed story does.
    caller.run("SET statement_timeout = '40s'");
    let backend = Process::of(&mut caller);
    thread::scope(|scope| {
        let running = scope.spawn(|| caller.batch_execute(call));
        wait_until("all requests are in flight", || {
            db.api.stats().in_flight == 5
        });
        before(backend);
        other.run(&format!("SELECT pg_cancel_backend({})", backend.pid()));
        denied(running.join().unwrap(), "57014", "due to user request");
    });
    after(backend, &mut caller);
    drop(caller);
    wait_until("its requests are gone", || db.api.stats().in_flight == 0);
}

fn hung() -> Db<'static> {
    let db = Db::fresh();
    always(&db, Reply::Hang);
    logs(&mut db.session(), 500);
    db
}

#[test]
fn every_thread_but_the_first_blocks_all_signals() {
    let db = hung();
    for call in CALLS {
        let masks_are_right = |backend: Process| {
            let masks = backend.blocked_by_the_others();
            assert_eq!(masks.len(), 5);
            assert!(
                masks.iter().all(|mask| mask & BLOCKED == BLOCKED),
                "{masks:x?}"
            );
            let first = backend.blocked_by_the_first();
            assert_eq!(first & POSTGRES, 0, "{first:x}");
        };
        cancelled(&db, call, masks_are_right, |_, _| ());
    }
    Trial {
        chapter: "Processes and signals",
        fault: "a signal to a backend with requests in flight",
        times: CALLS.len() as u64,
        seen: "every thread but the first blocks all signals, so PostgreSQL's own thread takes it",
        lost: 0,
        doubled: 0,
    }
    .note();
}

// Would pass wrongly if a cancel waited for the threads: those that it leaves are counted.
#[test]
fn what_a_cancel_leaves_are_threads_that_end_with_their_request() {
    let db = hung();
    db.set("request_timeout", "2s");
    for call in CALLS {
        let only_requests_are_left = |backend: Process, caller: &mut Session| {
            let left = backend.names_of_the_others();
            assert_eq!(left, ["embedding"; 5]);
            assert!(
                backend
                    .blocked_by_the_others()
                    .iter()
                    .all(|mask| mask & BLOCKED == BLOCKED)
            );
            // Postgres is used by one thread alone meanwhile.
            assert_eq!(caller.number("SELECT sum(id)::bigint FROM logs"), 125_250);
            wait_until("they end with their requests", || {
                backend.threads().len() == 1
            });
        };
        cancelled(&db, call, |_| (), only_requests_are_left);
    }
    Trial {
        chapter: "Processes and signals",
        fault: "threads that a cancel leaves behind",
        times: CALLS.len() as u64,
        seen: "each ends with its request, at request_timeout at the latest",
        lost: 0,
        doubled: 0,
    }
    .note();
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
        "CREATE TRIGGER no BEFORE UPDATE ON logs FOR EACH ROW WHEN (old.id = 50) EXECUTE FUNCTION full_disk()",
        "53100",
        "DROP TRIGGER no ON logs",
    ),
    (
        "CREATE TRIGGER no AFTER UPDATE ON logs FOR EACH ROW WHEN (old.id = 50) EXECUTE FUNCTION full_disk()",
        "53100",
        "DROP TRIGGER no ON logs",
    ),
    // Raised by the COMMIT.
    (
        "CREATE TRIGGER no BEFORE UPDATE ON logs FOR EACH ROW WHEN (old.id = 50) EXECUTE FUNCTION note()",
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
         CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = 'disk_full'; END $$;
         CREATE TABLE notes (id bigint);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES (NEW.id); RETURN NEW; END $$;
         CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE CONSTRAINT TRIGGER no AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no();
         SET embedding_backfill.concurrency = 1; SET embedding_backfill.max_attempts = 1; SET embedding_backfill.request_timeout = '3s'",
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
    let refusals = [
        (Reply::recorded("400_api_key_invalid"), "28000"),
        (
            Reply::recorded("404_model_not_found_batchEmbedContents"),
            "38000",
        ),
        (Reply::recorded("500_internal"), "38000"),
        (Reply::Close, "58030"),
        (Reply::Hang, "58030"),
        (Reply::json(200, "{\"embeddings\": []}"), "38000"),
    ];
    for (reply, sqlstate) in &refusals {
        println!("{reply:?}");
        always(&db, reply.clone());
        fails(&db, &mut session, sqlstate);
        mended(&db);
        works(&db, &mut session);
    }
    wait_until("all threads have ended", || backend.threads().len() == 1);
    assert_eq!(backend.pipes_and_sockets(), open);
    Trial {
        chapter: "Processes and signals",
        fault: "a second CALL in the session of one that failed",
        times: (FAILURES.len() + refusals.len()) as u64,
        seen: "it does the rest; no thread, file or lock is left behind",
        lost: 0,
        doubled: 0,
    }
    .note();
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
    let locks = "SELECT count(*) FROM pg_locks
         WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (locktype = 'advisory' OR relation = 'logs'::regclass)";
    // A client hears of its error before the server has let go of all.
    let mut other = db.session();
    wait_until("no lock is left", || other.number(locks) == 0);
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
