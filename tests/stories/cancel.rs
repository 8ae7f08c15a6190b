//! Ctrl-C, `statement_timeout` and termination while the API keeps everyone waiting: at once, and the session goes on.

use std::{thread, time::Duration};

use google_standin::Reply;
use support::{Db, Session, denied, timed, wait_until};

use crate::fixtures::{always, filled, logs, mended};

const SOON: Duration = Duration::from_millis(500);
const CALLS: [&str; 2] = [
    "SELECT embed_missing('logs', 250)",
    "CALL embed_all_missing('logs', 250)",
];

/// 300 pending rows and an API that never answers.
fn hung() -> (Db<'static>, Session) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 300);
    always(&db, Reply::Hang);
    (db, session)
}

fn in_flight(db: &Db) -> impl FnMut() -> bool {
    || db.api.stats().in_flight > 0
}

/// The same session, after what happened to it, does its work.
fn goes_on(db: &Db, session: &mut Session) {
    assert_eq!(filled(session, "logs"), 0);
    mended(db);
    assert_eq!(session.embed("'logs', 250").unwrap(), 250);
    assert_eq!(session.embed_all("'logs'").unwrap().embedded, 50);
}

#[test]
fn a_cancel_ends_the_call_at_once() {
    for call in CALLS {
        let (db, mut session) = hung();
        let pid = session.number("SELECT pg_backend_pid()::bigint");
        let mut other = db.session();
        thread::scope(|scope| {
            let running = scope.spawn(|| session.query(call, &[]));
            wait_until("a request hangs", in_flight(&db));
            let ((), took) = timed(|| {
                other.run(&format!("SELECT pg_cancel_backend({pid})"));
                denied(
                    running.join().unwrap(),
                    "57014",
                    "canceling statement due to user request",
                );
            });
            assert!(took < SOON, "{call}: {took:?}");
        });
        goes_on(&db, &mut session);
    }
}

#[test]
fn ctrl_c_in_psql_ends_the_call_at_once() {
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
        goes_on(&db, &mut session);
    }
}

#[test]
fn statement_timeout_ends_the_call_in_time() {
    for call in CALLS {
        let (db, mut session) = hung();
        session.run("SET statement_timeout = '400ms'");
        let (result, took) = timed(|| session.query(call, &[]));
        denied(
            result,
            "57014",
            "canceling statement due to statement timeout",
        );
        assert!(took < Duration::from_millis(400) + SOON, "{call}: {took:?}");
        assert!(
            db.api.stats().requests > 0,
            "the time was up before a request was sent"
        );
        session.run("RESET statement_timeout");
        goes_on(&db, &mut session);
    }
}

#[test]
fn a_terminated_session_is_gone_at_once() {
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
        goes_on(&db, &mut other);
    }
}

#[test]
fn a_client_that_goes_away_does_not_leave_its_backend_behind() {
    let (db, mut session) = hung();
    db.session().run(&format!(
        "ALTER DATABASE {} SET client_connection_check_interval = '100ms'",
        db.name
    ));
    let mut psql = db.start_psql(&["-c", CALLS[1]]);
    wait_until("a request hangs", in_flight(&db));
    psql.kill();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CALL %'";
    wait_until("its backend is gone", || session.number(others) == 0);
    goes_on(&db, &mut session);
}

#[test]
fn what_a_cancelled_call_has_committed_stays() {
    let db = Db::fresh();
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
