//! By which ID a row is found in Chroma: its primary key as text, or what the caller says.

use support::{Db, Session, Store, refused};

use crate::mirror::{embedded, same, store_of};

/// `t`, six rows with these columns besides, filled by SQL that has the row's number as `i`.
fn keyed(columns: &str, values: &str) -> (Db<'static>, Store<'static>, Session) {
    let db = Db::fresh();
    let store = store_of(&db, support::Chroma::shared());
    let mut session = db.session();
    session.run(&format!(
        "CREATE TABLE t ({columns}, body text, embedding vector(128));
         INSERT INTO t SELECT {values}, 'entry ' || i FROM generate_series(1, 6) i"
    ));
    session.embed_all("'t', content => 'body'").unwrap();
    (db, store, session)
}

const CALL: &str = "'t', 'keyed', content => 'body'";

/// Mirrored, and again after one row is gone.
#[track_caller]
fn comes_and_goes(columns: &str, values: &str, key: &str, more: &str) {
    let (_db, store, mut session) = keyed(columns, values);
    let call = format!("{CALL}{more}");
    assert_eq!(session.mirror(&call).unwrap(), (6, 0), "{columns}");
    same(&mut session, "t", key, &store, "keyed");
    session.run("DELETE FROM t WHERE body = 'entry 2'; UPDATE t SET embedding = NULL WHERE body = 'entry 5'");
    assert_eq!(session.mirror(&call).unwrap(), (4, 2), "{columns}");
    same(&mut session, "t", key, &store, "keyed");
}

