//! Nothing of an account appears when there is no answer, either: damaged files, secrets in wrong places, a token endpoint that is
//! silent. When all is over it is not even in the memory of the process that had it.

use std::{sync::Arc, thread};

use google_standin::{Config, Reply};
use serde_json::Value;
use support::{PROJECT, Process, Trial, Vertex, wait_until};

use crate::{
    fixtures::{always, filled, logs, mended},
    secrecy::{Told, talkative},
    vertex_secrecy::{calls, has_nothing, line_of_the_key, note},
};

/// The account with each of its secrets in the place of something that is none.
fn misplaced(account: &str) -> Vec<String> {
    let account: Value = serde_json::from_str(account).unwrap();
    let mut wrong = Vec::new();
    for secret in ["private_key", "refresh_token", "client_secret"] {
        for place in [
            "type",
            "client_email",
            "client_id",
            "private_key_id",
            "token_uri",
            "project_id",
            "quota_project_id",
        ] {
            let mut account = account.clone();
            account[place] = account[secret].clone();
            wrong.extend((!account[place].is_null()).then(|| account.to_string()));
        }
    }
    wrong
}

#[test]
fn no_failure_brings_an_account_to_light() {
    let cluster = talkative();
    let db = Vertex::on(&cluster, Config::default());
    db.set("max_attempts", "1");
    db.set("request_timeout", "2");
    // Which no token says.
    db.set("vertex_project", PROJECT);
    let mut owner = db.session();
    logs(&mut owner, 40);
    let mut told = Told::default();
    let mut tried = 0;
    let service = db.accounts.service_account();
    let user = db.accounts.authorized_user();
    let mut with = |setting: &str, content: &str, told: &mut Told| {
        db.credentials(setting, content);
        let mut session = db.session();
        session.run("LOAD 'embedding_backfill'; SET client_min_messages = debug5");
        calls(told, &mut session);
        tried += 1;
    };
    for good in [&service, &user] {
        // What a file may look like after a bad copy, an edit, or a mistake.
        let mut contents = vec![
            good[..good.len() / 2].to_owned(),
            good[good.len() / 2..].to_owned(),
            format!("[{good}]"),
            format!("{good}{good}"),
            good.replace("\"type\"", "\"kind\""),
            good.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
            good.replace(r"\n", " "),
        ];
        contents.extend(misplaced(good));
        for content in contents {
            with("credentials_file", &content, &mut told);
            db.reset("credentials_file");
            with("access_token_file", &content, &mut told);
            db.reset("access_token_file");
        }
    }
    let token = db.api.access_token();
    for content in [
        format!("{token} {token}"),
        format!("{token}\n{token}"),
        format!("{token}é"),
        "x".repeat(20_000) + &token,
    ] {
        with("access_token_file", &content, &mut told);
        with("credentials_file", &content, &mut told);
        db.reset("credentials_file");
    }
    db.reset("access_token_file");
    // A likely slip: the secret in place of its file's path. Whoever sets it has it in the log; nobody else is to be told.
    let account = r#"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nMIIE/a-slip/of/a+key\n"}"#;
    for (setting, slip, secret) in [
        ("access_token_file", "ya29.a-slip", "a-slip"),
        ("access_token_file", "ya29/a-slip/with/slashes", "a-slip"),
        ("credentials_file", "a-slip-of-an-account", "a-slip"),
        ("credentials_file", account, "a-slip"),
        ("credentials_file", &account.repeat(50), "a-slip"),
    ] {
        db.set(setting, slip);
        let mut session = db.session();
        calls(&mut told, &mut session);
        let plan = session.text("SELECT embed_plan('logs')::text");
        assert!(plan.contains("not a path"), "{plan}");
        assert!(
            !told.says(secret) && !plan.contains(secret),
            "a secret in place of a path is shown"
        );
        db.reset(setting);
        tried += 1;
    }
    // Some of these files were good enough.
    owner.run("UPDATE logs SET embedding = NULL");
    // A token endpoint that never answers: cancelled, timed out, and a session that is gone.
    db.credentials("credentials_file", &service);
    db.accounts
        .set(|config| config.script = Some(Arc::new(|_| Some(Reply::Hang))));
    for end in [
        "pg_cancel_backend",
        "pg_terminate_backend",
        "request_timeout",
    ] {
        let mut caller = db.session();
        let pid = Process::of(&mut caller).pid();
        let asked = db.accounts.stats().requests;
        thread::scope(|scope| {
            let running = scope.spawn(|| caller.batch_execute("CALL embed_all_missing('logs', 5)"));
            wait_until("a token is asked for", || {
                db.accounts.stats().requests > asked
            });
            told.look(&mut owner);
            if end.starts_with("pg_") {
                owner.run(&format!("SELECT {end}({pid})"));
            }
            told.add(running.join().unwrap());
        });
        tried += 1;
    }
    db.accounts.set(|config| config.script = None);
    calls(&mut told, &mut db.session());
    assert!(filled(&mut owner, "logs") > 0, "the account does not work");
    has_nothing(told, &cluster, &db, &mut owner);
    note(
        "damaged accounts, misplaced secrets, and a token endpoint that does not answer, at DEBUG5",
        tried,
    );
}

/// An access token is kept for the next call, so that it is there; what it was had for is not.
#[test]
fn what_a_session_leaves_of_an_account_in_memory() {
    let db = Vertex::fresh();
    db.set("max_attempts", "1");
    db.set("request_timeout", "2");
    let key = line_of_the_key(&db);
    let mut tried = 0;
    for (account, secret) in [
        (db.accounts.service_account(), key.as_str()),
        (db.accounts.authorized_user(), "refresh-token-of-"),
    ] {
        db.credentials("credentials_file", &account);
        let mut session = db.session();
        session.run("DROP TABLE IF EXISTS logs");
        logs(&mut session, 100);
        let backend = Process::of(&mut session);
        if backend.memory_has(secret).is_none() {
            println!("the memory of another process can't be read here");
            return;
        }
        let gone = |what: &str| wait_until(what, || backend.memory_has(secret) == Some(0));
        always(&db, Reply::recorded("503_overloaded"));
        session.embed("'logs', 10").unwrap_err();
        gone("the account of a run that failed is wiped");
        mended(&db);
        session.embed("'logs', 10").unwrap();
        gone("the account of a batch is wiped");
        session.embed_all("'logs', 10").unwrap();
        gone("the account of a run is wiped");
        tried += 3;
    }
    Trial {
        chapter: "Secrets",
        fault: "the memory of a backend after requests to Vertex AI, as a core dump would have it",
        times: tried,
        seen: "the text of the private key and the refresh token are wiped",
        lost: 0,
        doubled: 0,
    }
    .note();
}
