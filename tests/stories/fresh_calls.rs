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
    session.run("CREATE TABLE plain (body text); CREATE VIEW seen AS SELECT * FROM logs");
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
