//! `CALL embed_all_missing(…, mirror => …)`: a row that has its vector is in the mirror, and where Chroma fails the vectors are
//! written all the same.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{self, Relaxed},
        },
    },
    thread,
    time::Duration,
};

use support::{Chroma, Db, Finished, Gateway, Session, Store, Verdict, denied, refused};

use crate::{
    fixtures::{filled, logs, right},
    mirror::{mirrors_logs, store_of},
};

const CALL: &str = "'logs', 10, mirror => 'logs'";

pub fn pending(rows: u32) -> (Db<'static>, Store<'static>, Gateway, Session) {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let gateway = Gateway::before(Chroma::shared(), |_| Verdict::Pass);
    db.set("chroma_url", &gateway.url());
    db.set("concurrency", "2");
    logs(&mut db.session(), rows);
    let session = db.session();
    (db, store, gateway, session)
}

pub fn warnings(session: &mut Session) -> Vec<String> {
    let notices = session.notices().into_iter();
    notices
        .filter(|notice| notice.starts_with("WARNING"))
        .collect()
}

// Would pass wrongly if no look fell between the first row and the last: some must, since each upsert waits for one.
#[test]
fn a_row_that_has_its_vector_is_in_the_mirror() {
    let (db, store, gateway, mut watcher) = pending(300);
    let looks = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&looks);
    gateway.set(move |asked| {
        let before = seen.load(Relaxed);
        let mut polls = 0;
        while asked.is("upsert") && seen.load(Relaxed) == before && polls < 400 {
            polls += 1;
            thread::sleep(Duration::from_millis(5));
        }
        Verdict::Pass
    });
    let mut between = 0;
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all(CALL).unwrap());
        while !call.is_finished() {
            let rows = watcher
                .query("SELECT id::text FROM logs WHERE embedding IS NOT NULL", &[])
                .unwrap();
            looks.fetch_add(1, Relaxed);
            if rows.is_empty() {
                continue;
            }
            let ids = store.ids("logs");
            for row in &rows {
                let id: String = row.get(0);
                assert!(
                    ids.contains(&id),
                    "row {id} has a vector and is not in the mirror"
                );
            }
            between += u32::from(rows.len() < 300);
        }
        assert_eq!(call.join().unwrap(), Finished::done(300, 0));
    });
    assert!(between >= 5, "looked {between} times");
    assert_eq!(right(&mut watcher, "logs"), 300);
    assert_eq!(mirrors_logs(&mut watcher, &store), 300);
    assert_eq!(db.api.stats().texts, 300);
    let run = "SELECT concat_ws(' ', function, collection, embedded, mirrored, state) FROM embedding_backfill.runs";
    assert_eq!(watcher.text(run), "embed_all_missing logs 300 300 done");
    // Nothing is left for the other call, which agrees.
    assert_eq!(watcher.mirror("'logs', 'logs'").unwrap(), (300, 0));
}

#[test]
fn rows_that_were_there_before_stay() {
    let (_db, store, _gateway, mut session) = pending(30);
    session
        .embed_all("'logs', source_filter => 'id <= 10', mirror => 'logs'")
        .unwrap();
    session
        .embed_all("'logs', source_filter => 'id <= 20'")
        .unwrap();
    session.run("DELETE FROM logs WHERE id = 1");
    session.embed_all(CALL).unwrap();
    // It only adds: neither what another run left out nor what is gone is its business.
    assert_eq!(store.count("logs"), 20);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (29, 1));
    assert_eq!(mirrors_logs(&mut session, &store), 29);
}

/// The vectors are written in spite of it, one warning says what to call, and that call completes the mirror.
#[track_caller]
fn completed_later(db: &Db, store: &Store, gateway: &Gateway) {
    db.set("max_attempts", "2");
    let mut session = db.session();
    assert_eq!(session.embed_all(CALL).unwrap(), Finished::done(200, 0));
    let warnings = warnings(&mut session);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let there = store.collection("logs").map_or(0, |_| store.count("logs"));
    let left = (200 - there).to_string();
    assert!(
        warnings[0].contains(&left),
        "{left} rows are left: {warnings:?}"
    );
    assert_eq!(right(&mut session, "logs"), 200);
    assert_eq!(db.api.stats().texts, 200);
    let run = "SELECT concat_ws(' ', mirrored, state) FROM embedding_backfill.runs";
    assert_eq!(session.text(run), format!("{there} done"));
    gateway.set(|_| Verdict::Pass);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (200, 0));
    assert_eq!(mirrors_logs(&mut session, store), 200);
}

#[test]
fn chroma_is_down_from_the_start() {
    let (db, store, gateway, _) = pending(200);
    gateway.set(|_| Verdict::Close);
    completed_later(&db, &store, &gateway);
}

#[test]
fn chroma_dies_in_the_middle() {
    let (db, store, gateway, _) = pending(200);
    let upserts = AtomicU32::new(0);
    gateway.set(move |asked| {
        match asked.is("upsert") && upserts.fetch_add(1, Ordering::Relaxed) >= 5 {
            true => Verdict::Close,
            false => Verdict::Pass,
        }
    });
    completed_later(&db, &store, &gateway);
}

#[test]
fn chroma_refuses_in_the_middle() {
    let (db, store, gateway, _) = pending(200);
    let upserts = AtomicU32::new(0);
    gateway.set(move |asked| {
        match asked.is("upsert") && upserts.fetch_add(1, Ordering::Relaxed) >= 5 {
            true => Verdict::Answer(403, r#"{"error":"AuthError","message":"Forbidden"}"#),
            false => Verdict::Pass,
        }
    });
    completed_later(&db, &store, &gateway);
}

// A content that changes while its vector is made gets no vector, so it is not in the mirror for long.
#[test]
fn a_row_that_changes_meanwhile() {
    let (db, store, gateway, mut session) = pending(100);
    let other = std::sync::Mutex::new(db.session());
    let first = AtomicU32::new(0);
    gateway.set(move |asked| {
        if asked.is("upsert") && first.fetch_add(1, Ordering::Relaxed) == 0 {
            let ids = asked.ids();
            other.lock().unwrap().run(&format!(
                "UPDATE logs SET body = 'changed' WHERE id = {}; DELETE FROM logs WHERE id = {}",
                ids[0], ids[1]
            ));
        }
        Verdict::Pass
    });
    assert_eq!(session.embed_all(CALL).unwrap(), Finished::done(99, 0));
    assert_eq!(right(&mut session, "logs"), 99);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (99, 1));
    assert_eq!(mirrors_logs(&mut session, &store), 99);
}

#[test]
fn what_can_be_known_before_is_refused_before_anything_is_sent() {
    let (db, store, _gateway, mut session) = pending(10);
    refused(
        session.embed_all("'logs', mirror => 'a b'"),
        "42602",
        "collection",
        "3 to 512",
    );
    session.run(
        "CREATE TABLE keyless (body text, embedding vector(128)); INSERT INTO keyless VALUES ('a')",
    );
    denied(
        session.embed_all("'keyless', mirror => 'keyless'"),
        "42704",
        "primary key",
    );
    db.reset("chroma_url");
    refused(
        db.session().embed_all(CALL),
        "F0000",
        "no ChromaDB server is set",
        "ALTER SYSTEM",
    );
    assert_eq!(db.api.stats().requests, 0);
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(store.collections(), [""; 0]);
}
