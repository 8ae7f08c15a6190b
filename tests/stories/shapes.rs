//! Tables of every shape: each row gets the vector of its own content, and nothing else changes.

use support::{Db, Finished, Session, Space};

/// Fills the table by both calls, a few rows by the first, and checks each vector.
fn fill(session: &mut Session, relation: &str, content: &str, embedding: &str, rows: i64) {
    let literal = relation.replace('\'', "''");
    assert_eq!(session.embed(&format!("'{literal}', 3")).unwrap(), 3);
    assert_eq!(
        session.embed_all(&format!("'{literal}', 10")).unwrap(),
        Finished::done(rows - 3, 0)
    );
    assert_eq!(
        Space::GEMINI_2.holds(session, relation, content, embedding) as i64,
        rows
    );
    assert_eq!(
        session.number(&format!("SELECT count(*) FROM {relation}")),
        rows
    );
}

#[test]
fn without_a_primary_key_and_with_equal_rows() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (body text, embedding vector(128));
         INSERT INTO t SELECT 'entry ' || i % 5 FROM generate_series(1, 25) i",
    );
    fill(&mut session, "t", "body", "embedding", 25);
}

#[test]
fn partitioned_over_several_levels() {
    let db = Db::fresh();
    let mut session = db.session();
    // The leaves differ in the order of their columns, as attached partitions do, and rows sit at the same ctid in each.
    session.run(
        "CREATE TABLE t (id bigint, region text, body text, embedding vector(128), PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         CREATE TABLE north PARTITION OF t FOR VALUES IN ('n');
         CREATE TABLE south (embedding vector(128), gone int, body text, region text NOT NULL, id bigint NOT NULL);
         ALTER TABLE south DROP COLUMN gone;
         ALTER TABLE t ATTACH PARTITION south FOR VALUES IN ('s');
         CREATE TABLE rest PARTITION OF t DEFAULT PARTITION BY RANGE (id);
         CREATE TABLE rest_low PARTITION OF rest FOR VALUES FROM (0) TO (30);
         CREATE TABLE rest_high PARTITION OF rest DEFAULT;
         INSERT INTO t SELECT i, (ARRAY['n', 's', 'w'])[i % 3 + 1], 'entry ' || i FROM generate_series(1, 60) i",
    );
    fill(&mut session, "t", "body", "embedding", 60);
    assert_eq!(
        session.number("SELECT count(DISTINCT tableoid) FROM t WHERE embedding IS NOT NULL"),
        4
    );
}

#[test]
fn one_partition_alone() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id bigint, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (20);
         CREATE TABLE high PARTITION OF t DEFAULT;
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(0, 39) i",
    );
    fill(&mut session, "low", "body", "embedding", 20);
    assert_eq!(session.number("SELECT count(embedding) FROM high"), 0);
}

// Rows of a parent and its children share ctids; taking one for the other would put a vector beside another row's content.
#[test]
fn with_children_by_inheritance() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id bigint, body text, embedding vector(128));
         CREATE TABLE a_child (extra text) INHERITS (t);
         CREATE TABLE z_child (extra text) INHERITS (t);
         INSERT INTO t SELECT i, 'parent ' || i FROM generate_series(1, 20) i;
         INSERT INTO a_child SELECT i, 'a child ' || i FROM generate_series(1, 20) i;
         INSERT INTO z_child SELECT i, 'z child ' || i FROM generate_series(1, 20) i",
    );
    fill(&mut session, "t", "body", "embedding", 60);
}

// As for any query on the parent, there are no rows of other sessions' temporary tables. Would pass wrongly if theirs stayed in
// their memory, from which some versions of Postgres see none: there are more than fit in there.
#[test]
fn with_a_temporary_child_of_another_session() {
    let db = Db::fresh();
    let (mut session, mut other) = (db.session(), db.session());
    session.run(
        "CREATE TABLE t (id bigint, body text, embedding vector(128));
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 20) i",
    );
    other.run("SET temp_buffers = '800kB'");
    for (session, rows) in [(&mut other, 3000), (&mut session, 10)] {
        session.run(&format!(
            "CREATE TEMPORARY TABLE child () INHERITS (t);
             INSERT INTO child SELECT i, 'child ' || i || repeat('.', 700) FROM generate_series(1, {rows}) i"
        ));
    }
    fill(&mut session, "t", "body", "embedding", 30);
    assert_eq!(other.number("SELECT count(embedding) FROM child"), 0);
    let checks = session.query("SELECT ok FROM embed_verify('t')", &[]);
    assert!(checks.unwrap().iter().all(|check| check.get(0)));
    assert_eq!(session.number("SELECT rows_total FROM embed_plan('t')"), 30);
}

#[test]
fn with_names_that_need_quotes() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        r#"CREATE SCHEMA "My Schema";
           CREATE TABLE "My Schema"."Weird ""Table" ("ID" bigint PRIMARY KEY, "order" int, "a ""b"" \ c" text, "The Embedding" vector(128));
           INSERT INTO "My Schema"."Weird ""Table" SELECT i, i % 3, 'entry ' || i FROM generate_series(1, 30) i"#,
    );
    fill(
        &mut session,
        r#""My Schema"."Weird ""Table""#,
        r#""a ""b"" \ c""#,
        r#""The Embedding""#,
        30,
    );

    let table = r#"'"My Schema"."Weird ""Table"'"#;
    session.run(r#"UPDATE "My Schema"."Weird ""Table" SET "The Embedding" = NULL"#);
    let arguments = r#"content => '"order" || "a ""b"" \ c"', embedding_column => 'The Embedding', source_filter => '"order" = 1'"#;
    assert_eq!(
        session.embed_all(&format!("{table}, {arguments}")).unwrap(),
        Finished::done(10, 0)
    );
    assert_eq!(
        Space::GEMINI_2.holds(
            &mut session,
            r#""My Schema"."Weird ""Table""#,
            r#""order" || "a ""b"" \ c""#,
            r#""The Embedding""#
        ),
        10
    );
}

#[test]
fn in_a_schema_off_the_search_path() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE SCHEMA app;
         CREATE TABLE app.t (id bigint, body text, embedding vector(128));
         CREATE TABLE public.t (id bigint, body text, embedding vector(128));
         INSERT INTO app.t SELECT i, 'entry ' || i FROM generate_series(1, 20) i;
         INSERT INTO public.t VALUES (1, 'not this one')",
    );
    fill(&mut session, "app.t", "body", "embedding", 20);
    assert_eq!(session.number("SELECT count(embedding) FROM public.t"), 0);
}

#[test]
fn temporary_and_unlogged() {
    let db = Db::fresh();
    let mut session = db.session();
    for kind in ["TEMPORARY", "UNLOGGED"] {
        session.run(&format!(
            "CREATE {kind} TABLE t (id bigint, body text, embedding vector(128));
             INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 20) i"
        ));
        fill(&mut session, "t", "body", "embedding", 20);
        session.run("DROP TABLE t");
    }
}
