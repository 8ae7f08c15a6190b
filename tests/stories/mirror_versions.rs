//! Rows that change while they are mirrored, in ways that a look at the table could miss or send in the wrong order: in the end
//! each record is how its row is.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::{self, sleep},
    time::Duration,
};

use support::{Asked, Chroma, Db, Finished, Gateway, Store, Verdict};

use crate::{
    fixtures::{logs, right},
    mirror::{mirrors_logs, store_of},
    mirror_meanwhile::warnings,
    mirror_waiting::Barrier,
};

/// A database, its Chroma, and a gateway in between. Two requests are in flight at a time.
fn between() -> (Db<'static>, Store<'static>, Gateway) {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let gateway = Gateway::before(Chroma::shared(), |_| Verdict::Pass);
    db.set("chroma_url", &gateway.url());
    db.set("concurrency", "2");
    (db, store, gateway)
}

fn brings(asked: &Asked, id: &str, document: &str) -> bool {
    asked.is("upsert")
        && asked.ids().iter().any(|asked| asked == id)
        && String::from_utf8_lossy(&asked.body).contains(document)
}

/// Row 1 changes while its first version is on its way. That is refused once, and when it comes again, let through only after
/// `late` says so.
fn changes_meanwhile(
    gateway: &Gateway,
    change: impl FnOnce() + Send + 'static,
    late: impl Fn() -> bool + Send + Sync + 'static,
) {
    let change = Mutex::new(Some(change));
    gateway.set(move |asked| {
        if !brings(asked, "1", "\"entry 1\"") {
            return Verdict::Pass;
        }
        if let Some(change) = change.lock().unwrap().take() {
            change();
            return Verdict::Answer(503, "busy");
        }
        let mut polls = 0;
        while !late() && polls < 6000 {
            polls += 1;
            sleep(Duration::from_millis(5));
        }
        Verdict::Pass
    });
}

// The later version is found in another partition while the first is tried again. Would pass wrongly if it were not sent within
// the second that it has.
#[test]
fn an_old_version_never_lands_after_the_new_one() {
    let (db, store, gateway) = between();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint, status text, body text, embedding vector(128)) PARTITION BY LIST (status);
         CREATE TABLE a_open PARTITION OF logs FOR VALUES IN ('open');
         CREATE TABLE b_closed PARTITION OF logs FOR VALUES IN ('closed');
         INSERT INTO logs SELECT i, 'open', 'entry ' || i FROM generate_series(1, 50) i",
    );
    session.embed_all("'logs', content => 'body'").unwrap();
    let mut other = db.session();
    let seen = Arc::new(AtomicU32::new(0));
    let polled = Arc::clone(&seen);
    changes_meanwhile(
        &gateway,
        move || other.run("UPDATE logs SET status = 'closed', body = 'new' WHERE id = 1"),
        move || polled.fetch_add(1, Relaxed) > 200,
    );
    let call = "'logs', 'logs', batch => 10, content => 'body', key => 'id'";
    session.mirror(call).unwrap();
    assert!(seen.load(Relaxed) > 200, "the first version came only once");
    assert_eq!(mirrors_logs(&mut session, &store), 50);
}

#[test]
fn beside_a_backfill_the_new_version_is_left_to_the_next_call() {
    let (db, store, gateway) = between();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id bigint PRIMARY KEY, body text, embedding vector(128));
         CREATE TABLE old_logs () INHERITS (logs);
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 50) i",
    );
    let (mut other, watcher) = (db.session(), Mutex::new(db.session()));
    changes_meanwhile(
        &gateway,
        move || {
            other.run(
                "BEGIN; DELETE FROM logs WHERE id = 1; INSERT INTO old_logs VALUES (1, 'new'); COMMIT",
            );
        },
        move || {
            let written = "SELECT count(embedding) FROM logs WHERE id = 1";
            watcher.lock().unwrap().number(written) == 1
        },
    );
    session.notices();
    let call = "'logs', 10, mirror => 'logs', content => 'body'";
    assert_eq!(session.embed_all(call).unwrap(), Finished::done(50, 0));
    let warnings = warnings(&mut session);
    assert!(
        warnings.len() == 1 && warnings[0].contains("1 row "),
        "{warnings:#?}"
    );
    assert_eq!(right(&mut session, "logs"), 50);
    session.mirror("'logs', 'logs', content => 'body'").unwrap();
    assert_eq!(mirrors_logs(&mut session, &store), 50);
}

// VACUUM FULL puts rows to where the call has been already.
#[test]
fn a_table_that_is_rewritten() {
    let (db, store, gateway) = between();
    let mut session = db.session();
    logs(&mut session, 200);
    session.embed_all("'logs'").unwrap();
    session.run("DELETE FROM logs WHERE id <= 100");
    let barrier = Barrier::after(&gateway, 2);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror("'logs', 'logs', batch => 10").unwrap());
        barrier.wait(2);
        session.run("VACUUM FULL logs");
        barrier.open();
        call.join().unwrap();
    });
    assert_eq!(mirrors_logs(&mut session, &store), 100);
}

#[test]
fn a_table_that_is_rewritten_all_the_time() {
    let (db, _store, gateway) = between();
    let mut session = db.session();
    logs(&mut session, 20);
    session.embed_all("'logs'").unwrap();
    let other = Mutex::new(db.session());
    gateway.set(move |asked| {
        if asked.is("upsert") {
            other.lock().unwrap().run("VACUUM FULL logs");
        }
        Verdict::Pass
    });
    session.notices();
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (60, 0));
    let warnings = warnings(&mut session);
    assert!(
        warnings.len() == 1 && warnings[0].contains("logs was rewritten"),
        "{warnings:#?}"
    );
}

// Some of them when they have been sent, some before.
#[test]
fn rows_that_come_change_and_go() {
    let (db, store, gateway) = between();
    let mut session = db.session();
    logs(&mut session, 100);
    session.embed_all("'logs'").unwrap();
    let other = Mutex::new(db.session());
    let upserts = AtomicU32::new(0);
    gateway.set(move |asked| {
        if asked.is("upsert") {
            let upsert = upserts.fetch_add(1, Relaxed);
            let id = |nth: u32| upsert * 37 % 100 + nth;
            if upsert < 6 {
                other.lock().unwrap().run(&format!(
                    "UPDATE logs SET body = 'changed' WHERE id = {}; DELETE FROM logs WHERE id = {};
                     UPDATE logs SET embedding = NULL WHERE id = {};
                     INSERT INTO logs SELECT 1000 + {upsert}, 'later', embedding FROM logs WHERE id = 97",
                    id(1), id(2), id(3),
                ));
            }
        }
        Verdict::Pass
    });
    session.mirror("'logs', 'logs', batch => 10").unwrap();
    assert!(mirrors_logs(&mut session, &store) < 100);
}
