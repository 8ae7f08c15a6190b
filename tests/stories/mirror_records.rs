//! What a mirror leaves behind: its run in the journal, progress while it works, a line in the server's log, and what it tells.

use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::{Value, json};
use support::{Session, Verdict, wait_until};

use crate::{journal::runs, mirror::embedded, mirror_shapes::watched};

const CALL: &str = "'logs', 'notes.of-logs', batch => 10";

/// The newest run.
fn newest(session: &mut Session) -> Value {
    runs(session).pop().expect("there is one")
}

#[test]
fn each_run_is_in_the_journal() {
    let (_db, _store, mut session) = embedded(40);
    session.mirror(CALL).unwrap();
    session.run("DELETE FROM logs WHERE id <= 3");
    session
        .mirror(&format!(
            "{CALL}, content => 'body', source_filter => 'id <= 30'"
        ))
        .unwrap();
    let run = newest(&mut session);
    for (column, value) in [
        ("function", json!("mirror_to_chroma")),
        ("run_by", json!("postgres")),
        ("relation", json!("logs")),
        ("embedding_column", json!("embedding")),
        ("collection", json!("notes.of-logs")),
        ("model", Value::Null),
        ("task_type", Value::Null),
        ("dimensions", json!(128)),
        ("state", json!("done")),
        ("reason", json!("done")),
        ("pending", json!(27)),
        ("embedded", json!(0)),
        ("mirrored", json!(27)),
        ("removed", json!(13)),
        ("tokens", json!(0)),
        ("waiting_for", Value::Null),
    ] {
        assert_eq!(run[column], value, "{column}: {run:#}");
    }
    assert!(
        run["source_filter"].as_str().unwrap().contains("id <= 30"),
        "{run:#}"
    );
    assert!(run["requests"].as_i64().unwrap() >= 3, "{run:#}");
    assert_eq!(runs(&mut session).len(), 3, "two mirrors and a backfill");
    // The model of the column is still that of its backfill.
    let texts = _db.api.stats().texts;
    session.run("SELECT embed_query('logs', 'a')");
    session.run("INSERT INTO logs VALUES (100, 'new')");
    session.embed_all("'logs'").unwrap();
    assert_eq!(
        _db.api.stats().texts,
        texts + 2,
        "the model was not proved again"
    );
}

#[test]
fn progress_is_seen_from_another_session() {
    let (db, _store, gateway, mut session) = watched(300);
    db.set("concurrency", "1");
    gateway.set(|asked| {
        if asked.is("upsert") {
            thread::sleep(Duration::from_millis(150));
        }
        Verdict::Pass
    });
    thread::scope(|scope| {
        let call = scope.spawn(|| db.session().mirror(CALL).unwrap());
        wait_until("the view says how far it is", || {
            let row = session.query_opt(
                "SELECT mirrored, pending, percent::float8, rows_per_second::float8, collection, embedded
                 FROM embedding_backfill.progress",
                &[],
            );
            row.unwrap().is_some_and(|row| {
                let (mirrored, pending): (i64, i64) = (row.get(0), row.get(1));
                if !(1..300).contains(&mirrored) {
                    return false;
                }
                assert_eq!((pending, row.get::<_, i64>(5)), (300, 0));
                assert!((row.get::<_, f64>(2) - mirrored as f64 / 3.0).abs() < 0.06);
                assert!(row.get::<_, f64>(3) > 0.0);
                assert_eq!(row.get::<_, &str>(4), "notes.of-logs");
                true
            })
        });
        assert_eq!(call.join().unwrap(), (300, 0));
    });
    let progress = "SELECT count(*) FROM embedding_backfill.progress";
    assert_eq!(session.number(progress), 0);
}

/// The fields of the lines that this role's mirrors left in the log.
fn logged(log: &str, role: &str) -> Vec<BTreeMap<String, String>> {
    log.lines()
        .filter_map(|line| line.split_once("LOG:  embedding_backfill: "))
        .map(|(_, fields)| fields)
        .filter(|fields| {
            fields.contains("function=mirror_to_chroma")
                && fields.contains(&format!(" role={role} "))
        })
        .map(|fields| {
            let fields = fields.split(' ').filter_map(|field| field.split_once('='));
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        })
        .collect()
}

#[test]
fn each_run_leaves_a_line_in_the_log() {
    let (db, _store, gateway, mut session) = watched(40);
    let role = db.role("operator");
    session.run(&format!(
        "GRANT EXECUTE ON PROCEDURE mirror_to_chroma TO {role}; GRANT SELECT ON logs TO {role}"
    ));
    let mut operator = db.session_as(&role);
    operator.mirror(CALL).unwrap();
    session.run("DELETE FROM logs WHERE id = 3");
    operator.mirror(CALL).unwrap();
    gateway.set(|asked| match asked.is("upsert") {
        true => Verdict::Answer(403, r#"{"error":"AuthError","message":"Forbidden"}"#),
        false => Verdict::Pass,
    });
    support::denied(operator.mirror(CALL), "28000", "403");
    // What is refused before anything is sent leaves none.
    support::denied(operator.mirror("'logs', 'x'"), "42602", "collection");

    let lines = logged(&db.log(), &role);
    let field = |line: usize, name: &str| lines[line].get(name).map_or("", String::as_str);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in 0..3 {
        assert_eq!(field(line, "relation"), "public.logs", "{lines:#?}");
        assert_eq!(field(line, "column"), "embedding", "{lines:#?}");
        assert_eq!(field(line, "collection"), "notes.of-logs", "{lines:#?}");
        assert_eq!(field(line, "host"), "127.0.0.1", "{lines:#?}");
    }
    assert_eq!(
        [0, 1, 2].map(|line| field(line, "ended")),
        ["done", "done", "failed"],
        "{lines:#?}"
    );
    assert_eq!(
        [field(0, "rows"), field(1, "rows")],
        ["40", "39"],
        "{lines:#?}"
    );
    assert_eq!(
        [field(0, "removed"), field(1, "removed")],
        ["0", "1"],
        "{lines:#?}"
    );
}

#[test]
fn it_says_what_it_will_do_and_what_it_did() {
    let (_db, _store, mut session) = embedded(40);
    session.run("UPDATE logs SET embedding = NULL WHERE id = 9");
    session.notices();
    session.mirror(CALL).unwrap();
    session.run("DELETE FROM logs WHERE id = 3");
    session.mirror(CALL).unwrap();
    let notices = session.notices();
    assert!(
        notices.iter().all(|notice| notice.starts_with("NOTICE: ")),
        "{notices:#?}"
    );
    let plan = |rows: &str| {
        notices.iter().any(|notice| {
            [rows, "rows", "requests", "notes.of-logs", "127.0.0.1"]
                .iter()
                .all(|word| notice.contains(word))
        })
    };
    assert!(plan("39") && plan("38"), "{notices:#?}");
    let end = notices.last().unwrap();
    for words in ["38 rows", "1 removed", "notes.of-logs", ": done"] {
        assert!(end.contains(words), "{end}");
    }
    let lines = notices.iter().flat_map(|notice| notice.lines());
    for line in lines {
        assert!(line.chars().count() <= 101, "{line}");
    }
}
