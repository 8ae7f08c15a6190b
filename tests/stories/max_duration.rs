//! `max_duration`: nothing is sent that could not be back in time, no wait outlives it, and what was sent is written.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use google_standin::{Config, Reply};
use support::{Db, Finished};

use crate::fixtures::{always, logs, mended, right};
use crate::limits::stopped;

// Answers take a second, so in two and a half only two can be back. Would pass wrongly if the first came so late that the second
// had no time either: three embedded batches at most and at least one are told apart.
#[test]
fn nothing_is_sent_that_can_not_be_back_before_max_duration() {
    const LATENCY: Duration = Duration::from_secs(1);
    let db = Db::with(Config {
        latency: LATENCY,
        ..Config::default()
    });
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&arrivals);
    db.api.set(|config| {
        config.script = Some(Arc::new(move |_| {
            seen.lock().unwrap().push(Instant::now());
            None
        }));
    });
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET embedding_backfill.concurrency = 2");
    let finished = session
        .embed_all("'logs', 5, max_duration => '2.5 s'")
        .unwrap();

    assert_eq!(finished.stopped_because, "max_duration");
    assert!(finished.embedded > 0);
    assert_eq!(finished.remaining, 100 - finished.embedded);
    assert_eq!(
        db.api.stats().texts as i64,
        finished.embedded,
        "what was sent was written"
    );
    let arrivals = arrivals.lock().unwrap();
    let last = *arrivals.last().unwrap() - arrivals[0];
    assert!(
        last + LATENCY <= Duration::from_millis(2500),
        "a request was sent after {last:?}"
    );
    assert_eq!(right(&mut session, "logs") as i64, finished.embedded);
}

#[test]
fn waiting_for_a_quota_ends_with_max_duration() {
    let db = Db::with(Config {
        texts_per_minute: Some(20),
        ..Config::default()
    });
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET embedding_backfill.concurrency = 1");
    assert_eq!(
        session
            .embed_all("'logs', 10, max_duration => '2 s'")
            .unwrap(),
        stopped(20, 80, "max_duration")
    );
}

#[test]
fn backing_off_ends_with_max_duration() {
    let db = Db::fresh();
    db.set("max_attempts", "20");
    let mut session = db.session();
    logs(&mut session, 100);
    always(&db, Reply::recorded("503_overloaded"));
    assert_eq!(
        session.embed_all("'logs', max_duration => '2 s'").unwrap(),
        stopped(0, 100, "max_duration")
    );
    mended(&db);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(100, 0));
}

#[test]
fn a_run_that_is_done_in_time_is_done() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    assert_eq!(
        session
            .embed_all("'logs', max_duration => '1 hour'")
            .unwrap(),
        Finished::done(100, 0)
    );
}
