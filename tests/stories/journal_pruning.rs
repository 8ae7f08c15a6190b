//! What the journal forgets in time, and what it keeps however old it is.

use support::{Db, Session, denied, wait_until};

use crate::{
    fixtures::{Gate, logs},
    journal::runs,
    journal_readers::operator,
};

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
