//! How `embed_plan` reads: its warnings, its width in a psql window, and what it says to those who call it wrongly.

use support::{Db, denied, refused};

use crate::{
    demo_tables,
    fixtures::logs,
    plan::{number, plan, warnings},
};

#[test]
fn each_warning() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 20);
    assert_eq!(warnings(&mut session, "'logs'"), "");

    session.run("CREATE INDEX near ON logs USING hnsw (embedding vector_cosine_ops)");
    let told = warnings(&mut session, "'logs'");
    assert!(
        told.contains("near (hnsw)") && told.contains("drop the index"),
        "{told}"
    );
    session.run("DROP INDEX near");

    session.run(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER touch BEFORE UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION nothing()",
    );
    assert!(warnings(&mut session, "'logs'").contains("run for each row: touch"));
    session.run("DROP TRIGGER touch ON logs");

    session.run("SET statement_timeout = '17s'");
    let told = warnings(&mut session, "'logs'");
    assert!(told.contains("statement_timeout is 17s"), "{told}");
    session.run("RESET statement_timeout");

    session.run("UPDATE logs SET body = repeat('word ', 10000) WHERE id < 3");
    let told = warnings(&mut session, "'logs'");
    assert!(
        told.contains(
            "2 of 20 contents have more than the 8192 tokens that gemini-embedding-2 reads"
        ),
        "{told}"
    );
    assert_eq!(
        warnings(&mut session, "'logs', source_filter => 'id > 2'"),
        ""
    );

    db.set("api_key_file", "/nonexistent/key");
    assert!(warnings(&mut db.session(), "'logs'").contains("key"));
    assert_eq!(db.api.stats().requests, 0);
}

// Would pass wrongly if the warnings were not there: they are the longest lines.
#[test]
fn it_is_pleasant_in_a_window_of_100_columns() {
    let db = Db::fresh();
    let mut session = db.session();
    demo_tables::load(&mut session);
    session.run(
        "SET embedding_backfill.concurrency = 1;
         CREATE INDEX ON memory_logs USING hnsw (embedding vector_cosine_ops);
         ALTER TABLE memory_logs ADD COLUMN a_column_of_a_rather_long_name text, ADD COLUMN another_column_of_a_long_name text;
         UPDATE memory_logs SET embedding = array_fill(1, ARRAY[768])::vector WHERE id < 10",
    );
    db.set(
        "api_key_file",
        "/a/directory/with/a/long/name/that/does/not/exist/key",
    );
    let said = db.psql(&[
        "-x",
        "-c",
        "SET statement_timeout = '1h'",
        "-c",
        "SELECT * FROM embed_plan('memory_logs')",
    ]);
    assert!(said.ok, "{said:?}");
    assert!(said.stdout.contains("statement_timeout is 1h") && said.stdout.contains("hnsw"));
    narrow(&said.stdout);
}

#[test]
fn words_without_end_and_wide_letters_stay_in_the_window() {
    for content in [
        "repeat('https://example.org/a?b=', 20)",
        "repeat('埋め込み', 80)",
        r"E'a\tb\u001b[31m' || repeat('x', 90)",
    ] {
        let db = Db::fresh();
        db.session().run(&format!(
            "CREATE TABLE t (body text, embedding vector(128)); INSERT INTO t SELECT {content}"
        ));
        narrow(
            &db.psql(&["-x", "-c", "SELECT * FROM embed_plan('t')"])
                .stdout,
        );
    }
}

/// Letters of Chinese, Japanese and Korean take two columns each.
#[track_caller]
fn narrow(table: &str) {
    assert!(table.contains("RECORD 1"), "{table}");
    for line in table.lines() {
        let columns: usize = line
            .chars()
            .map(|c| if c >= '\u{2e80}' { 2 } else { 1 })
            .sum();
        assert!(columns <= 100, "{columns} columns: {line}");
    }
}

#[test]
fn anybody_who_may_read_the_table() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 12);
    let reader = db.role("reader");
    let mut reading = db.session_as(&reader);
    denied(
        reading.query("SELECT * FROM embed_plan('logs')", &[]),
        "42501",
        "permission denied for table logs",
    );
    session.run(&format!("GRANT SELECT ON logs TO {reader}"));
    assert_eq!(number(&plan(&mut reading, "'logs'"), "rows_pending"), 12);

    // It counts what that role sees, as its run would.
    session.run(
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE POLICY low ON logs USING (id <= 5)",
    );
    assert_eq!(number(&plan(&mut reading, "'logs'"), "rows_pending"), 5);
}

#[test]
fn bad_input() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 3);
    for (arguments, sqlstate, message) in [
        ("NULL", "22004", "relation must not be NULL"),
        ("'logs', 0", "22023", "batch is 0"),
        ("'logs', NULL", "22023", "batch is NULL"),
        ("'logs', 10, 'nothing'", "42703", "nothing"),
        (
            "'logs', 10, 'body; DROP TABLE logs'",
            "42601",
            "content can't be used",
        ),
        ("'logs', embedding_column => 'body'", "42804", "body"),
        (
            "'logs', source_filter => 'id'",
            "42804",
            "source_filter can't be used",
        ),
        (
            "'logs', model => 'text-embedding-004'",
            "22023",
            "was shut down by Google on 2026-01-14",
        ),
        ("'logs', model => 'gpt'", "22023", "\"gpt\" is not known"),
        ("'pg_stat_activity'", "42809", "not a table"),
        ("'pg_class'", "42703", "no column of type vector"),
        ("424242", "42P01", "424242"),
    ] {
        println!("{arguments}");
        refused(
            session.query(&format!("SELECT * FROM embed_plan({arguments})"), &[]),
            sqlstate,
            message,
            "",
        );
    }
    session.run("SET embedding_backfill.task_type = 'POETRY'");
    refused(
        session.query("SELECT * FROM embed_plan('logs')", &[]),
        "22023",
        "POETRY",
        "RETRIEVAL_DOCUMENT",
    );
}
