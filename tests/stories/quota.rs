//! Quotas: a 429 teaches the pace, and from then on the quota is used to the full and never fought.

use std::{
    sync::{Arc, Mutex},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use google_standin::{Config, Reply, Stats};
use support::{Db, Finished, Session, denied, wait_until};

use crate::fixtures::{always, filled, logs, mended, right};

const MINUTE: Duration = Duration::from_secs(60);

fn cancel(session: &mut Session) {
    session.run(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CALL %'",
    );
}

/// Waits for what comes within a minute's quota, and then for a little.
#[track_caller]
fn wait_for(db: &Db, told: impl Fn(&Stats) -> bool) -> Stats {
    assert!(db.api.wait_until(MINUTE + Duration::from_secs(10), told));
    db.api.stats()
}

// In real minutes, since the extension thinks in them: it takes two, and waits nearly all of the time.
// Would pass wrongly if the quota measured were not the one taught: the stand-in refuses by the same number that its 429 names,
// and what it refuses is counted. Or if the window measured did not begin with the first text after the 429: it does, as the
// stand-in opens a window with the first text behind the last one's end, and nothing is answered before.
#[test]
fn the_quota_is_used_to_the_full_and_not_fought() {
    const QUOTA: u64 = 3000;
    let db = Db::with(Config {
        texts_per_minute: Some(QUOTA),
        ..Config::default()
    });
    let mut session = db.session();
    logs(&mut session, 3 * QUOTA as u32);
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 20"));
        wait_for(&db, |stats| stats.answered_429 > 0);
        wait_until("nothing is in flight", || db.api.stats().in_flight == 0);
        let taught = db.api.stats();
        assert!(taught.texts_billed <= QUOTA);
        // Requests that had left before the first 429 came back may get one too, until the next window opens.
        let opened = wait_for(&db, |stats| stats.texts_billed > taught.texts_billed);
        sleep(MINUTE);
        let after = db.api.stats();
        cancel(&mut session);
        call.join().unwrap().unwrap_err();

        let used = after.texts_billed - taught.texts_billed;
        assert!(
            used * 100 >= QUOTA * 95,
            "{used} of {QUOTA} texts were used"
        );
        let requests = after.requests - opened.requests;
        let refused = after.answered_429 - opened.answered_429;
        assert!(
            refused * 100 < requests,
            "{refused} of {requests} requests got a 429"
        );
    });
    assert!(right(&mut session, "logs") as u64 > QUOTA);
}

/// When each request came, and with how many texts.
type Arrivals = Arc<Mutex<Vec<(Instant, usize)>>>;

fn arrivals(db: &Db) -> Arrivals {
    let arrivals = Arrivals::default();
    let seen = Arc::clone(&arrivals);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |request| {
            let texts = request.texts().len();
            seen.lock().unwrap().push((Instant::now(), texts));
            None
        }));
    });
    arrivals
}

// A lower bound only, and the pace begins later than the call, so that a slow machine can't fail it.
#[test]
fn texts_per_minute_is_kept_from_the_first_text_on() {
    let db = Db::fresh();
    let arrivals = arrivals(&db);
    let mut session = db.session();
    logs(&mut session, 50);
    session.run("SET embedding_backfill.texts_per_minute = 600");
    let began = Instant::now();
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(50, 0)
    );
    let arrivals = arrivals.lock().unwrap();
    let mut sent = 0;
    for (at, texts) in arrivals.iter() {
        let allowed = 10.0 * (*at - began).as_secs_f64();
        assert!(
            sent as f64 <= allowed + 1.0,
            "{sent} texts in {allowed} tenths of a second"
        );
        sent += texts;
    }
    assert!(
        session.number("SELECT extract(epoch FROM waited)::int8 FROM embedding_backfill.runs") >= 3
    );
}

// As above. Nothing is waited for before the first request, and before its answer tokens are only estimated: two requests of ten
// are left out.
#[test]
fn tokens_per_minute_is_kept() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run(
        "SET embedding_backfill.concurrency = 1; SET embedding_backfill.tokens_per_minute = 18000",
    );
    let began = Instant::now();
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(100, 0)
    );
    let allowed = 300.0 * began.elapsed().as_secs_f64();
    let tokens = db.api.stats().tokens as f64;
    assert!(
        tokens - tokens / 10.0 * 2.0 <= allowed,
        "{tokens} tokens where {allowed} may go out"
    );
}

#[test]
fn a_request_that_no_quota_would_let_through_is_cut() {
    for (texts, tokens) in [(Some(60), None), (None, Some(800))] {
        let db = Db::with(Config {
            texts_per_minute: texts,
            tokens_per_minute: tokens,
            // So that its 429 asks to come back soon.
            minute: Duration::from_secs(1),
            ..Config::default()
        });
        let mut session = db.session();
        logs(&mut session, 100);
        thread::scope(|scope| {
            let call = scope.spawn(|| db.session().embed_all("'logs', 100"));
            wait_until("a part of it passes", || filled(&mut session, "logs") > 0);
            cancel(&mut session);
            call.join().unwrap().unwrap_err();
        });
        let sizes: Vec<usize> = db
            .api
            .requests()
            .iter()
            .map(|request| request.texts().len())
            .collect();
        assert_eq!(sizes[0], 100);
        assert_eq!(sizes[1], 50, "{sizes:?}");
    }
}

// Would hang if it were waited for, and be cancelled with another SQLSTATE.
#[test]
fn a_quota_that_is_back_after_the_longest_wait_ends_the_call() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    session.run("SET statement_timeout = '60s'");
    for delay in ["601s", "86400s", "9300000000000000000s"] {
        let body = format!(
            r#"{{"error": {{"code": 429, "message": "later", "status": "RESOURCE_EXHAUSTED", "details": [{{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "{delay}"}}]}}}}"#
        );
        always(&db, Reply::json(429, body));
        denied(session.embed("'logs', 10"), "53400", "429: later");
        denied(session.embed_all("'logs', 10"), "53400", "429: later");
    }
    mended(&db);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(20, 0));
}
