//! Ctrl-C, `statement_timeout` and termination while the API keeps everyone waiting: at once, and the session goes on.

use std::{thread, time::Duration};

use google_standin::Reply;
use support::{Db, Session, Trial, denied, timed, wait_until};

use crate::fixtures::{always, at_both, filled, logs, mended};

pub const SOON: Duration = Duration::from_millis(500);

/// Each way of waiting for the API.
pub const CALLS: [&str; 3] = [
    "SELECT embed_missing('logs', 250)",
    "CALL embed_all_missing('logs', 250)",
    "SELECT embed_text('entry')",
];

/// 300 pending rows and an API that never answers.
fn hung() -> (Db<'static>, Session) {
    let db = Db::fresh();
    hung_on(&db);
    let session = db.session();
    (db, session)
}

pub fn hung_on(db: &Db) {
    logs(&mut db.session(), 300);
    always(db, Reply::Hang);
}

pub fn in_flight(db: &Db) -> impl FnMut() -> bool {
    || db.api.stats().in_flight > 0
}

/// Leaves what each of `CALLS` came through.
pub fn note(fault: &str, seen: &str) {
    Trial {
        chapter: "Processes and signals",
        fault,
        times: CALLS.len() as u64,
        seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// The same session, after what happened to it, does its work.
pub fn goes_on(db: &Db, session: &mut Session) {
    assert_eq!(filled(session, "logs"), 0);
    mended(db);
    assert_eq!(session.embed("'logs', 250").unwrap(), 250);
    assert_eq!(session.embed_all("'logs'").unwrap().embedded, 50);
}

#[test]
fn a_cancel_ends_the_call_at_once() {
    let mut seen = String::new();
    for call in CALLS {
        let (db, mut session) = hung();
        let pid = session.number("SELECT pg_backend_pid()::bigint");
        let mut other = db.session();
        thread::scope(|scope| {
            let running = scope.spawn(|| session.query(call, &[]));
            wait_until("a request hangs", in_flight(&db));
            let ((), took) = timed(|| {
                other.run(&format!("SELECT pg_cancel_backend({pid})"));
                let error = denied(
                    running.join().unwrap(),
                    "57014",
                    "canceling statement due to user request",
                );
                seen = error.message().to_owned();
            });
            assert!(took < SOON, "{call}: {took:?}");
        });
        goes_on(&db, &mut session);
    }
    note("pg_cancel_backend while a request hangs", &seen);
}

#[test]
fn ctrl_c_in_psql_ends_the_call_at_once() {
    let mut seen = String::new();
    for call in CALLS {
        let (db, mut session) = hung();
        let psql = db.start_psql(&["-c", call]);
        wait_until("a request hangs", in_flight(&db));
        let (said, took) = timed(|| {
            psql.interrupt();
            psql.wait()
        });
        assert!(took < SOON, "{call}: {took:?}");
        assert!(
            !said.ok
                && said
                    .stderr
                    .contains("canceling statement due to user request"),
            "{said:?}"
        );
        let error = said.stderr.lines().find_map(|l| l.strip_prefix("ERROR:  "));
        seen = error.expect("it is an error").to_owned();
        goes_on(&db, &mut session);
    }
    note("Ctrl-C in psql while a request hangs", &seen);
}

#[test]
fn statement_timeout_ends_the_call_in_time() {
    let mut seen = String::new();
    for call in CALLS {
        let (db, mut session) = hung();
        session.run("SET statement_timeout = '1500ms'");
        let (result, took) = timed(|| session.query(call, &[]));
        let error = denied(
            result,
            "57014",
            "canceling statement due to statement timeout",
        );
        seen = error.message().to_owned();
        assert!(
            took < Duration::from_millis(1500) + SOON,
            "{call}: {took:?}"
        );
        assert!(
            db.api.stats().requests > 0,
            "the time was up before a request was sent"
        );
        session.run("RESET statement_timeout");
        goes_on(&db, &mut session);
    }
    note("statement_timeout while a request hangs", &seen);
}

#[test]
fn a_terminated_session_is_gone_at_once() {
    let mut seen = String::new();
    for call in CALLS {
        let (db, mut session) = hung();
        let pid = session.number("SELECT pg_backend_pid()::bigint");
        let mut other = db.session();
        thread::scope(|scope| {
            let running = scope.spawn(|| session.query(call, &[]));
            wait_until("a request hangs", in_flight(&db));
            let ((), took) = timed(|| {
                other.run(&format!("SELECT pg_terminate_backend({pid})"));
                running.join().unwrap().unwrap_err();
                wait_until("the backend is gone", || {
                    !std::path::Path::new(&format!("/proc/{pid}")).exists()
                });
            });
            assert!(took < SOON, "{call}: {took:?}");
        });
        seen = db.last_words(pid);
        goes_on(&db, &mut other);
    }
    note("pg_terminate_backend while a request hangs", &seen);
}

#[test]
fn a_client_that_goes_away_does_not_leave_its_backend_behind() {
    let mut seen = String::new();
    for call in CALLS {
        let (db, mut session) = hung();
        db.session().run(&format!(
            "ALTER DATABASE {} SET client_connection_check_interval = '100ms'",
            db.name
        ));
        let mut psql = db.start_psql(&["-c", call]);
        wait_until("a request hangs", in_flight(&db));
        let client = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'psql'";
        let backend = session.number(&format!("SELECT pid::bigint {client}"));
        psql.kill();
        wait_until("its backend is gone", || {
            session.number(&format!("SELECT count(*) {client}")) == 0
        });
        seen = db.last_words(backend);
        goes_on(&db, &mut session);
    }
    note(
        "client gone while a request hangs, client_connection_check_interval set",
        &seen,
    );
}

fn what_a_cancelled_call_has_committed_stays(db: &Db) {
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 100);
    db.api.set(|config| {
        config.replies = [Reply::Serve, Reply::Serve, Reply::Serve, Reply::Hang].into();
    });
    let psql = db.start_psql(&["-c", "CALL embed_all_missing('logs', 10)"]);
    wait_until("the fourth request hangs", || {
        db.api.stats().requests == 4 && filled(&mut session, "logs") == 30
    });
    psql.interrupt();
    assert!(!psql.wait().ok);
    assert_eq!(filled(&mut session, "logs"), 30);
    assert_eq!(session.embed_all("'logs', 10").unwrap().embedded, 70);
}

// The rows of a batch that was cut short must not stay locked, and a batch after many cut-short ones must still get through.
#[test]
fn twenty_cancels_in_a_row_leave_nothing_behind() {
    let (db, mut session) = hung();
    let pid = session.number("SELECT pg_backend_pid()::bigint");
    session.run("SET statement_timeout = '100ms'");
    for _ in 0..20 {
        denied(session.query(CALLS[1], &[]), "57014", "statement timeout");
    }
    session.run("RESET statement_timeout");
    let held =
        format!("SELECT count(*) FROM pg_locks WHERE pid <> {pid} AND relation = 'logs'::regclass");
    assert_eq!(session.number(&held), 0);
    assert_eq!(session.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), 0);
    goes_on(&db, &mut session);
}

at_both! {
    what_a_cancelled_call_has_committed_stays
}
