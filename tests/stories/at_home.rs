//! Requests go where a superuser sent them and nowhere else: not to where the environment or an answer would have them, and in
//! clear text not off this machine.

use google_standin::{Authority, Config, Flaw, Standin};
use support::{Cluster, ConnectProxy, Db, Trial, refused};

use crate::fixtures::{filled, logs, right};

fn note(fault: &str, times: u64, seen: &str) {
    Trial {
        chapter: "Network",
        fault,
        times,
        seen,
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// A stand-in with TLS, and a file that has its authority.
fn with_tls(db: &Db) -> (Standin, String) {
    let authority = Authority::new("ours");
    let file = db.file("ca.pem", authority.pem(), 0o644);
    let api = Standin::start(Config {
        key: db.key(),
        tls: Some(authority.identity(Flaw::None)),
        ..Config::default()
    });
    (api, file.display().to_string())
}

// Would pass wrongly if the server did not have the environment: one of its own variables is looked for in it.
#[test]
fn the_environments_proxies_see_nothing() {
    let proxy = ConnectProxy::start();
    let url = proxy.url();
    let names = [
        "ALL_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "all_proxy",
        "https_proxy",
        "http_proxy",
    ];
    let environment = names.map(|name| (name, url.as_str()));
    let cluster = Cluster::start(&[], &environment);
    let db = Db::on(&cluster, Config::default());
    let (api, ca_file) = with_tls(&db);
    let mut session = db.session();
    let program = "COPY given FROM PROGRAM 'env'";
    session.run(&format!("CREATE TABLE given (line text); {program}"));
    let given = "SELECT count(*) FROM given WHERE line ILIKE '%\\_PROXY=http://127.0.0.1:%'";
    assert_eq!(session.number(given), names.len() as i64);

    logs(&mut session, 20);
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    session.run(&format!(
        "SET embedding_backfill.base_url = '{}'; SET embedding_backfill.ca_file = '{ca_file}'",
        api.base_url()
    ));
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    assert_eq!(right(&mut session, "logs"), 20);
    assert_eq!((db.api.stats().texts, api.stats().texts), (10, 10));
    assert_eq!(proxy.seen(), b"");
    note(
        "proxies in the server's environment",
        2,
        "all rows; they see nothing",
    );
}

#[test]
fn a_proxy_that_is_set_gets_neither_key_nor_texts() {
    let db = Db::fresh();
    let (api, ca_file) = with_tls(&db);
    let proxy = ConnectProxy::start();
    let mut session = db.session();
    logs(&mut session, 20);
    session.run(&format!(
        "SET embedding_backfill.base_url = '{}'; SET embedding_backfill.ca_file = '{ca_file}';
         SET embedding_backfill.proxy = '{}'",
        api.base_url(),
        proxy.url()
    ));
    assert_eq!(session.embed_all("'logs', 10").unwrap().embedded, 20);
    assert_eq!(right(&mut session, "logs"), 20);
    assert_eq!(api.stats().texts, 20);
    let seen = proxy.seen();
    let has = |words: &str| {
        seen.windows(words.len())
            .any(|some| some == words.as_bytes())
    };
    assert!(has(&format!("CONNECT {} HTTP/1.1\r\n", api.address())));
    assert!(seen.len() > 1000, "nothing went through it");
    assert!(!has(&db.key()) && !has("entry") && !has("api-key"));
    note(
        "a proxy that is set and reads along",
        1,
        "all rows; it gets neither the key nor a text",
    );
}

#[test]
fn proxies_that_can_not_be_used() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    // Its port stays its own.
    let gone = Standin::start(Config::default());
    gone.refuse();
    let address = gone.address();
    session.run(&format!(
        "SET embedding_backfill.proxy = 'http://{address}'"
    ));
    refused(session.embed("'logs'"), "58030", "", "proxy");
    for proxy in [
        "no proxy",
        "socks5://127.0.0.1:1080",
        "ftp://127.0.0.1:21",
        "http://",
    ] {
        session.run(&format!("SET embedding_backfill.proxy = '{proxy}'"));
        refused(session.embed("'logs'"), "22023", "not a proxy URL", "proxy");
    }
    // The tunnel is made by the proxy, so that what is sent in clear text is sent to it.
    session.run("SET embedding_backfill.proxy = 'http://user:word@192.0.2.1:3128'");
    let error = refused(session.embed("'logs'"), "22023", "clear text", "proxy");
    assert!(!format!("{error:?}").contains("word"), "{error:?}");
    assert_eq!(db.api.stats().connections, 0);
    session.run("RESET embedding_backfill.proxy");
    assert_eq!(session.embed("'logs'").unwrap(), 3);
    note("a proxy on another host for http", 1, error.message());
}

#[test]
fn base_urls_that_could_leak_the_key() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    session.run("LOAD 'embedding_backfill'");
    let port = db.api.address().port();
    let urls = [
        "http://example.com/v1beta".to_owned(),
        "http://10.0.0.1/v1beta".to_owned(),
        "HTTP://example.com/v1beta".to_owned(),
        "http://localhost.example.com/v1beta".to_owned(),
        "http://127.0.0.1@example.com/v1beta".to_owned(),
        format!("http://user:word@127.0.0.1:{port}"),
        format!("ftp://127.0.0.1:{port}"),
        "file:///etc/passwd".to_owned(),
        "no url at all".to_owned(),
        "https://".to_owned(),
        String::new(),
    ];
    let mut seen = None;
    for url in &urls {
        println!("{url}");
        let call =
            format!("SET embedding_backfill.base_url = '{url}'; SELECT embed_missing('logs')");
        let error = refused(session.batch_execute(&call), "22023", "base_url", "https");
        seen.get_or_insert(error);
    }
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(db.api.stats().connections, 0);
    // The same session goes on with the URL that the database has.
    session.run("RESET embedding_backfill.base_url");
    assert_eq!(session.embed("'logs'").unwrap(), 3);
    note(
        "a base URL that could send the key in clear text, or elsewhere",
        urls.len() as u64,
        seen.expect("there are URLs").message(),
    );
}
