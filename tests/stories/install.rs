//! How the extension comes and goes.

use support::{Cluster, Db, Finished};

use crate::fixtures::right;

use google_standin::Config;

#[test]
fn in_a_schema_of_ones_choice_with_pgvector_in_another() {
    let db = Db::bare(Cluster::shared(), Config::default());
    let mut session = db.session();
    session.run(
        "CREATE SCHEMA tools; CREATE SCHEMA extensions;
         CREATE EXTENSION vector SCHEMA extensions;
         CREATE EXTENSION embedding_backfill SCHEMA tools;
         CREATE TABLE t (body text, embedding extensions.vector(128));
         INSERT INTO t SELECT 'entry ' || i FROM generate_series(1, 30) i;
         CREATE TABLE bare (body text, embedding extensions.vector);
         INSERT INTO bare SELECT 'entry', array_fill(1, ARRAY[128])::extensions.vector;
         INSERT INTO bare (body) VALUES ('another')",
    );
    let embedded: i64 = session
        .query_one("SELECT tools.embed_missing('t', 10)", &[])
        .unwrap()
        .get(0);
    assert_eq!(embedded, 10);
    let row = session
        .query_one("CALL tools.embed_all_missing('t', 10)", &[])
        .unwrap();
    assert_eq!(
        (
            row.get::<_, i64>("embedded"),
            row.get::<_, i64>("remaining")
        ),
        (20, 0)
    );
    // How many dimensions there are is asked of the rows.
    for (query, answer) in [
        (
            "SELECT dimensions::bigint FROM tools.embed_plan('bare')",
            128,
        ),
        ("SELECT count(*) FROM tools.embed_verify('bare', 1)", 7),
        (
            "SELECT cardinality(tools.embed_query('bare', 'a cat')::real[])::bigint",
            128,
        ),
    ] {
        assert_eq!(session.number(query), answer, "{query}");
    }
    session.run("SET search_path = public, extensions");
    assert_eq!(right(&mut session, "t"), 30);
}

#[test]
fn it_leaves_nothing_behind() {
    let db = Db::bare(Cluster::shared(), Config::default());
    let mut session = db.session();
    let everything = "SELECT (SELECT count(*) FROM pg_class) + (SELECT count(*) FROM pg_proc) + (SELECT count(*) FROM pg_namespace
                      WHERE nspname !~ '^pg_temp|^pg_toast_temp') + (SELECT count(*) FROM pg_type) + (SELECT count(*) FROM pg_trigger)";
    session.run("CREATE EXTENSION vector; CREATE TABLE t (body text, embedding vector(128)); INSERT INTO t VALUES ('a')");
    let before = session.number(everything);
    session.run("CREATE EXTENSION embedding_backfill");
    assert!(session.number(everything) > before);
    assert_eq!(session.embed_all("'t'").unwrap(), Finished::done(1, 0));
    session.run("DROP EXTENSION embedding_backfill");
    assert_eq!(session.number(everything), before);
}

#[test]
fn every_object_says_what_it_is_for() {
    let db = Db::fresh();
    let silent = "SELECT coalesce(string_agg(pg_describe_object(d.classid, d.objid, 0), ', '), '')
                  FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND e.extname = 'embedding_backfill' AND d.deptype = 'e'
                  WHERE d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass)
                    AND obj_description(d.objid, d.classid::regclass::name) IS NULL";
    assert_eq!(db.session().text(silent), "");
}
