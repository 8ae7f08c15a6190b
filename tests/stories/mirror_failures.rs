//! Chroma fails, and the mirror gets by or says so; the next call completes what is missing.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use support::{Chroma, Db, Finished, Gateway, Session, Store, Verdict, refused, wait_until};

use crate::{
    fixtures::logs,
    mirror::{mirrors_logs, store_of},
    mirror_shapes::watched,
    mirror_waiting::Barrier,
};

/// As `mirror::embedded`, with a Chroma that may be killed.
fn with_its_own(chroma: &Chroma, rows: u32) -> (Db<'static>, Store<'_>, Session) {
    let db = Db::fresh();
    let store = store_of(&db, chroma);
    db.set("concurrency", "2");
    let mut session = db.session();
    logs(&mut session, rows);
    let rows = i64::from(rows);
    assert_eq!(
        session.embed_all("'logs'").unwrap(),
        Finished::done(rows, 0)
    );
    (db, store, session)
}

const CALL: &str = "'logs', 'logs', batch => 10";

/// From the second request for these on, it waits until Chroma has been killed. Then nothing of what is in flight is answered.
fn kill_in_the_middle(gateway: &Gateway, what: &'static str) {
    let upserts = AtomicU32::new(0);
    gateway.set(move |asked| {
        match asked.is(what) && upserts.fetch_add(1, Ordering::Relaxed) >= 3 {
            true => Verdict::Close,
            false => Verdict::Pass,
        }
    });
}

#[test]
fn killed_and_started_again_in_the_middle() {
    let chroma = Chroma::start();
    let (db, store, mut session) = with_its_own(&chroma, 600);
    let gateway = Gateway::before(&chroma, |_| Verdict::Pass);
    db.set("chroma_url", &gateway.url());
    db.set("max_attempts", "20");
    let barrier = Barrier::after(&gateway, 5);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror(CALL).unwrap());
        barrier.wait(2);
        assert_eq!(store.count("logs"), 50);
        chroma.kill();
        barrier.open();
        wait_until("the run waits for it", || {
            session.number(
                "SELECT count(*) FROM embedding_backfill.progress WHERE waiting_for IS NOT NULL",
            ) == 1
        });
        assert!(!call.is_finished());
        chroma.revive();
        assert_eq!(call.join().unwrap(), (600, 0));
    });
    assert_eq!(mirrors_logs(&mut session, &store), 600);
}

