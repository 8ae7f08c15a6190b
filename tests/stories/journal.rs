//! The journal: what each run did, what it cost and how it ended, also where its session was killed.

use std::thread;

use google_standin::Reply;
use serde_json::Value;
use support::{Db, Finished, Session, denied, refused, wait_until};

use crate::fixtures::{Gate, filled, logs};
use crate::journal_readers::operator;

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

/// Makes the newest run so many days older.
fn age(session: &mut Session, days: u32) {
    session.run(&format!(
        "UPDATE embedding_backfill.journal SET started = now() - interval '{days} days'
         WHERE run = (SELECT max(run) FROM embedding_backfill.journal)"
    ));
}

#[test]
fn old_runs_are_pruned() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 40);
    let call = "'logs', max_rows => 5";
    session.embed_all(call).unwrap();
    age(&mut session, 91);
    session.embed_all(call).unwrap();
    assert_eq!(runs(&mut session).len(), 2, "it was the last that wrote");
    session.embed_all(call).unwrap();
    assert_eq!(runs(&mut session).len(), 2);
    age(&mut session, 89);
    session.embed_all(call).unwrap();
    assert_eq!(runs(&mut session).len(), 3);
    session.run("SET embedding_backfill.journal_retention = 30");
    session.embed_all(call).unwrap();
    assert_eq!(runs(&mut session).len(), 3);
    assert_eq!(
        session.number(
            "SELECT count(*) FROM embedding_backfill.runs WHERE started < now() - interval '1 day'"
        ),
        0
    );
    let role = operator(&db);
    let mut ordinary = db.session_as(&role);
    ordinary.embed("'logs', 1").unwrap();
    denied(
        ordinary.batch_execute("SET embedding_backfill.journal_retention = 1"),
        "42501",
        "permission denied to set parameter",
    );
}

// Would pass wrongly if there were nothing to delete: the first of them deletes it, and it is gone in the end.
#[test]
fn who_prunes_holds_up_nobody() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 40);
    for _ in 0..3 {
        session.embed_all("'logs', max_rows => 5").unwrap();
    }
    session.run("UPDATE embedding_backfill.journal SET started = now() - interval '91 days'");
    let mut first = db.session();
    first.run("BEGIN");
    assert_eq!(first.embed("'logs', 5").unwrap(), 5);
    for begin in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
        let mut other = db.session();
        other.run(&format!("SET statement_timeout = '20s'; {begin}"));
        assert_eq!(other.embed("'logs', 5").unwrap(), 5);
        other.run("COMMIT");
    }
    assert_eq!(runs(&mut session).len(), 5);
    first.run("COMMIT");
    assert_eq!(runs(&mut session).len(), 4);
}

#[test]
fn what_is_old_and_still_of_use_is_kept() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run(
        "CREATE TABLE others AS TABLE logs; CREATE TABLE gone AS TABLE logs;
         SET embedding_backfill.concurrency = 1",
    );
    // What made the vectors of a column, while there is a column.
    for table in ["others", "gone"] {
        let call = format!("'{table}', model => 'gemini-embedding-001', max_rows => 10");
        session.embed_all(&call).unwrap();
        age(&mut session, 91);
    }
    session.run("DROP TABLE gone");
    // A run that works, however long it does.
    let gate = Gate::after(&db, 3);
    let psql = db.start_psql(&["-c", "CALL embed_all_missing('logs', 10)"]);
    wait_until("it is at work", || {
        session.number("SELECT count(*) FROM embedding_backfill.progress") == 1
    });
    age(&mut session, 91);
    // A last one that was killed is no run any more.
    session.run(
        "INSERT INTO embedding_backfill.journal (function, run_by, pid, lock_key, relation, relation_name, embedding_column,
             model, dimensions, task_type, content, source_filter, pending, blank, started)
         SELECT function, run_by, 0, 1, relation, relation_name, 'killed', model, dimensions, task_type, content,
             source_filter, pending, blank, started FROM embedding_backfill.journal ORDER BY run DESC LIMIT 1",
    );
    gate.open();
    db.session()
        .embed("'others', 1, model => 'gemini-embedding-001'")
        .unwrap();
    let kept = runs(&mut session);
    let kept: Vec<&str> = kept
        .iter()
        .map(|run| run["relation_name"].as_str().unwrap())
        .collect();
    assert_eq!(kept, ["public.others", "public.logs", "public.others"]);
    assert!(psql.wait().ok);
    let run = runs(&mut session).remove(1);
    assert_eq!(
        (&run["state"], &run["embedded"]),
        (&"done".into(), &100.into())
    );
}
