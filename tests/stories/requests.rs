//! What is sent: as Google documents it, over few connections, with the task said as each model wants it.

use std::path::Path;

use support::{Db, Finished, Space, prompt, wait_until};

use crate::fixtures::{logs, right};

#[test]
fn a_request_is_what_google_documents() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    assert_eq!(session.embed("'logs'").unwrap(), 1);

    let requests = db.api.requests();
    let request = &requests[0];
    assert_eq!(
        request.path,
        "/v1beta/models/gemini-embedding-2:batchEmbedContents?prettyPrint=false"
    );
    assert_eq!(request.header("x-goog-api-key"), Some(db.key().as_str()));
    assert_eq!(request.texts(), [prompt("entry 1 naïve café")]);
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn gemini_embedding_001_is_told_the_task_and_scaled_to_unit_length() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    assert_eq!(
        session
            .embed("'logs', 10, model => 'gemini-embedding-001'")
            .unwrap(),
        10
    );
    session.run("SET embedding_backfill.model = 'gemini-embedding-001'");
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);

    assert_eq!(
        db.api.requests()[0].path,
        "/v1beta/models/gemini-embedding-001:batchEmbedContents?prettyPrint=false"
    );
    assert_eq!(
        Space::GEMINI_1.holds(&mut session, "logs", "body", "embedding"),
        20
    );
    let norms = "SELECT count(*) FROM logs WHERE abs(vector_norm(embedding) - 1) < 1e-5";
    assert_eq!(session.number(norms), 20);
}

#[test]
fn the_task_is_said_as_each_model_wants_it() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 2);
    session.run("SET embedding_backfill.task_type = 'CLASSIFICATION'");
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    // A column has one vector space.
    session.run("UPDATE logs SET embedding = NULL");
    assert_eq!(
        session
            .embed("'logs', 1, model => 'gemini-embedding-001'")
            .unwrap(),
        1
    );

    let requests = db.api.requests();
    let sent = |n: usize| requests[n].json()["requests"][0].clone();
    let text = |n: usize| requests[n].texts()[0].clone();
    assert!(
        text(0).starts_with("task: classification | query: entry "),
        "{}",
        text(0)
    );
    assert_eq!(sent(0).get("taskType"), None);
    assert!(text(1).starts_with("entry "), "{}", text(1));
    assert_eq!(sent(1)["taskType"], "CLASSIFICATION");
}

#[test]
fn connections_are_kept_from_request_to_request_and_call_to_call() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    session.run("SET embedding_backfill.concurrency = 1");
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(90, 0)
    );
    let stats = db.api.stats();
    assert_eq!((stats.requests, stats.connections), (10, 1));
    assert_eq!(right(&mut session, "logs"), 100);
}

#[test]
fn no_thread_outlives_its_run() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 300);
    let tasks = format!(
        "/proc/{}/task",
        session.number("SELECT pg_backend_pid()::bigint")
    );
    let threads = || {
        Path::new(&tasks)
            .read_dir()
            .expect("the backend lives")
            .count()
    };
    assert_eq!(threads(), 1);
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(300, 0)
    );
    wait_until("the backend has one thread again", || threads() == 1);
}
