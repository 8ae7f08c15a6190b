//! One `CALL` a column: the second says who is at work, `embed_missing` steps aside for it, and nothing of a run outlives it.

use std::thread;

use google_standin::Reply;
use support::{Db, Finished, Session, refused, wait_until};

use crate::fixtures::{Gate, filled, logs, mended, right};

pub fn advisory_locks(session: &mut Session) -> i64 {
    session.number(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

/// A CALL in a session of its own that stands still, and what happens meanwhile.
fn beside_a_call(rows: u32, meanwhile: impl FnOnce(&Db, i64)) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, rows);
    let gate = Gate::after(&db, 0);
    thread::scope(|scope| {
        let mut first = db.session();
        let pid = first.number("SELECT pg_backend_pid()::bigint");
        let call = scope.spawn(move || first.embed_all("'logs'").unwrap());
        wait_until("the first is at work", || db.api.stats().in_flight > 0);
        meanwhile(&db, pid);
        gate.open();
        assert_eq!(call.join().unwrap(), Finished::done(rows.into(), 0));
    });
    assert_eq!(db.api.stats().texts, u64::from(rows));
    assert_eq!(right(&mut session, "logs"), rows as usize);
    assert_eq!(advisory_locks(&mut session), 0);
}

#[test]
fn a_second_call_says_who_is_running() {
    beside_a_call(100, |db, pid| {
        let mut second = db.session();
        let row = second
            .query_one("CALL embed_all_missing('logs')", &[])
            .unwrap();
        let told: (i64, Option<i64>, String) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(told, (0, None, "already_running".to_owned()));
        let notices = second.notices();
        assert_eq!(
            notices,
            [format!(
                "NOTICE: logs.embedding is being filled by process {pid} of postgres"
            )]
        );
        // The session that was sent away holds nothing and can work elsewhere.
        second.run("CREATE TABLE notes (body text, embedding vector(128))");
        assert_eq!(second.embed_all("'notes'").unwrap(), Finished::done(0, 0));
    });
}

#[test]
fn embed_missing_steps_aside() {
    beside_a_call(100, |db, pid| {
        let mut second = db.session();
        assert_eq!(second.embed("'logs', 10").unwrap(), 0);
        let notices = second.notices();
        assert!(
            notices
                .iter()
                .any(|notice| notice.contains(&format!("process {pid} of postgres"))),
            "{notices:?}"
        );
    });
}

#[test]
fn another_column_is_another_matter() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    session.run("ALTER TABLE logs ADD COLUMN second vector(256)");
    let gate = Gate::after(&db, 1);
    thread::scope(|scope| {
        let calls = ["embedding", "second"].map(|column| {
            let call = format!("'logs', embedding_column => '{column}', content => 'body'");
            let db = &db;
            scope.spawn(move || db.session().embed_all(&call).unwrap())
        });
        wait_until("one is done while the other waits", || {
            session.number(
                "SELECT ((count(embedding) = 20)::int + (count(second) = 20)::int)::int8 FROM logs",
            ) == 1
        });
        gate.open();
        for call in calls {
            assert_eq!(call.join().unwrap(), Finished::done(20, 0));
        }
    });
}

// Would pass wrongly if the CALL ended before the other transaction did: it is still active when that one commits.
#[test]
fn a_call_waits_for_an_embed_missing_that_is_under_way() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    let mut other = db.session();
    let mut transaction = other.transaction().unwrap();
    let embedded: i64 = transaction
        .query_one("SELECT embed_missing('logs', 30)", &[])
        .unwrap()
        .get(0);
    assert_eq!(embedded, 30);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs'").unwrap());
        let active = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND state = 'active' AND query LIKE 'CALL %' AND wait_event IS NOT NULL";
        wait_until("the CALL waits", || session.number(active) == 1);
        assert_eq!(db.api.stats().requests, 1);
        transaction.commit().unwrap();
        assert_eq!(call.join().unwrap(), Finished::done(70, 0));
    });
    assert_eq!(db.api.stats().texts, 100);
    assert_eq!(right(&mut session, "logs"), 100);
}

// Would pass wrongly if the transaction had ended by itself: it is rolled back only when the call is over.
#[test]
fn a_call_waits_no_longer_than_it_may_work() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    let mut other = db.session();
    let mut transaction = other.transaction().unwrap();
    transaction
        .execute("SELECT embed_missing('logs', 30)", &[])
        .unwrap();
    let call = "CALL embed_all_missing('logs', max_duration => '1 s')";
    let finished = session.query_one(call, &[]).unwrap();
    let embedded: i64 = finished.get("embedded");
    let stopped_because: String = finished.get("stopped_because");
    assert_eq!((embedded, &*stopped_because), (0, "max_duration"));
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("not begun within max_duration")),
        "{notices:#?}"
    );
    assert_eq!(db.api.stats().texts, 30);
    transaction.rollback().unwrap();
    assert_eq!(
        session.embed_all("'logs', max_duration => '1 h'").unwrap(),
        Finished::done(100, 0)
    );
}

#[test]
fn a_run_that_fails_makes_room_for_the_next() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    db.api
        .set(|config| config.replies = [Reply::recorded("403_no_key")].into());
    refused(session.embed_all("'logs'"), "28000", "", "");
    assert_eq!(advisory_locks(&mut session), 0);
    assert_eq!(
        db.session().embed_all("'logs'").unwrap(),
        Finished::done(20, 0)
    );
}

#[test]
fn a_run_that_is_cancelled_makes_room_for_the_next() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    let gate = Gate::after(&db, 0);
    let psql = db.start_psql(&["-c", "CALL embed_all_missing('logs')"]);
    wait_until("it is at work", || db.api.stats().in_flight > 0);
    psql.interrupt();
    assert!(!psql.wait().ok);
    gate.open();
    mended(&db);
    assert_eq!(advisory_locks(&mut session), 0);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(20, 0));
    assert_eq!(filled(&mut session, "logs"), 20);
}
