//! `embed_text`, `embed_texts`, `embed_query`: vectors to search with, each asked for once.

use google_standin::Config;
use pgvector::Vector;
use serde_json::json;
use support::{Cluster, Db, Session, prompt};

use crate::fixtures::{at_both, logs};

const MODEL: &str = "gemini-embedding-2";

fn question(text: &str) -> String {
    format!("task: search result | query: {text}")
}

#[track_caller]
pub fn vector(session: &mut Session, expression: &str) -> Vec<f32> {
    let row = session
        .query_one(&format!("SELECT {expression}"), &[])
        .unwrap_or_else(|error| panic!("{expression}: {error:?}"));
    row.get::<_, Vector>(0).to_vec()
}

#[track_caller]
fn same(vector: &[f32], of: &[f32]) {
    assert_eq!(vector.len(), of.len());
    let off = vector
        .iter()
        .zip(of)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(off < 1e-6, "off by {off}");
}

/// The texts of the last request, as they were sent.
fn sent(db: &Db) -> Vec<String> {
    db.api.requests().last().expect("one was sent").texts()
}

fn explained(session: &mut Session, query: &str) -> String {
    let lines = session.query(&format!("EXPLAIN {query}"), &[]).unwrap();
    let lines: Vec<&str> = lines.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

#[test]
fn a_text_is_a_query_of_768_dimensions_unless_told() {
    let db = Db::fresh();
    let mut session = db.session();
    let query = vector(&mut session, "embed_text('a cat')");
    assert_eq!(sent(&db), [question("a cat")]);
    same(&query, &db.api.vector(&question("a cat"), MODEL, 768));

    let document = vector(
        &mut session,
        "embed_text('a cat', 'RETRIEVAL_DOCUMENT', dimensions => 128)",
    );
    assert_eq!(sent(&db), [prompt("a cat")]);
    same(&document, &db.api.vector(&prompt("a cat"), MODEL, 128));

    let clustered = vector(&mut session, "embed_text('a cat', 'clustering')");
    assert_eq!(sent(&db), ["task: clustering | query: a cat"]);
    assert_eq!(clustered.len(), 768);
    assert_eq!(db.api.stats().requests, 3);
}

#[test]
fn the_model_that_takes_a_task_type() {
    let db = Db::fresh();
    let mut session = db.session();
    let old = vector(
        &mut session,
        "embed_text('a cat', model => 'gemini-embedding-001', dimensions => 256)",
    );
    let request = db.api.requests().pop().unwrap().json()["requests"][0].clone();
    assert_eq!(
        request,
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a cat"}]},
               "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256})
    );
    let norm: f64 = old.iter().map(|&x| f64::from(x).powi(2)).sum();
    assert!((norm - 1.0).abs() < 1e-5, "it is scaled to unit length");
    session.run("SET embedding_backfill.model = 'gemini-embedding-001'");
    let set = vector(&mut session, "embed_text('a cat', dimensions => 256)");
    assert_eq!(set, old);
    assert_eq!(db.api.stats().requests, 1, "the same question");
}

fn several_texts_come_back_in_their_order(db: &Db) {
    let mut session = db.session();
    let texts: Vec<String> = (0..250).map(|i| format!("text {i}")).collect();
    let row = session
        .query_one("SELECT embed_texts($1, dimensions => 128)", &[&texts])
        .unwrap();
    let vectors: Vec<Vector> = row.get(0);
    assert_eq!(vectors.len(), 250);
    for (text, vector) in texts.iter().zip(&vectors) {
        same(vector.as_slice(), &db.api.vector(&prompt(text), MODEL, 128));
    }
    let stats = db.api.stats();
    assert_eq!((stats.requests, stats.texts), (3, 250));
    let none = session
        .query_one("SELECT embed_texts('{}'), embed_texts(NULL)", &[])
        .unwrap();
    assert_eq!(none.get::<_, Vec<Vector>>(0).len(), 0);
    assert!(none.get::<_, Option<Vec<Vector>>>(1).is_none());
    assert_eq!(db.api.stats().requests, 3);
}

#[test]
fn the_same_text_twice_in_an_array() {
    let db = Db::fresh();
    let mut session = db.session();
    let row = session
        .query_one(
            "SELECT embed_texts(ARRAY['a', 'b', 'a'], dimensions => 128)",
            &[],
        )
        .unwrap();
    let vectors: Vec<Vector> = row.get(0);
    for (text, vector) in ["a", "b", "a"].iter().zip(&vectors) {
        same(vector.as_slice(), &db.api.vector(&prompt(text), MODEL, 128));
    }
}

fn a_query_takes_dimensions_from_its_column_and_the_query_form(db: &Db) {
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (body text, small vector(128), half halfvec(256), bare vector);
         INSERT INTO t (bare) VALUES (array_fill(1, ARRAY[384])::vector)",
    );
    for (column, dimensions) in [("small", 128), ("half", 256), ("bare", 384)] {
        let query = vector(
            &mut session,
            &format!("embed_query('t', 'a cat', '{column}')"),
        );
        assert_eq!(sent(db), [question("a cat")]);
        same(
            &query,
            &db.api.vector(&question("a cat"), MODEL, dimensions),
        );
    }
    let old = vector(
        &mut session,
        "embed_query('t', 'a cat', 'small', 'gemini-embedding-001')",
    );
    assert_eq!(sent(db), ["a cat"]);
    assert_eq!(old.len(), 128);
}

