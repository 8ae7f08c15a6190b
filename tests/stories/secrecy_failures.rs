//! The key appears nowhere when there is no answer, either: bad settings, bad key files, TLS that fails, redirects, cancels and lost
//! sessions. When all is over it is not even in the memory of the process that had it.

use std::thread;

use google_standin::{Authority, Config, Flaw, Reply};
use support::{Db, Process, Session, Trial, wait_until};

use crate::{
    fixtures::{always, filled, logs, mended},
    secrecy::{Told, talkative},
};

/// Both calls and a question, which all fail; gives how many that were.
fn fails(told: &mut Told, session: &mut Session) -> u64 {
    let calls = [
        "SELECT embed_missing('logs', 5)",
        "CALL embed_all_missing('logs', 5)",
        "SELECT embed_text('a text')",
    ];
    for call in calls {
        let result = session.batch_execute(call);
        assert!(result.is_err(), "{call} did not fail");
        told.add(result);
    }
    told.look(session);
    calls.len() as u64
}

#[test]
fn no_failure_brings_the_key_to_light() {
    let cluster = talkative();
    let db = Db::on(&cluster, Config::default());
    for (setting, value) in [
        ("max_attempts", "1"),
        ("request_timeout", "2"),
        ("concurrency", "2"),
    ] {
        db.set(setting, value);
    }
    let mut session = db.session();
    logs(&mut session, 40);
    let key = db.key();
    let mut told = Told::default();
    let mut tried = 0;
    let mut with = |setting: &str, value: &str, told: &mut Told| {
        let mut session = db.session();
        session.run("LOAD 'embedding_backfill'; SET client_min_messages = debug5");
        session.run(&format!("SET embedding_backfill.{setting} = '{value}'"));
        tried += fails(told, &mut session);
    };

    let file = |name: &str, content: &[u8]| {
        let path = db.file(name, "", 0o600);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let odd = |text: &str| text.replace("KEY", &key).into_bytes();
    for (name, content) in [
        ("too-long", odd(&"KEY\n".repeat(100))),
        ("a-line-end", odd("KEY\nKEY")),
        ("a-header", odd("KEY\r\nX-Evil: 1")),
        ("an-assignment", odd("GEMINI_API_KEY = KEY")),
        ("a-tab", odd("KEY\tKEY")),
        ("a-nul", odd("KEY\0")),
        ("a-bell", odd("KEY\x07")),
        ("no-ascii", odd("KEYé")),
        ("no-utf-8", [key.as_bytes(), b"\xff"].concat()),
    ] {
        with("api_key_file", &file(name, &content), &mut told);
    }
    // A likely slip: the key in place of its file's path. Whoever may call, and may not see the setting, must not read it there.
    let slip = "AIza-a-key-for-a-path";
    with("api_key_file", slip, &mut told);
    assert!(!told.says(slip), "a key in place of a path is shown");

    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let trust = file("ca.pem", authority.pem().as_bytes());
    let plain = db.api.base_url().replace("http:", "https:");
    with("base_url", &plain, &mut told);
    for identity in [
        authority.identity(Flaw::Expired),
        authority.identity(Flaw::WrongHost),
        other.identity(Flaw::None),
    ] {
        let config = Config {
            tls: Some(identity),
            ..Config::default()
        };
        let stranger = google_standin::Standin::start(config);
        db.set("ca_file", &trust);
        with("base_url", &stranger.base_url(), &mut told);
        db.reset("ca_file");
        assert_eq!(stranger.stats().requests, 0);
    }
    for url in [
        "http://10.0.0.1/v1",
        "ftp://127.0.0.1/",
        "not a url",
        "http://127.0.0.1:1/v1",
        "https://127.0.0.1:1/?key=KEY",
        "https://KEY@127.0.0.1:1/v1",
        "https://127.0.0.1:1/v1#KEY",
    ] {
        // The statement that sets it is another matter: whoever types a key into SQL has it in the log.
        let url = url.replace("KEY", "a-key-in-a-url");
        with("base_url", &url, &mut told);
        assert!(!told.says("a-key-in-a-url"), "a key in a URL is shown");
    }
    with("ca_file", &file("no.pem", key.as_bytes()), &mut told);
    with("proxy", "http://user:a-password@127.0.0.1:1", &mut told);
    with("proxy", "a-password", &mut told);
    assert!(!told.says("a-password"), "a proxy's password is shown");

    // An answer that never comes: cancelled, timed out, and a client and a backend that are gone.
    always(&db, Reply::Hang);
    for end in [
        "pg_cancel_backend",
        "pg_terminate_backend",
        "statement_timeout",
        "request_timeout",
    ] {
        let mut caller = db.session();
        let pid = Process::of(&mut caller).pid();
        if end == "statement_timeout" {
            caller.run("SET statement_timeout = '1500ms'");
        }
        let before = db.api.stats().requests;
        thread::scope(|scope| {
            let running = scope.spawn(|| caller.batch_execute("CALL embed_all_missing('logs', 5)"));
            wait_until("a request is in flight", || {
                db.api.stats().requests > before
            });
            told.look(&mut session);
            if end.starts_with("pg_") {
                session.run(&format!("SELECT {end}({pid})"));
            }
            told.add(running.join().unwrap());
        });
        tried += 1;
    }
    mended(&db);
    told.add(session.embed("'logs', 5"));
    assert!(filled(&mut session, "logs") > 0, "the key does not work");
    told.has_no_key(&cluster, &db, &mut session);
    Trial {
        chapter: "Secrets",
        fault: "bad settings and key files, failing TLS, refused connections, cancels, timeouts and ended sessions, at DEBUG5",
        times: tried,
        seen: "not in log, messages, journal, statistics, dump or data directory",
        lost: 0,
        doubled: 0,
    }
    .note();
}

/// Of the key, but not of its begin: memory that was given back loses its first bytes.
const MIDDLE: &str = "abcdefghijklmnopqrstuvwxyz-0123456789";

#[test]
fn what_a_session_leaves_in_memory() {
    let authority = Authority::new("ours");
    let mut tried = 0;
    for tls in [None, Some(authority.identity(Flaw::None))] {
        let db = Db::with(Config {
            tls,
            ..Config::default()
        });
        db.set(
            "ca_file",
            &db.file("ca.pem", authority.pem(), 0o644)
                .display()
                .to_string(),
        );
        db.set("max_attempts", "1");
        db.set("request_timeout", "1");
        let mut session = db.session();
        logs(&mut session, 200);
        let backend = Process::of(&mut session);
        if backend.memory_has(MIDDLE).is_none() {
            println!("the memory of another process can't be read here");
            return;
        }
        let gone = |what: &str| {
            wait_until(what, || backend.memory_has(MIDDLE) == Some(0));
        };
        // While it is in use, it is there, and found.
        always(&db, Reply::Hang);
        thread::scope(|scope| {
            let running = scope.spawn(|| session.embed_all("'logs', 10").unwrap_err());
            wait_until("the key is in use", || backend.memory_has(MIDDLE) > Some(0));
            running.join().unwrap();
        });
        gone("the key of a request that timed out is wiped");
        always(&db, Reply::recorded("400_api_key_invalid"));
        session.embed("'logs', 10").unwrap_err();
        gone("the key of a refused request is wiped");
        mended(&db);
        session.embed("'logs', 10").unwrap();
        gone("the key of a batch is wiped");
        session.run("SELECT embed_text('a')");
        gone("the key of a question is wiped");
        session.embed_all("'logs', 10").unwrap();
        gone("the key of a run is wiped");
        tried += 5;
    }
    Trial {
        chapter: "Secrets",
        fault: "the memory of a backend after its requests, as a core dump would have it, with TLS and without",
        times: tried,
        seen: "the key is wiped",
        lost: 0,
        doubled: 0,
    }
    .note();
}
