//! How often and when it is tried again; what is, the stories of single faults tell.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use google_standin::Reply;
use serde_json::json;
use support::{Db, Finished, refused};

use crate::fixtures::{always, at_both, filled, logs};

/// A 429 that says when to come back and names no limit.
fn come_back(seconds: u64) -> Reply {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}]);
    Reply::json(
        429,
        json!({"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": details}})
            .to_string(),
    )
}

fn embed_missing_tries_again_too(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 20);
    db.api
        .set(|config| config.replies = [Reply::recorded("503_overloaded")].into());
    assert_eq!(session.embed("'logs'").unwrap(), 20);
    assert_eq!(db.api.stats().requests, 2);
}

fn it_gives_up_after_max_attempts(db: &Db) {
    db.set("concurrency", "1");
    db.set("max_attempts", "3");
    let mut session = db.session();
    logs(&mut session, 40);
    db.api.set(|config| {
        config.replies = [Reply::Serve].into();
        config.script = Some(Arc::new(|_| Some(Reply::recorded("503_overloaded"))));
    });
    let error = refused(session.embed_all("'logs', 20"), "38000", "HTTP 503", "");
    assert_eq!(
        error.detail(),
        Some("20 rows were embedded and committed before.")
    );
    assert_eq!(db.api.stats().requests, 4);
    assert_eq!(filled(&mut session, "logs"), 20);
}

// A lower bound only, so that a slow machine can't fail it. Would pass wrongly if the back-off of an attempt were as long as
// what the body says: with one attempt there is none.
fn it_comes_back_when_it_is_told_to(db: &Db) {
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 20);
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&arrivals);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            let mut arrivals = seen.lock().unwrap();
            arrivals.push(Instant::now());
            (arrivals.len() <= 2).then(|| come_back(2))
        }));
    });
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(20, 0));
    let arrivals = arrivals.lock().unwrap();
    assert_eq!(arrivals.len(), 3);
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(2));
    }
    let waits: Vec<String> = session
        .notices()
        .into_iter()
        .filter(|notice| notice.contains("waiting"))
        .collect();
    assert_eq!(waits.len(), 1, "a reason is told once: {waits:?}");
    assert!(waits[0].contains(" s: quota"), "{waits:?}");
}

fn a_service_that_is_down_is_not_hammered(db: &Db) {
    db.set("max_attempts", "2");
    let mut session = db.session();
    logs(&mut session, 500);
    always(db, Reply::recorded("503_overloaded"));
    refused(session.embed_all("'logs', 10"), "38000", "HTTP 503", "");
    // Eight are in flight and each is tried twice; what waits behind them is not sent.
    let requests = db.api.stats().requests;
    assert!(requests <= 16, "{requests} requests");
}

at_both! {
    embed_missing_tries_again_too
    it_gives_up_after_max_attempts
    it_comes_back_when_it_is_told_to
    a_service_that_is_down_is_not_hammered
}
