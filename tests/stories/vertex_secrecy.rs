//! Nothing of an account appears anywhere: not its private key, not what it signs, not a user's refresh token, and no access token.
//! Each goes through every path with the server at its most talkative, and all that anybody could read afterwards is searched.

use std::sync::Arc;

use google_standin::{Config, Reply, Request};
use serde_json::Value;
use support::{Cluster, Session, Trial, Vertex};

use crate::{
    fixtures::{filled, logs, mended},
    secrecy::{Told, echoes, talkative},
};

/// How the secrets of the stand-in's accounts begin, and the header that all assertions have.
const TOKEN: &str = "ya29.c.token-of-";
const OTHERS: [&str; 3] = [
    "1//refresh-token-of-",
    "GOCSPX-secret-of-",
    "eyJhbGciOiJSUzI1NiI",
];

/// A line out of the middle of the private key.
pub fn line_of_the_key(db: &Vertex) -> String {
    let account: Value = serde_json::from_str(&db.accounts.service_account()).unwrap();
    let key = account["private_key"].as_str().unwrap();
    key.lines().nth(10).unwrap().to_owned()
}

/// Looks for all of it in all that was told and kept.
pub fn has_nothing(told: Told, cluster: &Cluster, db: &Vertex, session: &mut Session) {
    let key = line_of_the_key(db);
    let secrets = [&OTHERS[..], &[TOKEN, &key]].concat();
    told.has_none_of(&secrets, cluster, db, session);
}

/// The secret of a request to the token endpoint, as it is in the form.
fn secret_of(request: &Request) -> String {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let fields = form.split('&').filter_map(|field| field.split_once('='));
    let mut secrets = fields.filter(|(name, _)| matches!(*name, "assertion" | "refresh_token"));
    let (_, secret) = secrets.next().expect("each has one");
    secret.replace("%2F", "/")
}

/// Both calls and a question, which may fail.
pub fn calls(told: &mut Told, session: &mut Session) {
    told.add(session.embed("'logs', 5"));
    told.add(
        session
            .embed_all("'logs', 5, source_filter => 'id < 30'")
            .map(drop),
    );
    told.add(session.batch_execute("SELECT embed_query('logs', 'a question')"));
    told.look(session);
}

#[test]
fn no_answer_brings_an_access_token_to_light() {
    let cluster = talkative();
    let db = Vertex::on(&cluster, Config::default());
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 40);
    session.run("SET client_min_messages = debug5");
    let mut told = Told::default();
    let mut tried = 0;
    calls(&mut told, &mut session);
    assert!(
        filled(&mut session, "logs") > 0,
        "no request with a token got through"
    );
    // Each reply repeats the token that its own request had.
    let token = |request: &Request| {
        let bearer = request.header("authorization").unwrap_or_default();
        bearer.trim_start_matches("Bearer ").to_owned()
    };
    for at in 0..echoes("").len() {
        session.run("UPDATE logs SET embedding = NULL; DELETE FROM embedding_backfill.journal");
        let requests = db.api.stats().requests;
        db.api.set(|config| {
            config.script = Some(Arc::new(move |request| {
                Some(echoes(&token(request)).swap_remove(at))
            }));
        });
        calls(&mut told, &mut session);
        assert!(db.api.stats().requests > requests, "nothing was sent");
        tried += 1;
    }
    mended(&db);
    has_nothing(told, &cluster, &db, &mut session);
    note(
        "an answer of Vertex AI that repeats the access token, in any part of its head and body, at DEBUG5",
        tried,
    );
}

#[test]
fn no_answer_of_the_token_endpoint_brings_an_account_to_light() {
    let cluster = talkative();
    let db = Vertex::on(&cluster, Config::default());
    db.set("max_attempts", "1");
    let mut told = Told::default();
    let mut tried = 0;
    let mut owner = db.session();
    logs(&mut owner, 40);
    for account in [db.accounts.service_account(), db.accounts.authorized_user()] {
        db.credentials("credentials_file", &account);
        for at in 0..echoes("").len() {
            db.accounts.set(|config| {
                config.script = Some(Arc::new(move |request| {
                    Some(echoes(&secret_of(request)).swap_remove(at))
                }));
            });
            let asked = db.accounts.stats().requests;
            let mut session = db.session();
            session.run("LOAD 'embedding_backfill'; SET client_min_messages = debug5");
            calls(&mut told, &mut session);
            assert!(
                db.accounts.stats().requests > asked,
                "no token was asked for"
            );
            tried += 1;
        }
        // In OAuth's own form, with the whole account in it.
        db.accounts.set(|config| {
            config.script = Some(Arc::new(move |request| {
                let secret = secret_of(request);
                let body =
                    format!(r#"{{"error": "{secret}", "error_description": "what of {secret}"}}"#);
                Some(Reply::json(400, body))
            }));
        });
        calls(&mut told, &mut db.session());
        db.accounts.set(|config| config.script = None);
        tried += 1;
        calls(&mut told, &mut db.session());
    }
    assert!(filled(&mut owner, "logs") > 0, "the accounts do not work");
    has_nothing(told, &cluster, &db, &mut owner);
    note(
        "an answer of the token endpoint that repeats the assertion or the refresh token, in any part, at DEBUG5",
        tried,
    );
}

pub fn note(fault: &str, times: u64) {
    Trial {
        chapter: "Secrets",
        fault,
        times,
        seen: "neither private key, assertion, refresh token nor access token in log, messages, journal, statistics, dump or data directory",
        lost: 0,
        doubled: 0,
    }
    .note();
}
