//! Columns of every kind beside the content: vectors of each type and size, several of them, names like ours.

use support::{Db, Finished, Space};

use crate::fixtures::right;

#[test]
fn a_halfvec() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id bigint, body text, embedding halfvec(768));
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 20) i",
    );
    assert_eq!(session.embed("'t', 5").unwrap(), 5);
    assert_eq!(session.embed_all("'t'").unwrap(), Finished::done(15, 0));
    assert_eq!(
        Space::GEMINI_2_HALF.holds(&mut session, "t", "body", "embedding"),
        20
    );
    assert_eq!(
        session.number("SELECT min(vector_dims(embedding))::bigint FROM t"),
        768
    );
}

#[test]
fn the_largest_and_the_smallest_dimensions() {
    let db = Db::fresh();
    let mut session = db.session();
    for dimensions in [128, 1536, 3072] {
        session.run(&format!(
            "CREATE TABLE t (body text, embedding vector({dimensions})); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 3) i"
        ));
        assert_eq!(session.embed("'t'").unwrap(), 3);
        assert_eq!(right(&mut session, "t"), 3);
        session.run("DROP TABLE t");
    }
}

#[test]
fn columns_named_like_our_arguments() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE relation (batch int, model text, content text, embedding_column text, source_filter text, embedded bigint,
                                remaining bigint, stopped_because text, r text, t text, c text, id int, md5 text, embedding vector(128));
         INSERT INTO relation (batch, model, content, embedded, id) SELECT i, 'm' || i, 'entry ' || i, i, i FROM generate_series(1, 20) i",
    );
    let arguments = "'relation', content => 'model || content', source_filter => 'batch > 0 AND embedded <= 15 AND stopped_because IS NULL'";
    assert_eq!(
        session.embed(&format!("{arguments}, batch => 5")).unwrap(),
        5
    );
    assert_eq!(session.embed_all(arguments).unwrap(), Finished::done(10, 0));
    assert_eq!(
        Space::GEMINI_2.holds(&mut session, "relation", "model || content", "embedding"),
        15
    );
}

#[test]
fn several_vector_columns_of_which_one_is_named() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id bigint, body text, title_embedding vector(256), body_embedding vector(128));
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 20) i",
    );
    assert_eq!(
        session
            .embed_all("'t', embedding_column => 'body_embedding'")
            .unwrap(),
        Finished::done(20, 0)
    );
    assert_eq!(
        Space::GEMINI_2.holds(&mut session, "t", "body", "body_embedding"),
        20
    );
    assert_eq!(session.number("SELECT count(title_embedding) FROM t"), 0);
}

#[test]
fn a_vector_that_takes_its_dimensions_from_its_rows() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE model (body text, embedding vector(256)); INSERT INTO model VALUES ('first');
         CREATE TABLE t (body text, embedding vector)",
    );
    assert_eq!(session.embed("'model'").unwrap(), 1);
    session.run("INSERT INTO t TABLE model; INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 10) i");
    assert_eq!(session.embed_all("'t'").unwrap(), Finished::done(10, 0));
    assert_eq!(right(&mut session, "t"), 11);
    assert_eq!(
        session.number("SELECT min(vector_dims(embedding))::bigint FROM t"),
        256
    );
}

#[test]
fn dropped_generated_and_large_columns() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (gone text, id bigint PRIMARY KEY, gone_too vector(64), title text, body text,
                         full_text text GENERATED ALWAYS AS (title || ': ' || body) STORED, embedding vector(128),
                         changed timestamptz DEFAULT now());
         ALTER TABLE t DROP COLUMN gone, DROP COLUMN gone_too;
         CREATE INDEX ON t (id) WHERE embedding IS NULL;
         INSERT INTO t (id, title, body) SELECT i, 'title ' || i, repeat(md5(i::text), 300) FROM generate_series(1, 20) i",
    );
    let others =
        "SELECT md5(string_agg(ROW(id, title, body, changed)::text, '' ORDER BY id)) FROM t";
    let before = session.text(others);
    assert_eq!(
        session.embed_all("'t', content => 'full_text'").unwrap(),
        Finished::done(20, 0)
    );
    assert_eq!(
        Space::GEMINI_2.holds(&mut session, "t", "full_text", "embedding"),
        20
    );
    assert_eq!(session.text(others), before);
}
