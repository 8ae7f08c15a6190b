//! `embed_plan`: the price before anything is spent. It must tell what a run then does, and send nothing.

use serde_json::Value;
use support::{Db, Session};

use crate::fixtures::{filled, logs};

/// The one row that it gives.
#[track_caller]
pub fn plan(session: &mut Session, arguments: &str) -> Value {
    let query = format!("SELECT to_jsonb(p)::text FROM embed_plan({arguments}) p");
    serde_json::from_str(&session.text(&query)).unwrap()
}

#[track_caller]
pub fn number(plan: &Value, column: &str) -> i64 {
    plan[column]
        .as_i64()
        .unwrap_or_else(|| panic!("{column} of {plan}"))
}

pub fn warnings(session: &mut Session, arguments: &str) -> String {
    let plan = plan(session, arguments);
    let warnings = plan["warnings"].as_str().unwrap_or_default();
    warnings.replace('\n', " ")
}

/// Plans, runs, and holds the two together: rows, requests, and that all rows are accounted for.
#[track_caller]
pub fn holds(db: &Db, session: &mut Session, table: &str, arguments: &str) -> Value {
    let before = db.api.stats();
    let plan = plan(session, arguments);
    assert_eq!(db.api.stats(), before, "a plan sends nothing");

    let had = number(&plan, "rows_embedded");
    let finished = session.embed_all(arguments).unwrap();
    assert_eq!(finished.stopped_because, "done");
    assert_eq!(number(&plan, "rows_pending"), finished.embedded, "{plan}");
    let column = plan["column_name"].as_str().unwrap();
    let filled = session.number(&format!("SELECT count(\"{column}\") FROM {table}"));
    assert_eq!(filled, had + finished.embedded);
    assert_eq!(
        number(&plan, "requests"),
        (db.api.stats().requests - before.requests) as i64,
        "{plan}"
    );
    let parts = [
        "rows_embedded",
        "rows_pending",
        "rows_blank",
        "rows_rejected",
        "rows_outside_filter",
    ];
    let parts: i64 = parts.iter().map(|part| number(&plan, part)).sum();
    assert_eq!(number(&plan, "rows_total"), parts, "{plan}");
    plan
}

fn held(ddl: &str, table: &str, more: &str) -> Value {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(ddl);
    let name = table.replace('\'', "''");
    holds(&db, &mut session, table, &format!("'{name}', 10{more}"))
}

#[test]
fn it_sends_nothing_writes_nothing_and_needs_no_key() {
    let db = Db::fresh();
    db.reset("api_key_file");
    let mut session = db.session();
    logs(&mut session, 30);
    session.run("BEGIN READ ONLY");
    let plan = plan(&mut session, "'logs'");
    session.run("COMMIT");
    assert_eq!(number(&plan, "rows_pending"), 30);
    let told = plan["warnings"].as_str().unwrap();
    assert!(told.contains("key"), "{told}");
    assert_eq!(db.api.stats(), Default::default());
    assert_eq!(filled(&mut session, "logs"), 0);
    assert_eq!(
        session.number("SELECT count(*) FROM embedding_backfill.runs"),
        0
    );
}

#[test]
fn what_it_says_of_a_small_table() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text, embedding vector(768));
         INSERT INTO t SELECT i, 'one two three' FROM generate_series(1, 120) i",
    );
    let plan = holds(&db, &mut session, "t", "'t', 50");
    for (column, value) in [
        ("table_name", Value::from("t")),
        ("column_name", "embedding".into()),
        ("column_type", "vector(768)".into()),
        ("model_name", "gemini-embedding-2".into()),
        ("dimensions", 768.into()),
        ("content_sql", "body".into()),
        ("rows_total", 120.into()),
        ("requests", 3.into()),
        ("wal", "517 kB".into()),
        ("disk", "492 kB".into()),
        ("warnings", Value::Null),
        ("sample", "one two three".into()),
    ] {
        assert_eq!(plan[column], value, "{column}");
    }
    assert_ne!(plan["duration"], "00:00:00");
}

