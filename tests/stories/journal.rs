//! The journal: what each run did, what it cost and how it ended, also where its session was killed.

use std::thread;

use google_standin::Reply;
use serde_json::Value;
use support::{Db, Finished, Session, refused, wait_until};

use crate::fixtures::{Gate, filled, logs};

/// The runs as the view shows them to this session, oldest first.
pub fn runs(session: &mut Session) -> Vec<Value> {
    session
        .query(
            "SELECT to_jsonb(r)::text FROM embedding_backfill.runs r ORDER BY run",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| serde_json::from_str(row.get(0)).unwrap())
        .collect()
}

#[test]
fn a_run_that_is_done() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 60);
    session.run(
        "UPDATE logs SET body = NULL WHERE id > 50; UPDATE logs SET body = 'poison' WHERE id = 7",
    );
    db.api.set(|config| {
        config.poison = Some("poison".to_owned());
        config.replies = [Reply::Serve, Reply::recorded("503_overloaded")].into();
    });
    session
        .embed_all("'logs', 10, source_filter => 'id > 0'")
        .unwrap();
    let runs = runs(&mut session);
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    let stats = db.api.stats();
    for (column, value) in [
        ("function", Value::from("embed_all_missing")),
        ("run_by", "postgres".into()),
        ("relation", "logs".into()),
        ("embedding_column", "embedding".into()),
        ("model", "gemini-embedding-2".into()),
        ("dimensions", 128.into()),
        ("task_type", "RETRIEVAL_DOCUMENT".into()),
        ("state", "done".into()),
        ("reason", "done".into()),
        ("waiting_for", Value::Null),
        ("pending", 50.into()),
        ("blank", 10.into()),
        ("embedded", 49.into()),
        ("rejected", 1.into()),
        ("tokens", stats.tokens.into()),
        ("requests", stats.requests.into()),
        ("retries", 1.into()),
        ("quota_refusals", 0.into()),
    ] {
        assert_eq!(run[column], value, "{column}");
    }
    assert!(run["content"].as_str().unwrap().contains("body"));
    assert!(run["source_filter"].as_str().unwrap().contains("id > 0"));
    let cost = run["cost"].as_f64().unwrap();
    assert!(
        (cost - stats.tokens as f64 * 0.2 / 1e6).abs() < 1e-6,
        "{cost}"
    );
    assert!(run["started"].as_str() <= run["finished"].as_str());
    assert_ne!(run["waited"], "00:00:00");
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.progress"),
        0
    );
}

#[test]
fn embed_missing_is_a_run_of_its_own() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    assert_eq!(session.embed("'logs', 20").unwrap(), 20);
    let run = runs(&mut session).remove(0);
    assert_eq!(
        (
            &run["function"],
            &run["state"],
            &run["embedded"],
            &run["tokens"]
        ),
        (
            &"embed_missing".into(),
            &"done".into(),
            &20.into(),
            &db.api.stats().tokens.into()
        )
    );
    session.run("BEGIN; SELECT embed_missing('logs', 10); ROLLBACK");
    assert_eq!(runs(&mut session).len(), 1, "it belongs to its transaction");
    // A call that finds nothing to do leaves no trace each minute.
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    assert_eq!(session.embed("'logs', 10").unwrap(), 0);
    assert_eq!(runs(&mut session).len(), 2);
}

#[test]
fn a_run_that_failed_says_why() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 30);
    db.api
        .set(|config| config.replies = [Reply::recorded("404_text-embedding-004")].into());
    refused(session.embed_all("'logs'"), "38000", "HTTP 404", "");
    let run = runs(&mut session).remove(0);
    assert_eq!(run["state"], "failed");
    let reason = run["reason"].as_str().unwrap();
    assert!(
        reason.contains("HTTP 404") && !reason.contains('{'),
        "{reason}"
    );
}

#[test]
fn a_run_that_was_killed_shows_as_interrupted() {
    for kill in ["pg_terminate_backend", "pg_cancel_backend"] {
        let db = Db::fresh();
        let mut session = db.session();
        logs(&mut session, 100);
        session.run("SET embedding_backfill.concurrency = 1");
        let gate = Gate::after(&db, 3);
        let psql = db.start_psql(&["-c", "CALL embed_all_missing('logs', 10)"]);
        wait_until("it is at work and says so", || {
            runs(&mut session)
                .first()
                .is_some_and(|run| run["state"] == "running" && run["embedded"].as_i64() > Some(0))
        });
        let progress = session.text("SELECT to_jsonb(p)::text FROM embedding_backfill.progress p");
        let progress: Value = serde_json::from_str(&progress).unwrap();
        let embedded = progress["embedded"].as_i64().unwrap();
        assert_eq!(progress["pending"], 100);
        assert_eq!(progress["percent"].as_f64(), Some(embedded as f64));
        assert!(progress["rows_per_second"].as_f64().unwrap() > 0.0);
        assert!(progress["eta"].is_string() && progress["cost"].is_number());
        // Rows that arrive while it works were not counted when it began.
        session.run("UPDATE embedding_backfill.journal SET pending = 1");
        let percent = "SELECT percent::text FROM embedding_backfill.progress";
        assert_eq!(session.text(percent), "100.0");

        session.run(&format!(
            "SELECT {kill}(pid) FROM embedding_backfill.progress"
        ));
        assert!(!psql.wait().ok);
        gate.open();
        wait_until("the run is over", || {
            runs(&mut session)[0]["state"] == "interrupted"
        });
        assert_eq!(
            session.number("SELECT count(*) FROM embedding_backfill.progress"),
            0
        );

        let left = 100 - filled(&mut session, "logs");
        assert_eq!(
            session.embed_all("'logs', 10").unwrap(),
            Finished::done(left, 0)
        );
        let states: Vec<Value> = runs(&mut session)
            .iter()
            .map(|run| run["state"].clone())
            .collect();
        assert_eq!(states, ["interrupted", "done"]);
        assert!(runs(&mut session)[0]["finished"].is_string());
    }
}

#[test]
fn progress_says_what_a_run_waits_for() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    db.set("texts_per_minute", "300");
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().embed_all("'logs', 10, max_duration => '4 s'"));
        wait_until("progress says what it waits for", || {
            session.number(
                "SELECT count(*) FROM embedding_backfill.progress WHERE waiting_for LIKE 'pace%'",
            ) == 1
        });
        assert_eq!(
            call.join().unwrap().unwrap().stopped_because,
            "max_duration"
        );
    });
}
