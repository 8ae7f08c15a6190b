//! What nobody but a person can mend ends a run at once, after the work so far is committed; so does a quota of the day.

use google_standin::Reply;
use support::{Db, Finished, Session, refused};

use crate::fixtures::{filled, logs, right};

/// A 429 in Google's form for a quota of which there is none.
fn limit_zero() -> Reply {
    let details = r#"[{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
        {"quotaMetric": "generativelanguage.googleapis.com/embed_content_free_tier_requests",
         "quotaId": "EmbedContentRequestsPerMinutePerUserPerProjectPerModel-FreeTier", "quotaValue": "0"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]"#;
    Reply::json(
        429,
        format!(
            r#"{{"error": {{"code": 429, "message": "Quota exceeded, limit: 0", "status": "RESOURCE_EXHAUSTED", "details": {details}}}}}"#
        ),
    )
}

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
fn what_a_person_must_mend() {
    let refusals = [
        (Reply::recorded("400_api_key_invalid"), "28000", "HTTP 400"),
        (Reply::json(401, "{}"), "28000", "HTTP 401"),
        (
            Reply::recorded("401_key_type_rejected"),
            "28000",
            "HTTP 401",
        ),
        (Reply::recorded("403_no_key"), "28000", "HTTP 403"),
        (Reply::html(403, "<html>Forbidden"), "28000", "HTTP 403"),
        (
            Reply::recorded("404_model_not_found_batchEmbedContents"),
            "38000",
            "HTTP 404",
        ),
        (limit_zero(), "53400", "HTTP 429"),
    ];
    let db = Db::fresh();
    db.set("concurrency", "1");
    let mut session = db.session();
    logs(&mut session, 50);
    for (reply, sqlstate, words) in refusals {
        println!("{reply:?}");
        session.run("UPDATE logs SET embedding = NULL");
        let requests = db.api.stats().requests;
        db.api
            .set(|config| config.replies = [Reply::Serve, Reply::Serve, reply].into());
        let error = refused(session.embed_all("'logs', 10"), sqlstate, words, "");
        assert_eq!(
            error.detail(),
            Some("20 rows were embedded and committed before.")
        );
        assert_eq!(
            db.api.stats().requests,
            requests + 3,
            "nothing is tried again"
        );
        assert_eq!(right(&mut session, "logs"), 20);
        let (state, reason, embedded) = last_run(&mut session);
        assert_eq!((state.as_str(), embedded), ("failed", 20));
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(30, 0)
    );
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
