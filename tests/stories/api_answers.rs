//! What the API may answer instead of vectors: a clear error, nothing written, and the session goes on.

use std::process::Command;

use google_standin::Reply;
use serde_json::{Value, json};
use support::{Db, refused};

use crate::fixtures::{always, filled, logs, mended};

/// Two pending rows; each answer must be refused by both calls with this SQLSTATE. What would be tried again is tried once.
pub fn all_refused(answers: &[(&str, Reply, &str)]) {
    let db = Db::fresh();
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 2);
    for (name, reply, sqlstate) in answers {
        println!("{name}");
        always(&db, reply.clone());
        refused(session.embed("'logs'"), sqlstate, "", "");
        refused(session.embed_all("'logs'"), sqlstate, "", "");
        assert_eq!(filled(&mut session, "logs"), 0);
    }
    mended(&db);
    assert_eq!(session.embed("'logs'").unwrap(), 2);
}

fn vectors(vectors: &[Value]) -> Reply {
    let embeddings: Vec<Value> = vectors
        .iter()
        .map(|values| json!({ "values": values }))
        .collect();
    Reply::json(200, json!({ "embeddings": embeddings }).to_string())
}

/// 128 values of which the last is spelled like this.
fn ending_in(value: &str) -> Reply {
    let values = format!("{}{value}", "0.5, ".repeat(127));
    Reply::json(
        200,
        format!(r#"{{"embeddings": [{{"values": [{values}]}}, {{"values": [{values}]}}]}}"#),
    )
}

#[test]
fn refusals_in_googles_words() {
    let recorded = |name, sqlstate| (name, Reply::recorded(name), sqlstate);
    all_refused(&[
        recorded("400_api_key_invalid", "28000"),
        recorded("401_key_type_rejected", "28000"),
        recorded("403_no_key", "28000"),
        recorded("404_model_not_found_batchEmbedContents", "38000"),
        recorded("404_text-embedding-004", "38000"),
        recorded("400_unknown_field", "38000"),
    ]);
}

#[test]
fn googles_own_words_reach_the_user() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 2);
    always(
        &db,
        Reply::recorded("404_model_not_found_batchEmbedContents"),
    );
    let error = refused(session.embed("'logs'"), "38000", "", "");
    let told = format!("{} {:?}", error.message(), error.detail());
    assert!(
        told.contains("404") && told.contains("nonexistent-model"),
        "{told}"
    );
}

#[test]
fn answers_that_are_not_vectors() {
    let text = |body: &str| Reply::json(200, body);
    all_refused(&[
        ("empty", text(""), "38000"),
        (
            "html",
            Reply::html(200, "<html>Sign in to the Wi-Fi</html>"),
            "38000",
        ),
        ("no embeddings", text("{}"), "38000"),
        ("an array", text("[]"), "38000"),
        ("null", text(r#"{"embeddings": null}"#), "38000"),
        (
            "broken off",
            text(r#"{"embeddings": [{"values": [0.1, 0.2"#),
            "38000",
        ),
        ("deeply nested", text(&"[".repeat(100_000)), "38000"),
        (
            "invalid UTF-8",
            Reply::json(200, b"{\"embeddings\": \"\xff\"}".to_vec()),
            "38000",
        ),
        (
            "an error body with 200",
            text(r#"{"error": {"code": 500, "message": "no"}}"#),
            "38000",
        ),
    ]);
}

#[test]
fn vectors_that_can_not_be_right() {
    let good = || json!(vec![0.5; 128]);
    all_refused(&[
        ("none", vectors(&[]), "38000"),
        ("too few", vectors(&[good()]), "38000"),
        ("too many", vectors(&[good(), good(), good()]), "38000"),
        (
            "a value short",
            vectors(&[good(), json!(vec![0.5; 127])]),
            "38000",
        ),
        (
            "a value more",
            vectors(&[json!(vec![0.5; 129]), good()]),
            "38000",
        ),
        ("no values", vectors(&[good(), json!([])]), "38000"),
        (
            "all zero",
            vectors(&[good(), json!(vec![0.0; 128])]),
            "38000",
        ),
        ("null", ending_in("null"), "38000"),
        ("NaN", ending_in("NaN"), "38000"),
        ("NaN in quotes", ending_in("\"NaN\""), "38000"),
        ("infinity", ending_in("1e999"), "38000"),
        ("more than a real holds", ending_in("1e39"), "38000"),
        ("a nested array", ending_in("[0.5]"), "38000"),
    ]);
}

#[test]
fn the_counts_are_in_the_message() {
    let db = Db::fresh();
    db.set("max_attempts", "1");
    let mut session = db.session();
    logs(&mut session, 2);
    always(&db, vectors(&[json!(vec![0.5; 128])]));
    let error = refused(session.embed("'logs'"), "38000", "", "");
    let told = format!("{} {:?}", error.message(), error.detail());
    assert!(told.contains('1') && told.contains('2'), "{told}");

    always(
        &db,
        vectors(&[json!(vec![0.5; 128]), json!(vec![0.5; 256])]),
    );
    let error = refused(session.embed("'logs'"), "38000", "", "");
    let told = format!("{} {:?}", error.message(), error.detail());
    assert!(told.contains("128") && told.contains("256"), "{told}");
}

#[test]
fn answers_that_are_too_large() {
    let zeros = "head -c 41943040 /dev/zero | tr '\\0' ' ' | gzip";
    let bomb = Command::new("sh")
        .arg("-c")
        .arg(zeros)
        .output()
        .unwrap()
        .stdout;
    let mut packed = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    packed.extend(bomb);
    all_refused(&[
        ("plain", Reply::json(200, vec![b' '; 33 << 20]), "38000"),
        ("packed", Reply::Raw(packed), "38000"),
    ]);
}
