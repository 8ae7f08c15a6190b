//! Where the credentials for Vertex AI come from, in which order, and what is said when they can't be had.

use std::fs;

use google_standin::{Config, Standin};
use serde_json::Value;
use support::{Cluster, Db, Vertex, refused};

use crate::fixtures::{filled, logs};

fn fills(db: &Vertex) {
    let mut session = db.session();
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
}

/// Another place where accounts get tokens that are good at the same models.
fn another(db: &Vertex) -> Standin {
    Standin::start(Config {
        accounts: db.api.accounts(),
        record: true,
        ..Config::default()
    })
}

#[test]
fn a_users_account_will_do() {
    let db = Vertex::fresh();
    logs(&mut db.session(), 3);
    db.credentials("credentials_file", &db.accounts.authorized_user());
    fills(&db);
    let requests = db.accounts.requests();
    let form = String::from_utf8(requests[0].body.clone()).unwrap();
    assert!(form.contains("grant_type=refresh_token"), "{form}");
    // A user's requests count for the project that he names.
    let asked = &db.api.requests()[0];
    assert_eq!(asked.header("x-goog-user-project"), Some(support::PROJECT));
    db.accounts.set(|config| config.revoked = true);
    let refusal = db.session().embed("'logs', 1");
    refused(refusal, "28000", "expired or revoked", "credentials_file");
}

#[test]
fn a_token_that_somebody_else_keeps_fresh_will_do() {
    let db = Vertex::fresh();
    logs(&mut db.session(), 40);
    db.reset("credentials_file");
    db.set("vertex_project", support::PROJECT);
    db.credentials("access_token_file", &format!("{}\n", db.api.access_token()));
    let mut session = db.session();
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    // It ends, and the file has another by then.
    db.api.accounts().expire();
    fs::write(db.path("access_token_file"), db.api.access_token()).unwrap();
    assert_eq!(session.embed("'logs', 10").unwrap(), 10);
    db.api.accounts().expire();
    refused(
        session.embed("'logs', 10"),
        "28000",
        "HTTP 401",
        "access_token_file",
    );
    assert_eq!(db.accounts.stats().requests, 0, "there is nobody to ask");
    assert_eq!(filled(&mut session, "logs"), 20);
}

