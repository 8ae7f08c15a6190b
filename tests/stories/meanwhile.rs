//! Other sessions change the table while a `CALL` waits for the API: no vector ever stands beside content it was not made from,
//! and the results are true all the same.

use support::{Db, Finished};

use crate::fixtures::{filled, logs, right, while_the_first_request_is_answered};

#[test]
fn content_that_changes_is_embedded_anew() {
    let (db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("UPDATE logs SET body = 'changed ' || id WHERE id % 10 = 0")
    });
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(100, 0)
    );
    assert_eq!(right(&mut session, "logs"), 100);
    assert_eq!(db.api.stats().texts, 110);
}

#[test]
fn rows_that_move_keep_their_content_and_get_its_vector() {
    let (_db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("ALTER TABLE logs ADD COLUMN seen int");
        other.run("UPDATE logs SET seen = 1 WHERE id % 10 = 0");
        other.run("VACUUM logs");
    });
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(100, 0)
    );
    assert_eq!(right(&mut session, "logs"), 100);
}

#[test]
fn rows_that_are_deleted_are_not_missed() {
    let (_db, mut session) =
        while_the_first_request_is_answered(|other| other.run("DELETE FROM logs WHERE id > 60"));
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(60, 0)
    );
    assert_eq!(filled(&mut session, "logs"), 60);
}

// The places of deleted rows are given to new ones, at which an old answer must not be written.
#[test]
fn places_that_are_reused_get_the_new_rows_vector() {
    let (_db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("DELETE FROM logs");
        other.run("VACUUM logs");
        other.run("INSERT INTO logs SELECT i, 'new ' || i FROM generate_series(1, 100) i");
        assert_eq!(
            other.text("SELECT min(ctid)::text FROM logs"),
            "(0,1)",
            "the places were not reused"
        );
    });
    assert_eq!(
        session.embed_all("'logs', 100").unwrap().stopped_because,
        "done"
    );
    assert_eq!(right(&mut session, "logs"), 100);
}

#[test]
fn rows_that_come_are_embedded_too() {
    let (_db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("INSERT INTO logs SELECT i, 'new ' || i FROM generate_series(101, 150) i")
    });
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(150, 0)
    );
    assert_eq!(right(&mut session, "logs"), 150);
}

#[test]
fn rows_that_somebody_else_fills_are_left_to_him() {
    let (db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("UPDATE logs SET embedding = array_fill(1, ARRAY[128])::vector WHERE id > 50")
    });
    let finished = session.embed_all("'logs', 10").unwrap();
    assert_eq!(
        (finished.remaining, finished.stopped_because.as_str()),
        (0, "done")
    );
    assert_eq!(
        session.number(
            "SELECT count(*) FROM logs WHERE embedding = array_fill(1, ARRAY[128])::vector"
        ),
        50
    );
    assert_eq!(finished.embedded, 50);
    assert!(db.api.stats().texts <= 70);
}

#[test]
fn a_row_that_stays_locked_stays_pending_and_is_counted() {
    let db = Db::fresh();
    let (mut session, mut other) = (db.session(), db.session());
    logs(&mut session, 100);
    let mut transaction = other.transaction().unwrap();
    transaction
        .execute("SELECT FROM logs WHERE id IN (30, 60) FOR UPDATE", &[])
        .unwrap();

    assert_eq!(session.embed("'logs', 100").unwrap(), 98);
    session.run("UPDATE logs SET embedding = NULL WHERE id < 30");
    session.notices();
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(29, 2)
    );
    let told = session.notices();
    assert!(
        told.iter()
            .any(|notice| notice.starts_with("WARNING: 2 rows of logs")
                && notice.contains("locked by other sessions")),
        "{told:?}"
    );
    transaction.rollback().unwrap();
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(2, 0)
    );
    assert_eq!(right(&mut session, "logs"), 100);
}

#[test]
fn what_is_dropped_meanwhile_ends_the_run_with_a_clear_error() {
    for (drop, sqlstates) in [
        ("ALTER TABLE logs DROP COLUMN embedding", ["42703", "42703"]),
        ("ALTER TABLE logs DROP COLUMN body", ["42703", "42703"]),
        ("DROP TABLE logs", ["42P01", "42P01"]),
        ("ALTER TABLE logs RENAME TO journal", ["42P01", "42P01"]),
        (
            "ALTER TABLE logs ALTER COLUMN embedding TYPE vector(256)",
            ["42703", "42703"],
        ),
    ] {
        println!("{drop}");
        let (db, mut session) = while_the_first_request_is_answered(move |other| other.run(drop));
        let error = session.embed_all("'logs', 10").expect_err(drop);
        let code = error.code().expect("an error of the server").code();
        assert!(sqlstates.contains(&code), "{error:?}");
        session.run("DROP TABLE IF EXISTS logs, journal");
        crate::fixtures::mended(&db);
        logs(&mut session, 10);
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(10, 0)
        );
    }
}

#[test]
fn a_column_that_is_added_meanwhile_does_not_matter() {
    let (_db, mut session) = while_the_first_request_is_answered(|other| {
        other.run("ALTER TABLE logs ADD COLUMN note text DEFAULT 'x'")
    });
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(100, 0)
    );
    assert_eq!(right(&mut session, "logs"), 100);
}
