//! PostgreSQL's own clocks while a request is being answered: those that measure work end it in time, those that measure idleness
//! are not fooled.

use std::time::Duration;

use google_standin::Config;
use support::{Db, Finished, Process, Session, timed, wait_until};

use crate::{
    cancel::{CALLS, SOON, goes_on, hung_on, note},
    fixtures::{filled, logs, right},
};

/// How long a session may idle, and an API that takes longer.
const IDLE: &str = "700ms";
const LATENCY: Duration = Duration::from_millis(1500);

/// Pending rows beside that API.
fn slow(rows: u32) -> Db<'static> {
    let db = Db::with(Config {
        latency: LATENCY,
        ..Config::default()
    });
    logs(&mut db.session(), rows);
    db
}

/// The session is ended for idling, which it did not do before.
fn ended_for_idling(db: &Db, session: &mut Session, backend: Process) -> String {
    wait_until("the idle session is ended", || backend.has_ended());
    session.batch_execute("SELECT 1").unwrap_err();
    db.last_words(backend.pid())
}

#[test]
fn a_session_that_waits_for_the_api_does_not_idle() {
    let mut seen = String::new();
    for call in CALLS {
        let db = slow(300);
        let mut session = db.session();
        let backend = Process::of(&mut session);
        session.run(&format!("SET idle_session_timeout = '{IDLE}'"));
        session.run(call);
        seen = ended_for_idling(&db, &mut session, backend);
        assert_eq!(seen, "terminating connection due to idle-session timeout");
        let rows = right(&mut db.session(), "logs");
        assert_eq!(
            rows as u64,
            db.api.stats().texts_billed - u64::from(call.contains("embed_text"))
        );
    }
    note(
        "idle_session_timeout shorter than an answer takes",
        &format!("nothing while the call works; when it is over and the session idles: {seen}"),
    );
}

#[test]
fn a_transaction_that_waits_for_the_api_does_not_idle() {
    let mut seen = String::new();
    let calls = CALLS.iter().filter(|call| call.starts_with("SELECT"));
    for call in calls {
        let db = slow(100);
        let mut session = db.session();
        let backend = Process::of(&mut session);
        session.run(&format!(
            "SET idle_in_transaction_session_timeout = '{IDLE}'; BEGIN"
        ));
        session.run(call);
        seen = ended_for_idling(&db, &mut session, backend);
        assert_eq!(
            seen,
            "terminating connection due to idle-in-transaction timeout"
        );
        // What was not committed is gone, and nothing of it is held.
        assert_eq!(filled(&mut db.session(), "logs"), 0);
        assert_eq!(db.session().embed_all("'logs'").unwrap().embedded, 100);
    }
    // A CALL has no transaction of its caller.
    let db = slow(100);
    let mut session = db.session();
    session.run(&format!(
        "SET idle_in_transaction_session_timeout = '{IDLE}'"
    ));
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(100, 0));
    note(
        "idle_in_transaction_session_timeout shorter than an answer takes",
        &format!("nothing while the call works; when it is over and its transaction idles: {seen}"),
    );
}

fn has_transaction_timeout(session: &mut Session) -> bool {
    session.number("SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'") == 1
}

#[test]
fn transaction_timeout_ends_the_session_in_time() {
    let mut seen = String::new();
    for call in CALLS {
        let db = Db::fresh();
        hung_on(&db);
        let mut session = db.session();
        if !has_transaction_timeout(&mut session) {
            return println!("PostgreSQL has it since version 17");
        }
        let backend = Process::of(&mut session);
        session.run("SET transaction_timeout = '700ms'");
        let ((), took) = timed(|| {
            session.batch_execute(call).unwrap_err();
            wait_until("the backend is gone", || backend.has_ended());
        });
        assert!(took < Duration::from_millis(700) + SOON, "{call}: {took:?}");
        assert!(
            db.api.stats().requests > 0,
            "the time was up before a request was sent"
        );
        seen = db.last_words(backend.pid());
        assert_eq!(seen, "terminating connection due to transaction timeout");
        goes_on(&db, &mut db.session());
    }
    note("transaction_timeout while a request hangs", &seen);
}

// It measures each transaction, and a CALL that waits has one each second. Would pass wrongly if an answer came before the time
// was up: both take longer.
#[test]
fn transaction_timeout_does_not_end_a_call_that_waits() {
    let db = slow(40);
    db.api.set(|config| config.latency = 2 * LATENCY);
    let mut session = db.session();
    if !has_transaction_timeout(&mut session) {
        return println!("PostgreSQL has it since version 17");
    }
    session.run("SET embedding_backfill.concurrency = 1; SET transaction_timeout = '2500ms'");
    let (finished, took) = timed(|| session.embed_all("'logs', 20"));
    assert_eq!(finished.unwrap(), Finished::done(40, 0));
    assert!(took >= 2 * 2 * LATENCY);
    assert_eq!(right(&mut session, "logs"), 40);
}
