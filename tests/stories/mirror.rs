//! `CALL mirror_to_chroma(…)`: what has a vector is in a collection of ChromaDB, as a real server of it tells.

use std::{collections::BTreeMap, io::Write, process::Stdio};

use support::{Chroma, Db, Finished, Record, Session, Store};

use crate::{demo_tables, fixtures::logs};

/// A database of Chroma's that this one may be mirrored to.
pub fn store_of<'c>(db: &Db, chroma: &'c Chroma) -> Store<'c> {
    let store = chroma.store(&db.name);
    db.set("chroma_url", &store.url());
    db.set("chroma_database", &store.database);
    store
}

/// `logs`, with a vector in each of its rows, and where it may be mirrored to.
pub fn embedded(rows: u32) -> (Db<'static>, Store<'static>, Session) {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    logs(&mut session, rows);
    let rows = i64::from(rows);
    assert_eq!(
        session.embed_all("'logs'").unwrap(),
        Finished::done(rows, 0)
    );
    (db, store, session)
}

/// The collection has the rows of the relation that have a vector and no others, each under its key and with its vector; gives
/// all that it has.
#[track_caller]
pub fn same(
    session: &mut Session,
    relation: &str,
    key: &str,
    store: &Store,
    collection: &str,
) -> BTreeMap<String, Record> {
    let query =
        format!("SELECT {key}, embedding::vector FROM {relation} WHERE embedding IS NOT NULL");
    let rows = session.query(&query, &[]).unwrap();
    let records = store.records(collection);
    for row in &rows {
        let (key, vector): (String, pgvector::Vector) = (row.get(0), row.get(1));
        let record = records.get(&key);
        let record = record.unwrap_or_else(|| panic!("{key} is not in {collection}"));
        assert_eq!(record.vector.len(), vector.as_slice().len());
        let values = record.vector.iter().zip(vector.as_slice());
        let off = values.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= 1e-6, "{key} has another vector, off by {off}");
    }
    assert_eq!(records.len(), rows.len(), "{collection} has more");
    assert_eq!(store.count(collection), rows.len() as i64);
    records
}

/// The rows of `logs` and their bodies, in the collection of that name.
#[track_caller]
pub fn mirrors_logs(session: &mut Session, store: &Store) -> usize {
    let records = same(session, "logs", "id::text", store, "logs");
    for (id, record) in &records {
        let body = format!("SELECT coalesce(body, '') FROM logs WHERE id = {id}");
        assert_eq!(record.document, *session.text(&body), "row {id}");
    }
    records.len()
}

#[test]
fn the_demos_tables() {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    demo_tables::load(&mut session);
    for (table, rows) in [("memory_logs", 487), ("mental_notes", 1)] {
        let asked = db.api.requests().len();
        assert_eq!(
            session.embed_all(&format!("'{table}'")).unwrap(),
            Finished::done(rows, 0)
        );
        assert_eq!(
            session.mirror(&format!("'{table}', '{table}'")).unwrap(),
            (rows, 0)
        );
        let records = same(&mut session, table, "id::text", &store, table);
        assert_eq!(records.len() as i64, rows);

        // Its documents are what the vectors were made from.
        let mut documents: Vec<String> = records
            .values()
            .map(|record| record.document.as_str().unwrap().to_owned())
            .collect();
        let mut texts: Vec<String> = db.api.requests()[asked..]
            .iter()
            .flat_map(|request| request.texts())
            .map(|text| {
                text.strip_prefix("title: none | text: ")
                    .unwrap()
                    .to_owned()
            })
            .collect();
        documents.sort();
        texts.sort();
        assert_eq!(documents, texts);
    }
    let collection = store.collection("memory_logs").unwrap();
    let configuration = &collection["configuration_json"]["hnsw"];
    assert_eq!(configuration["space"], "cosine", "{collection}");
}

/// The IDs that pgvector and Chroma have nearest to a question, which must be the same.
#[track_caller]
fn nearest(
    session: &mut Session,
    store: &Store,
    question: &str,
) -> (pgvector::Vector, Vec<String>) {
    let vector: pgvector::Vector = session
        .query_one("SELECT embed_query('memory_logs', $1)", &[&question])
        .unwrap()
        .get(0);
    let ids = session
        .query(
            "SELECT id::text FROM memory_logs ORDER BY embedding <=> $1 LIMIT 5",
            &[&vector],
        )
        .unwrap();
    let ids: Vec<String> = ids.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        store.nearest("memory_logs", vector.as_slice(), 5),
        ids,
        "{question}"
    );
    (vector, ids)
}

// Both find what is nearest by the same vectors; Chroma's index of a few hundred rows misses none.
#[test]
fn a_search_through_chroma_finds_what_pgvector_finds() {
    let db = Db::fresh();
    let store = store_of(&db, Chroma::shared());
    let mut session = db.session();
    demo_tables::load(&mut session);
    session.embed_all("'memory_logs'").unwrap();
    session
        .mirror("'memory_logs', 'memory_logs', metadata => '{agent,date}'")
        .unwrap();
    for question in ["clock, calendar", "a bug in memory", "release"] {
        nearest(&mut session, &store, question);
    }

    // The official client, as another program than ours.
    let (vector, ids) = nearest(&mut session, &store, "documentation");
    let mut client = Chroma::python()
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/mirror.py"))
        .args([&store.url(), &store.database, "memory_logs"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python can be run");
    let vector = serde_json::to_vec(vector.as_slice()).unwrap();
    client.stdin.take().unwrap().write_all(&vector).unwrap();
    let said = client.wait_with_output().unwrap();
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    let found: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim_start().split(" | ").nth(1))
        .map(str::trim)
        .collect();
    assert_eq!(found, ids, "{said}");
}

#[test]
fn a_second_call_changes_nothing() {
    let (_db, store, mut session) = embedded(120);
    let call = "'logs', 'logs', metadata => '{id,body}'";
    assert_eq!(session.mirror(call).unwrap(), (120, 0));
    let (collection, records) = (store.collection("logs"), store.records("logs"));
    assert_eq!(session.mirror(call).unwrap(), (120, 0));
    assert_eq!(store.records("logs"), records);
    let now = store.collection("logs");
    for kept in ["id", "name", "metadata", "configuration_json"] {
        assert_eq!(
            now.as_ref().unwrap()[kept],
            collection.as_ref().unwrap()[kept]
        );
    }
    assert_eq!(mirrors_logs(&mut session, &store), 120);
}

#[test]
fn rows_without_a_vector_are_left_out() {
    let (_db, store, mut session) = embedded(20);
    session.run("UPDATE logs SET embedding = NULL WHERE id % 2 = 0");
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (10, 0));
    assert_eq!(mirrors_logs(&mut session, &store), 10);
}

#[test]
fn an_empty_table() {
    let (_db, store, mut session) = embedded(0);
    assert_eq!(session.mirror("'logs', 'logs'").unwrap(), (0, 0));
    assert_eq!(store.count("logs"), 0);
}

#[test]
fn in_a_transaction_block_it_is_refused_before_anything_is_sent() {
    let (_db, store, mut session) = embedded(5);
    let mut block = session.transaction().unwrap();
    support::denied(
        block.query_one("CALL mirror_to_chroma('logs', 'logs')", &[]),
        "25001",
        "mirror_to_chroma",
    );
    block.rollback().unwrap();
    assert_eq!(store.collections(), [""; 0]);
}