#[test]
fn every_shape_of_table() {
    held(
        "CREATE TABLE t (body text, embedding vector(128)); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 35) i",
        "t",
        "",
    );
    held("CREATE TABLE t (body text, embedding vector(128))", "t", "");
    let blank = held(
        r"CREATE TABLE t (body text, embedding vector(128));
          INSERT INTO t SELECT (ARRAY[NULL, '', '  ', E' \t\r\n', 'entry', E'\u00a0'])[i % 6 + 1] FROM generate_series(1, 60) i",
        "t",
        "",
    );
    assert!(number(&blank, "rows_blank") >= 40);
    let outside = held(
        "CREATE TABLE t (id int, body text, embedding vector(128)); INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 60) i",
        "t",
        ", source_filter => 'id % 3 = 0'",
    );
    assert_eq!(number(&outside, "rows_outside_filter"), 40);
    let unknown = held(
        "CREATE TABLE t (id int, body text, embedding vector(128)); INSERT INTO t SELECT nullif(i, 7), 'entry ' || i FROM generate_series(1, 20) i",
        "t",
        ", source_filter => 'id > 10'",
    );
    assert_eq!(number(&unknown, "rows_outside_filter"), 10);
    held(
        "CREATE TABLE t (title text, body jsonb, note varchar, kind char(8), embedding halfvec(128));
         INSERT INTO t SELECT 'entry ' || i, to_jsonb(i), nullif('note', 'note'), 'a' FROM generate_series(1, 25) i",
        "t",
        "",
    );
    held(
        "CREATE TABLE t (body text, small vector(128), large halfvec(256)); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 25) i",
        "t",
        ", embedding_column => 'large', content => 'body || body'",
    );
    held(
        "CREATE TABLE t (a text, b text GENERATED ALWAYS AS (upper(a)) STORED, embedding vector(128)); INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 25) i",
        "t",
        ", model => 'gemini-embedding-001'",
    );
}

#[test]
fn quoted_names() {
    held(
        r#"CREATE SCHEMA "Ünd so"; CREATE TABLE "Ünd so"."it's ""odd""" ("the Body" text, "Embedding" vector(128));
           INSERT INTO "Ünd so"."it's ""odd""" SELECT 'entry ' || i FROM generate_series(1, 15) i"#,
        r#""Ünd so"."it's ""odd""""#,
        r#", source_filter => '"the Body" <> ''entry 3'''"#,
    );
}

#[test]
fn partitions_and_children() {
    held(
        "CREATE TABLE t (id int, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (16);
         CREATE TABLE high PARTITION OF t FOR VALUES FROM (16) TO (100) PARTITION BY LIST (id);
         CREATE TABLE rest PARTITION OF high DEFAULT;
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 30) i",
        "t",
        "",
    );
    held(
        "CREATE TABLE t (id int, body text, embedding vector(128)); CREATE TABLE child (extra int) INHERITS (t);
         INSERT INTO t SELECT i, 'entry ' || i FROM generate_series(1, 15) i;
         INSERT INTO child SELECT i, 'entry ' || i FROM generate_series(16, 30) i",
        "t",
        "",
    );
}

#[test]
fn rows_that_were_embedded_or_rejected_before() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 100);
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.run("UPDATE logs SET body = 'poison' WHERE id IN (3, 4, 77)");
    session
        .embed_all("'logs', 10, source_filter => 'id < 50'")
        .unwrap();
    let plan = holds(
        &db,
        &mut session,
        "logs",
        "'logs', 10, source_filter => 'id < 60'",
    );
    assert_eq!(number(&plan, "rows_embedded"), 47);
    assert_eq!(number(&plan, "rows_rejected"), 2);
    assert_eq!(number(&plan, "rows_pending"), 10);
    assert_eq!(number(&plan, "rows_outside_filter"), 41);
}

// The first request proves the vector space; it is paid for, so it is in the price.
#[test]
fn vectors_that_the_journal_does_not_know() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 40);
    session.embed_all("'logs', max_rows => 20").unwrap();
    session.run("TRUNCATE embedding_backfill.journal CASCADE");
    let told = warnings(&mut session, "'logs', 10");
    assert!(
        told.contains("journal does not know") && told.contains("5 rows"),
        "{told}"
    );
    holds(&db, &mut session, "logs", "'logs', 10");
    let after = warnings(&mut session, "'logs', 10");
    assert_eq!(after, "");
}

// What a role may not change, its run leaves alone, and so does its plan; what it may not see counts for nothing.
#[test]
fn it_holds_for_a_role_under_row_security() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 40);
    let role = db.role("tenant");
    session.run(&format!(
        "GRANT SELECT, UPDATE ON logs TO {role}; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {role};
         ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON logs USING (id % 2 = 0)"
    ));
    let plan = holds(&db, &mut db.session_as(&role), "logs", "'logs', 10");
    assert_eq!(
        (number(&plan, "rows_total"), number(&plan, "rows_pending")),
        (20, 20)
    );
    let plan = holds(&db, &mut session, "logs", "'logs', 10");
    assert_eq!(
        (
            number(&plan, "rows_embedded"),
            number(&plan, "rows_pending")
        ),
        (20, 20)
    );
}
