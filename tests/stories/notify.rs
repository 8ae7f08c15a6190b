//! Who LISTENs on the channel `embedding_backfill` hears of each batch that is committed, and of none that is not.

use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator;
use serde_json::{Value, json};
use support::{Db, Session, wait_until};

use crate::fixtures::logs;

#[test]
fn each_committed_batch_of_a_run_is_told() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    let mut listener = db.session();
    listener.run("LISTEN embedding_backfill");
    session.embed_all("'logs', 10").unwrap();
    let run = session.number("SELECT max(run) FROM embedding_backfill.runs");
    let batches = told(&mut listener, &mut session);
    let rows: i64 = batches
        .iter()
        .map(|batch| batch["rows"].as_i64().unwrap())
        .sum();
    assert_eq!(rows, 100);
    for batch in batches {
        let told = json!({"relation": "public.logs", "column": "embedding", "rows": batch["rows"], "run": run});
        assert_eq!(batch, told);
    }
    session.embed_all("'logs', 10").unwrap();
    assert_eq!(told(&mut listener, &mut session), [] as [Value; 0]);
}

#[test]
fn one_batch_is_told_when_it_is_committed() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    let mut listener = db.session();
    listener.run("LISTEN embedding_backfill");
    session.run("BEGIN; SELECT embed_missing('logs', 30); ROLLBACK");
    assert_eq!(told(&mut listener, &mut session), [] as [Value; 0]);
    assert_eq!(session.embed("'logs', 20").unwrap(), 20);
    let run = session.number("SELECT max(run) FROM embedding_backfill.runs");
    assert_eq!(
        told(&mut listener, &mut session),
        [json!({"relation": "public.logs", "column": "embedding", "rows": 20, "run": run})]
    );
    session.embed("'logs', source_filter => 'false'").unwrap();
    assert_eq!(told(&mut listener, &mut session), [] as [Value; 0]);
}

/// What has come since the last look. Notifications come in the order of their commits, so a mark of one's own is the last.
fn told(listener: &mut Session, session: &mut Session) -> Vec<Value> {
    const MARK: &str = "\"mark\"";
    session.run(&format!("NOTIFY embedding_backfill, '{MARK}'"));
    let mut payloads: Vec<Value> = Vec::new();
    wait_until("the mark comes", || {
        let mut notifications = listener.notifications();
        let mut arrived = notifications.timeout_iter(Duration::from_millis(50));
        while let Some(notification) = arrived.next().unwrap() {
            payloads.push(serde_json::from_str(notification.payload()).unwrap());
        }
        payloads.last().is_some_and(|last| *last == "mark")
    });
    payloads.pop();
    payloads
}
