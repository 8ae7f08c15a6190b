//! `embed_keep_fresh`: a row whose content changes loses its vector and gets the next one; nothing else costs anything.

use std::process::Stdio;

use support::{Cluster, Db, Finished, Install, Session, denied};

use crate::fixtures::{filled, logs, right};

/// A table that is kept fresh and has all its vectors.
pub fn fresh(rows: u32) -> (Db<'static>, Session) {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, rows);
    session.run("ALTER TABLE logs ADD COLUMN seen int; SELECT embed_keep_fresh('logs', 'body')");
    session.embed_all("'logs', content => 'body'").unwrap();
    assert_eq!(filled(&mut session, "logs"), i64::from(rows));
    (db, session)
}

/// How many rows have lost their vector by these statements; they get it back.
#[track_caller]
fn lost(session: &mut Session, change: &str) -> i64 {
    session.run(change);
    let missing = session.number("SELECT count(*) FROM logs WHERE embedding IS NULL");
    let finished = session.embed_all("'logs', content => 'body'").unwrap();
    assert_eq!(finished, Finished::done(missing, 0));
    missing
}

#[test]
fn only_a_real_change_of_the_content() {
    let (_db, mut session) = fresh(20);
    assert_eq!(
        lost(
            &mut session,
            "UPDATE logs SET body = 'changed ' || id WHERE id <= 3"
        ),
        3
    );
    for nothing in [
        "UPDATE logs SET body = body",
        "UPDATE logs SET seen = 1",
        "UPDATE logs SET id = id + 1000",
        "UPDATE logs SET seen = 2, body = body || ''",
        "INSERT INTO logs SELECT id, 'other', NULL, 3 FROM logs ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
    ] {
        assert_eq!(lost(&mut session, nothing), 0, "{nothing}");
    }
    assert_eq!(
        lost(
            &mut session,
            "INSERT INTO logs SELECT id, 'other ' || id FROM logs LIMIT 4 ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        ),
        4
    );
    assert_eq!(
        lost(
            &mut session,
            "UPDATE logs SET body = NULL WHERE id = (SELECT min(id) FROM logs); UPDATE logs SET body = 'back' WHERE body IS NULL"
        ),
        1
    );
    assert_eq!(right(&mut session, "logs"), 20);
}

// Would pass wrongly if the trigger were called and had nothing to do: its calls are counted, not its effects.
#[test]
fn an_update_of_other_columns_does_not_call_it() {
    let (_db, mut session) = fresh(20);
    session
        .run("SET track_functions = 'all'; UPDATE logs SET seen = 7; UPDATE logs SET body = body");
    let calls = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_xact_user_functions WHERE funcname = 'forget_embedding'";
    session.run("BEGIN; UPDATE logs SET seen = 8; UPDATE logs SET body = body");
    assert_eq!(session.number(calls), 0);
    session.run("UPDATE logs SET body = 'new' WHERE id < 3");
    assert_eq!(session.number(calls), 2);
    session.run("COMMIT");
}

#[test]
fn a_vector_that_comes_along_is_kept() {
    let (_db, mut session) = fresh(5);
    let change = "UPDATE logs SET body = 'mine', embedding = array_fill(0.5, ARRAY[128])::vector WHERE id = 2";
    session.run(change);
    assert_eq!(filled(&mut session, "logs"), 5);
    assert_eq!(
        session.text("SELECT left(embedding::text, 8) FROM logs WHERE id = 2"),
        "[0.5,0.5"
    );
}

#[test]
fn several_columns_json_among_them_and_several_embeddings() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        r#"CREATE TABLE logs (id int PRIMARY KEY, title text, "the Data" json, note text, a vector(128), "B" halfvec(128));
           INSERT INTO logs SELECT i, 'title ' || i, json_build_object('n', i), 'note' FROM generate_series(1, 10) i;
           SELECT embed_keep_fresh('logs', 'title', 'the Data')"#,
    );
    for column in ["a", "B"] {
        session
            .embed_all(&format!(
                "'logs', embedding_column => '{column}', content => 'title'"
            ))
            .unwrap();
    }
    let mut left = |change: &str| {
        session.run(&format!("BEGIN; {change}"));
        let row = session
            .query_one(r#"SELECT count(a), count("B") FROM logs"#, &[])
            .unwrap();
        session.run("ROLLBACK");
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    assert_eq!(left("UPDATE logs SET title = 'x' WHERE id = 1"), (9, 9));
    assert_eq!(
        left(r#"UPDATE logs SET "the Data" = '{"n": 0}' WHERE id < 4"#),
        (7, 7)
    );
    assert_eq!(left("UPDATE logs SET note = 'x'"), (10, 10));
    // Each embedding for itself.
    assert_eq!(
        left("UPDATE logs SET title = 'x', a = array_fill(1, ARRAY[128])::vector"),
        (10, 0)
    );
}

#[test]
fn partitions() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id int, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES FROM (0) TO (6);
         CREATE TABLE high PARTITION OF logs FOR VALUES FROM (6) TO (100);
         INSERT INTO logs SELECT i, 'entry ' || i FROM generate_series(1, 10) i;
         SELECT embed_keep_fresh('logs', 'body')",
    );
    session.embed_all("'logs'").unwrap();
    assert_eq!(
        lost(
            &mut session,
            "UPDATE logs SET body = 'x' || id WHERE id IN (2, 8)"
        ),
        2
    );
    session.run("SELECT embed_keep_fresh('logs', 'body'); SELECT embed_keep_fresh_off('logs')");
    assert_eq!(lost(&mut session, "UPDATE logs SET body = 'y' || id"), 0);
    assert_eq!(
        session.number("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"),
        0
    );
}

