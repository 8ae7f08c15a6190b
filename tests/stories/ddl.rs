//! The table is rewritten, emptied or replaced while a `CALL` waits for the API: the CALL holds none of it up, and ends with
//! right vectors or a clear error.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use support::{Db, Finished, Session, wait_until};

use crate::fixtures::{filled, logs, right, while_the_first_request_is_answered};

// Would pass wrongly if each row kept its place: a gap before the rewrite and none after it moves half of them.
#[test]
fn rewritten_tables_get_right_vectors() {
    for rewrite in [
        "VACUUM FULL logs",
        "CLUSTER logs USING backwards",
        "ALTER TABLE logs ADD COLUMN seen timestamptz DEFAULT clock_timestamp()",
        "ALTER TABLE logs ALTER body TYPE varchar(200)",
        "ALTER TABLE logs ALTER id TYPE numeric",
    ] {
        println!("{rewrite}");
        let (_db, mut session) = while_the_first_request_is_answered(move |other| {
            let place = "SELECT md5(array_agg(ctid::text ORDER BY body)::text) FROM logs";
            let before = other.text(place);
            other.run(rewrite);
            assert_ne!(other.text(place), before, "no row was moved");
        });
        session.run("CREATE INDEX backwards ON logs ((-id))");
        delete_for_good(&mut session, 50);
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(99, 0)
        );
        assert_eq!(right(&mut session, "logs"), 99);
    }
}

/// Deletes a row, and waits until no transaction of the server, in any database, could still see it: until then it keeps its
/// place even in a rewritten table.
fn delete_for_good(session: &mut Session, id: i64) {
    let deleted = session.number(&format!(
        "DELETE FROM logs WHERE id = {id} RETURNING pg_current_xact_id()::text::bigint"
    ));
    wait_until("the deleted row is nobody's", || {
        session.number("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") > deleted
    });
}

/// Each tenth request waits until it has happened once more, up to so many times: it happens, however slow the machine.
pub fn each_tenth_request_waits(db: &Db, happened: &Arc<AtomicU64>, times: u64) {
    let (happened, requests) = (Arc::clone(happened), AtomicU64::new(0));
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            let wanted = requests.fetch_add(1, Relaxed) / 10;
            wait_until("it happens once more", || {
                happened.load(Relaxed) >= wanted.min(times)
            });
            None
        }));
    });
}

// Would pass wrongly if the table were rewritten once or never: each tenth request waits for the next time.
#[test]
fn a_table_that_is_rewritten_all_the_time() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 2000);
    session.run("CREATE INDEX forwards ON logs (id); CREATE INDEX backwards ON logs ((-id))");
    let (rewriting, rewritten) = (AtomicBool::new(true), Arc::new(AtomicU64::new(0)));
    each_tenth_request_waits(&db, &rewritten, 6);
    let finished = thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = db.session();
            // Not for three whole passes: a run that embeds nothing in so many gives up, as it should.
            while rewriting.load(Relaxed) && db.api.stats().requests < 100 {
                other.run("CLUSTER logs USING backwards");
                other.run("CLUSTER logs USING forwards");
                rewritten.fetch_add(2, Relaxed);
            }
        });
        let finished = db.session().embed_all("'logs', 20");
        rewriting.store(false, Relaxed);
        finished.unwrap()
    });
    println!("{} times, {:?}", rewritten.load(Relaxed), db.api.stats());
    assert!(rewritten.load(Relaxed) >= 6);
    assert_eq!(finished, Finished::done(2000, 0));
    assert_eq!(right(&mut session, "logs"), 2000);
}

#[test]
fn an_emptied_table_is_done_and_new_rows_are_embedded() {
    for (change, rows) in [
        ("TRUNCATE logs", 0),
        (
            "TRUNCATE logs; INSERT INTO logs SELECT i, 'new ' || i FROM generate_series(1, 70) i",
            70,
        ),
    ] {
        let (_db, mut session) =
            while_the_first_request_is_answered(move |other| other.run(change));
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(rows, 0)
        );
        assert_eq!(right(&mut session, "logs") as i64, rows);
    }
}

// The caller named a table; one that takes its name is not what he asked for.
#[test]
fn a_table_that_takes_the_name_is_left_alone() {
    for replace in [
        "ALTER TABLE logs RENAME TO old; CREATE TABLE logs (LIKE old); INSERT INTO logs SELECT * FROM old",
        "DROP TABLE logs; CREATE TABLE logs (id bigint, body text, embedding vector(128));
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 100) i",
    ] {
        println!("{replace}");
        let (_db, mut session) =
            while_the_first_request_is_answered(move |other| other.run(replace));
        if let Err(error) = session.embed_all("'logs', 10") {
            assert_eq!(error.code().unwrap().code(), "42P01", "{error:?}");
        }
        assert_eq!(filled(&mut session, "logs"), 0);
    }
}

#[test]
fn a_column_that_takes_the_name_is_filled_rightly_or_not_at_all() {
    for replace in [
        "ALTER TABLE logs DROP COLUMN embedding, ADD COLUMN embedding vector(128)",
        "ALTER TABLE logs RENAME embedding TO old; ALTER TABLE logs ADD COLUMN embedding vector(128)",
        "ALTER TABLE logs RENAME body TO old; ALTER TABLE logs ADD COLUMN body text; UPDATE logs SET body = 'new ' || id",
    ] {
        println!("{replace}");
        let (_db, mut session) =
            while_the_first_request_is_answered(move |other| other.run(replace));
        match session.embed_all("'logs', 10, 'body'") {
            Ok(finished) => assert_eq!(finished, Finished::done(100, 0)),
            Err(error) => assert_eq!(error.code().unwrap().code(), "42703", "{error:?}"),
        }
        right(&mut session, "logs");
    }
}
