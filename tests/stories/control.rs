//! What an operator does to the runs of others: stop them, watch them, and have rejected rows sent again.

use std::{thread, time::Duration};

use google_standin::{Config, Reply};
use support::{Db, Finished, Session, denied, refused, wait_until};

use crate::fixtures::{always, filled, logs, mended, right};

/// Slow enough that a run of a thousand rows is met at work.
fn slow() -> (Db<'static>, Session) {
    let db = Db::with(Config {
        latency: Duration::from_millis(150),
        ..Config::default()
    });
    db.set("concurrency", "2");
    let mut session = db.session();
    logs(&mut session, 1000);
    (db, session)
}

/// Runs a CALL in a session of its own; `meanwhile` begins when its first rows are in.
fn beside_a_call(db: &Db, caller: &str, meanwhile: impl FnOnce(&mut Session)) -> Finished {
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session_as(caller).embed_all("'logs', 10").unwrap());
        let mut session = db.session();
        wait_until("the run is at work", || filled(&mut session, "logs") > 0);
        meanwhile(&mut session);
        call.join().unwrap()
    })
}

fn stop(session: &mut Session, relation: &str) -> Result<bool, postgres::Error> {
    let row = session.query_one(&format!("SELECT embed_stop({relation})"), &[])?;
    Ok(row.get(0))
}

#[track_caller]
fn stopped(db: &Db, session: &mut Session, finished: &Finished) {
    assert_eq!(finished.stopped_because, "stop_requested");
    assert!((1..1000).contains(&finished.embedded), "{finished:?}");
    // What was in flight is paid for, and it is written.
    assert_eq!(db.api.stats().texts_billed as i64, finished.embedded);
    assert_eq!(right(session, "logs") as i64, finished.embedded);
    let run = session
        .query_one(
            "SELECT state, reason, embedded FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1",
            &[],
        )
        .unwrap();
    let (state, reason, embedded): (&str, &str, i64) = (run.get(0), run.get(1), run.get(2));
    assert_eq!(
        (state, reason, embedded),
        ("done", "stop_requested", finished.embedded)
    );
}

#[test]
fn a_second_session_stops_a_run() {
    let (db, mut session) = slow();
    let finished = beside_a_call(&db, "postgres", |other| {
        assert!(stop(other, "'logs'").unwrap());
        // Asking twice is no error.
        stop(other, "'logs'").unwrap();
    });
    stopped(&db, &mut session, &finished);
    assert!(
        !stop(&mut session, "'logs'").unwrap(),
        "nothing runs any more"
    );

    // It stopped that run, not the next one.
    db.api.set(|config| config.latency = Duration::ZERO);
    let left = 1000 - finished.embedded;
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(left, 0)
    );
}

#[test]
fn while_it_waits_for_another_attempt() {
    let db = Db::fresh();
    db.set("max_attempts", "50");
    let mut session = db.session();
    logs(&mut session, 100);
    session.embed_all("'logs', max_rows => 10").unwrap();
    always(&db, Reply::recorded("503_overloaded"));
    let asked = db.api.stats().requests;
    let finished = thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 10").unwrap());
        wait_until("it is refused again and again", || {
            db.api.stats().requests >= asked + 24
        });
        wait_until("the journal says why it waits", || {
            session.number(
                "SELECT count(*) FROM embedding_backfill.progress WHERE waiting_for LIKE '%503%'",
            ) == 1
        });
        assert!(stop(&mut session, "'logs'").unwrap());
        wait_until("it is over", || call.is_finished());
        call.join().unwrap()
    });
    assert_eq!(
        (finished.embedded, finished.stopped_because.as_str()),
        (0, "stop_requested")
    );
    mended(&db);
}

#[test]
fn a_request_that_is_rolled_back_stops_nothing() {
    let db = Db::with(Config {
        latency: Duration::from_millis(100),
        ..Config::default()
    });
    db.set("concurrency", "2");
    let mut session = db.session();
    logs(&mut session, 300);
    let finished = beside_a_call(&db, "postgres", |other| {
        other.run("BEGIN; SELECT embed_stop('logs'); ROLLBACK");
    });
    assert_eq!(finished, Finished::done(300, 0));
}

#[test]
fn who_may_stop_a_run() {
    let (db, mut session) = slow();
    let [runner, owner, reader, stranger] =
        ["runner", "owner", "reader", "stranger"].map(|name| db.role(name));
    session.run(&format!(
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {runner}; GRANT SELECT, UPDATE ON logs TO {runner};
         ALTER TABLE logs OWNER TO {owner}; GRANT SELECT ON logs TO {reader}"
    ));
    for may in [&runner, &owner] {
        session.run("UPDATE logs SET embedding = NULL");
        let finished = beside_a_call(&db, &runner, |_| {
            refused(
                stop(&mut db.session_as(&reader), "'logs'"),
                "42501",
                "permission denied to stop run",
                "owner",
            );
            assert!(
                !stop(&mut db.session_as(&stranger), "'logs'").unwrap(),
                "he sees no run"
            );
            assert!(stop(&mut db.session_as(may), "'logs'").unwrap());
        });
        assert_eq!(finished.stopped_because, "stop_requested", "{may}");
    }
    for statement in [
        "INSERT INTO embedding_backfill.stop_requests SELECT 1",
        "SELECT FROM embedding_backfill.stop_requests",
    ] {
        denied(
            db.session_as(&stranger).batch_execute(statement),
            "42501",
            "permission denied for table",
        );
    }
}

#[test]
fn nothing_to_stop() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    session.embed_all("'logs'").unwrap();
    assert!(!stop(&mut session, "'logs'").unwrap());
    assert!(!stop(&mut session, "'pg_class'").unwrap());
    assert!(!stop(&mut session, "424242").unwrap());
    refused(
        stop(&mut session, "NULL"),
        "22004",
        "relation must not be NULL",
        "memory_logs",
    );
}

#[test]
fn progress_from_a_second_session() {
    let (db, _) = slow();
    beside_a_call(&db, "postgres", |other| {
        wait_until("the view says how far it is", || {
            other
                .query("SELECT embedded, pending, percent::float8, rows_per_second::float8, extract(epoch FROM eta)::float8, cost::float8, run_by::text FROM embedding_backfill.progress", &[])
                .unwrap()
                .first()
                .is_some_and(|row| {
                    let (embedded, pending): (i64, i64) = (row.get(0), row.get(1));
                    if embedded == 0 {
                        return false;
                    }
                    assert_eq!((pending, row.get::<_, &str>(6)), (1000, "postgres"));
                    assert!((row.get::<_, f64>(2) - embedded as f64 / 10.0).abs() < 0.06);
                    assert!(row.get::<_, f64>(3) > 0.0 && row.get::<_, f64>(4) > 0.0 && row.get::<_, f64>(5) > 0.0);
                    true
                })
        });
        other.run("SELECT embed_stop('logs')");
    });
}