#[test]
fn a_primary_key_of_each_type() {
    for (columns, values) in [
        ("k bigint PRIMARY KEY", "i * 1000000007::bigint * 1000003"),
        ("k integer PRIMARY KEY", "-i"),
        ("k smallint PRIMARY KEY", "i"),
        ("k uuid PRIMARY KEY", "md5(i::text)::uuid"),
        ("k text PRIMARY KEY", r#"i || E' "naïve"\n\\ '"#),
        ("k varchar(9) PRIMARY KEY", "'key ' || i"),
        ("k numeric PRIMARY KEY", "i / 10.0"),
        (
            r#"unused int, k bytea PRIMARY KEY"#,
            r"i, decode(md5(i::text), 'hex')",
        ),
    ] {
        comes_and_goes(columns, values, "k::text", "");
    }
    comes_and_goes(
        "k timestamptz PRIMARY KEY",
        "'epoch'::timestamptz + i * interval '1 day'",
        r#"to_char(k AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS+00:00')"#,
        "",
    );
}

// A job and a person may have other settings.
#[test]
fn times_are_written_the_same_in_each_session() {
    let (_db, store, mut session) = keyed(
        "at timestamptz, on_day date, PRIMARY KEY (on_day, at), naive timestamp, b bytea",
        r"CASE WHEN i < 6 THEN '2026-11-28 23:30:00.5+00'::timestamptz + i * interval '1 day' ELSE 'infinity' END,
          date '2026-11-28' + i, timestamp '2026-11-28 12:00' + i * interval '1 day', '\xff00'",
    );
    let call = format!("{CALL}, metadata => '{{at,on_day,naive,b}}'");
    assert_eq!(session.mirror(&call).unwrap(), (6, 0));
    let records = store.records("keyed");
    let first = &records["(2026-11-29,2026-11-29T23:30:00.5+00:00)"].metadata;
    assert_eq!(first["at"], "2026-11-29T23:30:00.5+00:00");
    assert_eq!(first["naive"], "2026-11-29T12:00:00");
    assert_eq!(
        (&first["on_day"], &first["b"]),
        (&"2026-11-29".into(), &"\\xff00".into())
    );
    assert!(
        records.contains_key("(2026-12-04,infinity)"),
        "{records:#?}"
    );
    session.run(
        "SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German, DMY'; SET bytea_output = 'escape'",
    );
    assert_eq!(session.mirror(&call).unwrap(), (6, 0));
    assert_eq!(store.records("keyed"), records);
}

// Postgres does not keep the keys of a table and of what inherits from it apart, nor those of partitions that lack the key.
#[test]
fn a_primary_key_that_two_rows_have() {
    for tables in [
        "CREATE TABLE t (id int PRIMARY KEY, body text, embedding vector(128));
         CREATE TABLE low () INHERITS (t)",
        "CREATE TABLE t (id int NOT NULL, body text, embedding vector(128)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (9);
         ALTER TABLE ONLY t ADD PRIMARY KEY (id)",
    ] {
        let db = Db::fresh();
        let store = store_of(&db, support::Chroma::shared());
        let mut session = db.session();
        session.run(tables);
        session.run("INSERT INTO t VALUES (7, 'one'); INSERT INTO low VALUES (7, 'another')");
        let error = refused(
            session.embed_all("'t', mirror => 'keyed'"),
            "23505",
            "key \"7\"",
            "leave mirror out, then: CALL mirror_to_chroma('t', ",
        );
        assert!(error.message().contains("2 rows of t"), "{error:?}");
        assert_eq!(db.api.stats().requests, 0);
        session.embed_all("'t'").unwrap();
        refused(session.mirror("'t', 'keyed'"), "23505", "key \"7\"", "key");
        assert_eq!(store.collections(), [""; 0]);
    }
}

#[test]
fn several_columns() {
    comes_and_goes(
        "a text, b int, PRIMARY KEY (b, a)",
        "'x, \"' || i, i % 2",
        "ROW(b, a)::text",
        "",
    );
}

#[test]
fn a_name_that_needs_quotes() {
    comes_and_goes(
        r#""Key; --" int PRIMARY KEY"#,
        "i",
        r#""Key; --"::text"#,
        "",
    );
}

#[test]
fn a_key_of_ones_own() {
    let columns = "k int PRIMARY KEY, name text";
    comes_and_goes(
        columns,
        "i, 'Name ' || i",
        "lower(name)",
        ", key => 'lower(name)'",
    );
    // Of any type.
    comes_and_goes(
        columns,
        "i, 'Name ' || i",
        "(k * 2)::text",
        ", key => 'k * 2'",
    );
}

#[test]
fn without_a_primary_key_it_has_to_be_said() {
    let (_db, store, mut session) = keyed("name text", "'name ' || i");
    refused(session.mirror(CALL), "42704", "primary key", "key =>");
    assert_eq!(store.collections(), [""; 0]);
    let call = format!("{CALL}, key => 'name'");
    assert_eq!(session.mirror(&call).unwrap(), (6, 0));
    same(&mut session, "t", "name", &store, "keyed");
}

// Chroma would take the last of two, and the other row would never be found.
#[test]
fn keys_that_are_not_unique_or_missing() {
    let (_db, store, mut session) = keyed("name text", "'name ' || i % 5");
    let call = format!("{CALL}, key => 'name'");
    let error = refused(session.mirror(&call), "23505", "name 1", "key");
    assert!(!error.message().contains("name 2"), "{error:?}");
    for (value, sqlstate) in [("NULL", "23502"), ("''", "23502")] {
        session.run(&format!(
            "UPDATE t SET name = {value} WHERE body = 'entry 6'"
        ));
        refused(session.mirror(&call), sqlstate, "key", "key");
    }
    assert_eq!(store.collections(), [""; 0]);
    // Those of rows that are not mirrored do no harm.
    session.run("UPDATE t SET embedding = NULL WHERE body = 'entry 6'");
    assert_eq!(session.mirror(&call).unwrap(), (5, 0));
    session.run("UPDATE t SET name = 'name 1'");
    let call = format!("{CALL}, key => 'name', source_filter => $$body = 'entry 3'$$");
    assert_eq!(session.mirror(&call).unwrap(), (1, 4));
    assert_eq!(store.ids("keyed"), ["name 1"]);
}

// A content that gives two values would be two records of one ID.
#[test]
fn a_content_is_one_value_of_one_row() {
    let (_db, store, mut session) = embedded(3);
    for (content, sqlstate) in [
        ("unnest(ARRAY[body, body])", "0A000"),
        ("max(body)", "42803"),
        ("row_number() OVER ()::text", "42P20"),
    ] {
        let call = format!("'logs', 'logs', content => '{content}'");
        support::denied(session.mirror(&call), sqlstate, "content");
    }
    assert_eq!(store.collections(), [""; 0]);
}

#[test]
fn a_key_is_one_expression_over_the_row() {
    let (_db, store, mut session) = embedded(3);
    for (key, sqlstate) in [
        ("id, body", "42601"),
        ("id); DROP TABLE logs; --", "42601"),
        ("nothing", "42703"),
        ("count(*)", "42803"),
        ("generate_series(1, 2)", "0A000"),
    ] {
        let call = format!("'logs', 'logs', key => $${key}$$");
        support::denied(session.mirror(&call), sqlstate, "key");
    }
    assert_eq!(store.collections(), [""; 0]);
    assert_eq!(session.number("SELECT count(*) FROM logs"), 3);
}

// What stands in our collection beside the rows is removed, also where no row could have such a key.
#[test]
fn ids_that_no_row_can_have() {
    for (columns, values) in [
        ("k bigint PRIMARY KEY", "i"),
        ("k uuid PRIMARY KEY", "md5(i::text)::uuid"),
        ("k text PRIMARY KEY", "'key ' || i"),
    ] {
        let (_db, store, mut session) = keyed(columns, values);
        session.mirror(CALL).unwrap();
        let ids = [
            "not a key",
            "99999999999999999999999",
            "7.5",
            " 1",
            "01",
            "\u{0}x",
        ];
        let vectors: Vec<_> = ids.iter().map(|_| vec![0.5; 128]).collect();
        store.upsert(
            "keyed",
            &serde_json::json!({ "ids": ids, "embeddings": vectors }),
        );
        assert_eq!(store.count("keyed"), 12);
        assert_eq!(session.mirror(CALL).unwrap(), (6, 6), "{columns}");
        same(&mut session, "t", "k::text", &store, "keyed");
    }
}
