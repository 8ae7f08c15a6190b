//! What changes in the table changes in the mirror with the next call: rows that are gone, contents and metadata that others took.

use serde_json::{Value, json};
use support::{Record, Store};

use crate::mirror::{embedded, mirrors_logs};

#[test]
fn a_row_that_is_gone_disappears() {
    let (_db, store, mut session) = embedded(40);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (40, 0));
    session.run("DELETE FROM logs WHERE id = 7; UPDATE logs SET embedding = NULL WHERE id = 8");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (38, 2));
    assert_eq!(mirrors_logs(&mut session, &store), 38);
    session.run("UPDATE logs SET id = 100 WHERE id = 9");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (38, 1));
    assert_eq!(mirrors_logs(&mut session, &store), 38);
    session.run("TRUNCATE logs");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (0, 38));
    assert_eq!(store.count("logs"), 0);
}

// Whatever a page of IDs holds, and wherever in it there is something to remove.
#[test]
fn many_that_are_gone() {
    let (_db, store, mut session) = embedded(0);
    session.run(
        "INSERT INTO logs SELECT i, 'entry ' || i, (ARRAY[cos(i), sin(i)] || array_fill(0::float8, ARRAY[126]))::vector(128)
         FROM generate_series(1, 3000) i",
    );
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (3000, 0));
    session.run("DELETE FROM logs WHERE id % 3 = 0 OR id BETWEEN 400 AND 900");
    let left = session.number("SELECT count(*) FROM logs");
    assert_eq!(
        session.mirror("'logs', 'logs'").unwrap(),
        (left, 3000 - left)
    );
    assert_eq!(mirrors_logs(&mut session, &store) as i64, left);
}

#[test]
fn a_content_that_changes_or_goes() {
    let (_db, store, mut session) = embedded(6);
    session.mirror("'logs', 'logs'").unwrap();
    session.run(
        "UPDATE logs SET body = 'another' WHERE id = 2; UPDATE logs SET body = '' WHERE id = 3;
         UPDATE logs SET body = NULL WHERE id = 4",
    );
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (6, 0));
    let documents: Vec<Value> = documents(&store);
    assert_eq!(documents[1..4], ["another", "", ""]);
    assert_eq!(mirrors_logs(&mut session, &store), 6);
}

fn documents(store: &Store) -> Vec<Value> {
    let records = store.records("logs").into_values();
    records.map(|Record { document, .. }| document).collect()
}

#[test]
fn the_content_may_be_any_expression() {
    let (_db, store, mut session) = embedded(3);
    session
        .mirror("'logs', 'logs', content => $$id || ': \"' || body || E'\\n\u{2028}👩‍👧'$$")
        .unwrap();
    assert_eq!(documents(&store)[0], "1: \"entry 1 naïve café\n\u{2028}👩‍👧");
}

#[test]
fn metadata_of_each_type_and_what_becomes_of_it() {
    let (_db, store, mut session) = embedded(2);
    session.run(
        "ALTER TABLE logs ADD i int DEFAULT -3, ADD b bigint DEFAULT 9223372036854775807, ADD f float8 DEFAULT 1.5,
             ADD n numeric DEFAULT 0.25, ADD yes boolean DEFAULT true, ADD t text DEFAULT 'a \"b\" \u{e9}', ADD d date DEFAULT '2026-11-22',
             ADD j jsonb DEFAULT '{\"a\": [1]}', ADD a int[] DEFAULT '{1,2}', ADD nan float8 DEFAULT 'NaN',
             ADD huge numeric DEFAULT 1e30, ADD \"Odd, name\" text DEFAULT 'x', ADD nothing text",
    );
    let columns = r#"'{i,b,f,n,yes,t,d,j,a,nan,huge,"Odd, name",nothing}'"#;
    let call = format!("'logs', 'logs', metadata => {columns}");
    session.mirror(&call).unwrap();
    let metadata = |store: &Store| store.records("logs")["1"].metadata.clone();
    let told = metadata(&store);
    for (name, value) in [
        ("i", json!(-3)),
        ("b", json!(i64::MAX)),
        ("f", json!(1.5)),
        ("n", json!(0.25)),
        ("yes", json!(true)),
        ("t", json!("a \"b\" é")),
        ("d", json!("2026-11-22")),
        ("nan", json!("NaN")),
        ("Odd, name", json!("x")),
        ("nothing", Value::Null),
    ] {
        assert_eq!(told[name], value, "{name}: {told}");
    }
    assert_eq!(told["j"], r#"{"a": [1]}"#, "{told}");
    assert!(told["a"].is_string() && !told["huge"].is_null(), "{told}");

    // Chroma keeps what it is not told of; so it is told of all.
    session.run("UPDATE logs SET t = NULL, yes = NULL, i = 4 WHERE id = 1");
    session.mirror(&call).unwrap();
    let told = metadata(&store);
    assert_eq!(
        (&told["t"], &told["yes"], &told["i"]),
        (&Value::Null, &Value::Null, &json!(4))
    );
    session.run("UPDATE logs SET i = NULL, b = NULL, f = NULL, n = NULL, d = NULL, j = NULL, a = NULL, nan = NULL, huge = NULL, \"Odd, name\" = NULL WHERE id = 1");
    session.mirror(&call).unwrap();
    assert!(
        metadata(&store)
            .as_object()
            .is_none_or(|left| left.is_empty()),
        "{}",
        metadata(&store)
    );
}

// What the filter leaves out is no part of the mirror, whether it was once or never.
#[test]
fn a_source_filter() {
    let (_db, store, mut session) = embedded(30);
    session.mirror("'logs', 'logs'").unwrap();
    let call = "'logs', 'logs', source_filter => 'id <= 12'";
    assert_eq!(session.mirror(call).unwrap(), (12, 18));
    let ids = store.ids("logs");
    assert_eq!(ids.len(), 12);
    assert!(ids.iter().all(|id| id.parse::<u32>().unwrap() <= 12));
}
