//! Access tokens: had once, used by all, replaced in time; and what becomes of a run when one ends in its midst, when the account
//! is revoked, or when the clock is wrong. No batch is ever lost over it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use google_standin::{Config, Fault, Reply};
use support::{Finished, Trial, Vertex, refused};

use crate::fixtures::{filled, logs, right};

/// Before the `n`th request from now on is answered, something happens.
fn before_request(db: &Vertex, n: u32, change: impl Fn() + Send + Sync + 'static) {
    let arrived = AtomicU32::new(0);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            if arrived.fetch_add(1, Relaxed) + 1 == n {
                change();
            }
            None
        }));
    });
}

/// Ends all tokens that were given so far.
fn expiry(db: &Vertex) -> impl Fn() + Send + Sync + 'static {
    let accounts = db.api.accounts();
    move || accounts.expire()
}

fn note(fault: &str, times: u64, seen: &str) {
    Trial {
        chapter: "Credentials",
        fault,
        times,
        seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

#[test]
fn one_token_serves_a_run_and_the_next() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 300);
    session.run("SET embedding_backfill.concurrency = 8");
    assert_eq!(session.embed("'logs', 50").unwrap(), 50);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(250, 0)
    );
    session.run("SELECT embed_text('a question')");
    assert_eq!(db.accounts.stats().grants, 1);
    assert_eq!(right(&mut session, "logs"), 300);
}

#[test]
fn a_token_that_ends_in_the_midst_of_a_run_is_replaced() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 300);
    let mut endings = 0;
    for concurrency in [1, 8] {
        session.run(&format!(
            "SET embedding_backfill.concurrency = {concurrency}; SET embedding_backfill.max_attempts = 1;
             UPDATE logs SET embedding = NULL"
        ));
        let before = db.accounts.stats().grants;
        before_request(&db, 7, expiry(&db));
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(300, 0)
        );
        assert_eq!(right(&mut session, "logs"), 300);
        // All that were in flight with it share the next one.
        assert_eq!(db.accounts.stats().grants - before.max(1), 1);
        endings += 1;
    }
    assert!(db.api.stats().answered_error > 0, "no token has ended");
    note(
        "an access token that ends in the midst of a run",
        endings,
        "all rows, with one fresh token",
    );
}

// Would pass wrongly if tokens were asked for at each request: far fewer are given out than requests are sent.
#[test]
fn a_token_is_replaced_before_its_end() {
    let db = Vertex::with(Config {
        latency: Duration::from_millis(200),
        ..Config::default()
    });
    let life = Duration::from_secs(6);
    db.accounts.set(|config| config.token_lifetime = life);
    let mut session = db.session();
    logs(&mut session, 250);
    session.run("SET embedding_backfill.concurrency = 1");
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(250, 0)
    );
    let (api, grants) = (db.api.stats(), db.accounts.stats().grants);
    assert_eq!(api.requests, 25);
    assert!((2..=12).contains(&grants), "{grants} tokens");
    assert_eq!(
        api.answered_error, 0,
        "no request was sent with a token that had ended"
    );
}

#[test]
fn a_revoked_account_ends_the_run_and_keeps_what_is_done() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET embedding_backfill.concurrency = 1");
    before_request(&db, 4, expiry(&db));
    let first = session.embed("'logs', 10").unwrap();
    db.accounts.set(|config| config.revoked = true);
    let error = refused(
        session.embed_all("'logs', 10"),
        "28000",
        "account not found",
        "credentials_file",
    );
    assert_eq!(
        error.detail(),
        Some("20 rows were embedded and committed before.")
    );
    assert_eq!(filled(&mut session, "logs"), first + 20);
    assert_eq!(right(&mut session, "logs"), 30);
    let seen = error
        .message()
        .replace(&db.accounts.address().ip().to_string(), "…");
    // A new session doesn't get as far.
    let requests = db.api.stats().requests;
    refused(
        db.session().embed("'logs'"),
        "28000",
        "invalid_grant",
        "credentials_file",
    );
    assert_eq!(
        db.api.stats().requests,
        requests,
        "nothing is sent without a token"
    );
    db.accounts.set(|config| config.revoked = false);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(70, 0)
    );
    assert_eq!(right(&mut session, "logs"), 100);
    note(
        "a service account that is revoked in the midst of a run",
        1,
        &seen,
    );
}

#[test]
fn a_clock_that_is_off_does_no_harm() {
    for ahead in [600, -600] {
        let db = Vertex::fresh();
        db.accounts.set(|config| config.clock_ahead = ahead);
        let mut session = db.session();
        logs(&mut session, 100);
        before_request(&db, 5, expiry(&db));
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(100, 0)
        );
        assert_eq!(right(&mut session, "logs"), 100);
        // The first assertion was refused, and from then on the time is known.
        let stats = db.accounts.stats();
        assert_eq!((stats.requests, stats.grants), (3, 2));
        let told = session.notices();
        assert!(
            told.iter().all(|notice| !notice.contains("clock")),
            "{told:#?}"
        );
    }
    note(
        "a clock that is 10 minutes slow, or fast",
        2,
        "all rows, by the time of the token endpoint",
    );
}

#[test]
fn a_token_endpoint_that_has_a_bad_moment_is_asked_again() {
    for reply in [
        Reply::recorded("503_service_unavailable"),
        Reply::html(502, "<html><h1>502 Bad Gateway</h1></html>"),
        Reply::Close,
        Reply::Fault(Fault::ResetOnAccept),
    ] {
        let db = Vertex::fresh();
        let mut session = db.session();
        logs(&mut session, 50);
        db.accounts
            .set(|config| config.replies = [reply.clone()].into());
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(50, 0),
            "{reply:?}"
        );
        assert_eq!(db.accounts.stats().grants, 1);
        assert_eq!(right(&mut session, "logs"), 50);
    }
}

#[test]
fn a_token_endpoint_that_is_gone_is_told() {
    let db = Vertex::fresh();
    db.set("max_attempts", "2");
    let mut session = db.session();
    logs(&mut session, 20);
    db.accounts.refuse();
    for result in [
        session.embed("'logs'").map(drop),
        session.embed_all("'logs'").map(drop),
    ] {
        refused(result, "58030", "no access token", "");
    }
    assert_eq!(db.api.stats().requests, 0);
    db.accounts.listen();
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(20, 0));
}

// A fresh token is refused as well: it is the API that does not want it, and asking for ever would help nobody.
#[test]
fn a_token_that_is_refused_for_good_ends_the_run() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 50);
    session.run("SET embedding_backfill.concurrency = 1");
    db.api.set(|config| {
        config.script = Some(Arc::new(|_| {
            Some(Reply::recorded("401_vertex_access_token_expired"))
        }));
    });
    refused(
        session.embed_all("'logs', 10"),
        "28000",
        "HTTP 401",
        "credentials_file",
    );
    assert_eq!(
        (db.api.stats().requests, db.accounts.stats().grants),
        (2, 2)
    );
    assert_eq!(filled(&mut session, "logs"), 0);
}
