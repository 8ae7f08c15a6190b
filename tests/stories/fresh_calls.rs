//! `embed_keep_fresh` as a call: names of every kind, who may make its triggers, who sets them off, and what it refuses.

use support::{Db, denied, refused};

use crate::{
    fixtures::{filled, logs},
    fresh::fresh,
};

#[test]
fn odd_names() {
    let db = Db::fresh();
    let mut session = db.session();
    let long = "e".repeat(60);
    session.run(&format!(
        r#"CREATE SCHEMA "S '1"; CREATE TABLE "S '1"."T ""x""" ("It's" text, "E ""m""" vector(128), {long}a vector(128), {long}b vector(128));
           INSERT INTO "S '1"."T ""x""" SELECT 'a', array_fill(1, ARRAY[128])::vector, array_fill(1, ARRAY[128])::vector, array_fill(1, ARRAY[128])::vector;
           SELECT embed_keep_fresh('"S ''1"."T ""x"""', 'It''s');
           UPDATE "S '1"."T ""x""" SET "It's" = 'b'"#
    ));
    let left = format!(
        r#"SELECT num_nonnulls("E ""m""", {long}a, {long}b)::bigint FROM "S '1"."T ""x""""#
    );
    assert_eq!(session.number(&left), 0);
}

// The writer need have no right on anything of the extension, and can't be led astray by a search_path.
#[test]
fn any_writer_sets_it_off() {
    let (db, mut session) = fresh(5);
    let writer = db.role("writer");
    session.run(&format!("GRANT SELECT, UPDATE (body) ON logs TO {writer}; REVOKE ALL ON SCHEMA embedding_backfill FROM PUBLIC"));
    let mut writing = db.session_as(&writer);
    writing.run("SET search_path = pg_temp; UPDATE public.logs SET body = 'x' WHERE id = 1");
    assert_eq!(filled(&mut session, "logs"), 4);
}

#[test]
fn bad_input() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    session.run(
        "CREATE TABLE plain (body text); CREATE VIEW seen AS SELECT * FROM logs;
         ALTER TABLE logs ADD COLUMN upper text GENERATED ALWAYS AS (upper(body)) STORED;
         CREATE TABLE filled (body text, a vector(2) NOT NULL, b vector(2) GENERATED ALWAYS AS (a) STORED)",
    );
    for (arguments, sqlstate, message) in [
        ("NULL, 'body'", "22004", "relation must not be NULL"),
        ("'seen', 'body'", "42809", "seen is not a table"),
        (
            "'plain', 'body'",
            "42703",
            "table public.plain has no column of type vector",
        ),
        ("'logs', 'nothing'", "42703", "\"nothing\""),
        ("'logs', 'body', 'embedding'", "42703", "\"embedding\""),
        ("'logs', 'ctid'", "42703", "\"ctid\""),
        (
            "'logs', 'upper'",
            "42P17",
            "column \"upper\" of table public.logs is generated",
        ),
        (
            "'filled', 'body'",
            "55000",
            "each embedding column of table public.filled",
        ),
        ("'logs', NULL", "22004", "NULL"),
        ("'logs', VARIADIC '{}'", "22023", "no column is named"),
        ("'logs', VARIADIC NULL", "22023", "no column is named"),
        (
            "'logs', 'body''; DROP TABLE logs; --'",
            "42703",
            "DROP TABLE",
        ),
    ] {
        println!("{arguments}");
        refused(
            session.query(&format!("SELECT embed_keep_fresh({arguments})"), &[]),
            sqlstate,
            message,
            "",
        );
    }
    refused(
        session.query("SELECT embed_keep_fresh_off(NULL)", &[]),
        "22004",
        "relation must not be NULL",
        "memory_logs",
    );
    denied(
        session.query("SELECT embed_keep_fresh('nothing', 'body')", &[]),
        "42P01",
        "nothing",
    );
    assert_eq!(
        session.number("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"),
        0
    );
}

