//! What passes when it is tried again is tried again, and only the share of it that failed.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use google_standin::Reply;
use serde_json::json;
use support::{Db, Finished, refused};

use crate::fixtures::{always, filled, logs, right};

fn error(status: u16) -> Reply {
    Reply::json(
        status,
        format!(
            r#"{{"error": {{"code": {status}, "message": "Not now.", "status": "UNAVAILABLE"}}}}"#
        ),
    )
}

fn vectors(count: usize, dimensions: usize) -> Reply {
    let vectors = vec![json!({ "values": vec![0.5; dimensions] }); count];
    Reply::json(200, json!({ "embeddings": vectors }).to_string())
}

/// A 429 that says when to come back and names no limit.
fn come_back(seconds: u64) -> Reply {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}]);
    Reply::json(
        429,
        json!({"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": details}})
            .to_string(),
    )
}

#[test]
fn each_failure_that_may_pass_and_only_its_share() {
    let db = Db::fresh();
    db.set("request_timeout", "1s");
    let mut session = db.session();
    logs(&mut session, 60);
    let failures = [
        ("408", error(408)),
        ("429", come_back(0)),
        ("500", Reply::recorded("500_internal")),
        ("502 of a proxy", Reply::html(502, "<html>Bad Gateway")),
        ("503", Reply::recorded("503_overloaded")),
        ("504", error(504)),
        ("no answer", Reply::Hang),
        ("closed", Reply::Close),
        (
            "broken off",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_vec()),
        ),
        ("too few", vectors(19, 128)),
        ("too many", vectors(21, 128)),
        ("wrong dimensions", vectors(20, 64)),
        ("not JSON", Reply::html(200, "<html>")),
    ];
    for (name, reply) in failures {
        println!("{name}");
        session.run("UPDATE logs SET embedding = NULL");
        let seen = db.api.requests().len();
        db.api
            .set(|config| config.replies = [Reply::Serve, reply].into());
        assert_eq!(
            session.embed_all("'logs', 20").unwrap(),
            Finished::done(60, 0)
        );
        assert_eq!(right(&mut session, "logs"), 60);

        let mut sent: Vec<Vec<String>> = db.api.requests()[seen..]
            .iter()
            .map(|request| request.texts())
            .collect();
        assert_eq!(sent.len(), 4, "three requests and one of them again");
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len(), 3, "what is sent again is the same");
        let kept = session.text(
            "SELECT state || ' ' || (retries + quota_refusals) FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1",
        );
        assert_eq!(kept, "done 1");
    }
}

#[test]
fn embed_missing_tries_again_too() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    db.api
        .set(|config| config.replies = [Reply::recorded("503_overloaded")].into());
    assert_eq!(session.embed("'logs'").unwrap(), 20);
    assert_eq!(db.api.stats().requests, 2);
}

#[test]
fn it_gives_up_after_max_attempts() {
    let db = Db::fresh();
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
#[test]
fn it_comes_back_when_it_is_told_to() {
    let db = Db::fresh();
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

#[test]
fn a_service_that_is_down_is_not_hammered() {
    let db = Db::fresh();
    db.set("max_attempts", "2");
    let mut session = db.session();
    logs(&mut session, 500);
    always(&db, Reply::recorded("503_overloaded"));
    refused(session.embed_all("'logs', 10"), "38000", "HTTP 503", "");
    // Eight are in flight and each is tried twice; what waits behind them is not sent.
    let requests = db.api.stats().requests;
    assert!(requests <= 16, "{requests} requests");
}