#[test]
fn killed_for_good() {
    let chroma = Chroma::start();
    let (db, store, mut session) = with_its_own(&chroma, 300);
    let gateway = Gateway::before(&chroma, |_| Verdict::Pass);
    db.set("chroma_url", &gateway.url());
    db.set("max_attempts", "2");
    kill_in_the_middle(&gateway, "upsert");
    let mut caller = db.session();
    let error = refused(caller.mirror(CALL), "58030", "127.0.0.1", "");
    let detail = error.detail().unwrap_or_default();
    assert!(detail.contains("30"), "{error:?}");
    chroma.kill();
    refused(caller.mirror(CALL), "58030", "127.0.0.1", "");
    assert_eq!(
        session.text("SELECT string_agg(state, ' ') FROM embedding_backfill.runs WHERE function = 'mirror_to_chroma'"),
        "failed failed"
    );
    chroma.revive();
    assert_eq!(store.count("logs"), 30);
    gateway.set(|_| Verdict::Pass);
    assert_eq!(caller.mirror(CALL).unwrap(), (300, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 300);
}

// In the removal, too.
#[test]
fn killed_while_it_removes() {
    let chroma = Chroma::start();
    let (db, store, mut session) = with_its_own(&chroma, 40);
    assert_eq!(session.mirror(CALL).unwrap(), (40, 0));
    session.run("DELETE FROM logs WHERE id > 20");
    let gateway = Gateway::before(&chroma, |asked| match asked.is("delete") {
        true => Verdict::Close,
        false => Verdict::Pass,
    });
    db.set("chroma_url", &gateway.url());
    db.set("max_attempts", "2");
    let mut caller = db.session();
    refused(caller.mirror(CALL), "58030", "127.0.0.1", "");
    assert_eq!(store.count("logs"), 40);
    gateway.set(|_| Verdict::Pass);
    assert_eq!(caller.mirror(CALL).unwrap(), (20, 20));
    assert_eq!(mirrors_logs(&mut session, &store), 20);
}

#[test]
fn requests_that_fail_are_sent_again() {
    for failure in [
        || Verdict::Close,
        || Verdict::Lose,
        || Verdict::Answer(503, "busy"),
        || Verdict::Answer(429, r#"{"error":"RateLimitError","message":"slowly"}"#),
        || Verdict::Answer(200, "<html>not Chroma</html>"),
    ] {
        let (db, store, gateway, mut session) = watched(60);
        let asked = AtomicU32::new(0);
        gateway.set(move |_| match asked.fetch_add(1, Ordering::Relaxed) % 3 {
            1 => failure(),
            _ => Verdict::Pass,
        });
        session.run("SET embedding_backfill.concurrency = 1");
        assert_eq!(session.mirror(CALL).unwrap(), (60, 0));
        assert_eq!(mirrors_logs(&mut session, &store), 60);
        let retries =
            "SELECT retries FROM embedding_backfill.runs WHERE function = 'mirror_to_chroma'";
        assert!(db.session().number(retries) >= 3);
    }
}

#[test]
fn batches_that_are_too_large_are_halved() {
    let (_db, store, gateway, mut session) = watched(60);
    gateway.set(|asked| match asked.is("upsert") && asked.ids().len() > 6 {
        true => Verdict::Answer(413, "Payload too large"),
        false => Verdict::Pass,
    });
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (60, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 60);
}

/// Chroma would not take a batch with one of these rows in it.
pub fn refusing(gateway: &Gateway, ids: &'static [&'static str]) {
    gateway.set(move |asked| {
        let refused = |id: &String| ids.contains(&id.as_str());
        match asked.is("upsert") && asked.ids().iter().any(refused) {
            true => Verdict::Answer(
                400,
                r#"{"error":"InvalidArgumentError","message":"this one is odd"}"#,
            ),
            false => Verdict::Pass,
        }
    });
}

#[test]
fn a_row_that_is_refused_is_left_out() {
    let (_db, store, gateway, mut session) = watched(40);
    refusing(&gateway, &["27"]);
    session.notices();
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (39, 0));
    let notices = session.notices();
    let warnings: Vec<&String> = notices
        .iter()
        .filter(|notice| notice.starts_with("WARNING"))
        .collect();
    let [warning] = warnings[..] else {
        panic!("{notices:#?}")
    };
    assert!(
        warning.contains("27") && warning.contains("this one is odd"),
        "{warning}"
    );
    let ids = store.ids("logs");
    assert!(
        ids.len() == 39 && !ids.contains(&"27".to_owned()),
        "{ids:?}"
    );
    gateway.set(|_| Verdict::Pass);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (40, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 40);
}

#[test]
fn what_is_wrong_with_every_row_ends_the_run() {
    let (_db, store, gateway, mut session) = watched(40);
    gateway.set(|asked| match asked.is("upsert") {
        true => Verdict::Answer(
            400,
            r#"{"error":"InvalidArgumentError","message":"all are odd"}"#,
        ),
        false => Verdict::Pass,
    });
    refused(session.mirror("'logs', 'logs'"), "38000", "all are odd", "");
    assert_eq!(store.count("logs"), 0);
}

// Whose fault it is can't be known before one passes.
#[test]
fn many_that_are_refused_first_do_not_end_the_run() {
    let (_db, store, gateway, mut session) = watched(40);
    refusing(&gateway, &["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (33, 0));
    assert_eq!(store.count("logs"), 33);
    // Nor where they are a batch of their own.
    session.run("SET embedding_backfill.concurrency = 1");
    let call = "'logs', 'logs', batch => 20";
    assert_eq!(session.mirror(call).unwrap(), (33, 0));
}

#[test]
fn a_collection_that_is_dropped_meanwhile() {
    let (db, store, gateway, mut session) = watched(60);
    let (chroma, database) = (Chroma::shared(), store.database.clone());
    let upserts = AtomicU32::new(0);
    gateway.set(move |asked| {
        if asked.is("upsert") && upserts.fetch_add(1, Ordering::Relaxed) == 2 {
            let path =
                format!("/api/v2/tenants/default_tenant/databases/{database}/collections/logs");
            assert_eq!(chroma.ask("DELETE", &path, &serde_json::Value::Null).0, 200);
        }
        Verdict::Pass
    });
    session.run("SET embedding_backfill.concurrency = 1");
    refused(session.mirror(CALL), "42704", "does not exist", "");
    gateway.set(|_| Verdict::Pass);
    assert_eq!(db.session().mirror(CALL).unwrap(), (60, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 60);
}
