//! `CALL embed_all_missing(…, mirror => …)` with rows that are not in the mirror in the end, or in another form than that of the
//! vectors from Google: what it says of them, and what the next call makes of it.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

use serde_json::json;
use support::{Chroma, Finished, Gateway, Verdict, refused};

use crate::{
    fixtures::{filled, right},
    mirror::{mirrors_logs, same},
    mirror_failures::refusing,
    mirror_meanwhile::{pending, warnings},
    mirror_waiting::{Barrier, tell_to_stop},
};

const CALL: &str = "'logs', 10, mirror => 'logs'";

#[test]
fn a_collection_that_can_not_be_filled_costs_nothing() {
    let (db, store, _gateway, mut session) = pending(10);
    store.make(&json!({ "name": "logs" }));
    let theirs = json!({ "ids": ["a"], "embeddings": [vec![0.5; 128]], "documents": ["x"] });
    store.upsert("logs", &theirs);
    refused(
        session.embed_all(CALL),
        "55000",
        "logs",
        "another collection",
    );
    let asking = Gateway::asking_for(Chroma::shared(), "the-right-token");
    db.set("chroma_url", &asking.url());
    refused(
        db.session().embed_all(CALL),
        "28000",
        "401",
        "chroma_token_file",
    );
    assert_eq!(db.api.stats().requests, 0);
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(store.ids("logs"), ["a"]);
}

#[test]
fn a_record_that_chroma_refuses() {
    let (_db, store, gateway, mut session) = pending(40);
    refusing(&gateway, &["27"]);
    assert_eq!(session.embed_all(CALL).unwrap(), Finished::done(40, 0));
    let warnings = warnings(&mut session);
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("record 27 is left out"),
        "{warnings:#?}"
    );
    assert!(
        warnings[1].contains("1 row embedded and not in"),
        "{warnings:#?}"
    );
    assert_eq!(right(&mut session, "logs"), 40);
    assert_eq!(store.count("logs"), 39);
    gateway.set(|_| Verdict::Pass);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (40, 0));
    mirrors_logs(&mut session, &store);
}

#[test]
fn embed_stop_waits_for_what_is_on_its_way_to_chroma() {
    let (db, store, gateway, mut session) = pending(200);
    let barrier = Barrier::after(&gateway, 3);
    let told = thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all(CALL).unwrap());
        barrier.wait(2);
        tell_to_stop(&mut session);
        assert!(!call.is_finished());
        barrier.open();
        call.join().unwrap()
    });
    assert_eq!(told.stopped_because, "stop_requested");
    assert!((50..200).contains(&told.embedded), "{told:?}");
    assert_eq!(db.api.stats().texts, told.embedded as u64);
    assert_eq!(right(&mut session, "logs") as i64, told.embedded);
    mirrors_logs(&mut session, &store);
}

// Its vector is thrown away in the end, so nothing of it is left behind.
#[test]
fn a_row_that_stays_locked_while_chroma_is_down() {
    let (db, _store, gateway, _) = pending(20);
    gateway.set(|_| Verdict::Close);
    db.set("max_attempts", "2");
    let (mut session, mut other) = (db.session(), db.session());
    other.run("BEGIN; SELECT FROM logs WHERE id = 7 FOR UPDATE");
    assert_eq!(session.embed_all(CALL).unwrap(), Finished::done(19, 1));
    let warnings = warnings(&mut session);
    let left = warnings
        .iter()
        .filter(|warning| warning.contains("19 rows embedded and not in"));
    assert_eq!(left.count(), 1, "{warnings:#?}");
}

// It means the same rows: of these two columns, within this filter.
#[test]
fn the_hint_is_the_call_that_completes_it() {
    let (db, store, gateway, mut session) = pending(40);
    session.run(r#"ALTER TABLE logs ADD "Second 's" vector(256)"#);
    session
        .embed_all("'logs', embedding_column => 'embedding'")
        .unwrap();
    let upserts = AtomicU32::new(0);
    gateway.set(
        move |asked| match asked.is("upsert") && upserts.fetch_add(1, Relaxed) >= 1 {
            true => Verdict::Answer(403, "no"),
            false => Verdict::Pass,
        },
    );
    let call = r#"CALL embed_all_missing('logs', 10, mirror => 'logs', content => $$'it''s ' || body$$,
                  embedding_column => 'Second ''s', source_filter => $$body <> 'it''s' AND id <= 30 -- so$$)"#;
    let said = db.psql(&["-c", call]);
    assert!(
        said.ok && said.stderr.contains("rows embedded and not in"),
        "{said:?}"
    );
    let hints = said.stderr.split("HINT:  ").skip(1);
    let hint = hints.map(|hint| hint.split(");\n").next().unwrap());
    let hint = hint.last().unwrap();
    gateway.set(|_| Verdict::Pass);
    let said = db.psql(&["-c", &format!("{hint})")]);
    assert!(said.ok, "{hint}: {said:?}");
    let logs = r#"(SELECT id, "Second 's" AS embedding FROM logs) l"#;
    let records = same(&mut session, logs, "id::text", &store, "logs");
    assert_eq!(records.len(), 30);
    assert_eq!(records["1"].document, "it's entry 1 naïve café");
}

// No record can have such an id, so no other call completes it.
#[test]
fn a_key_that_is_an_empty_text() {
    let (_db, store, _gateway, mut session) = pending(0);
    session.run(
        "CREATE TABLE t (k text PRIMARY KEY, body text, embedding vector(128));
         INSERT INTO t VALUES ('', 'a'), ('b', 'b')",
    );
    let call = "'t', content => 'body', mirror => 'logs'";
    assert_eq!(session.embed_all(call).unwrap(), Finished::done(2, 0));
    let warnings = warnings(&mut session);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("1 row left out: their key is"),
        "{warnings:#?}"
    );
    assert_eq!(store.ids("logs"), ["b"]);
}

// What the column keeps of a vector, not what Google said.
#[test]
fn halfvec() {
    let (_db, store, _gateway, mut session) = pending(20);
    session.run("ALTER TABLE logs ALTER COLUMN embedding TYPE halfvec(128)");
    assert_eq!(session.embed_all(CALL).unwrap(), Finished::done(20, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 20);
    let records = store.records("logs");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (20, 0));
    assert_eq!(store.records("logs"), records);
}
