//! A quota that no waiting helps ends a run at once, after the work so far is committed.

use support::{Db, Finished, Session, refused};

use crate::fixtures::{filled, logs};

fn last_run(session: &mut Session) -> (String, String, i64) {
    let row = session
        .query_one(
            "SELECT state, reason, embedded FROM embedding_backfill.runs ORDER BY run DESC LIMIT 1",
            &[],
        )
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[test]
fn a_quota_that_is_zero_is_explained() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    db.api.set(|config| config.texts_per_minute = Some(0));
    refused(session.embed_all("'logs'"), "53400", "HTTP 429", "billing");
    refused(session.embed("'logs'"), "53400", "HTTP 429", "billing");
    assert_eq!(db.api.stats().requests, 2);
}

#[test]
fn the_quota_of_the_day_ends_the_run() {
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 50);
    db.api.set(|config| config.texts_per_day = Some(25));
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished {
            embedded: 20,
            remaining: 30,
            stopped_because: "daily_quota".to_owned()
        }
    );
    assert_eq!(db.api.stats().answered_429, 1, "it is not waited for");
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.starts_with("WARNING: the daily quota is used up")),
        "{notices:?}"
    );
    assert_eq!(
        last_run(&mut session),
        ("done".to_owned(), "daily_quota".to_owned(), 20)
    );
    // One batch has no other way to say it.
    refused(
        session.embed("'logs', 10"),
        "53400",
        "HTTP 429",
        "midnight Pacific",
    );
    db.api.set(|config| config.texts_per_day = None);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(30, 0)
    );
    assert_eq!(filled(&mut session, "logs"), 50);
}
