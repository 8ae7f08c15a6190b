//! What can't be mirrored is refused with the reason and what to type, before anything in Chroma is touched.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::json;
use support::{Chroma, Db, Gateway, Session, Store, denied, refused};

use crate::mirror::{embedded, mirrors_logs};

/// With a setting that is wrong, for a session of its own.
fn with(db: &Db, setting: &str, value: &str) -> Session {
    let mut session = db.session();
    session.run(&format!(
        "LOAD 'embedding_backfill'; SET embedding_backfill.{setting} = '{value}'"
    ));
    session
}

const CALL: &str = "'logs', 'logs'";

/// Nothing came of it in Chroma, and with the right settings it would have worked.
fn untouched(mut session: Session, store: &Store) {
    assert_eq!(store.collections(), [""; 0]);
    session.mirror(CALL).unwrap();
    mirrors_logs(&mut session, store);
}

#[test]
fn no_url() {
    let (db, store, session) = embedded(3);
    db.reset("chroma_url");
    refused(
        db.session().mirror(CALL),
        "F0000",
        "no ChromaDB server is set",
        "ALTER SYSTEM SET embedding_backfill.chroma_url",
    );
    untouched(session, &store);
}

#[test]
fn a_url_that_can_not_be() {
    let (db, store, session) = embedded(3);
    for (url, reason) in [
        ("http://chroma.example:8000", "loopback"),
        ("http://10.0.0.1:8000", "loopback"),
        ("ftp://127.0.0.1", "http"),
        ("not a url", ""),
        ("https://user:pass@127.0.0.1:1", ""),
        ("http://127.0.0.1:1/?tenant=x", ""),
    ] {
        let error = denied(
            with(&db, "chroma_url", url).mirror(CALL),
            "22023",
            "chroma_url",
        );
        let told = format!("{} {}", error.message(), error.hint().unwrap_or_default());
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("pass"), "{told}");
    }
    untouched(session, &store);
}

#[test]
fn nobody_listens() {
    let (db, store, session) = embedded(3);
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    db.set("max_attempts", "2");
    let error = refused(
        with(&db, "chroma_url", &url).mirror(CALL),
        "58030",
        "could not reach 127.0.0.1",
        "chroma_url",
    );
    assert!(error.message().contains("Connection refused"), "{error:?}");
    untouched(session, &store);
}

// Another program at this address, such as the API of Google.
#[test]
fn it_is_not_chroma() {
    let (db, store, session) = embedded(3);
    let url = db.api.base_url();
    let error = with(&db, "chroma_url", &url).mirror(CALL).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert!(
        error.hint().is_some_and(|hint| hint.contains("chroma_url")),
        "{error:?}"
    );
    untouched(session, &store);
}

#[test]
fn an_unknown_tenant_or_database() {
    let (db, store, session) = embedded(3);
    for setting in ["chroma_tenant", "chroma_database"] {
        refused(
            with(&db, setting, "nowhere").mirror(CALL),
            "42704",
            "does not exist",
            &format!("embedding_backfill.{setting}"),
        );
    }
    untouched(session, &store);
}

#[test]
fn a_token() {
    let (db, store, session) = embedded(3);
    let gateway = Gateway::asking_for(Chroma::shared(), "the-right-token");
    db.set("chroma_url", &gateway.url());
    refused(
        db.session().mirror(CALL),
        "28000",
        "401",
        "embedding_backfill.chroma_token_file",
    );
    let file = |name, token: &str, mode| db.file(name, token, mode).display().to_string();
    for (path, sqlstate, message) in [
        (file("wrong", "the-wrong-token", 0o600), "28000", "401"),
        (
            file("open", "the-right-token", 0o644),
            "F0000",
            "open to other users",
        ),
        (file("empty", "\n", 0o600), "F0000", "empty"),
        (file("lines", "the-right\ntoken", 0o600), "F0000", "not a"),
        (
            db.path("none").display().to_string(),
            "58P01",
            "does not exist",
        ),
    ] {
        refused(
            with(&db, "chroma_token_file", &path).mirror(CALL),
            sqlstate,
            message,
            "",
        );
    }
    assert_eq!(store.collections(), [""; 0]);
    db.set(
        "chroma_token_file",
        &file("right", "the-right-token\n", 0o600),
    );
    drop(session);
    untouched(db.session(), &store);
}

#[test]
fn a_collection_of_another_dimension() {
    let (_db, store, mut session) = embedded(3);
    store.make(&json!({ "name": "logs" }));
    store.upsert(
        "logs",
        &json!({ "ids": ["1"], "embeddings": [[1.0, 0.0, 0.0]] }),
    );
    // It is another's, too; but to take it over would not help.
    let error = refused(session.mirror(CALL), "42804", "dimension", "");
    assert!(
        error.message().contains('3') && error.message().contains("128"),
        "{error:?}"
    );
    assert_eq!(store.records("logs")["1"].vector, [1.0, 0.0, 0.0]);

    // Our own, where the column was made anew.
    assert_eq!(session.mirror("'logs', 'ours'").unwrap(), (3, 0));
    session.run("ALTER TABLE logs DROP COLUMN embedding, ADD COLUMN embedding vector(256)");
    session.embed_all("'logs'").unwrap();
    refused(session.mirror("'logs', 'ours'"), "42804", "dimension", "");
    assert_eq!(store.count("ours"), 3);
}