#[test]
fn again_with_other_columns_and_off() {
    let (_db, mut session) = fresh(10);
    session.run("ALTER TABLE logs ADD COLUMN title text; SELECT embed_keep_fresh('logs', 'title')");
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'logs'::regclass";
    assert_eq!(session.number(triggers), 1);
    assert_eq!(
        lost(
            &mut session,
            "UPDATE logs SET body = body || '!' WHERE id = 1"
        ),
        0
    );
    assert_eq!(
        lost(&mut session, "UPDATE logs SET title = 'x' WHERE id < 4"),
        3
    );
    session.run("CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER own BEFORE UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION own()");
    session.run("SELECT embed_keep_fresh_off('logs'); SELECT embed_keep_fresh_off('logs')");
    assert_eq!(session.number(triggers), 1, "the owner's own stays");
    assert_eq!(lost(&mut session, "UPDATE logs SET title = 'y'"), 0);
    // Renamed, it follows.
    session.run("DROP TRIGGER own ON logs; SELECT embed_keep_fresh('logs', 'title'); ALTER TABLE logs RENAME COLUMN title TO heading");
    assert_eq!(lost(&mut session, "UPDATE logs SET heading = 'z'"), 10);
}

// Either it follows, or it says that it can't; it must not let stale vectors look fresh.
#[test]
fn a_renamed_embedding_column() {
    let (_db, mut session) = fresh(5);
    session.run("ALTER TABLE logs RENAME COLUMN embedding TO vec");
    match session.batch_execute("UPDATE logs SET body = 'x' WHERE id = 1") {
        Ok(()) => assert_eq!(
            session.number("SELECT count(*) FROM logs WHERE vec IS NULL"),
            1
        ),
        changed => drop(denied(changed, "42703", "embedding")),
    }
}

#[test]
fn it_survives_dump_and_restore_with_journal_and_rejects() {
    let (db, mut session) = fresh(20);
    db.api
        .set(|config| config.poison = Some("poison".to_owned()));
    session.run("UPDATE logs SET body = 'poison' WHERE id = 7");
    session.embed_all("'logs', content => 'body'").unwrap();
    let copy = format!("{}_copy", db.name);
    session.run(&format!("CREATE DATABASE {copy}"));

    let mut dump = client("pg_dump", &db.name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let restored = client("psql", &copy)
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
        .stdin(dump.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(dump.wait().unwrap().success());
    assert!(restored.status.success(), "{restored:?}");

    let mut there = db.session_in(&copy);
    for setting in ["base_url", "api_key_file"] {
        let value = session.text(&format!(
            "SELECT current_setting('embedding_backfill.{setting}')"
        ));
        there.run(&format!("SET embedding_backfill.{setting} = '{value}'"));
    }
    for view in ["runs", "rejects"] {
        let rows = format!(
            "SELECT string_agg(v::text, ';' ORDER BY v::text) FROM embedding_backfill.{view} v"
        );
        assert_eq!(there.text(&rows), session.text(&rows), "{view}");
    }
    // What was rejected is not sent again, the vector space is known, and the next run has the next number.
    let requests = db.api.stats().requests;
    assert_eq!(
        there.embed_all("'logs', content => 'body'").unwrap(),
        Finished::done(0, 0)
    );
    assert_eq!(db.api.stats().requests, requests);
    there.run("UPDATE logs SET body = 'changed' WHERE id = 3; UPDATE logs SET seen = 1");
    assert_eq!(filled(&mut there, "logs"), 18);
    assert_eq!(
        there.embed_all("'logs', content => 'body'").unwrap(),
        Finished::done(1, 0)
    );
    assert_eq!(
        db.api.stats().texts,
        20 + 1 + 1 + 1,
        "20 rows, the poison twice, the changed one; no proof"
    );
    assert_eq!(right(&mut there, "logs"), 19);
    there.run("SELECT embed_keep_fresh_off('logs')");
    drop(there);
    session.run(&format!("DROP DATABASE {copy} WITH (FORCE)"));
}

fn client(program: &str, database: &str) -> std::process::Command {
    let mut command = Install::get().client(program);
    command.arg("--host").arg(Cluster::shared().host());
    command.args(["--username", "postgres", "--dbname", database]);
    command
}