// "dims and model of the column": what filled it is in the journal.
fn a_query_is_asked_of_the_model_that_filled_the_column(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 5);
    session
        .embed_all("'logs', model => 'gemini-embedding-001'")
        .unwrap();
    vector(&mut session, "embed_query('logs', 'a cat')");
    let path = db.api.requests().last().unwrap().path.clone();
    assert!(path.contains("gemini-embedding-001"), "{path}");
}

// An index that is built after the rows were filled can't be used at once while others have transactions open (their
// snapshots may need the rows' earlier versions), so it is there before.
fn the_nearest_row_is_found_with_an_index_and_without(db: &Db) {
    let mut session = db.session();
    logs(&mut session, 300);
    // The stand-in's vectors of equal texts are equal only in the same form.
    session.run(
        "SET embedding_backfill.task_type = 'RETRIEVAL_QUERY';
         CREATE INDEX ON logs USING hnsw (embedding vector_cosine_ops)",
    );
    session.embed_all("'logs', 100").unwrap();
    let before = db.api.stats().requests;
    let search = "SELECT id FROM logs ORDER BY embedding <=> embed_query('logs', 'entry 77 naïve café naïve café') LIMIT 1";
    for (settings, plan) in [
        ("SET enable_indexscan = off", "Seq Scan on logs"),
        (
            "RESET enable_indexscan; SET enable_seqscan = off",
            "Index Scan using logs_embedding_idx",
        ),
    ] {
        session.run(settings);
        let explained = explained(&mut session, search);
        assert!(explained.contains(plan), "{explained}");
        assert_eq!(session.number(search), 77);
    }
    assert_eq!(db.api.stats().requests, before + 1);
}

#[test]
fn a_halfvec_column_and_its_index() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "SET embedding_backfill.task_type = 'RETRIEVAL_QUERY';
         CREATE TABLE t (id bigint, body text, embedding halfvec(256));
         CREATE INDEX ON t USING hnsw (embedding halfvec_cosine_ops);
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 200) i",
    );
    session.embed_all("'t', 100, 'body'").unwrap();
    session.run("SET enable_seqscan = off");
    for cast in ["", "::halfvec(256)"] {
        let search = format!(
            "SELECT id FROM t ORDER BY embedding <=> embed_query('t', 'entry 42'){cast} LIMIT 1"
        );
        let plan = explained(&mut session, &search);
        assert!(plan.contains("Index Scan using t_embedding_idx"), "{plan}");
        assert_eq!(session.number(&search), 42);
    }
}

#[test]
fn pgvector_may_be_in_another_schema() {
    let db = Db::bare(Cluster::shared(), Config::default());
    let mut session = db.session();
    session.run(
        "CREATE SCHEMA tools; CREATE SCHEMA extensions;
         CREATE EXTENSION vector SCHEMA extensions; CREATE EXTENSION embedding_backfill SCHEMA tools;
         CREATE TABLE t (body text, embedding extensions.halfvec(128)); SET search_path = pg_catalog",
    );
    let of = |call: &str| format!("SELECT pg_typeof({call})::text");
    assert_eq!(
        session.text(&of("tools.embed_text('a')")),
        "extensions.vector"
    );
    assert_eq!(
        session.text(&of("tools.embed_texts('{a}')")),
        "extensions.vector[]"
    );
    assert_eq!(
        session.text(&of("tools.embed_query('public.t', 'a')")),
        "extensions.vector"
    );
}

at_both! {
    several_texts_come_back_in_their_order
    a_query_takes_dimensions_from_its_column_and_the_query_form
    a_query_is_asked_of_the_model_that_filled_the_column
    the_nearest_row_is_found_with_an_index_and_without
}