#[test]
fn the_owner_alone() {
    let db = Db::fresh();
    let mut session = db.session();
    logs(&mut session, 1);
    let [owner, writer] = ["owner", "writer"].map(|name| db.role(name));
    session.run(&format!(
        "ALTER TABLE logs OWNER TO {owner}; GRANT ALL ON logs TO {writer}"
    ));
    refused(
        db.session_as(&writer)
            .query("SELECT embed_keep_fresh('logs', 'body')", &[]),
        "42501",
        "must be owner of table public.logs",
        "owner",
    );
    db.session_as(&owner)
        .run("SELECT embed_keep_fresh('logs', 'body')");
    denied(
        db.session_as(&writer)
            .query("SELECT embed_keep_fresh_off('logs')", &[]),
        "42501",
        "must be owner of",
    );
    db.session_as(&owner)
        .run("SELECT embed_keep_fresh_off('logs')");
}

// To empty them is an error that would meet everybody's updates.
#[test]
fn columns_that_are_never_null_are_left_out() {
    let (_db, mut session) = fresh(5);
    session.run(
        "ALTER TABLE logs ADD COLUMN made vector(128) GENERATED ALWAYS AS (embedding) STORED,
                          ADD COLUMN kept vector(2) NOT NULL DEFAULT '[1,2]';
         SELECT embed_keep_fresh('logs', 'body');
         UPDATE logs SET body = 'changed' WHERE id < 3",
    );
    assert_eq!(filled(&mut session, "logs"), 3);
    assert_eq!(session.number("SELECT count(made) FROM logs"), 3);
    assert_eq!(session.number("SELECT count(kept) FROM logs"), 5);
}

// A run fills them through their parent, but PostgreSQL passes no trigger on to them.
#[test]
fn tables_that_inherit() {
    let (_db, mut session) = fresh(5);
    session.run(
        "CREATE TABLE extra (more int); CREATE TABLE heir (note text) INHERITS (extra, logs);
         CREATE TABLE \"Heir's\" () INHERITS (heir);
         INSERT INTO heir (id, body) VALUES (11, 'eleven'); INSERT INTO \"Heir's\" (id, body) VALUES (12, 'twelve');
         SELECT embed_keep_fresh('logs', 'body')",
    );
    session.embed_all("'logs', content => 'body'").unwrap();
    assert_eq!(filled(&mut session, "logs"), 7);
    session.run("UPDATE logs SET body = 'changed' WHERE id > 4");
    assert_eq!(filled(&mut session, "logs"), 4);
    let triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(session.number(triggers), 3);
    session.run("SELECT embed_keep_fresh('logs', 'body')");
    assert_eq!(session.number(triggers), 3);
    session.run("SELECT embed_keep_fresh_off('logs')");
    assert_eq!(session.number(triggers), 0);
}

#[test]
fn a_partition_has_the_trigger_of_its_parent() {
    let db = Db::fresh();
    let mut session = db.session();
    session.run(
        "CREATE TABLE logs (id int, body text, embedding vector(128)) PARTITION BY LIST (id);
         CREATE TABLE low PARTITION OF logs FOR VALUES IN (1, 2) PARTITION BY LIST (id);
         CREATE TABLE lowest PARTITION OF low FOR VALUES IN (1);
         SELECT embed_keep_fresh('lowest', 'body');
         SELECT embed_keep_fresh('logs', 'body')",
    );
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'embedding_backfill%'";
    assert_eq!(session.number(triggers), 3, "its own is replaced");
    for partition in ["low", "lowest"] {
        refused(
            session.query(
                &format!("SELECT embed_keep_fresh('{partition}', 'body')"),
                &[],
            ),
            "42710",
            &format!("public.{partition} is a partition of public.logs"),
            "embed_keep_fresh('public.logs', ...)",
        );
    }
    session.run("SELECT embed_keep_fresh_off('logs')");
    assert_eq!(session.number(triggers), 0);
}
