//! Settings that can't be used are refused, when they are set or at the call, before anything is sent.

use support::{Db, Session, denied, refused};

use crate::fixtures::logs;

#[test]
fn a_model_in_the_settings_is_checked_too() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    let call = |session: &mut Session, setting: &str| {
        session.batch_execute(&format!("{setting}; SELECT embed_missing('logs')"))
    };
    session.run("LOAD 'embedding_backfill'");
    refused(
        call(&mut session, "SET embedding_backfill.model = 'nothing'"),
        "22023",
        "nothing",
        "gemini-embedding-2",
    );
    refused(
        call(&mut session, "SET embedding_backfill.task_type = 'GUESS'"),
        "22023",
        "GUESS",
        "RETRIEVAL_DOCUMENT",
    );
    denied(
        call(&mut session, "SET embedding_backfill.concurrency = 0"),
        "22023",
        "concurrency",
    );
    denied(
        call(&mut session, "SET embedding_backfill.concurrency = 65"),
        "22023",
        "concurrency",
    );
    denied(
        call(
            &mut session,
            "SET embedding_backfill.request_timeout = '11min'",
        ),
        "22023",
        "request_timeout",
    );
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn a_read_only_session() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    session.run("SET default_transaction_read_only = on");
    refused(session.embed("'logs'"), "25006", "embed_missing", "");
    refused(
        session.embed_all("'logs'"),
        "25006",
        "embed_all_missing",
        "",
    );
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn a_ca_file_that_can_not_be_read() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    let text = db.file("no.pem", "no certificate", 0o644);
    for path in ["/nowhere/ca.pem", "/", text.to_str().unwrap()] {
        session.run(&format!("SET embedding_backfill.ca_file = '{path}'"));
        refused(session.embed("'logs'"), "F0000", path, "PEM");
        refused(session.embed_all("'logs'"), "F0000", path, "PEM");
    }
    assert_eq!(db.api.stats().connections, 0);
}
