//! Rows that the API refuses: each stands alone, is remembered with its reason and key, and is in nobody's way.

use google_standin::Reply;
use serde_json::Value;
use support::{Db, Finished, Session, refused};

use crate::fixtures::{always, at_both, filled, logs, mended, right};

fn poison(db: &Db) {
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
}

/// The keys of the rejected rows, each with its reason.
fn rejects(session: &mut Session) -> Vec<(Value, String)> {
    session
        .query(
            "SELECT key::text, reason FROM embedding_backfill.rejects ORDER BY (key ->> 'id')::int",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| {
            let key: String = row.get(0);
            (serde_json::from_str(&key).unwrap(), row.get(1))
        })
        .collect()
}

#[test]
fn seven_poison_rows_among_ten_thousand() {
    let db = Db::fresh();
    poison(&db);
    let mut session = db.session();
    logs(&mut session, 10_000);
    let bad = [7, 1500, 1501, 4242, 6000, 8001, 10_000];
    session.run(&format!(
        "UPDATE logs SET body = 'poison ' || id WHERE id = ANY ('{{{}}}')",
        bad.map(|id| id.to_string()).join(",")
    ));
    assert_eq!(
        session.embed_all("'logs', 100").unwrap(),
        Finished::done(9993, 0)
    );
    assert_eq!(right(&mut session, "logs"), 9993);

    let requests = db.api.stats().requests;
    let most = 7.0 * (100f64.log2() + 1.0) * 2.0;
    assert!(
        (101..=100 + most as u64).contains(&requests),
        "{requests} requests"
    );
    let rejected = rejects(&mut session);
    let ids: Vec<i64> = rejected
        .iter()
        .map(|(key, _)| key["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, bad);
    for (_, reason) in &rejected {
        assert!(reason.starts_with("HTTP 400: "), "{reason}");
    }
    let warnings = session
        .notices()
        .iter()
        .filter(|notice| notice.starts_with("WARNING: "))
        .count();
    assert_eq!(warnings, 6, "five rows and one line for the others");

    // What is known to be refused is not sent again, by either call.
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(0, 0));
    assert!(
        session
            .notices()
            .iter()
            .any(|notice| notice.contains("7 rows of logs rejected before"))
    );
    assert_eq!(session.embed("'logs'").unwrap(), 0);
    assert_eq!(db.api.stats().requests, requests);

    session.run("UPDATE logs SET body = 'mended' WHERE id = 4242");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(1, 0));
    assert_eq!(db.api.stats().requests, requests + 1);

    // Forgotten, they are sent again; what is forgotten are contents, that of the mended row among them.
    assert_eq!(session.number("SELECT embed_retry_rejected('logs')"), 7);
    db.api.set(|config| config.poison = None);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(6, 0));
    assert_eq!(right(&mut session, "logs"), 10_000);
}

fn one_poison_row_in_a_batch_of_embed_missing(db: &Db) {
    poison(db);
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("UPDATE logs SET body = 'poison' WHERE id = 30");
    assert_eq!(session.embed("'logs', 100").unwrap(), 99);
    assert_eq!(rejects(&mut session)[0].0["id"], 30);
    assert!(
        session
            .notices()
            .iter()
            .any(|notice| notice.starts_with("WARNING: a row is rejected: HTTP 400: "))
    );
    assert_eq!(session.embed("'logs', 100").unwrap(), 0);
    assert_eq!(right(&mut session, "logs"), 99);
}

#[test]
fn a_rejection_belongs_to_the_transaction_of_embed_missing() {
    let db = Db::fresh();
    poison(&db);
    let mut session = db.session();
    logs(&mut session, 10);
    session.run("UPDATE logs SET body = 'poison' WHERE id = 3");
    session.run("BEGIN; SELECT embed_missing('logs'); ROLLBACK");
    assert_eq!(rejects(&mut session), []);
    assert_eq!(filled(&mut session, "logs"), 0);
}

fn rejections_are_of_one_column_and_model(db: &Db) {
    poison(db);
    let mut session = db.session();
    logs(&mut session, 10);
    session.run(
        "UPDATE logs SET body = 'poison' WHERE id = 3; ALTER TABLE logs ADD COLUMN second vector(128)",
    );
    let first = "'logs', embedding_column => 'embedding', content => 'body'";
    assert_eq!(session.embed_all(first).unwrap(), Finished::done(9, 0));
    db.api.set(|config| config.poison = None);
    let second = "'logs', embedding_column => 'second', content => 'body'";
    assert_eq!(session.embed_all(second).unwrap(), Finished::done(10, 0));
    session.run("UPDATE logs SET embedding = NULL");
    let other_model = format!("{first}, model => 'gemini-embedding-001'");
    assert_eq!(
        session.embed_all(&other_model).unwrap(),
        Finished::done(10, 0)
    );
}

#[test]
fn a_row_without_a_primary_key_is_named_by_its_place() {
    let db = Db::fresh();
    poison(&db);
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (body text, embedding vector(128)); INSERT INTO logs VALUES ('a'), ('poison'), ('b')",
    );
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(2, 0));
    assert_eq!(rejects(&mut session)[0].0["ctid"], "(0,2)");
}

fn a_text_that_breaks_the_service_is_rejected_as_well(db: &Db) {
    db.set("max_attempts", "2");
    let mut session = db.session();
    logs(&mut session, 32);
    db.api.set(|config| {
        config.script = Some(std::sync::Arc::new(|request| {
            let breaks = request
                .texts()
                .iter()
                .any(|text| text.ends_with("breaks it"));
            breaks.then(|| Reply::recorded("500_internal"))
        }));
    });
    session.run("UPDATE logs SET body = 'breaks it' WHERE id = 5");
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(31, 0));
    let rejected = rejects(&mut session);
    assert_eq!(rejected[0].0["id"], 5);
    assert!(rejected[0].1.starts_with("HTTP 500: "), "{rejected:?}");
    assert_eq!(right(&mut session, "logs"), 31);
}

// Nothing has passed, so nothing shows that it was the text.
fn a_refusal_of_everything_is_no_rows_fault(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 100);
    always(
        db,
        Reply::json(
            400,
            r#"{"error": {"code": 400, "message": "Not today.", "status": "INVALID_ARGUMENT"}}"#,
        ),
    );
    refused(session.embed_all("'logs', 100"), "38000", "Not today", "");
    refused(session.embed("'logs', 100"), "38000", "Not today", "");
    let requests = db.api.stats().requests;
    assert!(requests < 100, "{requests} requests");
    assert_eq!(rejects(&mut session), []);
    mended(db);
    assert_eq!(session.embed_all("'logs'").unwrap(), Finished::done(100, 0));
}

at_both! {
    one_poison_row_in_a_batch_of_embed_missing
    rejections_are_of_one_column_and_model
    a_text_that_breaks_the_service_is_rejected_as_well
    a_refusal_of_everything_is_no_rows_fault
}