// The removal would take what another program put there.
#[test]
fn a_collection_that_something_else_fills() {
    let (_db, store, mut session) = embedded(3);
    store.make(&json!({ "name": "logs", "configuration": { "hnsw": { "space": "cosine" } } }));
    let theirs = json!({ "ids": ["a", "1"], "embeddings": [vec![0.5; 128], vec![0.25; 128]], "documents": ["x", "y"] });
    store.upsert("logs", &theirs);
    let before = store.records("logs");
    refused(session.mirror(CALL), "55000", "logs", "another collection");
    assert_eq!(store.records("logs"), before);

    // Nor that of another table of ours, whose rows would go.
    assert_eq!(session.mirror("'logs', 'ours'").unwrap(), (3, 0));
    session.run("CREATE TABLE other (LIKE logs INCLUDING ALL); INSERT INTO other SELECT id + 10, body, embedding FROM logs");
    refused(
        session.mirror("'other', 'ours'"),
        "55000",
        "public.logs",
        "another collection",
    );
    assert_eq!(store.ids("ours"), ["1", "2", "3"]);
}

// Both would remove what the other puts there.
#[test]
fn a_table_of_the_same_name_in_another_database() {
    let (_db, store, mut session) = embedded(3);
    assert_eq!(session.mirror(CALL).unwrap(), (3, 0));
    let (other, _, mut others) = embedded(5);
    other.set("chroma_database", &store.database);
    let mut caller = other.session();
    let error = refused(
        caller.mirror(CALL),
        "55000",
        "public.logs",
        "collection.modify",
    );
    let mark = store.collection("logs").unwrap()["metadata"]["embedding_backfill"].clone();
    let mark = mark.as_str().unwrap();
    assert!(error.message().contains(mark), "{error:?}");
    let system = session.text("SELECT system_identifier::text FROM pg_control_system()");
    assert!(mark.ends_with(&system), "{mark}");
    assert_eq!(mirrors_logs(&mut session, &store), 3);

    // As the hint has it, in Python.
    let hint = error.hint().unwrap();
    let ours = mark.replace(&session.text("SELECT current_database()"), &other.name);
    let told = json!({ "embedding_backfill": ours })
        .to_string()
        .replace("\":\"", "\": \"");
    assert!(hint.ends_with(&format!("(metadata={told})")), "{hint}");
    store.change("logs", &json!({ "embedding_backfill": ours }));
    assert_eq!(caller.mirror(CALL).unwrap(), (5, 0));
    mirrors_logs(&mut others, &store);
}

// One that is empty is anybody's, and ours from then on.
#[test]
fn an_empty_collection_is_taken_over() {
    let (_db, store, mut session) = embedded(3);
    store.make(&json!({ "name": "logs", "metadata": { "hnsw:space": "cosine", "theirs": 1 } }));
    assert_eq!(session.mirror(CALL).unwrap(), (3, 0));
    session.run("DELETE FROM logs WHERE id = 2");
    assert_eq!(session.mirror(CALL).unwrap(), (2, 1));
    assert_eq!(mirrors_logs(&mut session, &store), 2);
    assert_eq!(store.collection("logs").unwrap()["metadata"]["theirs"], 1);
}

#[test]
fn a_collection_with_another_distance_gets_a_warning() {
    let (_db, store, mut session) = embedded(3);
    store.make(&json!({ "name": "logs", "configuration": { "hnsw": { "space": "l2" } } }));
    session.notices();
    assert_eq!(session.mirror(CALL).unwrap(), (3, 0));
    let notices = session.notices();
    assert!(
        notices
            .iter()
            .any(|notice| notice.starts_with("WARNING") && notice.contains("cosine")),
        "{notices:#?}"
    );
    assert_eq!(mirrors_logs(&mut session, &store), 3);
}

#[test]
fn names_that_are_none() {
    let (_db, store, mut session) = embedded(3);
    for name in [
        "",
        "ab",
        "-logs",
        "logs_",
        "a b c",
        "größe",
        "a/../b",
        &"x".repeat(513),
    ] {
        let call = format!("'logs', '{name}'");
        refused(session.mirror(&call), "42602", "collection", "3 to 512");
    }
    refused(session.mirror("'logs', NULL"), "22004", "collection", "");
    refused(session.mirror("NULL, 'logs'"), "22004", "relation", "");
    for (metadata, sqlstate, word) in [
        ("{body,nothing}", "42703", "nothing"),
        ("{body,NULL}", "22023", "metadata"),
        ("{body,body}", "22023", "metadata"),
    ] {
        let call = format!("{CALL}, metadata => '{metadata}'");
        refused(session.mirror(&call), sqlstate, word, "");
    }
    for (argument, sqlstate) in [
        ("content => 'nothing'", "42703"),
        ("content => 'body; SELECT 1'", "42601"),
        ("source_filter => 'id'", "42804"),
        ("embedding_column => 'body'", "42804"),
        ("embedding_column => 'nothing'", "42703"),
        ("max_duration => '-1 s'", "22023"),
    ] {
        denied(session.mirror(&format!("{CALL}, {argument}")), sqlstate, "");
    }
    untouched(session, &store);
}
