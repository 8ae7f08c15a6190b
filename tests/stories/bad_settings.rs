//! Settings that can't be used are refused, when they are set or at the call, before anything is sent.

use google_standin::{Config, Standin};
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
fn base_urls_that_could_leak_the_key() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    session.run("LOAD 'embedding_backfill'");
    let port = db.api.base_url().split(':').nth(2).unwrap().to_owned();
    for url in [
        "http://example.com/v1beta".to_owned(),
        "http://10.0.0.1/v1beta".to_owned(),
        "http://localhost.example.com/v1beta".to_owned(),
        "http://127.0.0.1@example.com/v1beta".to_owned(),
        format!("http://user:word@127.0.0.1:{port}"),
        format!("ftp://127.0.0.1:{port}"),
        "file:///etc/passwd".to_owned(),
        "no url at all".to_owned(),
        "https://".to_owned(),
        String::new(),
    ] {
        let call =
            format!("SET embedding_backfill.base_url = '{url}'; SELECT embed_missing('logs')");
        println!("{url}");
        refused(session.batch_execute(&call), "22023", "base_url", "https");
    }
    assert_eq!(db.api.stats().connections, 0);
    // The same session goes on with the URL that the database has.
    session.run("RESET embedding_backfill.base_url");
    assert_eq!(session.embed("'logs'").unwrap(), 3);
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

#[test]
fn a_proxy_is_used_where_it_is_set_and_only_there() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    let gone = Standin::start(Config::default()).address();
    session.run(&format!("SET embedding_backfill.proxy = 'http://{gone}'"));
    refused(session.embed("'logs'"), "58030", "", "proxy");
    session.run("SET embedding_backfill.proxy = 'no proxy'");
    refused(session.embed("'logs'"), "22023", "proxy", "");
    assert_eq!(db.api.stats().connections, 0);
    session.run("RESET embedding_backfill.proxy");
    assert_eq!(session.embed("'logs'").unwrap(), 3);
}
