//! Each way in which a column can be wrong has a check of `embed_verify` that says so and names the row.

use support::{Db, Space};

use crate::{
    fixtures::logs,
    verify::{faults, good, names},
};

/// What is found after this change, with all rows in the sample.
#[track_caller]
fn after(change: &str) -> Vec<(String, String)> {
    let (_db, mut session) = good();
    session.run(change);
    faults(&mut session, "'logs', 30")
}

#[test]
fn a_swapped_pair() {
    let found = after(
        "UPDATE logs AS a SET embedding = b.embedding FROM logs AS b WHERE (a.id, b.id) IN ((3, 17), (17, 3))",
    );
    names(
        &found,
        "made from its content",
        &[
            "2 of 30 rows",
            r#"{"id": 3}"#,
            r#"{"id": 17}"#,
            "set them NULL",
        ],
    );
    assert!(
        found
            .iter()
            .all(|(check, _)| check.ends_with("its content")),
        "{found:?}"
    );
}

#[test]
fn a_zeroed_vector() {
    let found = after("UPDATE logs SET embedding = array_fill(0, ARRAY[128])::vector WHERE id = 5");
    names(&found, "not zero", &["1 "]);
    names(
        &found,
        "made from its content",
        &["1 of 30", r#"{"id": 5}"#],
    );
}

#[test]
fn a_vector_of_another_model() {
    let other =
        pgvector::Vector::from(Space::GEMINI_1.vector("entry 7 naïve café naïve café", 128));
    let (_db, mut session) = good();
    session
        .execute("UPDATE logs SET embedding = $1 WHERE id = 7", &[&other])
        .unwrap();
    let found = faults(&mut session, "'logs', 30");
    names(
        &found,
        "made from its content",
        &["1 of 30", r#"{"id": 7}"#, "gemini-embedding-2"],
    );
}

// The direction is right, so a search by cosine finds it; one by inner product is misled.
#[test]
fn a_vector_that_is_not_of_unit_length() {
    let found = after(
        "UPDATE logs SET embedding = embedding * array_fill(1.1::real, ARRAY[128])::vector WHERE id = 9",
    );
    names(&found, "unit length", &["1 "]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_row_left_without_one() {
    let found = after("UPDATE logs SET embedding = NULL WHERE id = 9");
    names(
        &found,
        "complete",
        &[
            "29 of 30 rows have a vector",
            "1 pending",
            "CALL embed_all_missing",
        ],
    );
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn one_vector_beside_two_contents() {
    let found =
        after("UPDATE logs SET embedding = (SELECT embedding FROM logs WHERE id = 1) WHERE id = 2");
    names(&found, "distinct", &["1 "]);
    names(
        &found,
        "made from its content",
        &["1 of 30", r#"{"id": 2}"#],
    );
    // Equal contents have equal vectors by right.
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 10);
    session.run("UPDATE logs SET body = 'the same' WHERE id < 4");
    session.embed_all("'logs'").unwrap();
    assert_eq!(faults(&mut session, "'logs'"), []);
}

#[test]
fn a_content_that_changed_since() {
    let found = after("UPDATE logs SET body = 'something else' WHERE id = 12");
    names(
        &found,
        "made from its content",
        &["1 of 30", r#"{"id": 12}"#],
    );
}

#[test]
fn vectors_of_other_dimensions() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text, embedding vector);
         INSERT INTO t SELECT i, 'entry ' || i, CASE WHEN i = 1 THEN array_fill(1, ARRAY[128])::vector END FROM generate_series(1, 10) i;
         UPDATE t SET embedding = NULL WHERE false",
    );
    session
        .run("UPDATE t SET embedding = embed_text(body, 'RETRIEVAL_DOCUMENT', dimensions => 128)");
    assert_eq!(faults(&mut session, "'t'"), []);
    session.run("UPDATE t SET embedding = embed_text(body, 'RETRIEVAL_DOCUMENT', dimensions => 256) WHERE id = 10");
    names(&faults(&mut session, "'t'"), "dimensions", &["1 "]);
}

#[test]
fn rows_without_a_key_are_named_by_their_place() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run("CREATE TABLE t (body text, embedding vector(128)); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 10) i");
    session.embed_all("'t'").unwrap();
    session.run("UPDATE t SET body = 'changed' WHERE body = 'entry 4'");
    let place = session.text("SELECT ctid::text FROM t WHERE body = 'changed'");
    names(
        &faults(&mut session, "'t'"),
        "made from its content",
        &[&place],
    );
}
