//! The API is down, silent or elsewhere: a clear error, nothing written, and the session goes on.

use google_standin::{Config, Reply, Standin};
use support::{Db, refused};

use crate::api_answers::all_refused;
use crate::fixtures::{always, filled, logs, mended};

#[test]
fn a_service_that_is_broken() {
    all_refused(&[
        ("500", Reply::recorded("500_internal"), "38000"),
        ("503", Reply::recorded("503_overloaded"), "38000"),
        (
            "502 of a proxy",
            Reply::html(502, "<html>Bad Gateway</html>"),
            "38000",
        ),
        ("closed", Reply::Close, "58030"),
        (
            "cut off",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"embeddings\":".to_vec()),
            "58030",
        ),
        (
            "not HTTP",
            Reply::Raw(b"220 mail.example.com ESMTP\r\n".to_vec()),
            "58030",
        ),
    ]);
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Standin::start(Config::default());
    let location = format!(
        "{}/models/gemini-embedding-2:batchEmbedContents",
        elsewhere.base_url()
    );
    let redirect = |status| {
        Reply::Raw(
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .into(),
        )
    };
    all_refused(&[
        ("301", redirect(301), "38000"),
        ("302", redirect(302), "38000"),
        ("307", redirect(307), "38000"),
        ("308", redirect(308), "38000"),
    ]);
    assert_eq!(elsewhere.stats().connections, 0);
}

#[test]
fn nobody_listens() {
    let db = Db::fresh();
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 2);
    // A port that was free a moment ago: its stand-in is gone.
    let gone = Standin::start(Config::default()).base_url();
    session.run(&format!("SET embedding_backfill.base_url = '{gone}'"));
    refused(session.embed("'logs'"), "58030", "127.0.0.1", "reach");
    refused(session.embed_all("'logs'"), "58030", "127.0.0.1", "reach");
    session.run("SET embedding_backfill.base_url = 'http://localhost:1/v1beta'");
    refused(session.embed("'logs'"), "58030", "localhost", "reach");
    assert_eq!(filled(&mut session, "logs"), 0);
}

#[test]
fn no_answer_in_time() {
    let db = Db::fresh();
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 2);
    always(&db, Reply::Hang);
    session.run("SET embedding_backfill.request_timeout = '1s'");
    refused(session.embed("'logs'"), "58030", "1 s", "request_timeout");
    refused(
        session.embed_all("'logs'"),
        "58030",
        "1 s",
        "request_timeout",
    );
    assert_eq!(filled(&mut session, "logs"), 0);
    mended(&db);
    assert_eq!(session.embed("'logs'").unwrap(), 2);
}
