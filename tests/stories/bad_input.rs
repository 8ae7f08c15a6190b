//! What can't be done is refused with a SQLSTATE, a message that names it and a hint, by both calls alike; nothing is sent and
//! nothing changes.

use support::{Db, denied, refused};

use crate::fixtures::logs;

/// One refusal: what is called, its SQLSTATE, and words of its message and hint.
pub struct Case(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub &'static str,
);

/// Makes `logs` with three pending rows, then holds each case against both calls.
pub fn all_refused(set_up: &str, cases: &[Case]) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    session.run(set_up);
    let contents = "SELECT md5(string_agg(logs::text || ctid || xmin, ',' ORDER BY id)) FROM logs";
    let before = session.text(contents);

    for Case(arguments, sqlstate, message, hint) in cases {
        println!("({arguments})");
        refused(session.embed(arguments), sqlstate, message, hint);
        refused(session.embed_all(arguments), sqlstate, message, hint);
    }

    assert_eq!(db.api.stats().requests, 0);
    assert_eq!(session.text(contents), before);
    // The table was not what was wrong.
    assert_eq!(
        session
            .embed("'logs', content => 'body', embedding_column => 'embedding'")
            .unwrap(),
        3
    );
}

#[test]
fn batch_sizes() {
    all_refused(
        "",
        &[
            Case("'logs', 0", "22023", "10000", "50"),
            Case("'logs', -1", "22023", "-1", "50"),
            Case("'logs', 10001", "22023", "10001", "50"),
            Case("'logs', NULL", "22023", "10000", "50"),
        ],
    );
}

#[test]
fn relations_of_the_wrong_kind() {
    all_refused(
        "CREATE VIEW a_view AS TABLE logs;
         CREATE MATERIALIZED VIEW a_matview AS TABLE logs;
         CREATE SEQUENCE a_sequence;
         CREATE INDEX an_index ON logs (id);
         CREATE FOREIGN DATA WRAPPER nowhere;
         CREATE SERVER far_away FOREIGN DATA WRAPPER nowhere;
         CREATE FOREIGN TABLE a_foreign_table (id int, body text, embedding vector(128)) SERVER far_away;
         CREATE TYPE a_type AS (body text, embedding vector(128))",
        &[
            Case("'a_view'", "42809", "a_view", "table"),
            Case("'a_matview'", "42809", "a_matview", "table"),
            Case("'a_sequence'", "42809", "a_sequence", "table"),
            Case("'an_index'", "42809", "an_index", "table"),
            Case("'a_foreign_table'", "42809", "a_foreign_table", "table"),
            Case("'a_type'", "42809", "a_type", "table"),
            Case("NULL", "22004", "relation", ""),
        ],
    );
}

#[test]
fn a_relation_that_does_not_exist_is_postgres_own_error() {
    let db = Db::fresh();
    let mut session = db.session();
    denied(session.embed("'nowhere'"), "42P01", "nowhere");
    denied(session.embed_all("'nowhere'"), "42P01", "nowhere");
    // An OID that was a table's once.
    let gone = session.embed("4000000000").unwrap_err();
    assert!(
        ["42P01", "42704"].contains(&gone.code().unwrap().code()),
        "{gone:?}"
    );
}

#[test]
fn system_catalogs() {
    let db = Db::fresh();
    let mut session = db.session();
    let error = session.embed("'pg_catalog.pg_class'").unwrap_err();
    assert!(
        ["42809", "42703", "42501"].contains(&error.code().unwrap().code()),
        "{error:?}"
    );
}

#[test]
fn embedding_columns() {
    all_refused(
        "CREATE TABLE no_vector (id int, body text);
         CREATE TABLE two_vectors (id int, body text, first vector(128), second halfvec(256));
         CREATE TABLE no_dimensions (id int, body text, embedding vector);
         CREATE TABLE too_few (id int, body text, embedding vector(127));
         CREATE TABLE too_many (id int, body text, embedding halfvec(3073));
         INSERT INTO no_vector VALUES (1, 'a');
         INSERT INTO two_vectors VALUES (1, 'a');
         INSERT INTO no_dimensions VALUES (1, 'a');
         INSERT INTO too_few VALUES (1, 'a');
         INSERT INTO too_many VALUES (1, 'a')",
        &[
            Case("'no_vector'", "42703", "no_vector", "ALTER TABLE"),
            Case(
                "'two_vectors'",
                "42702",
                "two_vectors",
                "embedding_column =>",
            ),
            Case(
                "'logs', embedding_column => 'missing'",
                "42703",
                "missing",
                "",
            ),
            Case("'logs', embedding_column => 'body'", "42804", "body", ""),
            Case("'logs', embedding_column => ''", "42703", "", ""),
            Case("'logs', embedding_column => 'ctid'", "42703", "ctid", ""),
            Case("'no_dimensions'", "22023", "dimensions", "ALTER TABLE"),
            Case("'too_few'", "22023", "127", "768"),
            Case("'too_many'", "22023", "3073", "3072"),
        ],
    );
}

#[test]
fn several_vector_columns_are_listed() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE TABLE t (body text, first vector(128), \"Second One\" halfvec(256))");
    let error = refused(session.embed("'t'"), "42702", "", "embedding_column");
    let told = format!(
        "{} {:?} {:?}",
        error.message(),
        error.detail(),
        error.hint()
    );
    assert!(
        told.contains("first") && told.contains("Second One"),
        "{told}"
    );
}

#[test]
fn models() {
    all_refused(
        "",
        &[
            Case(
                "'logs', model => 'gemini-embedding-9'",
                "22023",
                "gemini-embedding-9",
                "gemini-embedding-2",
            ),
            Case(
                "'logs', model => ''",
                "22023",
                "model",
                "gemini-embedding-2",
            ),
            Case(
                "'logs', model => 'text-embedding-004'",
                "22023",
                "text-embedding-004",
                "gemini-embedding-2",
            ),
            Case(
                "'logs', model => 'gemini-embedding-2:predict?x='",
                "22023",
                "predict",
                "gemini-embedding-2",
            ),
            Case(
                "'logs', model => '../gemini-embedding-2'",
                "22023",
                "../",
                "gemini-embedding-2",
            ),
        ],
    );
}
