//! What Vertex AI refuses, and what is refused before it is asked: each names what is wrong and what to type.

use google_standin::{Config, Reply};
use support::{Db, Finished, Vertex, refused};

use crate::{
    fixtures::{filled, logs, right},
    vertex::{OLDER, older_logs},
};

#[test]
fn a_model_of_the_other_provider_is_named_with_it() {
    let db = Db::fresh();
    let mut session = db.session();
    older_logs(&mut session, 3);
    for (model, message) in [
        (OLDER, "shut down by Google on 2026-01-14"),
        ("text-embedding-005", "does not serve"),
    ] {
        let refusal = session.embed(&format!("'logs', model => '{model}'"));
        refused(
            refusal,
            "22023",
            message,
            "SET embedding_backfill.provider = 'vertex'",
        );
    }
    assert_eq!(db.api.stats().requests, 0);
}

#[test]
fn a_wrong_project_is_named() {
    let db = Vertex::fresh();
    db.set("vertex_project", "another-project");
    let mut session = db.session();
    logs(&mut session, 3);
    refused(
        session.embed("'logs'"),
        "28000",
        "projects/another-project",
        "vertex_project",
    );
    refused(
        session.embed_all("'logs'"),
        "28000",
        "HTTP 403",
        "roles/aiplatform.user",
    );
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(db.api.stats().requests, 2, "it is not tried again");
    for unfit in ["a/b", "a?b"] {
        db.set("vertex_project", unfit);
        let refusal = db.session().embed("'logs'").unwrap_err();
        assert!(
            refusal
                .as_db_error()
                .is_some_and(|error| error.hint().is_some()),
            "{refusal:?}"
        );
    }
    assert_eq!(db.api.stats().requests, 2, "nothing is sent to no project");
}

#[test]
fn a_region_without_the_model_is_named() {
    let db = Vertex::fresh();
    db.set("vertex_location", "africa-south1");
    let mut session = db.session();
    logs(&mut session, 3);
    let refusal = session.embed("'logs'");
    refused(
        refusal,
        "38000",
        "locations/africa-south1",
        "vertex_location",
    );
    assert_eq!(db.api.stats().requests, 1, "it is not tried again");
    db.set("vertex_location", "us-central1");
    assert_eq!(db.session().embed("'logs'").unwrap(), 3);
    db.set("vertex_location", "evil.example/x");
    refused(
        db.session().embed("'logs'"),
        "22023",
        "vertex_location",
        "europe-west4",
    );
}

// One attempt is allowed, so it would fail if the 429 counted as a failed attempt.
#[test]
fn a_quota_that_does_not_say_when_is_waited_for() {
    let db = Vertex::fresh();
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 40);
    db.api.set(|config| {
        config.replies = [
            Reply::Serve,
            Reply::recorded("429_vertex_resource_exhausted"),
        ]
        .into();
    });
    assert_eq!(
        session.embed_all("'logs', 10").unwrap(),
        Finished::done(40, 0)
    );
    assert_eq!(right(&mut session, "logs"), 40);
    let waits = session.number("SELECT quota_refusals FROM embedding_backfill.runs");
    assert_eq!(waits, 1);
}

#[test]
fn an_unknown_provider_is_refused() {
    let db = Vertex::with(Config::default());
    let mut session = db.session();
    logs(&mut session, 3);
    session.run("SET embedding_backfill.provider = 'azure'");
    refused(session.embed("'logs'"), "22023", "azure", "gemini");
    session.run("SET embedding_backfill.provider = 'VERTEX'");
    assert_eq!(session.embed("'logs'").unwrap(), 3);
}