// Each source that is better is taken away in turn, and each has a token endpoint of its own, so that it is seen who was asked.
#[test]
fn the_settings_come_first_then_the_environment_then_the_machine() {
    let machine = Standin::start(Config {
        record: true,
        ..Config::default()
    });
    let environment = Standin::start(Config::default());
    let directory = Db::bare(Cluster::shared(), Config::default());
    let file = directory.file("adc", &environment.service_account(), 0o600);
    let told = |with_file: bool| {
        let file = if with_file {
            file.to_str().unwrap()
        } else {
            ""
        };
        let machine = machine.address().to_string();
        let variables = [
            ("GOOGLE_APPLICATION_CREDENTIALS", file),
            ("GCE_METADATA_HOST", machine.as_str()),
            ("GOOGLE_CLOUD_PROJECT", support::PROJECT),
        ];
        Cluster::start(&[], &variables)
    };
    // Models that know all of their tokens.
    let serves = |db: &Vertex, standin: &Standin| {
        db.api.set(|config| config.accounts = standin.accounts());
    };

    let cluster = told(true);
    let db = Vertex::on(&cluster, Config::default());
    logs(&mut db.session(), 10);
    fills(&db);
    assert_eq!(db.accounts.stats().grants, 1);
    db.credentials("access_token_file", &db.api.access_token());
    fills(&db);
    assert_eq!(
        db.accounts.stats().grants,
        2,
        "an account comes before a token"
    );
    db.reset("credentials_file");
    fills(&db);
    assert_eq!(
        (db.accounts.stats().grants, environment.stats().requests),
        (2, 0)
    );
    db.reset("access_token_file");
    serves(&db, &environment);
    fills(&db);
    assert_eq!(
        (environment.stats().grants, machine.stats().requests),
        (1, 0)
    );

    let cluster = told(false);
    let db = Vertex::on(&cluster, Config::default());
    logs(&mut db.session(), 10);
    db.reset("credentials_file");
    serves(&db, &machine);
    fills(&db);
    let asked = &machine.requests()[0];
    assert_eq!(
        asked.path,
        "/computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
    machine.set(|config| config.revoked = true);
    refused(db.session().embed("'logs', 1"), "28000", "HTTP 404", "");
    machine.refuse();
    db.set("max_attempts", "1");
    let refusal = db.session().embed("'logs', 1");
    refused(refusal, "58030", "no access token", "");
}

/// Both calls are refused, and nobody has been asked for anything.
fn no_account(db: &Vertex, sqlstate: &str, message: &str, hint: &str) {
    println!("{message}");
    let mut session = db.session();
    refused(session.embed("'logs'"), sqlstate, message, hint);
    refused(session.embed_all("'logs'"), sqlstate, message, hint);
    let connections = (db.api.stats().connections, db.accounts.stats().connections);
    assert_eq!(connections, (0, 0));
}

#[test]
fn credentials_files_that_will_not_do() {
    let db = Vertex::fresh();
    logs(&mut db.session(), 3);
    let account: Value = serde_json::from_str(&db.accounts.service_account()).unwrap();
    let with = |name: &str, value: Value| {
        let mut account = account.clone();
        account[name] = value;
        account.to_string()
    };
    for (name, content, message) in [
        ("not-json", "ya29.a-token".to_owned(), "not-json"),
        ("an-array", "[]".to_owned(), "an-array"),
        ("no-type", "{}".to_owned(), "\"type\""),
        (
            "another-kind",
            with("type", "external_account".into()),
            "external_account",
        ),
        (
            "no-email",
            with("client_email", Value::Null),
            "\"client_email\"",
        ),
        (
            "no-key",
            with("private_key", Value::Null),
            "\"private_key\"",
        ),
        (
            "not-a-key",
            with("private_key", "secret".into()),
            "\"private_key\"",
        ),
        (
            "clear-text",
            with("token_uri", "http://10.0.0.1/token".into()),
            "\"token_uri\"",
        ),
        (
            "too-large",
            with("client_id", "1".repeat(20_000).into()),
            "16384",
        ),
    ] {
        db.set(
            "credentials_file",
            &db.file(name, &content, 0o600).display().to_string(),
        );
        no_account(&db, "F0000", message, "");
    }
    let good = db.accounts.service_account();
    db.set(
        "credentials_file",
        &db.file("open", &good, 0o644).display().to_string(),
    );
    no_account(&db, "F0000", "open", "chmod 600");
    db.set(
        "credentials_file",
        &db.path("missing").display().to_string(),
    );
    no_account(&db, "58P01", "missing", "server");
    db.set("credentials_file", "the-account-itself");
    no_account(&db, "58P01", "not a path", "credentials_file");
    db.reset("credentials_file");
    for (name, content) in [
        ("empty", ""),
        ("two-words", "ya29.a ya29.b"),
        ("no-ascii", "schlüssel"),
    ] {
        db.set(
            "access_token_file",
            &db.file(name, content, 0o600).display().to_string(),
        );
        db.set("vertex_project", support::PROJECT);
        no_account(&db, "F0000", name, "token");
    }
}

#[test]
fn a_key_that_is_none_is_told() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    let mut account: Value = serde_json::from_str(&db.accounts.service_account()).unwrap();
    account["private_key"] =
        "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n".into();
    db.credentials("credentials_file", &account.to_string());
    no_account(&db, "28000", "private key", "RSA");
    // And one that is another account's.
    let stranger = Standin::start(Config::default());
    let strange: Value = serde_json::from_str(&stranger.service_account()).unwrap();
    account["private_key"] = strange["private_key"].clone();
    db.credentials("credentials_file", &account.to_string());
    refused(
        db.session().embed("'logs'"),
        "28000",
        "Invalid JWT Signature",
        "credentials_file",
    );
}

#[test]
fn without_any_credentials() {
    let nobody = [
        ("GCE_METADATA_HOST", "metadata.invalid"),
        ("GOOGLE_CLOUD_PROJECT", "p"),
    ];
    let cluster = Cluster::start(&[], &nobody);
    let db = Vertex::on(&cluster, Config::default());
    db.reset("credentials_file");
    logs(&mut db.session(), 3);
    no_account(
        &db,
        "28000",
        "no credentials for Vertex AI are set",
        "credentials_file",
    );
    // Whose project it is has to be said as well.
    let db = Vertex::fresh();
    db.reset("credentials_file");
    db.credentials("access_token_file", &db.api.access_token());
    logs(&mut db.session(), 3);
    no_account(&db, "F0000", "no Google Cloud project", "vertex_project");
}

#[test]
fn the_file_is_read_again_for_each_run() {
    let db = Vertex::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    let other = another(&db);
    fs::write(db.path("credentials_file"), other.service_account()).unwrap();
    assert_eq!(session.embed("'logs', 1").unwrap(), 1);
    assert_eq!((db.accounts.stats().grants, other.stats().grants), (1, 1));
    fs::remove_file(db.path("credentials_file")).unwrap();
    refused(
        session.embed("'logs', 1"),
        "58P01",
        "credentials file",
        "server",
    );
}
