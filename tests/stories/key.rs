//! Where the key comes from, and what is said when it can't be had.

use std::{fs, process::Command};

use google_standin::Config;
use support::{Cluster, Db, Session, refused};

use crate::fixtures::{filled, logs};

/// Three pending rows, and both calls refused without a connection to the API.
fn no_key(db: &Db, sqlstate: &str, message: &str, hint: &str) {
    println!("{message}");
    let mut session = db.session();
    session.run("DROP TABLE IF EXISTS logs");
    logs(&mut session, 3);
    refused(session.embed("'logs'"), sqlstate, message, hint);
    refused(session.embed_all("'logs'"), sqlstate, message, hint);
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(db.api.stats().connections, 0);
}

#[test]
fn no_key_at_all() {
    let db = Db::fresh();
    db.reset("api_key_file");
    no_key(&db, "F0000", "no API key", "api_key_file");
}

#[test]
fn key_files_that_will_not_do() {
    let db = Db::fresh();
    let file =
        |name: &str, content: &str, mode: u32| db.file(name, content, mode).display().to_string();
    let key = db.key();

    db.set("api_key_file", &db.path("missing").display().to_string());
    no_key(&db, "58P01", "missing", "server");

    for (path, message) in [
        (file("world-readable", &key, 0o604), "world-readable"),
        (file("readable-by-all", &key, 0o644), "readable-by-all"),
        (file("unreadable", &key, 0o200), "unreadable"),
        (file("empty", "", 0o600), "empty"),
        (file("blank", " \n\t\n", 0o600), "blank"),
        (file("oversized", &"x".repeat(4097), 0o600), "4097"),
        (
            file("two-lines", &format!("{key}\n{key}"), 0o600),
            "two-lines",
        ),
        (
            file("two-words", &format!("key={key} # mine"), 0o600),
            "two-words",
        ),
        (
            file("header", &format!("{key}\r\nX-Evil: 1"), 0o600),
            "header",
        ),
        (file("no-ascii", "schlüssel", 0o600), "no-ascii"),
        ("/".to_owned(), "/"),
        ("/dev/null".to_owned(), "/dev/null"),
    ] {
        db.set("api_key_file", &path);
        no_key(&db, "F0000", message, "");
    }
}

#[test]
fn a_pipe_for_a_key_file_does_not_hang_the_session() {
    let db = Db::fresh();
    let pipe = db.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg("-m")
            .arg("600")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    db.give(&pipe);
    db.set("api_key_file", &pipe.display().to_string());
    no_key(&db, "F0000", "not a regular file", "");
}

#[test]
fn white_space_around_the_key_is_trimmed() {
    let db = Db::fresh();
    let path = db.file("padded", &format!("\n  {}\r\n\n", db.key()), 0o400);
    db.set("api_key_file", &path.display().to_string());
    let mut session = db.session();
    logs(&mut session, 3);
    assert_eq!(session.embed("'logs'").unwrap(), 3);
}

#[test]
fn the_file_is_read_again_for_each_run() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    db.api.set(|config| config.key = "AQ.rotated".to_owned());
    refused(session.embed("'logs', 1"), "28000", "key", "api_key_file");
    fs::write(db.path("key"), "AQ.rotated\n").unwrap();
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    fs::remove_file(db.path("key")).unwrap();
    refused(session.embed("'logs', 1"), "58P01", "key", "server");
}

#[test]
fn a_key_that_google_refuses_is_told_apart() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    db.api.set(|config| config.key = "AQ.another".to_owned());
    let error = refused(session.embed("'logs'"), "28000", "key", "api_key_file");
    assert!(
        error.message().contains("API key not valid")
            || error
                .detail()
                .unwrap_or_default()
                .contains("API key not valid"),
        "{error:?}"
    );
    refused(session.embed_all("'logs'"), "28000", "key", "api_key_file");
    assert_eq!(filled(&mut session, "logs"), 0);
}

fn fills(session: &mut Session, rows: i64) {
    assert_eq!(session.embed(&format!("'logs', {rows}")).unwrap(), rows);
}

#[test]
fn the_servers_environment_is_the_last_resort() {
    let cluster = Cluster::start(
        &[],
        &[
            ("GEMINI_API_KEY", "AQ.of-gemini"),
            ("GOOGLE_API_KEY", "AQ.of-google"),
        ],
    );
    let db = Db::on(&cluster, Config::default());
    logs(&mut db.session(), 10);

    fills(&mut db.session(), 1);
    db.reset("api_key_file");
    let refusal = db.session().embed("'logs'");
    refused(refusal, "28000", "key", "");
    db.api.set(|config| config.key = "AQ.of-gemini".to_owned());
    fills(&mut db.session(), 1);

    let cluster = Cluster::start(&[], &[("GOOGLE_API_KEY", " AQ.of-google\n")]);
    let db = Db::on(&cluster, Config::default());
    logs(&mut db.session(), 10);
    db.reset("api_key_file");
    db.api.set(|config| config.key = "AQ.of-google".to_owned());
    fills(&mut db.session(), 1);
}
